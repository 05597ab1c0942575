// residence.cpp: see residence.h.
#include "residence.h"

namespace drivermon {

namespace {

constexpr uint32_t kLooksPerRest = 10;

void SetUnload(DRIVER_OBJECT* driver, PDRIVER_UNLOAD routine) {
    reinterpret_cast<Atomic<PDRIVER_UNLOAD>*>(&driver->DriverUnload)->StoreRelease(routine);
}

}  // namespace

void Residence::Initialize(DRIVER_OBJECT* self, bool mayLeave, uint32_t restMs, const RequestTable* requests) {
    self_ = self;
    requests_ = requests;
    unload_ = mayLeave ? self->DriverUnload : nullptr;
    restMs_ = restMs;
    KeInitializeSpinLock(&lock_);
    KeInitializeTimer(&timer_);
    KeInitializeDpc(&dpc_, OnTimer, this);
}

void Residence::End() {
    Settle();
    unload_ = nullptr;
    KeFlushQueuedDpcs();
}

void Residence::Settle() {
    KIRQL irql;
    KeAcquireSpinLock(&lock_, &irql);
    resting_ = false;
    SetUnload(self_, nullptr);
    KeReleaseSpinLock(&lock_, irql);
    KeCancelTimer(&timer_);
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

void Residence::Look() {
    KeAcquireSpinLockAtDpcLevel(&lock_);
    bool quiet = requests_->IsEmpty();
    bool leave = resting_ && quiet && wasQuiet_;
    wasQuiet_ = quiet;
    if (leave) {
        resting_ = false;
        SetUnload(self_, unload_);
    }
    KeReleaseSpinLockFromDpcLevel(&lock_);
    if (leave) KeCancelTimer(&timer_);
}

void NTAPI Residence::OnTimer(PKDPC, PVOID context, PVOID, PVOID) {
    static_cast<Residence*>(context)->Look();
}

}  // namespace drivermon
