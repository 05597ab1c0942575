// guarded_access.c: the access that may fault, in a translation unit of its own (see guarded_copy.c).
typedef unsigned long long SIZE_T;

void DrivermonAccess(void* to, const void* from, SIZE_T bytes) {
    // volatile: neither dropped nor turned into a call that the compiler thinks cannot fault.
    volatile unsigned char* target = (volatile unsigned char*)to;
    const volatile unsigned char* source = (const volatile unsigned char*)from;
    while (bytes >= 8) {
        *(volatile unsigned long long*)target = *(const volatile unsigned long long*)source;
        target += 8;
        source += 8;
        bytes -= 8;
    }
    while (bytes-- != 0) *target++ = *source++;
}
