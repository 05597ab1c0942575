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

    // Marks the IRP pending and takes it over; the dispatch routine must then return STATUS_PENDING.
    // `delayUs` 0: no timer, it waits until taken or cancelled. False: no memory for the timer; still the caller's,
    // and not marked. IRQL <= DISPATCH_LEVEL.
    bool Insert(PIRP irp, ULONG delayUs);

    // IRP_MJ_CLEANUP: ends every request of this file object with STATUS_CANCELLED. IRQL <= DISPATCH_LEVEL.
    void CancelFile(PFILE_OBJECT file);

 private:
    // The timer of one queued IRP. Freed by its DPC, or by whoever stopped the timer before it fired.
    struct Delay {
        PendQueue* queue;
        PIRP irp;  // NULL: somebody else has taken it; the DPC only frees
        KTIMER timer;
        KDPC dpc;
    };

    // All need lock_.
    void Unlink(PIRP irp);
    bool Claim(PIRP irp);

    static KDEFERRED_ROUTINE Expired;
    static DRIVER_CANCEL Cancelled;

    KSPIN_LOCK lock_;
    LIST_ENTRY irps_;
    ExpireRoutine expire_;
};

}  // namespace drivermon::targets
