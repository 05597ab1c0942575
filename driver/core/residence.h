// residence.h: whether we may be unloaded.
//
// Before the first hook, yes. From then on code of ours may be called by anyone who has fetched a thunk's address, and
// a driver cannot know that no thread is still inside its last instructions: our unload routine is taken away for good.
// A developer's test machine may say otherwise (AllowUnload): there it comes back once nothing is hooked or chained,
// nothing is in flight, nobody is inside our thunks (presence.h), and a rest has passed. The risk that remains is
// theirs: a thread that was held up for as long in front of the first instruction that counts, or behind the last.
#pragma once

#include "nt.h"

namespace drivermon {

class Capture;

class Residence {
 public:
    // PASSIVE_LEVEL.
    void Initialize(DRIVER_OBJECT* self, bool mayLeave, uint32_t restMs, const Capture* capture);
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
    const Capture* capture_ = nullptr;
    PDRIVER_UNLOAD unload_ = nullptr;  // null: we stay
    uint32_t restMs_ = 0;
    KTIMER timer_;
    KDPC dpc_;
    KSPIN_LOCK lock_;
    // Under the lock.
    bool resting_ = false;
    bool wasQuiet_ = false;  // at the last look: who is counted out has a few instructions to go yet
};

}  // namespace drivermon
