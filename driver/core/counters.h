// counters.h: what the charts are made of: exact totals per driver, function and processor.
//
// They know nothing of records: a full ring, a filter or a slow client changes no number here but that of the drops.
// Each cell has one writer at a time (its processor's section); a reader adds the processors up while they run.
#pragma once

#include "atomic.h"
#include "protocol/control.h"

namespace drivermon {

// The 64-bit fields of FunctionCounters, in its order, so that a cell can be added up without naming each.
enum Total : uint32_t {
    kArrivals,
    kCompletions,
    kUnseen,
    kSuccess,
    kWarnings,
    kErrors,
    kCancelled,
    kPended,
    kFellThrough,
    kBytesIn,
    kBytesOut,
    kDrops,
    kLatency,
    kTotalCount = kLatency + kLatencyBuckets,
};
static_assert(offsetof(FunctionCounters, arrivals) == 8 + 8 * kArrivals, "order");
static_assert(offsetof(FunctionCounters, fellThrough) == 8 + 8 * kFellThrough, "order");
static_assert(offsetof(FunctionCounters, latency) == 8 + 8 * kLatency, "order");
static_assert(sizeof(FunctionCounters) == 8 + 8 * kTotalCount, "order");

struct FunctionCell {
    Atomic<uint64_t> total[kTotalCount];

    // Section.
    void Count(Total which, uint64_t amount = 1) { total[which].AddByOwner(amount); }
    void CountOutcome(uint32_t status, uint64_t latencyTicks);
};

constexpr uint32_t LatencyBucket(uint64_t ticks) {
    uint32_t bucket = 0;
    while (ticks != 0 && bucket < kLatencyBuckets - 1) {
        ticks >>= 1;
        bucket++;
    }
    return bucket;
}
static_assert(LatencyBucket(0) == 0 && LatencyBucket(1) == 1 && LatencyBucket(2) == 2 && LatencyBucket(3) == 2, "ABI");
static_assert(LatencyBucket(~0ull) == kLatencyBuckets - 1, "ABI");

constexpr uint32_t kStatusCancelled = 0xC0000120u;

inline void FunctionCell::CountOutcome(uint32_t status, uint64_t latencyTicks) {
    Count(kCompletions);
    if (status == kStatusCancelled) {
        Count(kCancelled);
    } else if (status >> 30 == 3) {
        Count(kErrors);
    } else if (status >> 30 == 2) {
        Count(kWarnings);
    } else {
        Count(kSuccess);
    }
    Count(static_cast<Total>(kLatency + LatencyBucket(latencyTicks)));
}

// One driver on one processor.
struct alignas(64) DriverCells {
    FunctionCell function[kFunctionCount];
    // Request contexts this processor took and gave back; the sums over all processors differ by those in flight.
    Atomic<uint64_t> contextsTaken;
    Atomic<uint64_t> contextsGiven;
    // Section. How many more this processor may take before it looks whether the driver's quota is used up.
    uint64_t contextsGranted;
};

}  // namespace drivermon
