// guarded_call.h: a call that may end with an exception.
//
// A fast-I/O routine touches its caller's memory, and may raise out of it. The exception is its caller's to handle;
// ours is to give back what we hold when it passes through.
#pragma once

#include "nt.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DRIVERMON_GUARDED_ARGUMENTS 10

// Calls `routine` with ten arguments: on x64 the caller cleans the stack and each argument takes one slot, so a
// routine with fewer, or narrower ones, finds its own. If it does not return, `abandoned(context)` is called on the
// way.
//
// A kernel build only, compiled like guarded_copy.c; in the simulator nothing raises.
ULONG_PTR DrivermonGuardedCall(void* routine, const ULONG_PTR* arguments, void (*abandoned)(void* context),
                               void* context);

#ifdef __cplusplus
}
#endif
