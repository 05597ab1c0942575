// echo_protocol.h: what the echo driver does for its callers.
//
// It exists to be watched: each request asks for one way in which an IRP can live and end, and its caller knows
// beforehand what must be seen. The same driver runs in the simulator and, as DrivermonEcho.sys, under Wine and NT.
//
//   READ   completes with what the last WRITE on the same handle stored
//   WRITE  stores up to kEchoStoreBytes; Information is the whole length
// At an offset of kEchoLater plus a delay in microseconds they pend, and are completed from a DPC.
//
// There are two devices. One has buffered I/O, and nothing above it. The other has direct I/O, and is there for another
// driver to be put on top of it (layer_protocol.h): one finds it by its device type.
#pragma once

#include <stdint.h>

namespace drivermon::targets {

#define DRIVERMON_ECHO_SERVICE_NAME "DrivermonEcho"
#define DRIVERMON_ECHO_DRIVER_NAME u"\\Driver\\DrivermonEcho"
#define DRIVERMON_ECHO_USER_PATH u"\\\\.\\DrivermonEcho"
#define DRIVERMON_ECHO_STACK_USER_PATH u"\\\\.\\DrivermonEchoStack"

// CTL_CODE(FILE_DEVICE_UNKNOWN, 0x900 + n, method, FILE_ANY_ACCESS)
constexpr uint32_t EchoCode(uint32_t n, uint32_t method) {
    return (0x22u << 16) | ((0x900u + n) << 2) | method;
}

// Complete at once: the output is the input, as far as it fits.
constexpr uint32_t kEchoBuffered = EchoCode(0, 0);
constexpr uint32_t kEchoOutDirect = EchoCode(2, 2);
constexpr uint32_t kEchoNeither = EchoCode(3, 3);

// METHOD_IN_DIRECT gives no output: the "output buffer" is a second input. It must begin with the bytes of the first,
// else STATUS_INVALID_PARAMETER; Information is the bytes of both.
constexpr uint32_t kEchoInDirect = EchoCode(1, 1);

// Pends, and is completed from a DPC after the delay with the status; the output is the bytes behind the request.
// A cancel, or the handle's cleanup, ends it early with STATUS_CANCELLED.
constexpr uint32_t kEchoPend = EchoCode(4, 0);
struct EchoPendRequest {
    uint32_t delayUs;
    int32_t status;
};
static_assert(sizeof(EchoPendRequest) == 8, "protocol");

// Completes at once with any final status. Where that is a warning or a success, the output is the bytes behind
// the request, as far as they fit.
constexpr uint32_t kEchoFail = EchoCode(5, 0);
struct EchoFailRequest {
    int32_t status;
    uint32_t reserved;
};
static_assert(sizeof(EchoFailRequest) == 8, "protocol");

// Pends until it is cancelled or the handle is cleaned up.
constexpr uint32_t kEchoHold = EchoCode(6, 0);

constexpr uint32_t kEchoStoreBytes = 4096;
constexpr uint64_t kEchoLater = 1ull << 62;
constexpr uint32_t kEchoStackDeviceType = 0x8D4D;  // from the range that is left to vendors

}  // namespace drivermon::targets
