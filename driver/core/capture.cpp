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

void Capture::RecordEnd(Section& section, Context& context, const Ending& ending, const Payload& payload) {
    if (!recording() || context.epoch != epoch()) return;
    Shard& shard = section.shard();
    FunctionCell& cell = context.watch->cells[shard.index].function[context.function];
    uint64_t latency = ending.ticks - context.arrivalTicks;
    if ((ending.flags & kRequestUnseen) != 0) {
        cell.Count(kUnseen);
    } else {
        cell.CountOutcome(ending.status, latency);
        if ((ending.flags & kRequestPended) != 0) cell.Count(kPended);
        if ((ending.flags & kRequestFellThrough) != 0) cell.Count(kFellThrough);
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
    record.requestId = context.requestId;
    record.arrivalTimestamp = context.arrivalTicks;
    record.information = ending.information;
    record.status = ending.status;
    record.flags = ending.flags | payload.flags();
    record.processId = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(PsGetCurrentProcessId()));
    record.threadId = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(PsGetCurrentThreadId()));
    record.major = context.major;
    record.minor = context.minor;
    record.payloadLength = payload.length();
    record.payloadTotal = payload.total();
    payload.CountLoss(shard, Offered::kEnd);
    recorder.Write(shard, &record.header, sizeof(record), payload.pieces(), payload.pieceCount(), section.irql(),
                   Offered::kEnd);
}

}  // namespace drivermon
