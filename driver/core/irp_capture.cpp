// irp_capture.cpp: arrival, completion, and what comes between.
//
// The rules are Microsoft's, and what breaks when they are broken is a crash in somebody else's driver:
//  - The completion routine is put into the *current* stack location, which belongs to the driver above: its own
//    routine, context and flags are kept and honoured, its flags are OR'ed, never assigned.
//  - After the original has been called, neither the IRP nor its device nor its file may be touched, whatever it
//    returned: they may be gone.
//  - Inside the completion routine the IRP's "current" location is already the upper one, or past the array.
//  - Once the caller's routine has been called the IRP is not ours to look at.
#include "irp_capture.h"

#include "capture.h"
#include "presence.h"

namespace drivermon {

namespace {

constexpr UCHAR kInvokeFlags = SL_INVOKE_ON_SUCCESS | SL_INVOKE_ON_ERROR | SL_INVOKE_ON_CANCEL;
// A request with these flags was built by the I/O manager, which allocates its system buffer from nonpaged pool. One
// that a driver has built by hand may carry a buffer from anywhere, and so may one whose buffer a driver has exchanged.
constexpr ULONG kBufferIsResident = IRP_BUFFERED_IO | IRP_DEALLOCATE_BUFFER;

IO_COMPLETION_ROUTINE OnCompletion;

uint64_t AddressOf(const void* pointer) {
    return reinterpret_cast<uint64_t>(pointer);
}

bool IsControl(uint8_t major, uint8_t minor) {
    if (major == IRP_MJ_DEVICE_CONTROL) return true;
    // Other minors (mount, verify) have other parameters. 0 is IRP_MN_USER_FS_REQUEST, 4 IRP_MN_KERNEL_CALL.
    return major == IRP_MJ_FILE_SYSTEM_CONTROL && (minor == 0 || minor == 4);
}

bool IsCreate(uint8_t major) {
    return major == IRP_MJ_CREATE || major == IRP_MJ_CREATE_NAMED_PIPE || major == IRP_MJ_CREATE_MAILSLOT;
}

// One arrival: the IRP's fields, read once, and what follows from them.
struct Arrival {
    const IO_STACK_LOCATION* stack;
    IRP* irp;
    DEVICE_OBJECT* device;
    uint8_t major;
    uint8_t minor;
    KIRQL irql;
    bool transfersBytes;    // READ or WRITE without a minor function, or a control code
    bool requestorsMemory;  // its user addresses may be read here and now
    void* systemBuffer;     // null where the field means something else
    MDL* mdl;
};

Arrival Observe(const Platform& platform, uint8_t major, DEVICE_OBJECT* device, IRP* irp) {
    const IO_STACK_LOCATION* stack = IoGetCurrentIrpStackLocation(irp);
    Arrival arrival;
    arrival.stack = stack;
    arrival.irp = irp;
    arrival.device = device;
    // Drivers share dispatch routines; the stack location is the truth about the request.
    arrival.major = stack->MajorFunction <= IRP_MJ_MAXIMUM_FUNCTION ? stack->MajorFunction : major;
    arrival.minor = stack->MinorFunction;
    arrival.irql = platform.raiseIrql ? KeGetCurrentIrql() : PASSIVE_LEVEL;
    bool readWrite = arrival.major == IRP_MJ_READ || arrival.major == IRP_MJ_WRITE;
    arrival.transfersBytes = (readWrite && arrival.minor == 0) || IsControl(arrival.major, arrival.minor);
    arrival.systemBuffer = (irp->Flags & IRP_ASSOCIATED_IRP) != 0 ? nullptr : irp->AssociatedIrp.SystemBuffer;
    arrival.mdl = irp->MdlAddress;
    arrival.requestorsMemory = false;
    return arrival;
}

// What `code` of the record is for these is a control code.
bool HasCode(const Arrival& arrival) {
    return IsControl(arrival.major, arrival.minor) || arrival.major == IRP_MJ_INTERNAL_DEVICE_CONTROL;
}

void Describe(const Arrival& arrival, RequestStart* start) {
    const IRP* irp = arrival.irp;
    const IO_STACK_LOCATION* stack = arrival.stack;
    start->header.type = kRecordRequestStart;
    start->irp = AddressOf(irp);
    start->deviceObject = AddressOf(arrival.device);
    start->fileObject = AddressOf(stack->FileObject);
    start->processId = IdOf(PsGetCurrentProcessId());
    start->threadId = IdOf(PsGetCurrentThreadId());
    start->major = arrival.major;
    start->minor = arrival.minor;
    start->requestorMode = irp->RequestorMode == KernelMode ? kModeKernel : kModeUser;
    start->stackLocation = static_cast<uint8_t>(irp->CurrentLocation);
    start->irpFlags = irp->Flags;
    if ((irp->Flags & IRP_SYNCHRONOUS_API) != 0 ||
        (stack->FileObject != nullptr && (stack->FileObject->Flags & FO_SYNCHRONOUS_IO) != 0)) {
        start->flags |= kRequestSynchronous;
    }
    if ((irp->Flags & IRP_PAGING_IO) != 0) start->flags |= kRequestPaging;
    if ((irp->Flags & IRP_ASSOCIATED_IRP) != 0) start->flags |= kRequestAssociated;

    if (arrival.major == IRP_MJ_READ) {
        start->outputLength = stack->Parameters.Read.Length;
        start->byteOffset = static_cast<uint64_t>(stack->Parameters.Read.ByteOffset.QuadPart);
    } else if (arrival.major == IRP_MJ_WRITE) {
        start->inputLength = stack->Parameters.Write.Length;
        start->byteOffset = static_cast<uint64_t>(stack->Parameters.Write.ByteOffset.QuadPart);
    } else if (IsControl(arrival.major, arrival.minor)) {
        start->code = stack->Parameters.DeviceIoControl.IoControlCode;
        start->inputLength = stack->Parameters.DeviceIoControl.InputBufferLength;
        start->outputLength = stack->Parameters.DeviceIoControl.OutputBufferLength;
    } else if (arrival.major == IRP_MJ_INTERNAL_DEVICE_CONTROL) {
        // The code only: the lengths are aliased by URBs and the like.
        start->code = stack->Parameters.DeviceIoControl.IoControlCode;
    } else if (IsCreate(arrival.major)) {
        // Named pipes and mailslots share these fields with CREATE.
        start->code = stack->Parameters.Create.Options;
        uint64_t access = 0;
        if (stack->Parameters.Create.SecurityContext != nullptr) {
            access = stack->Parameters.Create.SecurityContext->DesiredAccess;
        }
        start->byteOffset = access | static_cast<uint64_t>(stack->Parameters.Create.ShareAccess) << 32;
    }
}

// The process that made a request; null where that is not certain. An IRP may name a thread that is long gone, as those
// of IoBuildAsynchronousFsdRequest do: it is there for certain while it runs us, or has the IRP in its list.
PEPROCESS RequestorOf(const Platform& platform, IRP* irp) {
    PETHREAD thread = irp->Tail.Overlay.Thread;
    if (thread == nullptr) return nullptr;
    const LIST_ENTRY* next = irp->ThreadListEntry.Flink;
    bool listed = next != nullptr && next != &irp->ThreadListEntry;
    bool isThere = listed || !platform.knowsCurrent || thread == PsGetCurrentThread();
    return isThere ? IoGetRequestorProcess(irp) : nullptr;
}

// A system buffer. `fromIoManager`: by the IRP's flags. That is certain for the topmost driver's requests; any other
// buffer is touched at its caller's own IRQL, as long as that allows for a page fault.
void AddSystemBuffer(const void* buffer, bool fromIoManager, bool topmost, KIRQL irql, uint32_t bytes, Payload* payload) {
    if (bytes == 0) return;
    if (buffer == nullptr) {
        payload->Miss(bytes, kLossPayloadFault);
    } else if (irql < DISPATCH_LEVEL && !(fromIoManager && topmost)) {
        payload->AddPaged(buffer, bytes);
    } else if (fromIoManager) {
        payload->AddResident(buffer, bytes);
    } else {
        payload->BeyondReach(bytes);
    }
}

bool IsFromIoManager(const IRP* irp) {
    return (irp->Flags & kBufferIsResident) == kBufferIsResident;
}

void AddSystemBuffer(const Arrival& arrival, uint32_t bytes, Payload* payload) {
    AddSystemBuffer(arrival.systemBuffer, IsFromIoManager(arrival.irp),
                    arrival.irp->CurrentLocation == arrival.irp->StackCount, arrival.irql, bytes, payload);
}

void AddRequestorsMemory(const Arrival& arrival, const void* address, uint32_t bytes, Payload* payload) {
    if (bytes == 0) return;
    if (arrival.requestorsMemory) {
        payload->AddUser(address, bytes);
    } else {
        payload->BeyondReach(bytes);
    }
}

uint32_t MdlBytes(const MDL* mdl) {
    return mdl != nullptr ? MmGetMdlByteCount(mdl) : 0;
}

void GatherInput(const Arrival& arrival, const RequestStart& start, Payload* payload) {
    if (IsCreate(arrival.major)) {
        const FILE_OBJECT* file = arrival.stack->FileObject;
        // Paged memory of the I/O manager's, valid until the driver has seen it.
        if (file != nullptr && file->FileName.Buffer != nullptr && arrival.irql <= APC_LEVEL) {
            payload->AddPaged(file->FileName.Buffer, file->FileName.Length);
        }
        return;
    }
    // Paging writes carry no payload: recording our own capture file's pages would feed itself.
    if (!arrival.transfersBytes || (start.flags & kRequestPaging) != 0) return;

    if (arrival.major == IRP_MJ_WRITE) {
        if (start.inputLength == 0) return;
        if (arrival.mdl != nullptr) {
            payload->AddMdl(arrival.mdl, start.inputLength);
        } else if ((arrival.device->Flags & DO_BUFFERED_IO) != 0) {
            AddSystemBuffer(arrival, start.inputLength, payload);
        } else {
            AddRequestorsMemory(arrival, arrival.irp->UserBuffer, start.inputLength, payload);
        }
        return;
    }
    if (arrival.major == IRP_MJ_READ) return;
    switch (start.code & 3) {
        case METHOD_NEITHER:
            AddRequestorsMemory(arrival, arrival.stack->Parameters.DeviceIoControl.Type3InputBuffer, start.inputLength,
                                payload);
            break;
        case METHOD_IN_DIRECT:
            AddSystemBuffer(arrival, start.inputLength, payload);
            if (start.outputLength != 0 && arrival.mdl != nullptr) payload->AddMdl(arrival.mdl, MdlBytes(arrival.mdl));
            break;
        default:
            AddSystemBuffer(arrival, start.inputLength, payload);
    }
}

// Where the output will be. Only the place: the bytes are not there yet.
void ExpectOutput(const Arrival& arrival, const RequestStart& start, Context* context) {
    context->outputKind = OutputKind::kNone;
    context->output = nullptr;
    context->outputLength = start.outputLength;
    context->outputFromIoManager = IsFromIoManager(arrival.irp);
    context->informationIsBytes = arrival.transfersBytes && arrival.major != IRP_MJ_WRITE;
    if (!context->informationIsBytes || start.outputLength == 0 || (start.flags & kRequestPaging) != 0) return;

    bool direct;
    bool buffered;
    if (arrival.major == IRP_MJ_READ) {
        direct = arrival.mdl != nullptr;
        buffered = (arrival.device->Flags & DO_BUFFERED_IO) != 0;
    } else {
        uint32_t method = start.code & 3;
        if (method == METHOD_IN_DIRECT) return;  // its MDL is input
        direct = method == METHOD_OUT_DIRECT;
        buffered = method == METHOD_BUFFERED;
    }
    if (direct) {
        context->outputKind = OutputKind::kMdl;
        context->output = arrival.mdl;
    } else if (buffered) {
        context->outputKind = OutputKind::kSystemBuffer;
        context->output = arrival.systemBuffer;
    } else {
        context->outputKind = arrival.requestorsMemory ? OutputKind::kUser : OutputKind::kBeyondReach;
        context->output = arrival.irp->UserBuffer;
    }
}

// Links the IRP to the fast-I/O call that it continues, as far as that is certain (fall_throughs.h). Takes the thread's note.
void Link(Capture& capture, const Arrival& arrival, const Watch& watch, RequestStart* start) {
    const IRP* irp = arrival.irp;
    if (arrival.irql > APC_LEVEL || irp->Tail.Overlay.Thread != PsGetCurrentThread()) return;
    const FILE_OBJECT* file = arrival.stack->FileObject;
    CallIdentity identity;
    identity.device = arrival.device;
    identity.file = file;
    identity.offset = start->byteOffset;
    identity.epoch = static_cast<uint32_t>(capture.epoch());
    identity.driverId = watch.driverId;
    identity.major = arrival.major;
    identity.code = start->code;
    identity.inputLength = start->inputLength;
    identity.outputLength = start->outputLength;
    uint64_t call = capture.fallThroughs.Take(start->threadId, identity);
    // A filter that skips its location leaves the one below at the top, too; but its stack is deeper than this device's.
    bool fromIoManager = irp->StackCount == arrival.device->StackSize && arrival.minor == 0 &&
                         irp->Tail.Overlay.OriginalFileObject == file;
    if (call == 0 || !fromIoManager) return;
    start->flags |= kRequestContinues;
    start->continues = static_cast<uint32_t>(call);
}

// Counts and records an arrival and arms a context for its end. Returns the handle, or 0: the end is not captured.
// Apart from DispatchIrp so that its frame is gone while the original runs.
DRIVERMON_NOINLINE uint64_t Arrive(Capture& capture, Slot& slot, uint8_t major, DEVICE_OBJECT* device, IRP* irp,
                                   bool* outputNeedsThread) {
    const Platform& platform = capture.recorder.platform();
    Arrival arrival = Observe(platform, major, device, irp);

    RequestStart start;
    RtlZeroMemory(&start, sizeof(start));
    Describe(arrival, &start);
    const PEPROCESS requestor = RequestorOf(platform, irp);
    if (requestor != nullptr) start.requestorProcessId = IdOf(PsGetProcessId(requestor));
    // A thread's own process is not the one whose memory is mapped while it is attached to another.
    const bool isMapped = requestor != nullptr && start.requestorProcessId == start.processId &&
                          (!platform.knowsCurrent || requestor == PsGetCurrentProcess());
    arrival.requestorsMemory = platform.readUser && irp->RequestorMode != KernelMode && arrival.irql <= APC_LEVEL &&
                               isMapped && (start.flags & kRequestPaging) == 0;

    const Candidate candidate = {arrival.major,   HasCode(arrival),         start.code,
                                 start.processId, start.requestorProcessId, arrival.irql};
    const Verdict verdict = capture.filter.Judge(capture.recorder, slot, candidate);
    Payload payload(capture.scratch, capture.InputRoom(verdict));
    if (verdict.Kept()) GatherInput(arrival, start, &payload);
    // A file's id in place of its name is 8 or 16 bytes that mean nothing as text.
    const bool isNamed = IsCreate(arrival.major) && (start.code & FILE_OPEN_BY_FILE_ID) == 0;
    if (isNamed && payload.length() != 0) start.flags |= kRequestPayloadIsName;

    Section section(capture.recorder);
    Watch* watch = slot.watch.LoadAcquire();
    if (watch == nullptr || !capture.recording()) return 0;
    if (capture.fallThroughs.Has(start.threadId)) Link(capture, arrival, *watch, &start);
    Shard& shard = section.shard();
    Context* context = capture.Admit(shard, watch, verdict, arrival.major,
                                     arrival.transfersBytes ? start.inputLength : 0, irp, &start);
    capture.RecordStart(section, watch->cells[shard.index].function[arrival.major], context, verdict, &start, payload);
    uint64_t handle = 0;
    if (context != nullptr) {
        IO_STACK_LOCATION* stack = IoGetCurrentIrpStackLocation(irp);
        context->routine.StoreRelease(stack->CompletionRoutine);
        context->routineContext.StoreRelease(stack->Context);
        context->routineControl.StoreRelease(stack->Control & kInvokeFlags);
        context->location.StoreRelease(irp->CurrentLocation);
        uint32_t kind = context->kind.LoadRelaxed() | static_cast<uint32_t>(irp->CurrentLocation) << 24;
        if (context->HasRoutine()) kind |= Context::kHasRoutine;
        if (stack->CompletionRoutine == OnCompletion) kind |= Context::kRoutineIsOurs;
        context->kind.StoreRelease(kind);
        ExpectOutput(arrival, start, context);
        if (!verdict.Kept()) context->outputKind = OutputKind::kNone;
        *outputNeedsThread = context->outputKind == OutputKind::kUser;
        handle = capture.requests.HandleOf(context);
        context->ticket.StoreRelease(handle);
    }
    return handle;
}

// Whether there can be output to keep, by the status alone.
bool HasOutput(NTSTATUS status) {
    return !NT_ERROR(status) && status != STATUS_VERIFY_REQUIRED;
}

uint32_t OutputBytes(const Context& context, uint64_t information) {
    return information < context.outputLength ? static_cast<uint32_t>(information) : context.outputLength;
}

// In the completion routine, at whatever IRQL: system buffer or MDL, if the IRP still has the one it came with.
void GatherOutput(const Context& context, const IRP* irp, KIRQL irql, Payload* payload) {
    if (!HasOutput(irp->IoStatus.Status)) return;
    uint32_t bytes = OutputBytes(context, irp->IoStatus.Information);
    if (bytes == 0) return;
    switch (context.outputKind) {
        case OutputKind::kSystemBuffer:
            AddSystemBuffer(irp->AssociatedIrp.SystemBuffer == context.output ? context.output : nullptr,
                            context.outputFromIoManager, context.location.LoadAcquire() == irp->StackCount, irql, bytes,
                            payload);
            break;
        case OutputKind::kMdl:
            if (context.output == nullptr || irp->MdlAddress != context.output) {
                payload->Miss(bytes, kLossPayloadFault);
            } else {
                payload->AddMdl(irp->MdlAddress, bytes);
            }
            break;
        case OutputKind::kUser:  // not the dispatching thread any more, or not its moment
        case OutputKind::kBeyondReach:
            payload->BeyondReach(bytes);
            break;
        case OutputKind::kNone:
            break;
    }
}

// What the caller's own location asked for, to be done when ours is done.
struct Callers {
    PIO_COMPLETION_ROUTINE routine;
    void* context;
    uint32_t control;
};

// The last thing done with an IRP: exactly what would have happened without us.
NTSTATUS Continue(const Callers& callers, DEVICE_OBJECT* device, IRP* irp) {
    NTSTATUS status = irp->IoStatus.Status;
    bool wanted = NT_SUCCESS(status) ? (callers.control & SL_INVOKE_ON_SUCCESS) != 0
                                     : (callers.control & SL_INVOKE_ON_ERROR) != 0;
    if (irp->Cancel && (callers.control & SL_INVOKE_ON_CANCEL) != 0) wanted = true;
    if (wanted && callers.routine != nullptr) return callers.routine(device, irp, callers.context);
    // The I/O manager does this for a location without a routine; ours must do it in its stead. The current location
    // is the upper driver's; for the topmost driver there is none.
    if (irp->PendingReturned && irp->CurrentLocation <= irp->StackCount) IoMarkIrpPending(irp);
    return STATUS_CONTINUE_COMPLETION;
}

// The end of a request whose context we own.
void Complete(Capture& capture, Context& context, uint64_t handle, bool returned, const IRP* irp) {
    Capture::Ending ending;
    ending.status = static_cast<uint32_t>(irp->IoStatus.Status);
    ending.information = irp->IoStatus.Information;
    ending.flags = (irp->PendingReturned ? kRequestPended : 0u) | (irp->Cancel ? kRequestCancelled : 0u);
    ending.ticks = NowTicks();

    // Output in the requestor's own memory can be read by the dispatching thread once the driver has returned.
    if (context.outputKind == OutputKind::kUser && !returned && !irp->PendingReturned &&
        context.threadId.LoadAcquire() == IdOf(PsGetCurrentThreadId()) && HasOutput(irp->IoStatus.Status)) {
        context.endStatus = ending.status;
        context.endInformation = ending.information;
        context.endFlags = ending.flags;
        context.endTicks = ending.ticks;
        context.ticket.StoreRelease(handle | kDeferred);
        return;
    }
    KIRQL irql = capture.recorder.platform().raiseIrql ? KeGetCurrentIrql() : PASSIVE_LEVEL;
    Payload payload(capture.scratch, capture.OutputRoom(context, ending.status));
    if (capture.recording()) GatherOutput(context, irp, irql, &payload);
    Section section(capture.recorder);
    ending.ticks = NowTicks();
    capture.RecordEnd(section, context, ending, payload);
    capture.requests.Give(section.shard(), &context);
}

// <= DISPATCH_LEVEL. A handle that means nothing any more: nobody's routine is left to be called.
NTSTATUS ContinueStale(Capture& capture, DEVICE_OBJECT* device, IRP* irp) {
    {
        Section section(capture.recorder);
        section.shard().totals.staleCompletions.AddByOwner(1);
    }
    return Continue({nullptr, nullptr, 0}, device, irp);
}

// <= DISPATCH_LEVEL, any thread, any processor.
NTSTATUS NTAPI OnCompletion(PDEVICE_OBJECT device, PIRP irp, PVOID parameter) {
    Stay stay;
    Capture& capture = *hookedCapture.LoadAcquire();
    uint64_t handle = reinterpret_cast<uint64_t>(parameter);
    Context* context = capture.requests.Find(handle);
    if (context == nullptr) return ContinueStale(capture, device, irp);

    uint64_t ticket = context->ticket.LoadAcquire();
    if ((ticket & ~kTicketFlags) != handle || (ticket & kDeferred) != 0) return ContinueStale(capture, device, irp);
    const Callers callers = {context->routine.LoadAcquire(), context->routineContext.LoadAcquire(),
                             context->routineControl.LoadAcquire()};
    bool hooked = context->irp.LoadAcquire() == irp && context->location.LoadAcquire() + 1 == irp->CurrentLocation;
    if (context->ticket.LoadAcquire() != ticket) return ContinueStale(capture, device, irp);  // given back meanwhile

    // Somebody copied our whole location into another: there we are only the copy of the caller's routine.
    if (!hooked) return Continue(callers, device, irp);

    while (!context->ticket.CompareExchange(ticket, 0)) {
        // The dispatching thread has just marked it.
        ticket = context->ticket.LoadAcquire();
        if ((ticket & ~kTicketFlags) != handle) return ContinueStale(capture, device, irp);
    }
    if ((ticket & kGivenUp) != 0) {
        Section section(capture.recorder);
        capture.requests.Give(section.shard(), context);
    } else {
        Complete(capture, *context, handle, (ticket & kReturned) != 0, irp);
    }
    return Continue(callers, device, irp);
}

// The dispatch routine has returned. The IRP may be gone; the context tells how far it got.
DRIVERMON_NOINLINE void AfterDispatch(Capture& capture, uint64_t handle, NTSTATUS status, bool outputNeedsThread) {
    Context& context = *capture.requests.Find(handle);
    uint64_t ticket = context.ticket.LoadAcquire();
    if (ticket == (handle | kDeferred)) {
        Capture::Ending ending = {context.endStatus, context.endFlags, context.endInformation, context.endTicks};
        Payload payload(capture.scratch, capture.OutputRoom(context, ending.status));
        payload.AddUser(context.output, OutputBytes(context, ending.information));
        Section section(capture.recorder);
        capture.RecordEnd(section, context, ending, payload);
        capture.requests.Give(section.shard(), &context);
        return;
    }
    if (ticket != handle) return;  // ended: the usual case

    if (status == STATUS_PENDING) {
        // From here on its end must not be left to us. If this fails, it has just ended elsewhere.
        if (outputNeedsThread) context.ticket.CompareExchange(handle, handle | kReturned);
        return;
    }
    // Not pending, and our routine has not run: somebody replaced it, or the driver broke the rules. Should it run yet,
    // a caller's routine must still be called: then the context stays, marked as told. Without one nothing depends on
    // it, and its stale handle does what the I/O manager would have done.
    bool keep = context.HasRoutine();
    Context copy = context;
    Payload payload(capture.scratch, 0);
    Section section(capture.recorder);
    if (!context.ticket.CompareExchange(handle, keep ? handle | kGivenUp : 0)) return;
    Capture::Ending ending = {static_cast<uint32_t>(status), kRequestUnseen, 0, NowTicks()};
    capture.RecordEnd(section, copy, ending, payload);
    if (!keep) capture.requests.Give(section.shard(), &context);
}

}  // namespace

NTSTATUS DispatchIrp(Slot& slot, uint8_t major, DEVICE_OBJECT* device, IRP* irp) {
    Stay stay;
    PDRIVER_DISPATCH original = slot.original[major].LoadAcquire();
    Capture* capture = hookedCapture.LoadAcquire();
    // The watch, only as a hint: where it is gone nothing is even looked at.
    if (!capture->recording() || slot.watch.LoadRelaxed() == nullptr || irp->CurrentLocation < 1 ||
        irp->CurrentLocation > irp->StackCount) {
        return original(device, irp);
    }
    bool outputNeedsThread = false;
    uint64_t handle = Arrive(*capture, slot, major, device, irp, &outputNeedsThread);
    if (handle == 0) return original(device, irp);

    IO_STACK_LOCATION* stack = IoGetCurrentIrpStackLocation(irp);
    stack->CompletionRoutine = OnCompletion;
    stack->Context = reinterpret_cast<void*>(handle);
    stack->Control |= kInvokeFlags;
    NTSTATUS status = original(device, irp);
    AfterDispatch(*capture, handle, status, outputNeedsThread);
    return status;
}

}  // namespace drivermon
