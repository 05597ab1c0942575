// device_names.h: from a path to the device that answers for it.
#pragma once

#include <string>

#include "object.h"

namespace drivermon::sim {

// Follows symbolic links. \\.\Name and NT paths; `rest` is what follows the device's name. Empty on failure.
Ref<DEVICE_OBJECT> ResolveDevice(const std::u16string& path, std::u16string* rest, NTSTATUS* status);

}  // namespace drivermon::sim
