// version.h: which ABI this is, and under which names its driver can be reached.
//
// Names carry the ABI version, because our driver stays resident until reboot once it has hooked
// something: an upgrade must be able to load beside an older one.
#pragma once

#include <stdint.h>

namespace drivermon {

constexpr uint32_t kAbiVersion = 1;

#define DRIVERMON_SERVICE_NAME "DriverMon1"
#define DRIVERMON_DEVICE_NAME u"\\Device\\DriverMon1"
#define DRIVERMON_LINK_NAME u"\\DosDevices\\DriverMon1"
#define DRIVERMON_USER_PATH u"\\\\.\\DriverMon1"

}  // namespace drivermon
