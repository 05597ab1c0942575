// pend_queue.h: requests that wait: for a timer, or for nothing but their cancel.
//
// A cancel-safe queue by hand, because IoCsq is a fatal stub under Wine. Whoever takes an IRP's cancel routine away
// owns the IRP: the cleanup of its file, the timer's DPC, or the cancel routine itself. All three meet under the
// queue's lock.
//
//            Insert                    CancelFile, DPC: IoSetCancelRoutine(NULL) gave our routine
//   (owner) ───────► queued, cancellable ───────► (owner) ───────► completes
//                          │ IoCancelIrp took the routine
//                          └──────────► Cancelled(): unlinks, completes with STATUS_CANCELLED
#pragma once

#include "nt.h"

namespace drivermon::targets {

class PendQueue {
 public:
    // Ends a request whose delay has passed. Called at DISPATCH_LEVEL without a lock; must complete the IRP.
    using ExpireRoutine = void (*)(PIRP irp);

    // IRQL: any. The queue lives in a device extension and must not move.
    void Initialize(ExpireRoutine expire);
    // The device goes; no request is left, but the DPC of one that was taken from its timer may still be on its way.
    // PASSIVE_LEVEL.
    void End();

    // Marks the IRP pending and takes it over; the dispatch routine must then return STATUS_PENDING.
    // `delayUs` 0: no timer, it waits until taken or cancelled. False: no memory for the timer; still the caller's,
    // and not marked. IRQL <= DISPATCH_LEVEL.
    bool Insert(PIRP irp, ULONG delayUs);

    // IRP_MJ_CLEANUP: ends every request of this file object with STATUS_CANCELLED. IRQL <= DISPATCH_LEVEL.
    void CancelFile(PFILE_OBJECT file);

 private:
    // The timer of one queued IRP. It belongs to its DPC once that has come, which keeps it for the next request; or to
    // whoever took the IRP before that, who stops it.
    //
    // A kernel may be busy with a timer until after its DPC has run: Wine writes to it then, and KeCancelTimer waits
    // there for the DPC to end, and returns TRUE even so. Hence a timer is never stopped under the lock that its DPC
    // takes, and never freed in its DPC.
    struct Delay {
        PendQueue* queue;
        // Under lock_:
        PIRP irp;         // NULL: somebody else has taken it
        bool fired;       // the DPC has come
        bool abandoned;   // who took the IRP could not stop the timer: it is the DPC's
        LIST_ENTRY link;  // in spent_
        KTIMER timer;
        KDPC dpc;
    };

    Delay* NewDelay(PIRP irp);
    void Stop(Delay* delay);

    // Both need lock_; the timer is left to be stopped without it.
    Delay* Unlink(PIRP irp);
    bool Claim(PIRP irp, Delay** delay);

    static KDEFERRED_ROUTINE Expired;
    static DRIVER_CANCEL Cancelled;

    KSPIN_LOCK lock_;
    LIST_ENTRY irps_;
    LIST_ENTRY spent_;
    ExpireRoutine expire_;
};

}  // namespace drivermon::targets
