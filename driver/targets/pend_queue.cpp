// pend_queue.cpp: see pend_queue.h. The IRP's DriverContext[0] is its Delay (or NULL), [1] the queue.
#include "pend_queue.h"

namespace drivermon::targets {

namespace {
constexpr ULONG kTag = Tag("mPnd");

void Complete(PIRP irp, NTSTATUS status) {
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
}
}  // namespace

void PendQueue::Initialize(ExpireRoutine expire) {
    KeInitializeSpinLock(&lock_);
    InitializeListHead(&irps_);
    expire_ = expire;
}

bool PendQueue::Insert(PIRP irp, ULONG delayUs) {
    Delay* delay = nullptr;
    if (delayUs != 0) {
        delay = static_cast<Delay*>(ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(Delay), kTag));
        if (!delay) return false;
        delay->queue = this;
        delay->irp = irp;
        KeInitializeTimer(&delay->timer);
        KeInitializeDpc(&delay->dpc, Expired, delay);
    }
    irp->Tail.Overlay.DriverContext[0] = delay;
    irp->Tail.Overlay.DriverContext[1] = this;
    IoMarkIrpPending(irp);

    KIRQL irql;
    KeAcquireSpinLock(&lock_, &irql);
    InsertTailList(&irps_, &irp->Tail.Overlay.ListEntry);
    if (delay) {
        LARGE_INTEGER due;
        due.QuadPart = -10LL * delayUs;
        KeSetTimer(&delay->timer, due, &delay->dpc);
    }
    IoSetCancelRoutine(irp, Cancelled);
    // A cancel may have come before there was a routine. If ours is still there, nobody else will end the request.
    const bool cancelled = irp->Cancel && Claim(irp);
    KeReleaseSpinLock(&lock_, irql);

    if (cancelled) Complete(irp, STATUS_CANCELLED);
    return true;
}

void PendQueue::CancelFile(PFILE_OBJECT file) {
    LIST_ENTRY mine;
    InitializeListHead(&mine);
    KIRQL irql;
    KeAcquireSpinLock(&lock_, &irql);
    for (PLIST_ENTRY entry = irps_.Flink; entry != &irps_;) {
        PIRP irp = CONTAINING_RECORD(entry, IRP, Tail.Overlay.ListEntry);
        entry = entry->Flink;
        if (IoGetCurrentIrpStackLocation(irp)->FileObject == file && Claim(irp)) {
            InsertTailList(&mine, &irp->Tail.Overlay.ListEntry);
        }
    }
    KeReleaseSpinLock(&lock_, irql);

    while (!IsListEmpty(&mine)) {
        Complete(CONTAINING_RECORD(RemoveHeadList(&mine), IRP, Tail.Overlay.ListEntry), STATUS_CANCELLED);
    }
}

// Takes the IRP out of the queue and away from its timer.
void PendQueue::Unlink(PIRP irp) {
    RemoveEntryList(&irp->Tail.Overlay.ListEntry);
    auto* delay = static_cast<Delay*>(irp->Tail.Overlay.DriverContext[0]);
    if (!delay) return;
    delay->irp = nullptr;
    // Too late to stop it: its DPC is on its way, waits for our lock at most, and frees.
    if (KeCancelTimer(&delay->timer)) ExFreePoolWithTag(delay, kTag);
}

// True: the IRP is now the caller's. False: its cancel routine is running and will end it.
bool PendQueue::Claim(PIRP irp) {
    if (!IoSetCancelRoutine(irp, nullptr)) return false;
    Unlink(irp);
    return true;
}

// IRQL = DISPATCH_LEVEL.
void PendQueue::Expired(PKDPC, PVOID context, PVOID, PVOID) {
    auto* delay = static_cast<Delay*>(context);
    PendQueue* queue = delay->queue;

    KeAcquireSpinLockAtDpcLevel(&queue->lock_);
    PIRP irp = delay->irp;
    if (irp) {
        // From here on the delay is ours alone, whoever gets the IRP.
        irp->Tail.Overlay.DriverContext[0] = nullptr;
        if (!queue->Claim(irp)) irp = nullptr;
    }
    KeReleaseSpinLockFromDpcLevel(&queue->lock_);

    ExFreePoolWithTag(delay, kTag);
    if (irp) queue->expire_(irp);
}

// Called with the cancel spin lock held.
void PendQueue::Cancelled(PDEVICE_OBJECT, PIRP irp) {
    IoReleaseCancelSpinLock(irp->CancelIrql);
    auto* queue = static_cast<PendQueue*>(irp->Tail.Overlay.DriverContext[1]);
    KIRQL irql;
    KeAcquireSpinLock(&queue->lock_, &irql);
    queue->Unlink(irp);
    KeReleaseSpinLock(&queue->lock_, irql);
    Complete(irp, STATUS_CANCELLED);
}

}  // namespace drivermon::targets
