// control.h: the control device: who may talk to us, and what is answered.
#pragma once

#include "capture.h"
#include "control_lock.h"
#include "delivery.h"
#include "hook_table.h"

namespace drivermon {

class Control {
 public:
    // PASSIVE_LEVEL.
    void Initialize(Capture* capture, HookTable* hooks, Delivery* delivery, ControlLock* lock);

    // PASSIVE_LEVEL. The dispatch routines of our device. Each completes the request unless it returns STATUS_PENDING.
    NTSTATUS Create(IRP* irp);
    NTSTATUS Close(IRP* irp);  // CLEANUP and CLOSE: either ends the session, the second finds nothing to end
    NTSTATUS DeviceControl(IRP* irp);

 private:
    enum State : uint32_t { kClosed = 0, kOpened = 1, kGreeted = 2, kCapturing = 4 };

    // One control call: its buffers, checked against the table's minima.
    struct Call {
        const uint8_t* input;
        uint32_t inputBytes;
        uint8_t* output;
        uint32_t outputBytes;
        IRP* irp;
        uint32_t returned;  // bytes of output
    };
    struct Entry {
        uint32_t code;
        uint32_t states;  // those in which it is allowed
        uint32_t minInput;
        uint32_t minOutput;
        NTSTATUS (Control::*handler)(Call& call);
    };
    static const Entry kTable[];

    NTSTATUS Hello(Call& call);
    NTSTATUS Start(Call& call);
    NTSTATUS Stop(Call& call);
    NTSTATUS AddDriver(Call& call);
    NTSTATUS RemoveDriver(Call& call);
    NTSTATUS RemoveAll(Call& call);
    NTSTATUS GetData(Call& call);
    NTSTATUS GetCounters(Call& call);
    NTSTATUS SetPredicates(Call& call);
    NTSTATUS GetInFlight(Call& call);
    NTSTATUS List(Call& call);

    NTSTATUS Answer(IRP* irp, uint32_t* returned);
    void StopCapture();
    void EndSession();

    Capture* capture_ = nullptr;
    HookTable* hooks_ = nullptr;
    Delivery* delivery_ = nullptr;
    ControlLock* lock_ = nullptr;

    // Control lock.
    FILE_OBJECT* owner_ = nullptr;
    State state_ = kClosed;
};

}  // namespace drivermon
