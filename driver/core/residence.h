// residence.h: whether we may be unloaded.
//
// Before the first hook, yes. From then on code of ours may be called by anyone who has fetched a thunk's address, and
// a driver cannot know that no thread is still inside its last instructions: our unload routine is taken away for good.
// A developer's test machine may say otherwise (AllowUnload): there it comes back once nothing is hooked or chained,
// nothing is in flight, and a rest has passed. The risk that remains is theirs: a thread that was held up for as long.
#pragma once

#include "request_table.h"

namespace drivermon {

class Residence {
 public:
    // PASSIVE_LEVEL.
    void Initialize(DRIVER_OBJECT* self, bool mayLeave, uint32_t restMs, const RequestTable* requests);
    // PASSIVE_LEVEL. We are being unloaded: nothing happens any more.
    void End();

    // PASSIVE_LEVEL, control lock held. Settle: before anything is hooked. False: we are being unloaded already, once
    // our device has been closed, and must not be called then. Rest: nothing is hooked any more.
    bool Settle();
    void Rest();

 private:
    static KDEFERRED_ROUTINE OnTimer;
    void Look();
    void StopResting();

    DRIVER_OBJECT* self_ = nullptr;
    const RequestTable* requests_ = nullptr;
    PDRIVER_UNLOAD unload_ = nullptr;  // null: we stay
    uint32_t restMs_ = 0;
    KTIMER timer_;
    KDPC dpc_;
    KSPIN_LOCK lock_;
    // Under the lock.
    bool resting_ = false;
    bool wasQuiet_ = false;  // at the last look: a request that ends is out of the table before its last instruction
};

}  // namespace drivermon
