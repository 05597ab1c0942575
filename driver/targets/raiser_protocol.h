// raiser_protocol.h: what the raiser does for its callers.
//
// Its fast-I/O routine writes to an address that it is given, and raises where nothing can be written. Wine's kernel
// never asks a driver by fast I/O, and the simulated one knows no exceptions; so the driver asks itself, through the
// table that its driver object points to, which is the hook's where it is hooked, and catches what is raised as the
// I/O manager would. It exists as DrivermonRaiser.sys alone.
#pragma once

#include <stdint.h>

namespace drivermon::targets {

#define DRIVERMON_RAISER_DRIVER_NAME u"\\Driver\\DrivermonRaiser"
#define DRIVERMON_RAISER_USER_PATH u"\\\\.\\DrivermonRaiser"

// CTL_CODE(FILE_DEVICE_UNKNOWN, 0x980, METHOD_BUFFERED, FILE_ANY_ACCESS): FastIoQueryBasicInfo, once. The input is a
// RaiserManner, the output what came of it, as one, too.
constexpr uint32_t kRaiserAsk = (0x22u << 16) | (0x980u << 2);

enum RaiserManner : uint32_t {
    kRaiserFallsThrough = 0,
    kRaiserHandles = 1,
    kRaiserRaises = 2,
};

}  // namespace drivermon::targets
