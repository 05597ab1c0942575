// ingest_fuzz.cpp: the store's native hot path under libFuzzer. The input is a few bytes that size the memory, then a
// stream of records; each part of the memory is an allocation of its own, whose ends AddressSanitizer guards.
//
// What stops the hot path is stepped over as TypeScript would do it: a full chunk gets a successor, another record is
// skipped by its size; a malformed one ends the stream. Afterwards all that the memory says of itself must be true.
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "../native/store_memory.h"
#include "protocol/record.h"

using namespace drivermon;
using namespace drivermon::store;

namespace {

void Require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "not true: %s\n", what);
    std::abort();
}

void RequireWhole(StoreMemory& memory) {
    double rows = 0;
    double inFlight = 0;
    for (size_t number = 0; number < memory.Chunks(); number++) {
        const Columns& chunk = memory.Chunk(number);
        const auto size = [&](ChunkPart part) { return memory.Header(number, part).size; };
        const auto fits = [&](uint16_t cell, ChunkPart part) { return cell < kLarge || cell - kLarge < size(part); };
        rows += chunk.state.rows;
        inFlight += chunk.state.inFlight;
        Require(chunk.state.rows <= kChunkRows, "a chunk has at most so many rows");
        Require(chunk.state.free <= StoreMemory::kSegmentWords, "a segment is not overrun");
        for (uint32_t row = 1; row < chunk.state.rows; row++) {
            Require(chunk.kind[row] < size(kKinds) && chunk.caller[row] < size(kCallers) &&
                        chunk.place[row] < size(kPlaces) && chunk.irp[row] < size(kIrps) &&
                        chunk.outcome[row] < size(kOutcomes),
                    "a code has its entry");
            Require(fits(chunk.inputLength[row], kInputLengths) && fits(chunk.outputLength[row], kOutputLengths) &&
                        fits(chunk.information[row], kInformations),
                    "a large value has its entry");
        }
    }
    Require(rows == memory.Count().endRow, "rows are numbered without gaps");
    Require(inFlight == memory.Count().inFlight, "chunks know what is in flight");

    double paired = 0;
    for (const PairingSlot& slot : memory.Pairs()) {
        paired += slot.row != 0;
        Require(slot.row <= memory.Count().endRow, "a pair's row is there");
    }
    Require(paired == memory.Paired(), "the pairing table knows how full it is");
    Require(paired * 2 <= static_cast<double>(memory.Pairs().size()), "the pairing table has room to probe");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    constexpr size_t kSettings = 4;
    if (size < kSettings) return 0;
    StoreMemory memory({
        .pairing = 16u << (data[0] % 8),
        .lost = 1u + data[1] % 32,
        .dictionary = data[2] % 8 == 0 ? 0 : 4u << (data[2] % 8),
    });
    for (uint32_t processId = 0; processId < 16; processId += 4) memory.LearnProcess(processId, processId);
    for (uint32_t function = 0; function < kFunctionCount; function++) memory.LearnFunction(data[3] % 4, function);

    std::vector<uint32_t> records((size - kSettings) / 4);
    std::copy_n(data + kSettings, records.size() * 4, reinterpret_cast<uint8_t*>(records.data()));
    for (size_t at = 0; at < records.size();) {
        if (memory.Count().endRow == static_cast<double>(memory.Chunks() << kChunkShift)) memory.AddChunk(1000);
        const size_t next = Ingest(records, at, memory);
        Require(next >= at && next <= records.size(), "it stops within the records");
        RequireWhole(memory);
        if (next == records.size()) break;
        const size_t words = records[next] / 4;
        if (words == 0 || words > records.size() - next) break;
        at = next + words;
    }
    return 0;
}
