// residence.cpp: see residence.h.
#include "residence.h"

#include "capture.h"
#include "presence.h"

namespace drivermon {

Presence presence;

namespace {

constexpr uint32_t kLooksPerRest = 10;

void SetUnload(DRIVER_OBJECT* driver, PDRIVER_UNLOAD routine) {
    reinterpret_cast<Atomic<PDRIVER_UNLOAD>*>(&driver->DriverUnload)->StoreRelease(routine);
}

}  // namespace

void Residence::Initialize(DRIVER_OBJECT* self, bool mayLeave, uint32_t restMs, const Capture* capture) {
    self_ = self;
    capture_ = capture;
    presence.Begin(mayLeave);
    unload_ = mayLeave ? self->DriverUnload : nullptr;
    restMs_ = restMs;
    KeInitializeSpinLock(&lock_);
    KeInitializeTimer(&timer_);
    KeInitializeDpc(&dpc_, OnTimer, this);
}

void Residence::End() {
    StopResting();
    unload_ = nullptr;
    KeFlushQueuedDpcs();
}

// From its return on nothing but Settle changes the unload routine.
void Residence::StopResting() {
    KIRQL irql;
    KeAcquireSpinLock(&lock_, &irql);
    resting_ = false;
    KeReleaseSpinLock(&lock_, irql);
    KeCancelTimer(&timer_);
}

bool Residence::Settle() {
    StopResting();
    // Taken away first, then looked: who asks for our unloading looks for the routine first, then says so.
    auto* routine = reinterpret_cast<PVOID volatile*>(&self_->DriverUnload);
    PVOID unload = InterlockedCompareExchangePointer(routine, nullptr, nullptr);
    InterlockedCompareExchangePointer(routine, nullptr, unload);
    if ((self_->Flags & DRVO_UNLOAD_INVOKED) == 0) return true;
    SetUnload(self_, reinterpret_cast<PDRIVER_UNLOAD>(unload));
    return false;
}

void Residence::Rest() {
    if (unload_ == nullptr) return;
    KIRQL irql;
    KeAcquireSpinLock(&lock_, &irql);
    resting_ = true;
    wasQuiet_ = false;
    KeReleaseSpinLock(&lock_, irql);
    LARGE_INTEGER due;
    due.QuadPart = -static_cast<LONGLONG>(restMs_) * 10'000;
    KeSetTimerEx(&timer_, due, static_cast<LONG>(restMs_ / kLooksPerRest + 1), &dpc_);
}

// The timer goes on until Settle or End: on Wine a routine that stops its own timer waits for itself.
void Residence::Look() {
    KeAcquireSpinLockAtDpcLevel(&lock_);
    bool quiet = capture_->requests.IsEmpty(capture_->recorder) && presence.IsEmpty();
    if (resting_ && quiet && wasQuiet_) {
        resting_ = false;
        SetUnload(self_, unload_);
    }
    wasQuiet_ = quiet;
    KeReleaseSpinLockFromDpcLevel(&lock_);
}

void NTAPI Residence::OnTimer(PKDPC, PVOID context, PVOID, PVOID) {
    static_cast<Residence*>(context)->Look();
}

}  // namespace drivermon
