// pump.cpp: see pump.h.
#include "pump.h"

#include "protocol/control.h"
#include "thread_name.h"

namespace drivermon {

SlotRing::SlotRing(std::span<std::byte> memory, uint32_t slotCount, uint32_t slotBytes)
    : headers_(reinterpret_cast<SlotHeader*>(memory.data())),
      data_(memory.data() + size_t{slotCount} * sizeof(SlotHeader)),
      slotCount_(slotCount),
      slotBytes_(slotBytes) {
    if (slotCount == 0) throw SourceError(0, "There must be at least one slot");
    if (slotBytes < kMinDataBytes || slotBytes % 64 != 0) {
        throw SourceError(0, "A slot must be a multiple of 64 bytes, and at least " + std::to_string(kMinDataBytes));
    }
    if (memory.size() / (sizeof(SlotHeader) + slotBytes) < slotCount) {
        throw SourceError(0, "The slots do not fit into the memory given");
    }
    if (reinterpret_cast<uintptr_t>(memory.data()) % kRecordAlignment != 0) {
        throw SourceError(0, "The slots' memory must be 8-aligned");
    }
    for (uint32_t slot = 0; slot < slotCount; slot++) {
        if (State(slot).load(std::memory_order_acquire) != kSlotFree) {
            throw SourceError(0, "Every slot must be free when a pump starts");
        }
    }
}

Pump::Pump(Source& source, SlotRing slots, std::function<void()> ring)
    : receiver_(source.OpenReceiver()), slots_(slots), ring_(std::move(ring)), thread_([this] { Run(); }) {}

void Pump::Released() {
    // Pairs with AwaitFree: there waiting_ is stored before the state is read, here the state was stored before
    // waiting_ is read. With all four sequentially consistent, one of the two sees the other's.
    if (!waiting_.load(std::memory_order_seq_cst)) return;
    { std::lock_guard lock(mutex_); }  // not between the other's last look and its sleep
    changed_.notify_one();
}

void Pump::Stop() {
    {
        std::lock_guard lock(mutex_);
        stop_ = true;
    }
    changed_.notify_one();
    receiver_->Cancel();
    if (thread_.joinable()) thread_.join();
}

void Pump::Run() {
    NameThisThread("drivermon-pump");
    try {
        for (uint32_t slot = 0; AwaitFree(slot); slot = slots_.Next(slot)) {
            const Received received = receiver_->Receive(slots_.Data(slot));
            if (received.receipt != Receipt::kData) break;
            slots_.Header(slot).bytes = static_cast<uint32_t>(received.bytes);
            slots_.State(slot).store(kSlotFull, std::memory_order_release);
            ring_();
            const bool moreWaits = received.bytes + kMaxRecordSize > slots_.SlotBytes();
            if (!moreWaits) Rest();
        }
    } catch (const SourceError& error) {
        failure_ = error;
    } catch (const std::exception& error) {
        failure_ = SourceError(0, error.what());
    }
    ended_.store(true, std::memory_order_release);
    ring_();
}

// Returns false when the pump is to stop.
bool Pump::AwaitFree(uint32_t slot) {
    const auto isFree = [&] { return slots_.State(slot).load(std::memory_order_seq_cst) == kSlotFree; };
    std::unique_lock lock(mutex_);
    if (!isFree()) {
        waiting_.store(true, std::memory_order_seq_cst);
        changed_.wait(lock, [&] { return stop_ || isFree(); });
        waiting_.store(false, std::memory_order_relaxed);
    }
    return !stop_;
}

void Pump::Rest() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kHandoverInterval, [&] { return stop_; });
}

}  // namespace drivermon
