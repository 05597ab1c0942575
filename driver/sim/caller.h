// caller.h: one simulated caller: who it is, how many requests it may still send, and how many it has sent.
//
// A socket or handle costs three requests beyond those sent on it (CREATE, CLEANUP, CLOSE): they are set aside when it
// is opened, so that a caller ends with exactly its quota.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "process.h"
#include "script.h"
#include "user_mode.h"

namespace drivermon::sim {

// SplitMix64: the same on every host, which the standard's distributions are not.
class Random {
 public:
    explicit Random(uint64_t seed) : state_(seed) {}
    uint64_t Next() {
        uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return z ^ (z >> 31);
    }
    uint32_t Below(uint32_t bound) { return static_cast<uint32_t>((Next() >> 32) * bound >> 32); }
    uint32_t Between(uint32_t least, uint32_t most) { return least + Below(most - least + 1); }
    bool OneIn(uint32_t n) { return Below(n) == 0; }

 private:
    uint64_t state_;
};

class Caller {
 public:
    static constexpr uint64_t kUnlimited = std::numeric_limits<uint64_t>::max();
    using ScriptFunction = Script (*)(Caller& caller);

    Caller(PEPROCESS process, uint32_t threadId, uint32_t processor, std::u16string driver, ScriptFunction script,
           uint32_t weight, uint64_t seed);
    ~Caller() { End(); }

    // ---- For the worker: ----
    void Begin(uint64_t quota);
    void Allow(uint64_t more) { left_ += more; }  // before the worker has begun
    // Lets it go on as far as it can without a slot. False: it has ended, or has spent its quota.
    bool GoOn();
    bool WantsSlot() const { return script_->WantsSlots() != 0; }
    void UseSlot();
    // Cancels what is outstanding and closes what is open. Idempotent.
    void End();

    // ---- For the script: ----
    Random& random() { return random_; }
    // Enough is left for another life of a handle; else the script stays with the one it has.
    bool MayReopen() const { return left_ >= 3 + kShortestLife; }
    void Commit(uint32_t requests) {
        if (left_ != kUnlimited) left_ -= requests;
    }
    void CountSent(uint32_t requests) {
        issued_.store(issued_.load(std::memory_order_relaxed) + requests, std::memory_order_relaxed);
    }

    const std::u16string& driver() const { return driver_; }
    uint32_t weight() const { return weight_; }
    uint32_t processor() const { return processor_; }
    uint64_t issued() const { return issued_.load(std::memory_order_relaxed); }

 private:
    static constexpr uint64_t kShortestLife = 16;

    Ref<_ETHREAD> thread_;
    const uint32_t processor_;
    const std::u16string driver_;
    const ScriptFunction function_;
    const uint32_t weight_;
    Random random_;
    uint64_t left_ = 0;
    std::atomic<uint64_t> issued_{0};  // written by its worker only
    std::unique_ptr<Script> script_;
};

// An open device, as a script has it.
class Device {
 public:
    Device(Caller& caller, const std::u16string& path, const OpenOptions& options);
    ~Device();
    Device(Device&& other) noexcept = default;
    Device& operator=(Device&&) = delete;
    FileHandle* operator->() const { return handle_.get(); }

 private:
    Caller* caller_;
    std::unique_ptr<FileHandle> handle_;
};

// co_await Opening{…}: a Device.
struct Opening : Slot {
    Opening(Caller& who, const std::u16string& where, const OpenOptions& how)
        : Slot{3}, caller(who), path(where), options(how) {}
    Device await_resume() const { return Device(caller, path, options); }
    Caller& caller;
    const std::u16string& path;
    const OpenOptions& options;
};

// co_await Sending{…}: the request, sent.
struct Sending : Slot {
    Sending(Caller& who, const Device& where, uint32_t what, const void* input, uint32_t inputSize, void* output,
            uint32_t outputSize)
        : caller(who), device(where), code(what), in(input), inBytes(inputSize), out(output), outBytes(outputSize) {}
    std::unique_ptr<UserHandle::Pending> await_resume() const {
        caller.Commit(1);
        caller.CountSent(1);
        return device->BeginControl(code, in, inBytes, out, outBytes);
    }
    Caller& caller;
    const Device& device;
    uint32_t code;
    const void* in;
    uint32_t inBytes;
    void* out;
    uint32_t outBytes;
};

}  // namespace drivermon::sim
