// capture.cpp: start, stop, and the end record that IRPs and fast I/O share.
#include "capture.h"

namespace drivermon {

namespace {

// Section. A record that found no room is one of its function's drops.
LossReason Counted(FunctionCell& cell, LossReason loss) {
    if (loss != kNotLost) cell.Count(kDrops);
    return loss;
}

}  // namespace

NTSTATUS Capture::Initialize(const Platform& platform) {
    filter.Initialize();
    return recorder.Initialize(platform);
}

NTSTATUS Capture::PrepareToHook() {
    NTSTATUS status = requests.Initialize(recorder.platform());
    return NT_SUCCESS(status) ? scratch.Initialize(recorder.processors()) : status;
}

NTSTATUS Capture::Prepare(const StartRequest& request) {
    epoch_.StoreRelaxed(epoch_.LoadRelaxed() + 1);
    inputSnapLength_.StoreRelaxed(request.inputSnapLength);
    outputSnapLength_.StoreRelaxed(request.outputSnapLength);
    return recorder.Prepare(request.ringBytes);
}

void Capture::Close() {
    recording_.StoreRelease(0);
    recorder.DrainSections();
}

NTSTATUS Capture::SetPredicates(const Predicates& predicates) {
    if (!Filter::IsValid(predicates)) return STATUS_INVALID_PARAMETER;
    if (Filter::HoldsStarts(predicates)) {
        NTSTATUS status = heldStarts_.Initialize(recorder.platform());
        if (!NT_SUCCESS(status)) return status;
    }
    filter.Set(predicates, recorder);
    return STATUS_SUCCESS;
}

void Capture::Reclaim() {
    LARGE_INTEGER frequency;
    uint64_t now = static_cast<uint64_t>(KeQueryPerformanceCounter(&frequency).QuadPart);
    uint64_t oldTicks = static_cast<uint64_t>(frequency.QuadPart) * recorder.platform().oldRequestMs / 1000;
    RequestTable::Reclaiming reclaiming(requests, epoch(), now, oldTicks);
    while (Context* context = reclaiming.Next()) {
        Payload payload(scratch, 0);
        Section section(recorder);
        // All that is known: the driver had not completed it.
        Ending ending = {static_cast<uint32_t>(STATUS_PENDING), kRequestUnseen | kRequestPended, 0, NowTicks()};
        RecordEnd(section, *context, ending, payload);
        requests.Give(section.shard(), context);
    }
}

uint32_t Capture::InputRoom(const Verdict& verdict) const {
    if (!verdict.Kept()) return 0;
    uint32_t room = inputSnapLength();
    return verdict.fate == Fate::kHeld && room > kMaxHeldInput ? kMaxHeldInput : room;
}

uint32_t Capture::OutputRoom(const Context& context, uint32_t status) const {
    if (!context.verdict.Kept() || (context.held != nullptr && !context.verdict.PassesStatus(status))) return 0;
    return outputSnapLength();
}

Context* Capture::Admit(Shard& shard, Watch* watch, const Verdict& verdict, uint8_t function, uint32_t bytesIn,
                        IRP* irp, RequestStart* start) {
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
        if (verdict.Kept()) shard.CountLoss(Offered::kEnd, kLossCompletionQuota);
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
    context->startLoss = kNotLost;
    context->verdict = verdict;
    context->held = nullptr;
    return context;
}

void Capture::RecordStart(Section& section, FunctionCell& cell, Context* context, const Verdict& verdict,
                          RequestStart* start, const Payload& payload) {
    Shard& shard = section.shard();
    if (verdict.fate == Fate::kFiltered) shard.totals.filteredStarts.AddByOwner(1);
    if (verdict.fate == Fate::kSampledOut) shard.totals.sampledOut.AddByOwner(1);
    if (!verdict.Kept()) return;

    start->payloadLength = payload.length();
    start->payloadTotal = payload.total();
    start->flags |= payload.flags();
    // What cannot be judged at its end, because that will not be seen, or because there is no place to wait in, is
    // rather recorded than lost.
    if (verdict.fate == Fate::kHeld && context != nullptr) {
        bool whole;
        context->held = heldStarts_.Hold(*start, payload, section.irql(), &whole);
        if (context->held != nullptr) {
            context->kind.StoreRelease(context->kind.LoadRelaxed() | Context::kHeld);
            uint32_t wanted = payload.total() < inputSnapLength() ? payload.total() : inputSnapLength();
            if (!whole || ((payload.flags() & kRequestPayloadMissed) == 0 && payload.length() < wanted)) {
                shard.totals.heldInputTruncated.AddByOwner(1);
            }
            return;
        }
    }
    payload.loss().Count(shard, Offered::kStart);
    LossReason loss = Counted(cell, recorder.Write(shard, &start->header, sizeof(*start), payload.pieces(),
                                                   payload.pieceCount(), section.irql(), Offered::kStart));
    if (context != nullptr) context->startLoss = loss;
}

// The start that was held, at last: with its own time, but in the ring of the processor where the request has ended.
LossReason Capture::RecordHeld(Shard& shard, FunctionCell& cell, const HeldStart& held) {
    RequestStart start = held.start;
    Bytes input = {held.input != nullptr ? held.input->bytes : nullptr, start.payloadLength};
    held.loss.Count(shard, Offered::kStart);
    return Counted(cell, recorder.Write(shard, &start.header, sizeof(start), &input, start.payloadLength != 0 ? 1 : 0,
                                        held.irql, Offered::kStart));
}

void Capture::RecordEnd(Section& section, Context& context, const Ending& ending, const Payload& payload) {
    HeldStart* held = context.held;
    if (!recording() || context.epoch.LoadAcquire() != epoch()) {
        if (held != nullptr) heldStarts_.Release(held);
        return;
    }
    Shard& shard = section.shard();
    FunctionCell& cell = context.watch->cells[shard.index].function[context.function];
    // The clocks of two processors may differ by a little: nothing ends before it has arrived.
    const uint64_t arrived = context.arrivalTicks.LoadAcquire();
    const uint64_t ended = ending.ticks > arrived ? ending.ticks : arrived;
    const uint64_t latency = ended - arrived;
    const bool fellThrough = (ending.flags & kRequestFellThrough) != 0;
    // The answer of a call that fell through was not taken, if it gave one: the request's is that of the IRP.
    const uint32_t status = fellThrough ? 0 : ending.status;
    if ((ending.flags & kRequestUnseen) != 0) {
        cell.Count(kUnseen);
    } else {
        cell.CountOutcome(status, latency);
        if ((ending.flags & kRequestPended) != 0) cell.Count(kPended);
        if (fellThrough) cell.Count(kFellThrough);
        if (context.informationIsBytes && static_cast<int32_t>(ending.status) >= 0 && !fellThrough) {
            cell.Count(kBytesOut, ending.information);
        }
    }

    if (!context.verdict.Kept()) {
        if (fellThrough) {
            bool filtered = context.verdict.fate == Fate::kFiltered;
            (filtered ? shard.totals.filteredFellThrough : shard.totals.sampledOutFellThrough).AddByOwner(1);
        }
        return;
    }
    LossReason startLoss = context.startLoss;
    if (held != nullptr) {
        bool passes = context.verdict.Passes(status, latency);
        if (passes) {
            startLoss = RecordHeld(shard, cell, *held);
        } else {
            shard.totals.filteredStarts.AddByOwner(1);
            if (fellThrough) shard.totals.filteredFellThrough.AddByOwner(1);
        }
        heldStarts_.Release(held);
        if (!passes) return;
    }
    if (fellThrough && startLoss != kNotLost) shard.totals.dropsFellThrough[startLoss].AddByOwner(1);

    RequestEnd record;
    RtlZeroMemory(&record, sizeof(record));
    record.header.type = kRecordRequestEnd;
    record.header.driverId = context.watch->driverId;
    record.header.timestamp = ended;
    record.requestId = context.requestId.LoadAcquire();
    record.arrivalTimestamp = arrived;
    record.information = ending.information;
    record.status = ending.status;
    record.flags = ending.flags | payload.flags();
    record.processId = IdOf(PsGetCurrentProcessId());
    record.threadId = IdOf(PsGetCurrentThreadId());
    record.major = context.major();
    record.minor = context.minor();
    record.payloadLength = payload.length();
    record.payloadTotal = payload.total();
    payload.loss().Count(shard, Offered::kEnd);
    Counted(cell, recorder.Write(shard, &record.header, sizeof(record), payload.pieces(), payload.pieceCount(),
                                 section.irql(), Offered::kEnd));
}

}  // namespace drivermon
