// doorbell.h: how a producer gets a waiting consumer's attention, and why nothing is lost when it fails to.
//
//   consumer:  Arm ── look at the rings ── wait
//   producer:  write record ── plain look at `armed` ── Ring
//
// The producer's look is a *hint*: without a fence between its store of the record and its load of `armed`, both sides
// can miss each other, and a fence would double the cost of a record. The *guarantee* is the timer: while a capture
// runs, it looks every kScanMs. A committed record is therefore told of within one scan, hint or no hint. The hint
// is only given once a ring is an eighth full: a wake per record would cost more than all the rest.
//
// The timer is periodic and set from PASSIVE_LEVEL alone: to set a running timer anew, Wine waits for the end of its
// DPC, even inside that DPC.
//
// Every order of the steps of this, of delivery.h and of the rings is explored in test/native/wake_model_test.cpp.
#pragma once

#include "atomic.h"
#include "platform.h"

namespace drivermon {

class Doorbell {
 public:
    // Runs at DISPATCH_LEVEL, in a DPC.
    using Answer = void (*)(void* context);

    // PASSIVE_LEVEL.
    void Initialize(const Platform& platform);
    void SetAnswer(Answer answer, void* context);
    // The time in which the timer looks. PASSIVE_LEVEL, no lock that the answer takes; in turn.
    void Start();
    void Stop();
    // PASSIVE_LEVEL. After it has returned the answer is not called any more.
    void Shutdown();

    // <= DISPATCH_LEVEL.
    void Arm() { armed_.StoreRelease(1); }
    void Disarm() { armed_.StoreRelaxed(0); }
    bool armed() const { return armed_.LoadRelaxed() != 0; }
    // <= DISPATCH_LEVEL, not under a ring's lock. Calls the answer soon; on Wine that is when the timer looks.
    void Ring();

 private:
    static constexpr uint32_t kScanMs = 5;

    static KDEFERRED_ROUTINE OnDpc;

    bool byDpc_ = true;
    Atomic<uint32_t> armed_ = {};
    Answer answer_ = nullptr;
    void* context_ = nullptr;
    KDPC dpc_;
    KTIMER timer_;
};

}  // namespace drivermon
