// guarded_ask.c: see guarded_ask.h.
#include "guarded_ask.h"

unsigned int DrivermonGuardedAsk(FastIoQuery routine, void* file, void* buffer, void* status, void* device) {
    volatile unsigned int result = 2;
    __try {
        result = routine(file, 1, buffer, status, device) != 0;
    } __except (1 /* EXCEPTION_EXECUTE_HANDLER */) {
        return 2;
    }
    return result;
}
