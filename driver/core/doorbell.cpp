// doorbell.cpp: one DPC, queued by the hint and by the timer.
//
// The timer's tick is the system's (up to 15.6 ms on NT). ExAllocateTimer(EX_TIMER_HIGH_RESOLUTION) would be finer, but
// exists since Windows 8.1 only and not on Wine, and a UI at 20 Hz would not show the difference; a busy ring rings.
#include "doorbell.h"

namespace drivermon {

void Doorbell::Initialize(const Platform& platform) {
    byDpc_ = platform.wakeByDpc;
    KeInitializeDpc(&dpc_, OnDpc, this);
    KeInitializeTimer(&timer_);
}

void Doorbell::SetAnswer(Answer answer, void* context) {
    answer_ = answer;
    context_ = context;
}

void Doorbell::Start() {
    LARGE_INTEGER due;
    due.QuadPart = -static_cast<LONGLONG>(kScanMs) * 10'000;
    KeSetTimerEx(&timer_, due, kScanMs, &dpc_);
}

void Doorbell::Stop() {
    KeCancelTimer(&timer_);
}

void Doorbell::Shutdown() {
    Disarm();
    Stop();
    KeFlushQueuedDpcs();
}

void Doorbell::Ring() {
    if (byDpc_) KeInsertQueueDpc(&dpc_, nullptr, nullptr);
}

void NTAPI Doorbell::OnDpc(PKDPC, PVOID context, PVOID, PVOID) {
    auto* doorbell = static_cast<Doorbell*>(context);
    if (doorbell->armed()) doorbell->answer_(doorbell->context_);
}

}  // namespace drivermon
