// stress.h: many threads ask the echo driver while it is hooked and unhooked; then while it stays hooked, and the
// driver's counters must be exactly what was asked.
#pragma once

#include "truth.h"

namespace drivermon::caller {

// Whether a cancel may come just when its request ends by itself. Not on Wine, whose server hands a cancel to the
// driver although the request has ended, and there it hits whichever has the IRP's memory now, hook or no hook.
enum class CancelRace : uint8_t { No, Yes };

// Half of the time each. Prints the figures. Throws std::runtime_error when a request ends as it must not, or a sum
// does not hold.
void RunStress(uint32_t seconds, CancelRace race, Handle::Opener open);

}  // namespace drivermon::caller
