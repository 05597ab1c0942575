// guarded_copy.c: the copy under an exception handler.
//
// In C, and apart from the access itself (guarded_access.c), because of the compilers: g++ has no __try, and clang 14
// loses a fault that happens in a function it has inlined into the __try block. The declarations are spelled out here
// since clang does not read mingw's DDK headers.
typedef unsigned char BOOLEAN;
typedef unsigned long long SIZE_T;

void DrivermonAccess(void* to, const void* from, SIZE_T bytes);

BOOLEAN DrivermonGuardedCopy(void* to, const void* from, SIZE_T bytes) {
    __try {
        DrivermonAccess(to, from, bytes);
    } __except (1 /* EXCEPTION_EXECUTE_HANDLER */) {
        return 0;
    }
    return 1;
}
