#include "irp.h"

#include <cstdlib>
#include <new>

#include "memory.h"
#include "process.h"
#include "processor.h"
#include "verifier.h"

namespace drivermon::sim {
namespace {

constexpr CSHORT kIrpType = 6;
KSPIN_LOCK cancelLock;

// [tracking][dispatched[]][IRP][stack locations]: the locations last, so that a driver that walks off the array
// leaves the block.
PIRP NewIrp(CCHAR stackSize) {
    if (stackSize <= 0) Violation("no stack location", "an IRP of %d locations", stackSize);
    if (AllocationFails()) return nullptr;
    const size_t locations = static_cast<size_t>(stackSize);
    const size_t front = (sizeof(_IRP_TRACKING) + (locations + 1) * sizeof(DispatchRecord*) + 15) & ~size_t{15};
    auto* block = static_cast<char*>(std::malloc(front + IoSizeOfIrp(stackSize)));
    if (!block) return nullptr;
    auto* tracking = new (block) _IRP_TRACKING{};
    tracking->references = 1;
    tracking->dispatched = reinterpret_cast<DispatchRecord**>(tracking + 1);
    memset(tracking->dispatched, 0, (locations + 1) * sizeof(DispatchRecord*));
    auto* irp = reinterpret_cast<PIRP>(block + front);
    IoInitializeIrp(irp, IoSizeOfIrp(stackSize), stackSize);
    irp->Tracking = tracking;
    CountAllocation(1);
    return irp;
}

// ---- The two ends of a dispatch --------------------------------------------------------------------------------

void JudgeAndFree(DispatchRecord* record) {
    const void* routine = reinterpret_cast<const void*>(record->routine);
    if (record->returned == STATUS_PENDING && !record->markedPending) {
        Violation("pending not marked", "dispatch %p returned STATUS_PENDING, but did not mark the IRP", routine);
    } else if (record->returned != STATUS_PENDING && record->markedPending) {
        Violation("pending not returned", "dispatch %p marked the IRP pending and returned %08x", routine,
                  static_cast<unsigned>(record->returned));
    } else if (record->returned != STATUS_PENDING && record->returned != record->completed) {
        Violation("wrong status returned", "dispatch %p returned %08x, the IRP was completed with %08x", routine,
                  static_cast<unsigned>(record->returned), static_cast<unsigned>(record->completed));
    }
    delete record;
}

void Returned(DispatchRecord* record, NTSTATUS status) {
    record->returned = status;
    if (status != STATUS_PENDING && record->state.load(std::memory_order_acquire) == DispatchRecord::kOpen) {
        Violation("returned without completing", "dispatch %p returned %08x for an IRP that is still on its way",
                  reinterpret_cast<void*>(record->routine), static_cast<unsigned>(status));
    }
    if (record->state.exchange(DispatchRecord::kReturned, std::memory_order_acq_rel) == DispatchRecord::kCompleted) {
        JudgeAndFree(record);
    }
}

// The location is done with: its mark is final, nobody below can touch the IRP any more.
void Completed(PIRP irp, int location) {
    if (!irp->Tracking) return;
    DispatchRecord* record = std::exchange(irp->Tracking->dispatched[location], nullptr);
    while (record) {
        DispatchRecord* next = record->next;
        record->completed = irp->IoStatus.Status;
        record->markedPending = irp->PendingReturned;
        if (record->state.exchange(DispatchRecord::kCompleted, std::memory_order_acq_rel) ==
            DispatchRecord::kReturned) {
            JudgeAndFree(record);
        }
        record = next;
    }
}

DispatchRecord* Record(PIRP irp, PDRIVER_DISPATCH routine) {
    if (!irp->Tracking) return nullptr;
    auto* record = new DispatchRecord;
    record->routine = routine;
    record->next = std::exchange(irp->Tracking->dispatched[static_cast<int>(irp->CurrentLocation)], record);
    return record;
}

// What NT leaves of a location before it calls the routine that the location held.
void ClearLocation(PIO_STACK_LOCATION location) {
    location->MinorFunction = 0;
    location->Flags = 0;
    location->Control &= SL_ERROR_RETURNED;
    location->Parameters.Others = {};
    location->FileObject = nullptr;
}

bool RoutineWanted(UCHAR control, PIRP irp) {
    return (NT_SUCCESS(irp->IoStatus.Status) && (control & SL_INVOKE_ON_SUCCESS)) ||
           (!NT_SUCCESS(irp->IoStatus.Status) && (control & SL_INVOKE_ON_ERROR)) ||
           (irp->Cancel && (control & SL_INVOKE_ON_CANCEL));
}

// An associated IRP is done: its master is, when it was the last.
void FinishAssociated(PIRP irp, void*) {
    PIRP master = irp->AssociatedIrp.MasterIrp;
    while (PMDL mdl = irp->MdlAddress) {
        irp->MdlAddress = mdl->Next;
        if (mdl->MdlFlags & MDL_PAGES_LOCKED) MmUnlockPages(mdl);
        IoFreeMdl(mdl);
    }
    ReleaseIrp(irp);
    if (InterlockedDecrement(&master->AssociatedIrp.IrpCount) == 0) IoCompleteRequest(master, IO_NO_INCREMENT);
}

}  // namespace

PIRP CreateIrp(CCHAR stackSize, FinishRoutine finish, void* context) {
    PIRP irp = NewIrp(stackSize);
    if (!irp) return nullptr;
    irp->Tracking->finish = finish;
    irp->Tracking->context = context;
    return irp;
}

void HoldIrp(PIRP irp) {
    irp->Tracking->references.fetch_add(1, std::memory_order_relaxed);
}

void ReleaseIrp(PIRP irp) {
    if (irp->Tracking->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    CountAllocation(-1);
    std::free(irp->Tracking);  // the block's beginning
}

}  // namespace drivermon::sim

using namespace drivermon::sim;

PIRP IoAllocateIrp(CCHAR stackSize, BOOLEAN) {
    RequireIrql(DISPATCH_LEVEL, "IoAllocateIrp");
    return NewIrp(stackSize);
}

PIRP IoMakeAssociatedIrp(PIRP master, CCHAR stackSize) {
    PIRP irp = CreateIrp(stackSize, FinishAssociated, nullptr);
    if (!irp) return nullptr;
    irp->Flags |= IRP_ASSOCIATED_IRP;
    irp->AssociatedIrp.MasterIrp = master;
    irp->RequestorMode = master->RequestorMode;
    irp->Tail.Overlay.Thread = master->Tail.Overlay.Thread;
    return irp;
}

void IoInitializeIrp(PIRP irp, USHORT packetSize, CCHAR stackSize) {
    memset(static_cast<void*>(irp), 0, packetSize);
    irp->Type = kIrpType;
    irp->Size = packetSize;
    irp->StackCount = stackSize;
    irp->CurrentLocation = static_cast<CHAR>(stackSize + 1);
    irp->Tail.Overlay.CurrentStackLocation = reinterpret_cast<PIO_STACK_LOCATION>(irp + 1) + stackSize;
    InitializeListHead(&irp->ThreadListEntry);
}

void IoReuseIrp(PIRP irp, NTSTATUS status) {
    auto* tracking = irp->Tracking;
    IoInitializeIrp(irp, IoSizeOfIrp(irp->StackCount), irp->StackCount);
    irp->Tracking = tracking;
    irp->IoStatus.Status = status;
}

void IoFreeIrp(PIRP irp) {
    RequireIrql(DISPATCH_LEVEL, "IoFreeIrp");
    if (irp->Tracking->finish) Violation("freed another's IRP", "an IRP that the I/O manager made");
    for (int location = 1; location <= irp->StackCount; location++) {
        if (irp->Tracking->dispatched[location]) {
            Violation("freed in flight", "an IRP that the driver at location %d still has", location);
        }
    }
    ReleaseIrp(irp);
}

NTSTATUS IofCallDriver(PDEVICE_OBJECT device, PIRP irp) {
    PETHREAD thread = CurrentThread();
    const KIRQL irql = thread->irql;
    const int spinLocks = thread->spinLocks, fastMutexes = thread->fastMutexes;
    if (irql > DISPATCH_LEVEL) Violation("IRQL too high", "IoCallDriver at %u", irql);
    if (irp->Type != kIrpType) Violation("no IRP", "IoCallDriver with something of type %d", irp->Type);
    if (irp->CurrentLocation <= 1) Violation("no stack location", "IoCallDriver with an IRP that has none left");
    if (__atomic_load_n(&irp->CancelRoutine, __ATOMIC_RELAXED)) {
        Violation("cancel routine left set", "passed on an IRP with a cancel routine");
    }
    IoSetNextIrpStackLocation(irp);
    PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(irp);
    location->DeviceObject = device;
    if (location->MajorFunction > IRP_MJ_MAXIMUM_FUNCTION) {
        Violation("no such function", "IoCallDriver with major function %u", location->MajorFunction);
    }

    PDRIVER_DISPATCH routine =
        __atomic_load_n(&device->DriverObject->MajorFunction[location->MajorFunction], __ATOMIC_ACQUIRE);
    DispatchRecord* record = Record(irp, routine);
    const NTSTATUS status = routine(device, irp);
    // The IRP may be gone from here on.
    if (record) Returned(record, status);
    if (thread->irql != irql)
        Violation("IRQL changed", "a dispatch routine returned at %u, not %u", thread->irql, irql);
    if (thread->spinLocks != spinLocks) Violation("spin lock kept", "a dispatch routine returned with a spin lock");
    if (thread->fastMutexes != fastMutexes) Violation("fast mutex kept", "a dispatch routine returned with one");
    return status;
}

void IofCompleteRequest(PIRP irp, CCHAR) {
    PETHREAD thread = CurrentThread();
    RequireIrql(DISPATCH_LEVEL, "IoCompleteRequest");
    if (irp->Type != kIrpType) Violation("no IRP", "IoCompleteRequest with something of type %d", irp->Type);
    if (irp->CurrentLocation > irp->StackCount + 1) {
        Violation("completed twice", "IRP %p has been through all its locations", static_cast<void*>(irp));
        return;
    }
    if (irp->IoStatus.Status == STATUS_PENDING) Violation("completed as pending", "IoStatus.Status is STATUS_PENDING");
    if (__atomic_load_n(&irp->CancelRoutine, __ATOMIC_RELAXED)) {
        Violation("cancel routine left set", "completed an IRP with a cancel routine");
    }

    while (irp->CurrentLocation <= irp->StackCount) {
        PIO_STACK_LOCATION location = IoGetCurrentIrpStackLocation(irp);
        const PIO_COMPLETION_ROUTINE routine = location->CompletionRoutine;
        const PVOID context = location->Context;
        const UCHAR control = location->Control;
        irp->PendingReturned = (control & SL_PENDING_RETURNED) != 0;
        Completed(irp, irp->CurrentLocation);
        ClearLocation(location);
        IoSkipCurrentIrpStackLocation(irp);

        if (!RoutineWanted(control, irp)) {
            if (irp->PendingReturned && irp->CurrentLocation <= irp->StackCount) IoMarkIrpPending(irp);
            continue;
        }
        // The routine belongs to the driver above: its device; none above the top.
        PDEVICE_OBJECT device =
            irp->CurrentLocation <= irp->StackCount ? IoGetCurrentIrpStackLocation(irp)->DeviceObject : nullptr;
        const KIRQL irql = thread->irql;
        const int spinLocks = thread->spinLocks;
        const NTSTATUS status = routine(device, irp, context);
        if (thread->irql != irql) Violation("IRQL changed", "a completion routine returned at %u", thread->irql);
        if (thread->spinLocks != spinLocks) Violation("spin lock kept", "a completion routine returned with one");
        if (status == STATUS_MORE_PROCESSING_REQUIRED) return;  // and the IRP may be gone
    }

    irp->CurrentLocation++;  // a second completion is told by this
    if (!irp->Tracking || !irp->Tracking->finish) {
        Violation("completed to nobody", "a driver's own IRP went through all its locations; its maker must stop it");
        return;
    }
    irp->Tracking->finish(irp, irp->Tracking->context);
}

// ---- Cancel ----------------------------------------------------------------------------------------------------

void IoAcquireCancelSpinLock(PKIRQL irql) {
    KeAcquireSpinLock(&cancelLock, irql);
}
void IoReleaseCancelSpinLock(KIRQL irql) {
    KeReleaseSpinLock(&cancelLock, irql);
}

BOOLEAN IoCancelIrp(PIRP irp) {
    const KIRQL before = TrueIrql();
    KIRQL irql;
    IoAcquireCancelSpinLock(&irql);
    irp->Cancel = TRUE;
    PDRIVER_CANCEL routine = IoSetCancelRoutine(irp, nullptr);
    if (!routine) {
        IoReleaseCancelSpinLock(irql);
        return FALSE;
    }
    irp->CancelIrql = irql;
    // Above the top: a routine set by the IRP's maker.
    PDEVICE_OBJECT device =
        irp->CurrentLocation <= irp->StackCount ? IoGetCurrentIrpStackLocation(irp)->DeviceObject : nullptr;
    routine(device, irp);
    if (TrueIrql() != before) Violation("cancel lock kept", "a cancel routine returned without releasing it");
    return TRUE;
}
