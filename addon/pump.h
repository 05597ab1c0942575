// pump.h: the native thread that moves records from a driver into slots of shared memory.
//
//             free, full, full, free                 Who fills writes `bytes`, then `state` = full (release).
//   driver ──► [ slot | slot | slot | slot ] ──► consumer      Who empties writes `state` = free, then calls Released.
//
// GetData writes straight into a slot: there is no copy in between. Slots are filled and emptied in turn. When all
// are full the pump takes nothing more from the driver, whose rings are the only place that may drop, and count.
//
// A record that comes alone is handed over at once. After a slot that was not filled up, though, the pump rests until
// kHandoverInterval has passed since that hand-over: under load each slot then carries a batch, and neither the
// driver's wake nor the consumer's doorbell runs once per record.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "source.h"

namespace drivermon {

// The consumer is JavaScript: the layout is that of addon/binding.ts.
struct SlotHeader {
    int32_t state;          //  0 kSlotFree, kSlotFull
    uint32_t bytes;         //  4
    uint32_t reserved[14];  //  8 a cache line each
};
static_assert(sizeof(SlotHeader) == 64, "binding.ts");

constexpr int32_t kSlotFree = 0;
constexpr int32_t kSlotFull = 1;

// `slotCount` headers, then `slotCount` × `slotBytes`.
class SlotRing {
 public:
    // Throws SourceError unless `memory` has that shape and every slot is free.
    SlotRing(std::span<std::byte> memory, uint32_t slotCount, uint32_t slotBytes);

    uint32_t SlotBytes() const { return slotBytes_; }
    uint32_t Next(uint32_t slot) const { return slot + 1 == slotCount_ ? 0 : slot + 1; }
    SlotHeader& Header(uint32_t slot) const { return headers_[slot]; }
    std::atomic_ref<int32_t> State(uint32_t slot) const { return std::atomic_ref<int32_t>(headers_[slot].state); }
    std::span<std::byte> Data(uint32_t slot) const { return {data_ + size_t{slot} * slotBytes_, slotBytes_}; }

 private:
    SlotHeader* headers_;
    std::byte* data_;
    uint32_t slotCount_;
    uint32_t slotBytes_;
};

class Pump {
 public:
    static constexpr std::chrono::milliseconds kHandoverInterval{1};

    // `ring` is called on the pump's thread after a slot became full, and once more when the pump has ended by itself.
    // The slots' memory and the source must outlive the pump.
    Pump(Source& source, SlotRing slots, std::function<void()> ring);
    ~Pump() { Stop(); }
    Pump(const Pump&) = delete;
    Pump& operator=(const Pump&) = delete;

    // The consumer has emptied slots.
    void Released();

    // Cancels the wait and joins the thread. Full slots stay full. Idempotent; from the owner's thread only.
    void Stop();

    // The thread has made its last call of `ring`, or is about to: because the driver had no more (after its Stop),
    // because Stop was called here, or because of Failure().
    bool Ended() const { return ended_.load(std::memory_order_acquire); }

    // Why it ended by itself, if not in good order. Only once Ended().
    const std::optional<SourceError>& Failure() const { return failure_; }

 private:
    void Run();
    bool AwaitFree(uint32_t slot);
    void Rest();

    const std::unique_ptr<Receiver> receiver_;
    const SlotRing slots_;
    const std::function<void()> ring_;

    std::mutex mutex_;  // guards stop_; the lock of changed_
    std::condition_variable changed_;
    bool stop_ = false;
    std::atomic<bool> waiting_{false};  // for a free slot: Released need not take the lock otherwise
    std::atomic<bool> ended_{false};
    std::optional<SourceError> failure_;  // written before ended_
    std::thread thread_;                  // last: it uses all of the above
};

}  // namespace drivermon
