// nt.h: the one door through which core sees its kernel.
//
// For a kernel build that is the DDK; for the simulator it is a user-mode I/O manager that declares the same names.
// There is no wrapper layer between: IRPs and stack locations are the very subject here, and a wrapper would hide
// what needs testing. So core calls nothing that the NT kernel does not export (or declare inline).
#pragma once

#include <stdint.h>

#ifdef DRIVERMON_SIM
#include "sim/nt.h"
#else

#ifdef __GNUC__
// mingw's wdm.h brings its own versions of these two, which its compiler intrinsics would define as well.
#define __INTRINSIC_DEFINED_InterlockedBitTestAndSet
#define __INTRINSIC_DEFINED_InterlockedBitTestAndReset
#endif
#include <ntifs.h>

// Exported and stable since NT 4, used by every kernel debugger's helper driver, but in no public header. mingw's
// headers declare the function.
extern "C" {
#ifdef __GNUC__
__attribute__((dllimport)) extern POBJECT_TYPE* IoDriverObjectType;
NTKERNELAPI NTSTATUS NTAPI KeGetProcessorNumberFromIndex(ULONG ProcIndex, PPROCESSOR_NUMBER ProcNumber);
#else
extern POBJECT_TYPE* IoDriverObjectType;
NTKERNELAPI NTSTATUS NTAPI ObReferenceObjectByName(PUNICODE_STRING ObjectName, ULONG Attributes,
                                                   PACCESS_STATE AccessState, ACCESS_MASK DesiredAccess,
                                                   POBJECT_TYPE ObjectType, KPROCESSOR_MODE AccessMode,
                                                   PVOID ParseContext, PVOID* Object);
#endif
}

// Windows 8 and later; older headers lack it.
#ifndef MdlMappingNoExecute
#define MdlMappingNoExecute 0x40000000
#endif
#ifndef NonPagedPoolNx
#define NonPagedPoolNx ((POOL_TYPE)512)
#endif

#endif  // DRIVERMON_SIM

static_assert(sizeof(void*) == 8, "completion handles are carried in a pointer: 64-bit kernels only");

#ifdef _MSC_VER
#define DRIVERMON_NOINLINE __declspec(noinline)
#else
#define DRIVERMON_NOINLINE __attribute__((noinline))
#endif

namespace drivermon {

// A process or thread id as records carry it. The kernel hands ids out as handles; they fit into 32 bits.
inline uint32_t IdOf(HANDLE id) {
    return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(id));
}

// A literal as the kernel takes it.
template <size_t units>
UNICODE_STRING StringOf(const char16_t (&text)[units]) {
    UNICODE_STRING string;
    string.Length = (units - 1) * sizeof(char16_t);
    string.MaximumLength = units * sizeof(char16_t);
    string.Buffer = reinterpret_cast<PWSTR>(const_cast<char16_t*>(text));
    return string;
}

}  // namespace drivermon
