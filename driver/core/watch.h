// watch.h: one AddDriver: the identity under which a driver's requests are recorded, and its counters.
//
// A Watch outlives the hook: requests that were in flight when the hook was removed still point to it. It is freed when
// it is retired, nobody is in a section, and no context is out.
#pragma once

#include "counters.h"
#include "pool.h"

namespace drivermon {

struct Slot;

struct Watch {
    Watch* next;
    uint32_t driverId;
    HookState state;
    bool retired;  // no hook reports to it any more; kept for its counters and its requests in flight
    Slot* slot;
    DRIVER_OBJECT* driver;  // an address to tell; not dereferenced from here
    uint32_t functions;
    uint32_t fastIo;
    uint32_t nameLength;  // bytes
    uint16_t name[kMaxDriverNameLength];
    PoolArray<DriverCells> cells;  // by shard; freed when compacted
    PoolArray<FunctionCounters> final;

    // Requests whose completion is awaited. Exact when nothing moves; else what it was some time during the call.
    uint64_t Outstanding() const {
        uint64_t given = 0;
        uint64_t taken = 0;
        for (size_t i = 0; i < cells.count(); i++) given += cells[i].contextsGiven.LoadAcquire();
        for (size_t i = 0; i < cells.count(); i++) taken += cells[i].contextsTaken.LoadAcquire();
        return taken - given;
    }

    bool compacted() const { return cells.count() == 0; }
    // Retired, no sections, nothing outstanding: keeps the totals, lets go of the cells. Stays as it is without memory.
    void Compact() {
        FunctionCounters counters;
        uint32_t count = 0;
        for (uint32_t function = 0; function < kFunctionCount; function++) count += Sum(function, &counters) ? 1 : 0;
        if (count != 0 && !final.Allocate(count)) return;
        uint32_t at = 0;
        for (uint32_t function = 0; function < kFunctionCount; function++) {
            if (Sum(function, &counters)) final[at++] = counters;
        }
        cells.Free();
    }

    // Calls `take(const FunctionCounters&)` for each function that saw a request.
    template <typename Taker>
    void ForEachFunction(Taker take) const {
        FunctionCounters counters;
        for (size_t i = 0; i < final.count(); i++) take(final[i]);
        for (uint32_t function = 0; !compacted() && function < kFunctionCount; function++) {
            if (Sum(function, &counters)) take(counters);
        }
    }

    // Sums one function over all processors. Arrivals are read last: they are never fewer than the completions.
    bool Sum(uint32_t function, FunctionCounters* out) const {
        auto* totals = &out->arrivals;
        for (uint32_t which = kTotalCount; which-- > 0;) {
            totals[which] = 0;
            for (size_t i = 0; i < cells.count(); i++)
                totals[which] += cells[i].function[function].total[which].LoadAcquire();
        }
        out->driverId = driverId;
        out->function = function;
        return out->arrivals != 0;
    }

    // No one records.
    void ZeroTotals() {
        final.Free();
        for (size_t i = 0; i < cells.count(); i++) {
            RtlZeroMemory(static_cast<void*>(cells[i].function), sizeof(cells[i].function));
        }
    }
};

}  // namespace drivermon
