// scenario.h: what is asked of the drivers, on Wine and on the simulated machine alike.
#pragma once

#include "truth.h"

namespace drivermon::caller {

extern const Device kEcho;     // \\.\DrivermonEcho
extern const Device kLayered;  // \\.\DrivermonEchoStack: the layer driver's two devices over the echo driver's

// Bytes that tell one request from another.
Bytes Payload(size_t count, uint32_t seed);

// Pends until it is cancelled.
std::unique_ptr<Handle::Pended> Hold(Handle& echo, uint32_t seed);

// Every way in which a request can live and end there, from two threads, on handles that are asynchronous and handles
// that are not, and through two more layers. Throws std::runtime_error when a driver cannot be reached or does not
// answer.
void AskEcho(Truth& truth, Handle::Opener open);

}  // namespace drivermon::caller
