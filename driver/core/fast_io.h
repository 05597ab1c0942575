// fast_io.h: the calls that never become an IRP.
//
// NtDeviceIoControlFile tries the driver's FastIoDeviceControl before it builds an IRP; AFD answers most sends and
// receives there. A routine that returns FALSE makes the I/O manager send an IRP instead, and so does the answer of a
// FastIoRead or FastIoWrite that it does not take: that call is recorded as fallen through.
#pragma once

#include "slot.h"

namespace drivermon {

// The FAST_IO_DISPATCH entries that are requests, in FastIoFunction's order: X(function, member). The other entries
// (section and flush locks) are passed on untouched.
#define DRIVERMON_FAST_IO(X)                                         \
    X(kFastIoCheckIfPossible, FastIoCheckIfPossible)                 \
    X(kFastIoRead, FastIoRead)                                       \
    X(kFastIoWrite, FastIoWrite)                                     \
    X(kFastIoQueryBasicInfo, FastIoQueryBasicInfo)                   \
    X(kFastIoQueryStandardInfo, FastIoQueryStandardInfo)             \
    X(kFastIoLock, FastIoLock)                                       \
    X(kFastIoUnlockSingle, FastIoUnlockSingle)                       \
    X(kFastIoUnlockAll, FastIoUnlockAll)                             \
    X(kFastIoUnlockAllByKey, FastIoUnlockAllByKey)                   \
    X(kFastIoDeviceControl, FastIoDeviceControl)                     \
    X(kFastIoDetachDevice, FastIoDetachDevice)                       \
    X(kFastIoQueryNetworkOpenInfo, FastIoQueryNetworkOpenInfo)       \
    X(kFastIoMdlRead, MdlRead)                                       \
    X(kFastIoMdlReadComplete, MdlReadComplete)                       \
    X(kFastIoPrepareMdlWrite, PrepareMdlWrite)                       \
    X(kFastIoMdlWriteComplete, MdlWriteComplete)                     \
    X(kFastIoReadCompressed, FastIoReadCompressed)                   \
    X(kFastIoWriteCompressed, FastIoWriteCompressed)                 \
    X(kFastIoMdlReadCompleteCompressed, MdlReadCompleteCompressed)   \
    X(kFastIoMdlWriteCompleteCompressed, MdlWriteCompleteCompressed) \
    X(kFastIoQueryOpen, FastIoQueryOpen)

// What a fast-I/O call has in common with every other.
struct FastIoCall {
    uint8_t function;  // FastIoFunction
    const DEVICE_OBJECT* device;
    const FILE_OBJECT* file;
    const IO_STATUS_BLOCK* result;  // kernel memory of the caller's; filled in by a routine that returns TRUE
    const LARGE_INTEGER* offset;
    const void* input;
    void* output;
    uint32_t inputLength;
    uint32_t outputLength;
    uint32_t code;
};

// <= APC_LEVEL, in the requestor's process. Returns the handle of the call's context, or 0: its end is not captured.
uint64_t ArriveFastIo(Slot& slot, const FastIoCall& call);
enum class FastIoOutcome { kHandled, kFellThrough, kRaised };
// Same thread, after the routine has returned or raised.
void EndFastIo(uint64_t handle, const FastIoCall& call, FastIoOutcome outcome);

}  // namespace drivermon
