// capture.h: what every hook needs to turn a request into records and counts.
//
// Created at load, filled in at the first AddDriver, resident from then on: a completion routine may run long after
// everything else has stopped.
#pragma once

#include "fall_throughs.h"
#include "filter.h"
#include "held_starts.h"
#include "payload.h"
#include "platform.h"
#include "recorder.h"
#include "request_table.h"

namespace drivermon {

class Capture {
 public:
    // PASSIVE_LEVEL. Once, at load.
    NTSTATUS Initialize(const Platform& platform);
    // PASSIVE_LEVEL. Memory that only hooks need. Idempotent.
    NTSTATUS PrepareToHook();

    // PASSIVE_LEVEL, control lock held, not recording. A new epoch; rings and totals start from nothing.
    // STATUS_INSUFFICIENT_RESOURCES: so they do, but there are no rings.
    NTSTATUS Prepare(const StartRequest& request);
    void Open() { recording_.StoreRelease(1); }
    // PASSIVE_LEVEL, control lock held. No record is made after it returns.
    void Close();

    bool recording() const { return recording_.LoadAcquire() != 0; }
    uint64_t epoch() const { return epoch_.LoadRelaxed(); }
    uint32_t inputSnapLength() const { return inputSnapLength_.LoadRelaxed(); }
    uint32_t outputSnapLength() const { return outputSnapLength_.LoadRelaxed(); }

    // Bytes of input, and of output for a request that ended with `status`, that are worth gathering.
    uint32_t InputRoom(const Verdict& verdict) const;
    uint32_t OutputRoom(const Context& context, uint32_t status) const;

    // Section. Counts an arrival, names it in `start`, and takes a context for its end, filled in as far as IRPs
    // (`irp`) and fast I/O (null) have it in common. Null: none is left; that is counted, too, and told in
    // start->flags.
    Context* Admit(Shard& shard, Watch* watch, const Verdict& verdict, uint8_t function, uint32_t bytesIn, IRP* irp,
                   RequestStart* start);
    // The same section, before the context (which may be null) is armed. Writes the start, holds it back, or counts why
    // it is not recorded. `cell`: the function's, on this processor.
    void RecordStart(Section& section, FunctionCell& cell, Context* context, const Verdict& verdict,
                     RequestStart* start, const Payload& payload);

    // How a request ended, as far as a hook could see.
    struct Ending {
        uint32_t status;
        uint32_t flags;
        uint64_t information;
        uint64_t ticks;
    };
    // <= DISPATCH_LEVEL. Counts and records the end of a request, if its epoch is still being recorded. The caller owns
    // the context and keeps it.
    void RecordEnd(Section& section, Context& context, const Ending& ending, const Payload& payload);

    // PASSIVE_LEVEL, control lock held. Where contexts were found used up, takes back those whose end will not come.
    void Reclaim();

    // PASSIVE_LEVEL, control lock held. STATUS_INVALID_PARAMETER, STATUS_INSUFFICIENT_RESOURCES: nothing has changed.
    NTSTATUS SetPredicates(const Predicates& predicates);

    Recorder recorder;
    Filter filter;
    RequestTable requests;
    ScratchPool scratch;
    FallThroughs fallThroughs;

 private:
    LossReason RecordHeld(Shard& shard, FunctionCell& cell, const HeldStart& held);

    HeldStarts heldStarts_;
    Atomic<uint32_t> recording_ = {};
    Atomic<uint64_t> epoch_ = {};
    Atomic<uint32_t> inputSnapLength_ = {};
    Atomic<uint32_t> outputSnapLength_ = {};
};

}  // namespace drivermon
