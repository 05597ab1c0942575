// platform.cpp: Wine is told by a name that only its kernel exports. There a name that is found may be a stub's.
#include "platform.h"

namespace drivermon {

const Platform* platformOverride = nullptr;

Platform DetectPlatform() {
    UNICODE_STRING winesOwn = StringOf(u"wine_ntoskrnl_main_loop");
    if (MmGetSystemRoutineAddress(&winesOwn) != nullptr) return kWinePlatform;
    Platform platform = platformOverride != nullptr ? *platformOverride : kNtPlatform;
    UNICODE_STRING preciseTime = StringOf(u"KeQuerySystemTimePrecise");
    platform.preciseTime = reinterpret_cast<decltype(platform.preciseTime)>(MmGetSystemRoutineAddress(&preciseTime));
    return platform;
}

}  // namespace drivermon
