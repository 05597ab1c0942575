// delivery.cpp: see delivery.h.
#include "delivery.h"

namespace drivermon {

void Delivery::Initialize(Recorder* recorder) {
    recorder_ = recorder;
    KeInitializeSpinLock(&lock_);
    recorder->doorbell().SetAnswer(OnDoorbell, this);
}

bool Delivery::waiting() {
    KIRQL irql;
    KeAcquireSpinLock(&lock_, &irql);
    bool result = waiting_ != nullptr;
    KeReleaseSpinLock(&lock_, irql);
    return result;
}

NTSTATUS Delivery::Wait(IRP* irp) {
    KIRQL irql;
    KeAcquireSpinLock(&lock_, &irql);
    if (waiting_ != nullptr) {
        KeReleaseSpinLock(&lock_, irql);
        return STATUS_DEVICE_BUSY;
    }
    irp->Tail.Overlay.DriverContext[0] = this;
    IoSetCancelRoutine(irp, OnCancel);
    if (irp->Cancel && IoSetCancelRoutine(irp, nullptr) != nullptr) {
        // Cancelled before it had a routine, and nobody will call the one it has now.
        KeReleaseSpinLock(&lock_, irql);
        return STATUS_CANCELLED;
    }
    IoMarkIrpPending(irp);
    waiting_ = irp;
    recorder_->doorbell().Arm();
    KeReleaseSpinLock(&lock_, irql);
    // Armed first, then look: a record that was committed before we were armed has rung no bell.
    if (recorder_->HasRecords()) Release(STATUS_SUCCESS);
    return STATUS_PENDING;
}

IRP* Delivery::TakeWaiting() {
    KIRQL irql;
    KeAcquireSpinLock(&lock_, &irql);
    IRP* irp = waiting_;
    // No routine to take back: OnCancel is on its way and will complete it.
    if (irp != nullptr && IoSetCancelRoutine(irp, nullptr) == nullptr) irp = nullptr;
    if (irp != nullptr) {
        waiting_ = nullptr;
        recorder_->doorbell().Disarm();
    }
    KeReleaseSpinLock(&lock_, irql);
    return irp;
}

void Delivery::Release(NTSTATUS status) {
    IRP* irp = TakeWaiting();
    if (irp == nullptr) return;
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
}

void Delivery::OnDoorbell(void* context) {
    auto* delivery = static_cast<Delivery*>(context);
    if (delivery->recorder_->HasRecords()) delivery->Release(STATUS_SUCCESS);
}

void NTAPI Delivery::OnCancel(PDEVICE_OBJECT, PIRP irp) {
    IoReleaseCancelSpinLock(irp->CancelIrql);
    auto* delivery = static_cast<Delivery*>(irp->Tail.Overlay.DriverContext[0]);
    KIRQL irql;
    KeAcquireSpinLock(&delivery->lock_, &irql);
    delivery->waiting_ = nullptr;
    delivery->recorder_->doorbell().Disarm();
    KeReleaseSpinLock(&delivery->lock_, irql);
    irp->IoStatus.Status = STATUS_CANCELLED;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
}

}  // namespace drivermon
