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
    InitializeListHead(&spent_);
    expire_ = expire;
}

void PendQueue::End() {
    KeFlushQueuedDpcs();
    while (!IsListEmpty(&spent_)) {
        auto* delay = CONTAINING_RECORD(RemoveHeadList(&spent_), Delay, link);
        KeCancelTimer(&delay->timer);
        ExFreePoolWithTag(delay, kTag);
    }
}

PendQueue::Delay* PendQueue::NewDelay(PIRP irp) {
    KIRQL irql;
    KeAcquireSpinLock(&lock_, &irql);
    PLIST_ENTRY spent = IsListEmpty(&spent_) ? nullptr : RemoveHeadList(&spent_);
    KeReleaseSpinLock(&lock_, irql);

    Delay* delay;
    if (spent) {
        delay = CONTAINING_RECORD(spent, Delay, link);
        KeCancelTimer(&delay->timer);
    } else {
        delay = static_cast<Delay*>(ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(Delay), kTag));
        if (!delay) return nullptr;
    }
    delay->queue = this;
    delay->irp = irp;
    delay->fired = false;
    delay->abandoned = false;
    KeInitializeTimer(&delay->timer);
    KeInitializeDpc(&delay->dpc, Expired, delay);
    return delay;
}

// Ends the timer of an IRP that has been taken. IRQL <= DISPATCH_LEVEL, no lock held.
void PendQueue::Stop(Delay* delay) {
    if (!delay) return;
    bool ours = KeCancelTimer(&delay->timer);
    if (!ours) {
        KIRQL irql;
        KeAcquireSpinLock(&lock_, &irql);
        ours = delay->fired;
        delay->abandoned = !ours;
        KeReleaseSpinLock(&lock_, irql);
    }
    if (ours) ExFreePoolWithTag(delay, kTag);
}

bool PendQueue::Insert(PIRP irp, ULONG delayUs) {
    Delay* delay = nullptr;
    if (delayUs != 0) {
        delay = NewDelay(irp);
        if (!delay) return false;
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
    Delay* stopped = nullptr;
    const bool cancelled = irp->Cancel && Claim(irp, &stopped);
    KeReleaseSpinLock(&lock_, irql);

    if (cancelled) {
        Stop(stopped);
        Complete(irp, STATUS_CANCELLED);
    }
    return true;
}

void PendQueue::CancelFile(PFILE_OBJECT file) {
    for (;;) {
        PIRP mine = nullptr;
        Delay* delay = nullptr;
        KIRQL irql;
        KeAcquireSpinLock(&lock_, &irql);
        for (PLIST_ENTRY entry = irps_.Flink; entry != &irps_ && !mine; entry = entry->Flink) {
            PIRP irp = CONTAINING_RECORD(entry, IRP, Tail.Overlay.ListEntry);
            if (IoGetCurrentIrpStackLocation(irp)->FileObject == file && Claim(irp, &delay)) mine = irp;
        }
        KeReleaseSpinLock(&lock_, irql);
        if (!mine) return;
        Stop(delay);
        Complete(mine, STATUS_CANCELLED);
    }
}

// Takes the IRP out of the queue and away from its timer, which it returns.
PendQueue::Delay* PendQueue::Unlink(PIRP irp) {
    RemoveEntryList(&irp->Tail.Overlay.ListEntry);
    auto* delay = static_cast<Delay*>(irp->Tail.Overlay.DriverContext[0]);
    if (delay) delay->irp = nullptr;
    return delay;
}

// True: the IRP is now the caller's. False: its cancel routine is running and will end it.
bool PendQueue::Claim(PIRP irp, Delay** delay) {
    if (!IoSetCancelRoutine(irp, nullptr)) return false;
    *delay = Unlink(irp);
    return true;
}

// IRQL = DISPATCH_LEVEL.
void PendQueue::Expired(PKDPC, PVOID context, PVOID, PVOID) {
    auto* delay = static_cast<Delay*>(context);
    PendQueue* queue = delay->queue;

    KeAcquireSpinLockAtDpcLevel(&queue->lock_);
    delay->fired = true;
    PIRP irp = delay->irp;
    const bool ours = irp || delay->abandoned;
    if (irp) {
        // From here on the delay is ours, whoever gets the IRP.
        irp->Tail.Overlay.DriverContext[0] = nullptr;
        Delay* none;
        if (!queue->Claim(irp, &none)) irp = nullptr;
    }
    if (ours) InsertTailList(&queue->spent_, &delay->link);
    KeReleaseSpinLockFromDpcLevel(&queue->lock_);

    if (irp) queue->expire_(irp);
}

// Called with the cancel spin lock held.
void PendQueue::Cancelled(PDEVICE_OBJECT, PIRP irp) {
    IoReleaseCancelSpinLock(irp->CancelIrql);
    auto* queue = static_cast<PendQueue*>(irp->Tail.Overlay.DriverContext[1]);
    KIRQL irql;
    KeAcquireSpinLock(&queue->lock_, &irql);
    Delay* delay = queue->Unlink(irp);
    KeReleaseSpinLock(&queue->lock_, irql);
    queue->Stop(delay);
    Complete(irp, STATUS_CANCELLED);
}

}  // namespace drivermon::targets
