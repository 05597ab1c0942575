// slot.h: the place of one hooked driver in our tables of thunks.
//
// Slots are part of our image and are never freed: a thread may have fetched a thunk's address from a dispatch table
// long before it calls it. What a thunk needs without any check, the originals, therefore stays valid as long as the
// slot is not given to another driver, and that happens only after a rest (see hook_table.cpp).
#pragma once

#include "atomic.h"
#include "watch.h"

namespace drivermon {

class Capture;

struct Slot {
    // What the thunks call. Written before a thunk is published, then left alone.
    Atomic<PDRIVER_DISPATCH> original[kMajorFunctionCount];
    FAST_IO_DISPATCH originalFastIo;  // a copy: entries beyond the driver's own size are null
    FAST_IO_DISPATCH fastIoThunks;    // what the driver object points to while hooked: never the driver's own, which
                                      // may be in read-only memory
    Atomic<PDRIVER_UNLOAD> originalUnload;

    // Null: pass through. Set before the first thunk is published, cleared after the tables have been put back.
    Atomic<Watch*> watch;

    // ---- Control lock ----
    DRIVER_OBJECT* driver;            // referenced while `referenced`
    PFAST_IO_DISPATCH driversFastIo;  // the pointer to restore; null: fast I/O is not hooked
    // Where ours is in the driver object, or below somebody else's hook there:
    uint32_t ours;  // bit per major
    bool oursFastIo;
    bool oursUnload;
    bool referenced;
    bool everUsed;
    uint64_t freedTicks;
};

extern Slot slots[kMaxHookedDrivers];

// The capture that hooks report to; set before the first hook.
extern Atomic<Capture*> hookedCapture;

}  // namespace drivermon
