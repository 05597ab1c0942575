// guarded_copy.h: reads the requestor's memory, which may be gone, unmapped or changing.
#pragma once

#include "nt.h"

#ifdef __cplusplus
extern "C" {
#endif

// <= APC_LEVEL. A user address: in the requestor's process. Any other must be known to be good, if perhaps paged: no
// handler catches a bad kernel address. FALSE when any byte could not be read.
//
// A kernel build compiles guarded_copy.c with a compiler that has __try (MSVC, clang); the simulator brings its own.
BOOLEAN DrivermonGuardedCopy(void* to, const void* from, SIZE_T bytes);

#ifdef __cplusplus
}
#endif
