// filter.cpp: see filter.h.
#include "filter.h"

namespace drivermon {

namespace {

constexpr uint32_t kKnownFlags = kPredicateErrorsOnly | kPredicateOwnProcesses;

bool Lists(const uint32_t* entries, uint32_t count, uint32_t value) {
    for (uint32_t i = 0; i < count; i++) {
        if (entries[i] == value) return true;
    }
    return false;
}

bool Passes(uint32_t mode, bool listed) {
    return mode == kPredicateAny || (mode == kPredicateOnly) == listed;
}

}  // namespace

bool Filter::IsValid(const Predicates& predicates) {
    return (predicates.flags & ~kKnownFlags) == 0 && predicates.leftOutFunctions >> kFunctionCount == 0 &&
           predicates.driverMode <= kPredicateAllBut && predicates.processMode <= kPredicateAllBut &&
           predicates.codeMode <= kPredicateAllBut && predicates.driverCount <= kMaxPredicateEntries &&
           predicates.processCount <= kMaxPredicateEntries && predicates.codeCount <= kMaxPredicateEntries;
}

bool Filter::HoldsStarts(const Predicates& predicates) {
    return (predicates.flags & kPredicateErrorsOnly) != 0 || predicates.minimumLatency != 0;
}

void Filter::Set(const Predicates& predicates, Recorder& recorder) {
    Predicates none;
    RtlZeroMemory(&none, sizeof(none));
    if (RtlEqualMemory(&predicates, &none, sizeof(none))) {
        current_.StoreRelease(nullptr);
    } else {
        copies_[next_] = predicates;
        current_.StoreRelease(&copies_[next_]);
        next_ ^= 1;
    }
    recorder.DrainSections();
}

// The requestor, where it is known, is whose request it is: the current process may be anyone's in a lower layer. In a
// DPC it is that of the thread which was interrupted, and says nothing.
bool Filter::IsOwn(const Candidate& candidate) const {
    if (candidate.requestorProcessId != 0) return own.Contains(candidate.requestorProcessId);
    return candidate.irql < DISPATCH_LEVEL && own.Contains(candidate.processId);
}

Verdict Filter::Judge(Recorder& recorder, const Slot& slot, const Candidate& candidate) const {
    Verdict verdict = {Fate::kFiltered, false, 0};
    // Usually there is nothing to judge by, and no section is entered for it.
    if (current_.LoadAcquire() == nullptr) {
        if (!IsOwn(candidate)) verdict.fate = Fate::kRecorded;
        return verdict;
    }
    Section section(recorder);
    const Predicates* now = current_.LoadAcquire();
    const Watch* watch = slot.watch.LoadAcquire();
    bool ownToo = now != nullptr && (now->flags & kPredicateOwnProcesses) != 0;
    if (!ownToo && IsOwn(candidate)) return verdict;
    if (now == nullptr || watch == nullptr) {
        verdict.fate = Fate::kRecorded;
        return verdict;
    }
    if ((now->leftOutFunctions >> candidate.function & 1) != 0) return verdict;
    if (!Passes(now->driverMode, Lists(now->drivers, now->driverCount, watch->driverId))) return verdict;
    if (now->processMode != kPredicateAny) {
        bool listed = Lists(now->processes, now->processCount, candidate.processId) ||
                      (candidate.requestorProcessId != 0 &&
                       Lists(now->processes, now->processCount, candidate.requestorProcessId));
        if (!Passes(now->processMode, listed)) return verdict;
    }
    if (candidate.hasCode && !Passes(now->codeMode, Lists(now->codes, now->codeCount, candidate.code))) {
        return verdict;
    }
    if (now->sampleEvery > 1) {
        Shard& shard = section.shard();
        uint32_t turn = shard.sampleTurn;
        shard.sampleTurn = turn + 1 < now->sampleEvery ? turn + 1 : 0;
        if (turn != 0) {
            verdict.fate = Fate::kSampledOut;
            return verdict;
        }
    }
    verdict.fate = HoldsStarts(*now) ? Fate::kHeld : Fate::kRecorded;
    verdict.errorsOnly = (now->flags & kPredicateErrorsOnly) != 0;
    verdict.minimumLatency = now->minimumLatency;
    return verdict;
}

}  // namespace drivermon
