// bare_kernel.h: as much of a kernel as the driver's recorder asks for, and as cheap as NT's: an IRQL is a register
// there and a thread's variable here; the performance counter is the time stamp counter in both.
#pragma once

#include <cstdint>

namespace drivermon::bench {

// The processors that the recorder will see. Before its Initialize.
void SetProcessors(uint32_t count);
// Binds the calling thread to one of them; nobody else may run there.
void RunOn(uint32_t processor);

}  // namespace drivermon::bench
