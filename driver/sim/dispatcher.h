// dispatcher.h: what can be waited for.
#pragma once

#include "nt.h"

namespace drivermon::sim {

// Satisfies waiters. IRQL <= DISPATCH_LEVEL.
void Signal(DISPATCHER_HEADER* header);
void Unsignal(DISPATCHER_HEADER* header);

}  // namespace drivermon::sim
