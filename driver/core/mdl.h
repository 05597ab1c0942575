// mdl.h: the bytes behind an MDL.
#pragma once

#include "nt.h"

namespace drivermon {

// Their system address, mapping them if need be; null when it cannot. <= DISPATCH_LEVEL. Whoever asks next inherits the
// mapping: no-execute suits anyone, no-write would not.
inline void* MdlAddress(MDL* mdl) {
    return MmGetSystemAddressForMdlSafe(mdl, static_cast<MM_PAGE_PRIORITY>(NormalPagePriority | MdlMappingNoExecute));
}

}  // namespace drivermon
