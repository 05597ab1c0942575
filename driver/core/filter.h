// filter.h: which requests are recorded. Counters ask nobody: they count every one.
//
// Early predicates are judged at arrival, before any payload is touched. Late ones (errors only, minimum latency) are
// part of the verdict that travels with the request, so that it is judged at its end by what it arrived under.
#pragma once

#include "own_processes.h"
#include "recorder.h"
#include "slot.h"

namespace drivermon {

// What an arrival is judged by.
struct Candidate {
    uint8_t function;  // index of the counters
    bool hasCode;
    uint32_t code;
    uint32_t processId;
    uint32_t requestorProcessId;  // 0: unknown
    KIRQL irql;                   // at which it arrived
};

enum class Fate : uint8_t { kRecorded, kHeld, kFiltered, kSampledOut };

struct Verdict {
    Fate fate;
    bool errorsOnly;
    uint64_t minimumLatency;

    bool Kept() const { return fate == Fate::kRecorded || fate == Fate::kHeld; }
    // Of a held request: by how it ended.
    bool PassesStatus(uint32_t status) const { return !errorsOnly || status >> 30 == 3; }
    bool Passes(uint32_t status, uint64_t latency) const { return PassesStatus(status) && latency >= minimumLatency; }
};

class Filter {
 public:
    // PASSIVE_LEVEL.
    void Initialize() { own.Initialize(); }

    static bool IsValid(const Predicates& predicates);
    static bool HoldsStarts(const Predicates& predicates);

    // PASSIVE_LEVEL, control lock held. Valid ones only. From its return on no request is judged by others.
    void Set(const Predicates& predicates, Recorder& recorder);

    // <= DISPATCH_LEVEL, outside of sections.
    Verdict Judge(Recorder& recorder, const Slot& slot, const Candidate& candidate) const;

    OwnProcesses own;

 private:
    bool IsOwn(const Candidate& candidate) const;

    // Read inside sections only: once they are drained, the copy that was current before may be written again.
    Atomic<const Predicates*> current_ = {};  // null: all zero
    Predicates copies_[2] = {};
    uint32_t next_ = 0;
};

}  // namespace drivermon
