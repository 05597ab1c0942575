// fast_io.cpp: see fast_io.h. Buffers are the caller's own and unprobed: they go through scratch, under the handler.
#include "fast_io.h"

#include "capture.h"

namespace drivermon {

namespace {

// Of these the caller's status block tells the outcome; others leave it alone.
bool ReportsStatus(uint8_t function) {
    return function != kFastIoCheckIfPossible;
}

// Whether TRUE with this status is taken for an answer. NtReadFile and NtWriteFile are choosy, and send an IRP after
// any other, as after FALSE: Npfs says TRUE of a pipe that is broken.
bool IsTaken(uint8_t function, NTSTATUS status) {
    if (function == kFastIoWrite) return status == STATUS_SUCCESS;
    if (function != kFastIoRead) return true;
    return status == STATUS_SUCCESS || status == STATUS_BUFFER_OVERFLOW || status == STATUS_END_OF_FILE;
}

constexpr uint32_t kStatusUnhandledException = 0xC0000144u;

// What the IRP of a call that fell through will say of it. False: it could not be compared.
bool Identify(const FastIoCall& call, const Context& context, CallIdentity* identity) {
    switch (call.function) {
        case kFastIoRead:
            identity->major = IRP_MJ_READ;
            break;
        case kFastIoWrite:
            identity->major = IRP_MJ_WRITE;
            break;
        case kFastIoDeviceControl:
            identity->major = IRP_MJ_DEVICE_CONTROL;
            break;
        default:
            return false;
    }
    identity->device = call.device;
    identity->file = call.file;
    // The I/O manager's own copy, which its IRP takes the offset from.
    identity->offset = call.offset != nullptr ? static_cast<uint64_t>(call.offset->QuadPart) : 0;
    identity->epoch = static_cast<uint32_t>(context.epoch.LoadAcquire());
    identity->driverId = context.driverId.LoadAcquire();
    identity->code = call.code;
    identity->inputLength = call.inputLength;
    identity->outputLength = call.outputLength;
    return true;
}

void AddCallers(const void* address, uint32_t bytes, bool fromKernel, Payload* payload) {
    if (bytes == 0) return;
    if (fromKernel) {
        payload->BeyondReach(bytes);
    } else {
        payload->AddUser(address, bytes);
    }
}

bool TransfersBytes(uint8_t function) {
    return function == kFastIoRead || function == kFastIoWrite || function == kFastIoDeviceControl;
}

}  // namespace

uint64_t ArriveFastIo(Slot& slot, const FastIoCall& call) {
    Capture* capture = hookedCapture.LoadAcquire();
    if (!capture->recording() || slot.watch.LoadRelaxed() == nullptr) return 0;  // the watch, only as a hint
    // A kernel caller's buffers are its own affair: somewhere in kernel memory, where no handler helps.
    const bool fromKernel = capture->recorder.platform().askMode && ExGetPreviousMode() == KernelMode;

    RequestStart start;
    RtlZeroMemory(&start, sizeof(start));
    start.header.type = kRecordRequestStart;
    start.deviceObject = reinterpret_cast<uint64_t>(call.device);
    start.fileObject = reinterpret_cast<uint64_t>(call.file);
    start.processId = IdOf(PsGetCurrentProcessId());
    start.threadId = IdOf(PsGetCurrentThreadId());
    capture->fallThroughs.Forget(start.threadId);
    start.requestorProcessId = start.processId;
    start.major = call.function;
    start.requestorMode = fromKernel ? kModeKernel : kModeUser;
    start.flags = kRequestFastIo;
    if (call.file != nullptr && (call.file->Flags & FO_SYNCHRONOUS_IO) != 0) start.flags |= kRequestSynchronous;
    start.code = call.code;
    start.inputLength = call.inputLength;
    start.outputLength = call.outputLength;
    if (call.offset != nullptr) start.byteOffset = static_cast<uint64_t>(call.offset->QuadPart);

    const uint8_t function = static_cast<uint8_t>(kMajorFunctionCount + call.function);
    const bool hasCode = call.function == kFastIoDeviceControl;
    const Candidate candidate = {function,     hasCode, call.code, start.processId, start.requestorProcessId,
                                 PASSIVE_LEVEL};
    const Verdict verdict = capture->filter.Judge(capture->recorder, slot, candidate);
    Payload payload(capture->scratch, capture->InputRoom(verdict));
    if (verdict.Kept()) AddCallers(call.input, call.inputLength, fromKernel, &payload);

    Section section(capture->recorder);
    Watch* watch = slot.watch.LoadAcquire();
    if (watch == nullptr || !capture->recording()) return 0;
    Shard& shard = section.shard();
    Context* context = capture->Admit(shard, watch, verdict, function, call.inputLength, nullptr, &start);
    capture->RecordStart(section, watch->cells[shard.index].function[function], context, verdict, &start, payload);
    uint64_t handle = 0;
    if (context != nullptr) {
        context->routine.StoreRelease(nullptr);
        context->outputKind = fromKernel ? OutputKind::kBeyondReach : OutputKind::kUser;
        context->informationIsBytes = TransfersBytes(call.function) && call.function != kFastIoWrite;
        handle = capture->requests.HandleOf(context);
        context->ticket.StoreRelease(handle);
    }
    return handle;
}

void EndFastIo(uint64_t handle, const FastIoCall& call, FastIoOutcome outcome) {
    Capture* capture = hookedCapture.LoadAcquire();
    Context* context = capture->requests.Find(handle);  // ours alone: no IRP carries its handle

    Capture::Ending ending = {0, kRequestFastIo, 0, 0};
    if (outcome == FastIoOutcome::kHandled && call.result != nullptr && ReportsStatus(call.function)) {
        ending.status = static_cast<uint32_t>(call.result->Status);
        ending.information = call.result->Information;
        if (!IsTaken(call.function, call.result->Status)) outcome = FastIoOutcome::kFellThrough;
    }
    bool handled = outcome == FastIoOutcome::kHandled;
    if (outcome == FastIoOutcome::kFellThrough) {
        ending.flags |= kRequestFellThrough;
    } else if (outcome == FastIoOutcome::kRaised) {
        ending.flags |= kRequestUnseen;
        ending.status = kStatusUnhandledException;
    }
    uint32_t thread = context->threadId.LoadAcquire();
    CallIdentity identity;
    if (outcome == FastIoOutcome::kFellThrough && Identify(call, *context, &identity)) {
        capture->fallThroughs.Note(thread, context->requestId.LoadAcquire(), identity);
    } else {
        capture->fallThroughs.Forget(thread);
    }
    Payload payload(capture->scratch, capture->OutputRoom(*context, ending.status));
    if (handled && call.outputLength != 0 && capture->recording() && !NT_ERROR(ending.status)) {
        uint32_t bytes = call.outputLength;
        if (ending.information < bytes) bytes = static_cast<uint32_t>(ending.information);
        AddCallers(call.output, bytes, context->outputKind == OutputKind::kBeyondReach, &payload);
    }
    Section section(capture->recorder);
    ending.ticks = NowTicks();
    capture->RecordEnd(section, *context, ending, payload);
    capture->requests.Give(section.shard(), context);
}

}  // namespace drivermon
