// guarded_call.c: the call inside __try/__finally. In C and without the DDK's headers for guarded_copy.c's reasons.
typedef unsigned long long ULONG_PTR;
typedef ULONG_PTR (*Routine)(ULONG_PTR, ULONG_PTR, ULONG_PTR, ULONG_PTR, ULONG_PTR, ULONG_PTR, ULONG_PTR, ULONG_PTR,
                             ULONG_PTR, ULONG_PTR);

ULONG_PTR DrivermonGuardedCall(void* routine, const ULONG_PTR* a, void (*abandoned)(void*), void* context) {
    ULONG_PTR result = 0;
    volatile int returned = 0;
    __try {
        result = ((Routine)routine)(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9]);
        returned = 1;
    } __finally {
        if (!returned) abandoned(context);
    }
    return result;
}
