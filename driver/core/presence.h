// presence.h: who is inside our thunks, counted where we may have to leave (residence.h).
//
// A thread that waits in a driver's routine, which one of our thunks has called, comes back into our code, and no
// request context need tell of it: nothing is being recorded, the quota is used up, or its request has ended long ago.
// The same goes for a caller's completion routine that ours has called. Elsewhere nobody asks, and a thunk costs a
// branch more.
//
// Locked adds: a thread may be moved to another processor at any time, between the choice of a line and the add, too.
#pragma once

#include "atomic.h"
#include "pool.h"

namespace drivermon {

class Presence {
 public:
    struct alignas(kCacheLine) Line {
        Atomic<uint64_t> entered;
        Atomic<uint64_t> left;
    };

    // PASSIVE_LEVEL, before the first hook.
    void Begin(bool counted) { counted_.StoreRelease(counted ? 1 : 0); }
    bool counted() const { return counted_.LoadRelaxed() != 0; }
    // <= DISPATCH_LEVEL.
    Line& Here() { return lines_[KeGetCurrentProcessorNumberEx(nullptr) % kLines]; }

    // <= DISPATCH_LEVEL. Nobody who had come in before the call is inside: those who have left are added up first, and
    // each of them had come in by then.
    bool IsEmpty() const {
        uint64_t left = 0;
        uint64_t entered = 0;
        for (const Line& line : lines_) left += line.left.LoadAcquire();
        for (const Line& line : lines_) entered += line.entered.LoadAcquire();
        return entered == left;
    }

 private:
    static constexpr uint32_t kLines = 64;  // processors beyond share them

    Atomic<uint32_t> counted_;
    Line lines_[kLines];
};

extern Presence presence;

// One thread's stay inside, for a scope. <= DISPATCH_LEVEL.
class Stay {
 public:
    Stay() : line_(presence.counted() ? &presence.Here() : nullptr) {
        if (line_ != nullptr) line_->entered.Add(1);
    }
    ~Stay() { End(); }
    Stay(const Stay&) = delete;
    Stay& operator=(const Stay&) = delete;

    bool counted() const { return line_ != nullptr; }
    // Where an exception leaves the scope, which runs no destructor. Idempotent.
    void End() {
        if (line_ != nullptr) line_->left.Add(1);
        line_ = nullptr;
    }

 private:
    Presence::Line* line_;
};

}  // namespace drivermon
