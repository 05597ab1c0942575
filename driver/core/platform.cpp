// platform.cpp: Wine is told by a name that only its kernel exports.
#include "platform.h"

namespace drivermon {

const Platform* platformOverride = nullptr;

Platform DetectPlatform() {
    if (platformOverride != nullptr) return *platformOverride;
    static WCHAR name[] = {'w', 'i', 'n', 'e', '_', 'n', 't', 'o', 's', 'k', 'r', 'n',
                           'l', '_', 'm', 'a', 'i', 'n', '_', 'l', 'o', 'o', 'p'};
    UNICODE_STRING string = {sizeof(name), sizeof(name), name};
    return MmGetSystemRoutineAddress(&string) != nullptr ? kWinePlatform : kNtPlatform;
}

}  // namespace drivermon
