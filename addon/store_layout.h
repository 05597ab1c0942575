// store_layout.h: the memory of the store (src/model) as native code sees it: parts of shared memory, by number.
//
// The owner is TypeScript: chunk.ts, capture.ts, dictionary.ts, pairing.ts, processes.ts and statistics.ts say what
// each number means, and only they make or replace a part. Native code gets the parts for the time of one call.
// Each byte is only ever read and written as one type: 32-bit words, 16-bit cells, or doubles.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <span>

namespace drivermon::store {

using Words = std::span<uint32_t>;

constexpr uint32_t kChunkShift = 15;
constexpr uint32_t kChunkRows = 1u << kChunkShift;
constexpr uint32_t kBlockShift = 10;

// ---- The capture ----

enum CapturePart : uint32_t {
    kCounts,
    kPairing,
    kLost,
    kProcesses,
    kFunctions,
    kTotals,
};

struct Counts {
    double endRow;
    double starts;
    double inFlight;
    double unpairedEnds;
    double endsLost;
    double fellThrough;
    double chunks;
    double stamp;
};
static_assert(sizeof(Counts) == 8 * 8, "Count");

// Of the pairing table and of the ring of lost starts; both are a header and slots.
struct PairingHeader {
    double number;  // table: ids in it; ring: the slot that is written next
    double unused;
};
struct PairingSlot {
    uint32_t idLow;
    uint32_t idHigh;
    double row;  // its position (ChunkState) + 1; 0 = free
};
static_assert(sizeof(PairingHeader) == 16 && sizeof(PairingSlot) == 16, "pairing.ts");
// A table with fewer slots per id must grow.
constexpr uint32_t kMostRoomySlots = 1 << 16;
constexpr uint32_t SlotsPerId(uint32_t slots) {
    return slots > kMostRoomySlots ? 2 : 4;
}

constexpr uint32_t kProcessSlots = 4096;
struct ProcessSlot {
    uint32_t processId;
    uint32_t name;  // + 1; 0 = free
    double since;
};
static_assert(sizeof(ProcessSlot) == 16, "processes.ts");

constexpr uint32_t kHistogramStepsLog2 = 5;
constexpr uint32_t kHistogramBuckets = 48 << kHistogramStepsLog2;
struct Totals {
    double count;
    double inFlight;
    double unseen;
    double errors;
    double cancelled;
    double pended;
    double fellThrough;
    double bytesIn;
    double bytesOut;
    double latencies;
    double maxLatency;
    double givesBytes;  // 1 where Information is a count of bytes given
    uint32_t histogram[kHistogramBuckets];
};
static_assert(sizeof(Totals) == 12 * 8 + 4 * kHistogramBuckets, "statistics.ts");

// ---- A chunk ----

enum ChunkPart : uint32_t {
    kColumns,
    kKinds,
    kCallers,
    kPlaces,
    kIrps,
    kOutcomes,
    kInputLengths,
    kOutputLengths,
    kInformations,
    kSegment,
};

struct ChunkState {
    double rows;
    double first;
    double base;
    double inFlight;
    double lastChange;
    double minArrival;
    double maxArrival;
    double minLatency;
    double maxLatency;
    double free;
    double segments;
    double spread;
    double position;
    double closed;
    double unused[18];
    double changed[kChunkRows >> kBlockShift];
};
static_assert(sizeof(ChunkState) == 64 * 8, "ChunkState");

struct Columns {
    ChunkState state;
    uint32_t arrivalLow[kChunkRows];
    uint32_t latency[kChunkRows];
    uint32_t idLow[kChunkRows];
    uint32_t extra[kChunkRows];
    uint16_t kind[kChunkRows];
    uint16_t caller[kChunkRows];
    uint16_t place[kChunkRows];
    uint16_t irp[kChunkRows];
    uint16_t outcome[kChunkRows];
    uint16_t inputLength[kChunkRows];
    uint16_t outputLength[kChunkRows];
    uint16_t information[kChunkRows];
};
static_assert(sizeof(Columns) == 512 + 32 * kChunkRows, "chunk.ts");

constexpr uint32_t kWideLatency = 0xffffffff;
constexpr uint32_t kOutcomeInFlight = 0;
constexpr uint32_t kOutcomeEndLost = 1;
// Cells of a quantity: below this the value, from there on a code.
constexpr uint32_t kLarge = 0x8000;

// The tuples, in words.
struct Kind {
    uint32_t driver, call, code, detail, flags, irpFlags;
};
constexpr uint32_t kStartMissing = 1u << 31;  // of Kind::call
struct Caller {
    uint32_t processId, threadId, requestor, process, processor, idHigh;
};
struct Place {
    uint32_t deviceLow, deviceHigh, fileLow, fileHigh;
};
struct Irp {
    uint32_t low, high;
};
struct Outcome {
    uint32_t state, status, flags, processor, processId, threadId;
};
struct Quantity {
    uint32_t low, high;
};
struct Function {
    uint32_t driver, function;
    bool operator==(const Function&) const = default;
};

// RowState of wire.ts.
enum RowState : uint32_t { kInFlight, kDone, kUnseen, kEndLost, kStartLost };

// A dictionary: the header, `capacity` tuples, `slots` words of index (code + 1; 0 = free).
struct DictionaryHeader {
    uint32_t size;
    uint32_t capacity;
    uint32_t slots;
    uint32_t unused;
};
static_assert(sizeof(DictionaryHeader) == 16, "dictionary.ts");

// Entries of the arena: link, kind, two words of the kind's own, payload.
constexpr uint32_t kMaxSegmentWords = 1024 * 1024 / 4;
constexpr uint32_t kSegmentShift = 17;
constexpr uint32_t kExtraHeaderWords = 4;
enum ExtraKind : uint32_t { kExtraInput = 1, kExtraOutput = 2, kExtraOffset = 3, kExtraContinues = 4 };

}  // namespace drivermon::store
