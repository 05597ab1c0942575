// control.cpp: every call that user mode can make, in one table.
//
// User mode is not trusted: every length is checked before a byte is read, input is copied before output is written
// (METHOD_BUFFERED uses one buffer for both), names and ids are looked up, never dereferenced.
#include "control.h"

#include "mdl.h"
#include "protocol/layout.h"

namespace drivermon {

namespace {

constexpr uint32_t kDriverVersion = 0u << 16 | 1u << 8 | 0u;

template <typename T>
T ReadInput(const uint8_t* input) {
    T value;
    RtlCopyMemory(&value, input, sizeof(value));
    return value;
}

NTSTATUS Finish(IRP* irp, NTSTATUS status, uint32_t returned) {
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = returned;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

}  // namespace

const Control::Entry Control::kTable[] = {
    {kControlHello, kOpened | kGreeted | kCapturing, sizeof(HelloRequest), sizeof(HelloReply), &Control::Hello},
    {kControlStart, kGreeted | kCapturing, sizeof(StartRequest), 0, &Control::Start},
    {kControlStop, kGreeted | kCapturing, 0, 0, &Control::Stop},
    {kControlAddDriver, kGreeted | kCapturing, sizeof(AddDriverRequest), sizeof(AddDriverReply), &Control::AddDriver},
    {kControlRemoveDriver, kGreeted | kCapturing, sizeof(RemoveDriverRequest), sizeof(RemoveDriverReply),
     &Control::RemoveDriver},
    {kControlRemoveAll, kGreeted | kCapturing, 0, 0, &Control::RemoveAll},
    {kControlGetData, kGreeted | kCapturing, 0, kMinDataBytes, &Control::GetData},
    {kControlGetCounters, kGreeted | kCapturing, 0, sizeof(CountersReply), &Control::GetCounters},
    {kControlSetPredicates, kGreeted | kCapturing, sizeof(Predicates), 0, &Control::SetPredicates},
    {kControlGetInFlight, kGreeted | kCapturing, 0, sizeof(InFlightReply), &Control::GetInFlight},
    {kControlList, kGreeted | kCapturing, 0, sizeof(ListReply), &Control::List},
};

void Control::Initialize(Capture* capture, HookTable* hooks, Delivery* delivery, ControlLock* lock) {
    capture_ = capture;
    hooks_ = hooks;
    delivery_ = delivery;
    lock_ = lock;
}

NTSTATUS Control::Create(IRP* irp) {
    NTSTATUS status = STATUS_SUCCESS;
    {
        ControlLock::Hold hold(*lock_);
        FILE_OBJECT* file = IoGetCurrentIrpStackLocation(irp)->FileObject;
        if (file == nullptr) {
            status = STATUS_INVALID_PARAMETER;
        } else if (owner_ != nullptr) {
            status = STATUS_SHARING_VIOLATION;
        } else {
            owner_ = file;
            capture_->filter.own.Adopt(IdOf(PsGetCurrentProcessId()));
            state_ = kOpened;
        }
    }
    return Finish(irp, status, 0);
}

NTSTATUS Control::Close(IRP* irp) {
    {
        ControlLock::Hold hold(*lock_);
        if (owner_ != nullptr && owner_ == IoGetCurrentIrpStackLocation(irp)->FileObject) EndSession();
    }
    return Finish(irp, STATUS_SUCCESS, 0);
}

NTSTATUS Control::DeviceControl(IRP* irp) {
    uint32_t returned = 0;
    NTSTATUS status;
    {
        ControlLock::Hold hold(*lock_);
        status = Answer(irp, &returned);
    }
    return status == STATUS_PENDING ? status : Finish(irp, status, returned);
}

NTSTATUS Control::Answer(IRP* irp, uint32_t* returned) {
    const IO_STACK_LOCATION* stack = IoGetCurrentIrpStackLocation(irp);
    if (owner_ == nullptr || stack->FileObject != owner_) return STATUS_ACCESS_DENIED;

    const Entry* entry = nullptr;
    for (const Entry& candidate : kTable) {
        if (candidate.code == stack->Parameters.DeviceIoControl.IoControlCode) entry = &candidate;
    }
    if (entry == nullptr) return STATUS_INVALID_DEVICE_REQUEST;
    if ((entry->states & state_) == 0) return STATUS_INVALID_DEVICE_STATE;

    Call call;
    call.irp = irp;
    call.returned = 0;
    call.inputBytes = stack->Parameters.DeviceIoControl.InputBufferLength;
    call.outputBytes = stack->Parameters.DeviceIoControl.OutputBufferLength;
    if (call.inputBytes < entry->minInput) return STATUS_INFO_LENGTH_MISMATCH;
    if (call.outputBytes < entry->minOutput) return STATUS_BUFFER_TOO_SMALL;
    call.input = static_cast<const uint8_t*>(irp->AssociatedIrp.SystemBuffer);
    if ((entry->code & 3) == METHOD_BUFFERED) {
        call.output = static_cast<uint8_t*>(irp->AssociatedIrp.SystemBuffer);
    } else {
        if (irp->MdlAddress == nullptr) return STATUS_INVALID_USER_BUFFER;
        call.output = static_cast<uint8_t*>(MdlAddress(irp->MdlAddress));
        if (call.output == nullptr) return STATUS_INSUFFICIENT_RESOURCES;
    }
    NTSTATUS status = (this->*entry->handler)(call);
    *returned = call.returned;
    return status;
}

NTSTATUS Control::Hello(Call& call) {
    auto request = ReadInput<HelloRequest>(call.input);
    bool accepted = request.abiVersion == kAbiVersion && request.layoutHash == kLayoutHash;
    if (accepted && state_ == kOpened) state_ = kGreeted;

    HelloReply reply;
    RtlZeroMemory(&reply, sizeof(reply));
    reply.abiVersion = kAbiVersion;
    reply.layoutHash = kLayoutHash;
    reply.accepted = accepted ? 1 : 0;
    reply.driverVersion = kDriverVersion;
    reply.kernel = capture_->recorder.platform().kernel;
    reply.processors = capture_->recorder.processors();
    reply.maxDrivers = kMaxHookedDrivers;
    LARGE_INTEGER frequency;
    LARGE_INTEGER before;
    LARGE_INTEGER systemTime;
    const auto preciseTime = capture_->recorder.platform().preciseTime;
    // Of a few pairs the one read in the shortest time: an interrupt between the two readings would skew every time
    // stamp of the session.
    uint64_t best = ~0ull;
    for (int attempt = 0; attempt < 8; attempt++) {
        before = KeQueryPerformanceCounter(&frequency);
        if (preciseTime != nullptr) {
            preciseTime(&systemTime);
        } else {
            KeQuerySystemTime(&systemTime);
        }
        uint64_t after = NowTicks();
        uint64_t took = after - static_cast<uint64_t>(before.QuadPart);
        if (took >= best) continue;
        best = took;
        reply.anchorTicks = static_cast<uint64_t>(before.QuadPart) + took / 2;
        reply.anchorSystemTime = static_cast<uint64_t>(systemTime.QuadPart);
    }
    reply.frequency = static_cast<uint64_t>(frequency.QuadPart);
    RtlCopyMemory(call.output, &reply, sizeof(reply));
    call.returned = sizeof(reply);
    return STATUS_SUCCESS;
}

NTSTATUS Control::Start(Call& call) {
    if (state_ == kCapturing) return STATUS_INVALID_DEVICE_STATE;
    auto request = ReadInput<StartRequest>(call.input);
    bool powerOfTwo = (request.ringBytes & (request.ringBytes - 1)) == 0;
    if (!powerOfTwo || request.ringBytes < kMinRingBytes || request.ringBytes > kMaxRingBytes ||
        request.inputSnapLength > kMaxSnapLength || request.outputSnapLength > kMaxSnapLength ||
        request.reserved != 0) {
        return STATUS_INVALID_PARAMETER;
    }
    NTSTATUS status = capture_->Prepare(request);
    // Also where there is no memory for the rings: those before have gone for them, and counters that told of their
    // records would tell of nothing.
    hooks_->BeginEpoch();
    if (!NT_SUCCESS(status)) return status;
    hooks_->Announce();
    capture_->Open();
    capture_->recorder.doorbell().Start();
    state_ = kCapturing;
    return STATUS_SUCCESS;
}

void Control::StopCapture() {
    if (state_ != kCapturing) return;
    capture_->Close();
    state_ = kGreeted;
    delivery_->Release(STATUS_SUCCESS);
    capture_->recorder.doorbell().Stop();
}

NTSTATUS Control::Stop(Call&) {
    StopCapture();
    return STATUS_SUCCESS;
}

NTSTATUS Control::AddDriver(Call& call) {
    auto request = ReadInput<AddDriverRequest>(call.input);
    if (request.nameLength > 2 * kMaxDriverNameLength) return STATUS_NAME_TOO_LONG;
    if (request.flags != 0 || request.nameLength == 0 || request.nameLength % 2 != 0 ||
        request.nameLength > call.inputBytes - sizeof(request)) {
        return STATUS_INVALID_PARAMETER;
    }
    AddDriverReply reply;
    NTSTATUS status =
        hooks_->Add(reinterpret_cast<const uint16_t*>(call.input + sizeof(request)), request.nameLength, &reply);
    if (!NT_SUCCESS(status)) return status;
    RtlCopyMemory(call.output, &reply, sizeof(reply));
    call.returned = sizeof(reply);
    return STATUS_SUCCESS;
}

NTSTATUS Control::RemoveDriver(Call& call) {
    auto request = ReadInput<RemoveDriverRequest>(call.input);
    RemoveDriverReply reply;
    NTSTATUS status = hooks_->Remove(request.driverId, &reply);
    if (!NT_SUCCESS(status)) return status;
    RtlCopyMemory(call.output, &reply, sizeof(reply));
    call.returned = sizeof(reply);
    return STATUS_SUCCESS;
}

NTSTATUS Control::RemoveAll(Call&) {
    hooks_->RemoveAll(kUnhookRequested);
    return STATUS_SUCCESS;
}

NTSTATUS Control::GetData(Call& call) {
    if (delivery_->waiting()) return STATUS_DEVICE_BUSY;
    bool quiet = state_ != kCapturing;
    // The lock is held meanwhile, and whoever closes, unhooks or unloads waits for it.
    uint32_t capacity = call.outputBytes < kMaxDataBytes ? call.outputBytes : kMaxDataBytes;
    call.returned = capture_->recorder.Take(call.output, capacity, quiet);
    if (call.returned != 0) return STATUS_SUCCESS;
    return quiet ? STATUS_END_OF_FILE : delivery_->Wait(call.irp);
}

NTSTATUS Control::GetCounters(Call& call) {
    // A client asks several times a second: often enough for the quota, too.
    capture_->Reclaim();
    CountersReply reply;
    RtlZeroMemory(&reply, sizeof(reply));
    reply.epoch = capture_->epoch();

    auto* entries = reinterpret_cast<FunctionCounters*>(call.output + sizeof(reply));
    uint32_t capacity = (call.outputBytes - static_cast<uint32_t>(sizeof(reply))) / sizeof(FunctionCounters);
    reply.entriesTotal = hooks_->Counters(entries, capacity, &reply.outstanding);
    reply.entries = reply.entriesTotal < capacity ? reply.entriesTotal : capacity;

    const Recorder& recorder = capture_->recorder;
    for (uint32_t i = 0; i < recorder.shardCount(); i++) {
        const Shard& shard = recorder.shard(i);
        // What was written is read before what was offered, so that a live reading never shows more of the former.
        reply.bytesWritten += shard.totals.bytesWritten.LoadAcquire();
        reply.written += shard.totals.written.LoadAcquire();
        for (uint32_t reason = 0; reason < kLossReasonCount; reason++) {
            reply.dropsStart[reason] += shard.totals.dropsStart[reason].LoadAcquire();
            reply.dropsEnd[reason] += shard.totals.dropsEnd[reason].LoadAcquire();
            reply.dropsFellThrough[reason] += shard.totals.dropsFellThrough[reason].LoadAcquire();
        }
        reply.filteredStarts += shard.totals.filteredStarts.LoadAcquire();
        reply.sampledOut += shard.totals.sampledOut.LoadAcquire();
        reply.heldInputTruncated += shard.totals.heldInputTruncated.LoadAcquire();
        reply.staleCompletions += shard.totals.staleCompletions.LoadAcquire();
        reply.filteredFellThrough += shard.totals.filteredFellThrough.LoadAcquire();
        reply.sampledOutFellThrough += shard.totals.sampledOutFellThrough.LoadAcquire();
        reply.payloadsBeyondReach += shard.totals.payloadsBeyondReach.LoadAcquire();
        reply.dropsOther += shard.totals.dropsOther.LoadAcquire();
        reply.offered += shard.totals.offered.LoadAcquire();
        reply.ringUsed += shard.ring.Used();
        reply.ringSize += shard.ring.size();
    }
    reply.timestamp = NowTicks();
    RtlCopyMemory(call.output, &reply, sizeof(reply));
    call.returned = static_cast<uint32_t>(sizeof(reply) + reply.entries * sizeof(FunctionCounters));
    return STATUS_SUCCESS;
}

NTSTATUS Control::SetPredicates(Call& call) {
    return capture_->SetPredicates(ReadInput<Predicates>(call.input));
}

NTSTATUS Control::GetInFlight(Call& call) {
    InFlightReply reply;
    uint32_t capacity = (call.outputBytes - static_cast<uint32_t>(sizeof(reply))) / sizeof(InFlightRequest);
    auto* entries = reinterpret_cast<InFlightRequest*>(call.output + sizeof(reply));
    reply.total = capture_->requests.List(capture_->epoch(), entries, capacity);
    reply.count = reply.total < capacity ? reply.total : capacity;
    reply.timestamp = NowTicks();
    RtlCopyMemory(call.output, &reply, sizeof(reply));
    call.returned = static_cast<uint32_t>(sizeof(reply) + reply.count * sizeof(InFlightRequest));
    return STATUS_SUCCESS;
}

NTSTATUS Control::List(Call& call) {
    ListReply reply;
    uint32_t capacity = (call.outputBytes - static_cast<uint32_t>(sizeof(reply))) / sizeof(HookedDriver);
    reply.total = hooks_->List(reinterpret_cast<HookedDriver*>(call.output + sizeof(reply)), capacity);
    reply.count = reply.total < capacity ? reply.total : capacity;
    RtlCopyMemory(call.output, &reply, sizeof(reply));
    call.returned = static_cast<uint32_t>(sizeof(reply) + reply.count * sizeof(HookedDriver));
    return STATUS_SUCCESS;
}

void Control::EndSession() {
    StopCapture();
    hooks_->RemoveAll(kUnhookClientClosed);
    delivery_->Release(STATUS_CANCELLED);
    // The next owner gets none of this one's records, and a resident driver keeps no rings.
    capture_->recorder.Discard();
    Predicates none;
    RtlZeroMemory(&none, sizeof(none));
    capture_->filter.Set(none, capture_->recorder);
    capture_->filter.own.Forget();
    owner_ = nullptr;
    state_ = kClosed;
}

}  // namespace drivermon
