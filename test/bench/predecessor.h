// predecessor.h: a model, written for this comparison, of how the predecessor's driver records: one ring of 1 MiB for
// the whole machine under one spin lock, an allocation of 8 KiB for each record to build it in, a wake for each record.
//
// The model is kind to it: user mode's allocator is quicker than the kernel's pool, waking costs nothing unless
// someone waits, and the consumer takes all that is there at once.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

namespace drivermon::bench {

class Predecessor {
 public:
    static constexpr uint32_t kRingBytes = 1u << 20;
    static constexpr uint32_t kAllocation = 8192;

    // False: no room, and nobody is told (the model counts; the original does not).
    bool Write(const void* record, uint32_t bytes) {
        // The compiler may not see that the buffer is only copied from.
        auto* volatile buffer = new uint8_t[kAllocation];
        std::memcpy(buffer, record, bytes);
        Lock();
        const bool room = head_ - tail_ + bytes <= kRingBytes;
        if (room) {
            std::memcpy(&ring_[head_ & (kRingBytes - 1)], buffer, bytes);
            head_ += bytes;
        }
        Unlock();
        delete[] buffer;
        if (room) {
            event_.store(1, std::memory_order_seq_cst);
            event_.notify_one();
        }
        return room;
    }

    // Waits until there is something, or `Stop`; copies it; returns the bytes.
    uint32_t Take(uint8_t* out) {
        event_.wait(0, std::memory_order_seq_cst);
        event_.store(0, std::memory_order_seq_cst);
        return TakeNow(out);
    }
    uint32_t TakeNow(uint8_t* out) {
        Lock();
        const auto bytes = static_cast<uint32_t>(head_ - tail_);
        const auto from = static_cast<uint32_t>(tail_) & (kRingBytes - 1);
        const uint32_t first = bytes < kRingBytes - from ? bytes : kRingBytes - from;
        std::memcpy(out, &ring_[from], first);
        std::memcpy(out + first, &ring_[0], bytes - first);
        tail_ += bytes;
        Unlock();
        return bytes;
    }
    void Stop() {
        event_.store(1, std::memory_order_seq_cst);
        event_.notify_one();
    }

 private:
    void Lock() {
        while (lock_.exchange(true, std::memory_order_acquire)) {
            while (lock_.load(std::memory_order_relaxed)) __builtin_ia32_pause();
        }
    }
    void Unlock() { lock_.store(false, std::memory_order_release); }

    std::atomic<bool> lock_{false};
    std::atomic<int> event_{0};
    uint64_t head_ = 0, tail_ = 0;
    // Records of this bench divide the ring: none straddles its end.
    std::vector<uint8_t> ring_ = std::vector<uint8_t>(kRingBytes);
};

}  // namespace drivermon::bench
