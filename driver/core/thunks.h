// thunks.h: the routines that dispatch tables point to while a driver is hooked.
//
// One routine per slot and function, made by the compiler. A thunk *knows* its slot and function, so there is nothing
// to look up that could fail: not for a device object of another driver, not for a dispatch pointer that somebody
// copied, not for a caller that arrives long after the hook was removed.
#pragma once

#include "slot.h"

namespace drivermon {

struct SlotThunks {
    PDRIVER_DISPATCH major[kMajorFunctionCount];
    PDRIVER_UNLOAD unload;
    FAST_IO_DISPATCH fastIo;  // null where an entry is no request
};

extern const SlotThunks* const thunks[kMaxHookedDrivers];

}  // namespace drivermon
