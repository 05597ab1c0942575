// guarded_ask.h: a fast-I/O routine, called by somebody who handles what it raises.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

typedef unsigned char (*FastIoQuery)(void* file, unsigned char wait, void* buffer, void* status, void* device);

// What the routine returns, 0 or 1; 2: it has raised. Compiled like core/guarded_copy.c.
unsigned int DrivermonGuardedAsk(FastIoQuery routine, void* file, void* buffer, void* status, void* device);

#ifdef __cplusplus
}
#endif
