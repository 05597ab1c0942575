// irp.h: requests and the way they go through drivers.
//
// IRPs come from the heap and go back to it the moment NT would free them, so that AddressSanitizer sees whoever
// touches one too late. In front of each lies its tracking: who finishes it, who still needs its memory, and one
// DispatchRecord per call into a driver, in which the two ends of a request meet: the dispatch routine's return and
// the completion of its stack location, in whichever order and on whichever threads they happen.
#pragma once

#include <atomic>

#include "nt.h"

namespace drivermon::sim {

// What was returned by a dispatch routine, against what became of the IRP. Each end writes its own fields and swaps
// `state`; the one that comes second compares, and frees.
struct DispatchRecord {
    enum State : uint32_t { kOpen, kCompleted, kReturned };
    std::atomic<uint32_t> state{kOpen};
    PDRIVER_DISPATCH routine = nullptr;
    NTSTATUS returned = 0;
    NTSTATUS completed = 0;          // the IRP's status when its location was completed
    bool markedPending = false;      // SL_PENDING_RETURNED was set in the location
    DispatchRecord* next = nullptr;  // a skipped location is dispatched more than once
};

// Where a request that no driver keeps goes in the end. Called once, at IRQL <= DISPATCH_LEVEL, with the IRP still
// there; what frees it is the last ReleaseIrp.
using FinishRoutine = void (*)(PIRP irp, void* context);

}  // namespace drivermon::sim

struct _IRP_TRACKING {
    std::atomic<int> references;
    drivermon::sim::FinishRoutine finish;
    void* context;
    drivermon::sim::DispatchRecord** dispatched;  // by location
};

namespace drivermon::sim {

// A request of the I/O manager's own: `finish` gets it when every driver is done. NULL without memory.
PIRP CreateIrp(CCHAR stackSize, FinishRoutine finish, void* context);

// Keeps the memory, so that a cancel can meet a completion.
void HoldIrp(PIRP irp);
void ReleaseIrp(PIRP irp);

}  // namespace drivermon::sim
