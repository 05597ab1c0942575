// control_lock.h: one lock for everything that is not a request: control calls, hooking, the reader's side of the
// rings.
//
// Not a fast mutex: that would raise to APC_LEVEL, where ObReferenceObjectByName must not be called.
#pragma once

#include "nt.h"

namespace drivermon {

class ControlLock {
 public:
    // PASSIVE_LEVEL.
    void Initialize() { KeInitializeEvent(&free_, SynchronizationEvent, TRUE); }

    // PASSIVE_LEVEL. Holds it for a scope; the thread cannot be suspended meanwhile.
    class Hold {
     public:
        explicit Hold(ControlLock& lock) : lock_(lock) {
            KeEnterCriticalRegion();
            KeWaitForSingleObject(&lock_.free_, Executive, KernelMode, FALSE, nullptr);
        }
        ~Hold() {
            KeSetEvent(&lock_.free_, IO_NO_INCREMENT, FALSE);
            KeLeaveCriticalRegion();
        }
        Hold(const Hold&) = delete;
        Hold& operator=(const Hold&) = delete;

     private:
        ControlLock& lock_;
    };

 private:
    KEVENT free_;
};

}  // namespace drivermon
