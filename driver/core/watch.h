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
    PoolArray<DriverCells> cells;  // by shard

    // Requests whose completion is awaited. Exact when nothing moves; else what it was some time during the call.
    uint64_t Outstanding() const {
        uint64_t given = 0;
        uint64_t taken = 0;
        for (size_t i = 0; i < cells.count(); i++) given += cells[i].contextsGiven.LoadAcquire();
        for (size_t i = 0; i < cells.count(); i++) taken += cells[i].contextsTaken.LoadAcquire();
        return taken - given;
    }

    // Sums one function over all processors. Arrivals are read last: they are never fewer than the completions.
    bool Sum(uint32_t function, FunctionCounters* out) const {
        auto* totals = &out->arrivals;
        for (uint32_t which = kTotalCount; which-- > 0;) {
            totals[which] = 0;
            for (size_t i = 0; i < cells.count(); i++) totals[which] += cells[i].function[function].total[which].LoadAcquire();
        }
        out->driverId = driverId;
        out->function = function;
        return out->arrivals != 0;
    }

    // No one records.
    void ZeroTotals() {
        for (size_t i = 0; i < cells.count(); i++) {
            RtlZeroMemory(static_cast<void*>(cells[i].function), sizeof(cells[i].function));
        }
    }
};

}  // namespace drivermon
