// driver_loader.h: loads and unloads drivers, and says which there are.
#pragma once

#include <string>
#include <vector>

#include "object.h"

namespace drivermon::sim {

// Calls the entry in the system process, as NtLoadDriver does. IRQL = PASSIVE_LEVEL.
// `name` is the object's: \Driver\AFD. On failure nothing is left.
NTSTATUS LoadDriver(const std::u16string& name, const std::u16string& displayName, PDRIVER_INITIALIZE entry);

// Calls DriverUnload and lets the object go. STATUS_INVALID_DEVICE_REQUEST when the driver has no unload routine,
// STATUS_DEVICE_BUSY while handles to its devices are open (NT would wait for them).
NTSTATUS UnloadDriver(const std::u16string& name);

struct LoadedDriver {
    std::u16string name;
    std::u16string displayName;
};
std::vector<LoadedDriver> LoadedDrivers();

Ref<DRIVER_OBJECT> ReferenceDriver(const std::u16string& name);  // empty when there is none

}  // namespace drivermon::sim
