// delivery.h: the inverted call: the one GetData request that waits for records.
//
// A request that finds records is answered in its own thread; one that finds none waits here, and is completed with 0
// bytes by the doorbell's DPC (or by Stop): nothing is copied at DISPATCH_LEVEL, and the client simply asks again.
// The queue for one is our own: a cancel routine that wins is the only one to complete, else whoever took it does.
#pragma once

#include "recorder.h"

namespace drivermon {

class Delivery {
 public:
    // PASSIVE_LEVEL.
    void Initialize(Recorder* recorder);

    // PASSIVE_LEVEL, control lock held. STATUS_PENDING: the request is in the queue, or was completed meanwhile; do not
    // touch it. Else complete it with the status: STATUS_DEVICE_BUSY or STATUS_CANCELLED.
    NTSTATUS Wait(IRP* irp);
    bool waiting();

    // <= DISPATCH_LEVEL. Completes the waiting request, if any, with `status` and 0 bytes.
    void Release(NTSTATUS status);

 private:
    static DRIVER_CANCEL OnCancel;
    static void OnDoorbell(void* context);
    IRP* TakeWaiting();

    Recorder* recorder_ = nullptr;
    KSPIN_LOCK lock_;
    IRP* waiting_ = nullptr;
};

}  // namespace drivermon
