// layer_protocol.h: two filter devices on top of one of the echo driver's (echo_protocol.h), which pass every request
// down, in a manner that is chosen for each handle.
//
//   \\.\DrivermonEchoStack ──► upper ──► lower ──► echo
//                              (both are the layer driver's)
#pragma once

#include <stdint.h>

namespace drivermon::targets {

#define DRIVERMON_LAYER_DRIVER_NAME u"\\Driver\\DrivermonLayer"

// How the handle's requests are passed on from now on; answered by the upper device. Input: a LayerManner.
// CTL_CODE(FILE_DEVICE_UNKNOWN, 0xA00, METHOD_BUFFERED, FILE_ANY_ACCESS)
constexpr uint32_t kLayerUse = (0x22u << 16) | (0xA00u << 2);

enum LayerManner : uint32_t {
    kLayerSkip,   // both skip their location: the driver below inherits it. Every handle begins so
    kLayerCopy,   // both copy their location, with a completion routine that lets the completion go on
    kLayerAgain,  // both copy; the routine stops the completion, and it is begun again from a DPC, later
    kLayerWhole,  // the upper one copies as in kLayerCopy; the lower one copies its whole location, with the fields of
                  // the upper one's routine, which is so called twice
    kLayerManners,
};

}  // namespace drivermon::targets
