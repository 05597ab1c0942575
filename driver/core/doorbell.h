// doorbell.h: how a producer gets a waiting consumer's attention, and why nothing is lost when it fails to.
//
//   consumer:  Arm ── look at the rings ── wait
//   producer:  write record ── plain look at `armed` ── Ring
//
// The producer's look is a *hint*: without a fence between its store of the record and its load of `armed`, both sides
// can miss each other, and a fence would double the cost of a record. The *guarantee* is the timer: while armed, the
// rings are looked at every kScanMs. A committed record is therefore told of within one scan, hint or no hint. The hint
// is only given once a ring is an eighth full: a wake per record would cost more than all the rest.
#pragma once

#include "atomic.h"
#include "platform.h"

namespace drivermon {

class Doorbell {
 public:
    // Runs at DISPATCH_LEVEL, in a DPC. True: not answered, look again after kScanMs.
    using Answer = bool (*)(void* context);

    // PASSIVE_LEVEL.
    void Initialize(const Platform& platform);
    void SetAnswer(Answer answer, void* context);
    // PASSIVE_LEVEL. After it has returned the answer is not called any more.
    void Shutdown();

    // <= DISPATCH_LEVEL.
    void Arm();
    void Disarm() { armed_.StoreRelaxed(0); }
    bool armed() const { return armed_.LoadRelaxed() != 0; }
    // <= DISPATCH_LEVEL, not under a ring's lock. Calls the answer soon.
    void Ring();

 private:
    static constexpr uint32_t kScanMs = 5;

    static KDEFERRED_ROUTINE OnDpc;
    void Schedule(uint32_t ms);

    bool byDpc_ = true;
    Atomic<uint32_t> armed_ = {};
    Answer answer_ = nullptr;
    void* context_ = nullptr;
    KDPC dpc_;
    KTIMER timer_;
};

}  // namespace drivermon
