// nt.h: which kernel a target is compiled for: the simulated one, or the WDK's.
//
// A target has one entry. In a .sys it must be called DriverEntry; in the simulator, where all drivers are linked into
// one program, it carries the target's name.
#pragma once

#include "core/nt.h"

#ifdef DRIVERMON_SIM
#define TARGET_TEXT(s) u##s
#define TARGET_ENTRY(name) name
#else
#define TARGET_TEXT(s) L##s
#define TARGET_ENTRY(name) DriverEntry
#endif

namespace drivermon::targets {

template <size_t units>
UNICODE_STRING Name(const WCHAR (&text)[units]) {
    return {static_cast<USHORT>(sizeof(text) - sizeof(WCHAR)), static_cast<USHORT>(sizeof(text)),
            const_cast<WCHAR*>(text)};
}

constexpr ULONG Tag(const char (&text)[5]) {
    return static_cast<ULONG>(text[0]) | static_cast<ULONG>(text[1]) << 8 | static_cast<ULONG>(text[2]) << 16 |
           static_cast<ULONG>(text[3]) << 24;
}

}  // namespace drivermon::targets
