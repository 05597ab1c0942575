// scenario.h: what is asked of the echo driver, on Wine and on the simulated machine alike.
#pragma once

#include "truth.h"

namespace drivermon::caller {

// Every way in which a request can live and end there, from two threads. Throws std::runtime_error when the driver
// cannot be reached or does not answer.
void AskEcho(Truth& truth, Handle::Opener open);

}  // namespace drivermon::caller
