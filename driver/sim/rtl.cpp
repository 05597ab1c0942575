// rtl.cpp: the kernel's run-time library: strings, printing, the end.
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "nt.h"
#include "processor.h"
#include "verifier.h"

namespace {

char16_t Upper(char16_t c) {
    if (c >= u'a' && c <= u'z') return static_cast<char16_t>(c - (u'a' - u'A'));
    return c;
}

}  // namespace

SIZE_T RtlCompareMemory(const void* first, const void* second, SIZE_T length) {
    const auto *a = static_cast<const UCHAR*>(first), *b = static_cast<const UCHAR*>(second);
    SIZE_T same = 0;
    while (same < length && a[same] == b[same]) same++;
    return same;
}

void RtlInitUnicodeString(PUNICODE_STRING string, PCWSTR source) {
    const size_t bytes = source ? std::char_traits<char16_t>::length(source) * sizeof(WCHAR) : 0;
    string->Length = static_cast<USHORT>(bytes);
    string->MaximumLength = static_cast<USHORT>(source ? bytes + sizeof(WCHAR) : 0);
    string->Buffer = const_cast<PWSTR>(source);
}

LONG RtlCompareUnicodeString(PCUNICODE_STRING a, PCUNICODE_STRING b, BOOLEAN ignoreCase) {
    const size_t unitsA = a->Length / sizeof(WCHAR), unitsB = b->Length / sizeof(WCHAR);
    for (size_t i = 0; i < unitsA && i < unitsB; i++) {
        const LONG difference = ignoreCase ? Upper(a->Buffer[i]) - Upper(b->Buffer[i]) : a->Buffer[i] - b->Buffer[i];
        if (difference) return difference;
    }
    return static_cast<LONG>(unitsA) - static_cast<LONG>(unitsB);
}

BOOLEAN RtlEqualUnicodeString(PCUNICODE_STRING a, PCUNICODE_STRING b, BOOLEAN ignoreCase) {
    return a->Length == b->Length && RtlCompareUnicodeString(a, b, ignoreCase) == 0;
}

BOOLEAN RtlPrefixUnicodeString(PCUNICODE_STRING prefix, PCUNICODE_STRING string, BOOLEAN ignoreCase) {
    if (prefix->Length > string->Length) return FALSE;
    const UNICODE_STRING head{prefix->Length, prefix->Length, string->Buffer};
    return RtlEqualUnicodeString(prefix, &head, ignoreCase);
}

void RtlCopyUnicodeString(PUNICODE_STRING destination, PCUNICODE_STRING source) {
    destination->Length = 0;
    if (!source) return;
    destination->Length = source->Length < destination->MaximumLength ? source->Length : destination->MaximumLength;
    memmove(destination->Buffer, source->Buffer, destination->Length);
}

ULONG DbgPrint(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    std::vfprintf(stderr, format, arguments);
    va_end(arguments);
    return 0;
}

void KeBugCheckEx(ULONG code, ULONG_PTR p1, ULONG_PTR p2, ULONG_PTR p3, ULONG_PTR p4) {
    drivermon::sim::Violation("bugcheck", "0x%08X (0x%zx, 0x%zx, 0x%zx, 0x%zx)", code, static_cast<size_t>(p1),
                              static_cast<size_t>(p2), static_cast<size_t>(p3), static_cast<size_t>(p4));
    std::abort();
}

// Of what nt.h declares only this is looked up by its name.
PVOID MmGetSystemRoutineAddress(PUNICODE_STRING name) {
    drivermon::sim::RequireIrql(PASSIVE_LEVEL, "MmGetSystemRoutineAddress");
    UNICODE_STRING preciseTime;
    RtlInitUnicodeString(&preciseTime, u"KeQuerySystemTimePrecise");
    const bool found = drivermon::sim::hasPreciseTime && RtlEqualUnicodeString(name, &preciseTime, FALSE);
    return found ? reinterpret_cast<PVOID>(KeQuerySystemTimePrecise) : nullptr;
}
