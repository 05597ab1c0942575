// capture.cpp: start, stop, and the end record that IRPs and fast I/O share.
#include "capture.h"

namespace drivermon {

NTSTATUS Capture::Initialize(const Platform& platform) {
    return recorder.Initialize(platform);
}

NTSTATUS Capture::PrepareToHook() {
    NTSTATUS status = requests.Initialize(recorder.platform());
    return NT_SUCCESS(status) ? scratch.Initialize(recorder.processors()) : status;
}

NTSTATUS Capture::Prepare(const StartRequest& request) {
    NTSTATUS status = recorder.Prepare(request.ringBytes);
    if (!NT_SUCCESS(status)) return status;
    inputSnapLength_.StoreRelaxed(request.inputSnapLength);
    outputSnapLength_.StoreRelaxed(request.outputSnapLength);
    epoch_.StoreRelaxed(epoch_.LoadRelaxed() + 1);
    return STATUS_SUCCESS;
}

void Capture::Close() {
    recording_.StoreRelease(0);
    recorder.DrainSections();
}

Context* Capture::Admit(Shard& shard, Watch* watch, uint8_t function, uint32_t bytesIn, IRP* irp,
                        RequestStart* start) {
    FunctionCell& cell = watch->cells[shard.index].function[function];
    cell.Count(kArrivals);
    cell.Count(kBytesIn, bytesIn);

    start->header.driverId = watch->driverId;
    start->requestId = shard.NextRequestId();
    start->header.timestamp = NowTicks();

    Context* context = requests.Take(shard, watch);
    if (context == nullptr) {
        start->flags |= kRequestUncaptured;
        cell.Count(kUnseen);
        shard.CountLoss(Offered::kEnd, kLossCompletionQuota);
        return nullptr;
    }
    context->epoch.StoreRelease(epoch());
    context->requestId.StoreRelease(start->requestId);
    context->arrivalTicks.StoreRelease(start->header.timestamp);
    context->irp.StoreRelease(irp);
    context->driverId.StoreRelease(watch->driverId);
    context->processId.StoreRelease(start->processId);
    context->threadId.StoreRelease(start->threadId);
    context->code.StoreRelease(start->code);
    context->kind.StoreRelease(static_cast<uint32_t>(start->major | start->minor << 8));
    context->function = function;
    context->startDropped = false;
    return context;
}

void Capture::RecordEnd(Section& section, Context& context, const Ending& ending, const Payload& payload) {
    if (!recording() || context.epoch.LoadAcquire() != epoch()) return;
    Shard& shard = section.shard();
    FunctionCell& cell = context.watch->cells[shard.index].function[context.function];
    uint64_t latency = ending.ticks - context.arrivalTicks.LoadAcquire();
    if ((ending.flags & kRequestUnseen) != 0) {
        cell.Count(kUnseen);
    } else {
        cell.CountOutcome(ending.status, latency);
        if ((ending.flags & kRequestPended) != 0) cell.Count(kPended);
        if ((ending.flags & kRequestFellThrough) != 0) {
            cell.Count(kFellThrough);
            if (context.startDropped) shard.totals.dropsFellThrough.AddByOwner(1);
        }
        if (context.informationIsBytes && static_cast<int32_t>(ending.status) >= 0 &&
            (ending.flags & kRequestFellThrough) == 0) {
            cell.Count(kBytesOut, ending.information);
        }
    }

    RequestEnd record;
    RtlZeroMemory(&record, sizeof(record));
    record.header.type = kRecordRequestEnd;
    record.header.driverId = context.watch->driverId;
    record.header.timestamp = ending.ticks;
    record.requestId = context.requestId.LoadAcquire();
    record.arrivalTimestamp = context.arrivalTicks.LoadAcquire();
    record.information = ending.information;
    record.status = ending.status;
    record.flags = ending.flags | payload.flags();
    record.processId = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(PsGetCurrentProcessId()));
    record.threadId = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(PsGetCurrentThreadId()));
    record.major = context.major();
    record.minor = context.minor();
    record.payloadLength = payload.length();
    record.payloadTotal = payload.total();
    payload.CountLoss(shard, Offered::kEnd);
    recorder.Write(shard, &record.header, sizeof(record), payload.pieces(), payload.pieceCount(), section.irql(),
                   Offered::kEnd);
}

}  // namespace drivermon
