// irp_capture.h: the life of a hooked IRP, from the thunk to its completion.
#pragma once

#include "slot.h"

namespace drivermon {

// The body of every IRP thunk. <= DISPATCH_LEVEL (paging and power IRPs pass here too: nothing pageable is touched).
// Always calls the slot's original for `major` and returns what it returned.
NTSTATUS DispatchIrp(Slot& slot, uint8_t major, DEVICE_OBJECT* device, IRP* irp);

}  // namespace drivermon
