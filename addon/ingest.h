// ingest.h: the store's hot path: runs of ordinary records, from the driver's bytes into the store's rows.
//
// It does what Capture.ingest (src/model/capture.ts) does, in the same memory and to the same last bit, and stops at the
// first record that is not ordinary: another type, one that carries a name, a process or function not met before, a
// request whose row has left, a value beyond a column's range, no room in a dictionary, table, chunk or segment, and
// anything malformed. TypeScript takes that one in, makes room or refuses it, and calls again.
//
// Nothing is kept from one call to the next, and there is no thread: all parts stay where they are until it returns.
#pragma once

#include "store_layout.h"

namespace drivermon::store {

// Finds the parts. Each is asked for at most once per call and chunk; empty = there is no such part.
class Parts {
 public:
    virtual ~Parts() = default;
    virtual Words OfCapture(CapturePart part) = 0;
    virtual size_t Chunks() = 0;
    virtual Words OfChunk(size_t chunk, ChunkPart part) = 0;
};

// Takes in records, 8-aligned, from word `at` on. Returns the word of the first that it left alone, or their end.
size_t Ingest(std::span<const uint32_t> records, size_t at, Parts& parts);

}  // namespace drivermon::store
