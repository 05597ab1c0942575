// capture.h: what every hook needs to turn a request into records and counts.
//
// Created at load, filled in at the first AddDriver, resident from then on: a completion routine may run long after
// everything else has stopped.
#pragma once

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
    NTSTATUS Prepare(const StartRequest& request);
    void Open() { recording_.StoreRelease(1); }
    // PASSIVE_LEVEL, control lock held. No record is made after it returns.
    void Close();

    bool recording() const { return recording_.LoadAcquire() != 0; }
    uint64_t epoch() const { return epoch_.LoadRelaxed(); }
    uint32_t inputSnapLength() const { return inputSnapLength_.LoadRelaxed(); }
    uint32_t outputSnapLength() const { return outputSnapLength_.LoadRelaxed(); }

    // Section. Counts an arrival, names it in `start`, and takes a context for its end, filled in as far as IRPs (`irp`)
    // and fast I/O (null) have it in common. Null: none is left; that is counted, too, and told in start->flags.
    Context* Admit(Shard& shard, Watch* watch, uint8_t function, uint32_t bytesIn, IRP* irp, RequestStart* start);

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

    Recorder recorder;
    RequestTable requests;
    ScratchPool scratch;

 private:
    Atomic<uint32_t> recording_ = {};
    Atomic<uint64_t> epoch_ = {};
    Atomic<uint32_t> inputSnapLength_ = {};
    Atomic<uint32_t> outputSnapLength_ = {};
};

}  // namespace drivermon
