// pump_test.cpp: the pump between a source that hands out numbered records and a consumer on another thread.
// JavaScript's part of the slot protocol is played in C++ here, so that ThreadSanitizer sees both sides of it.
#include "../../addon/pump.h"

#include <doctest/doctest.h>

#include <cstring>
#include <deque>

#include "protocol/control.h"

using namespace drivermon;

namespace {

constexpr uint32_t kRecordBytes = 64;

// Hands out records numbered from 0; a test says how many there are to take, and when there will be no more.
class NumberSource final : public Source {
 public:
    void Offer(uint64_t count) {
        Change([&] { offered_ += count; });
    }
    void Finish() {
        Change([&] { finished_ = true; });
    }
    void Fail() {
        Change([&] { failed_ = true; });
    }

    uint64_t Taken() {
        std::lock_guard lock(mutex_);
        return taken_;
    }
    void AwaitReceiveWaits() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return waits_; });
    }

    std::unique_ptr<Receiver> OpenReceiver() override { return std::make_unique<NumberReceiver>(*this); }
    size_t Control(uint32_t, std::span<const std::byte>, std::span<std::byte>) override { return 0; }
    std::vector<DriverListing> Drivers() override { return {}; }
    std::vector<ProcessListing> Processes() override { return {}; }

 private:
    class NumberReceiver final : public Receiver {
     public:
        explicit NumberReceiver(NumberSource& source) : source_(source) {}
        Received Receive(std::span<std::byte> buffer) override { return source_.Take(buffer, cancelled_); }
        void Cancel() override {
            source_.Change([&] { cancelled_ = true; });
        }

     private:
        NumberSource& source_;
        bool cancelled_ = false;
    };

    template <typename Action>
    void Change(Action action) {
        {
            std::lock_guard lock(mutex_);
            action();
        }
        changed_.notify_all();
    }

    Received Take(std::span<std::byte> buffer, const bool& cancelled) {
        std::unique_lock lock(mutex_);
        waits_ = true;
        changed_.notify_all();
        changed_.wait(lock, [&] { return cancelled || failed_ || finished_ || taken_ < offered_; });
        waits_ = false;
        if (cancelled) return {Receipt::kCancelled, 0};
        if (failed_) throw SourceError(0xC0000001, "failed on purpose");
        if (taken_ == offered_) return {Receipt::kEnd, 0};
        size_t bytes = 0;
        for (; taken_ < offered_ && bytes + kRecordBytes <= buffer.size(); bytes += kRecordBytes) {
            std::memcpy(buffer.data() + bytes, &taken_, sizeof taken_);
            taken_++;
        }
        return {Receipt::kData, bytes};
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    uint64_t offered_ = 0;
    uint64_t taken_ = 0;
    bool finished_ = false;
    bool failed_ = false;
    bool waits_ = false;
};

// Slots, and a bell that can be waited for.
class Consumer {
 public:
    explicit Consumer(uint32_t slotCount, uint32_t slotBytes = kMinDataBytes)
        : memory_(slotCount * (sizeof(SlotHeader) + slotBytes) / sizeof(Line)), ring_(Bytes(), slotCount, slotBytes) {}

    const SlotRing& Ring() const { return ring_; }
    std::span<std::byte> Bytes() { return std::as_writable_bytes(std::span(memory_)); }

    std::function<void()> Bell() {
        return [this] {
            {
                std::lock_guard lock(mutex_);
                rung_ = true;
            }
            changed_.notify_one();
        };
    }
    void AwaitBell() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return rung_; });
        rung_ = false;
    }

    bool NextIsFull() const { return ring_.State(next_).load(std::memory_order_acquire) == kSlotFull; }

    // Empties what is full; returns how many slots that were. Records must come in their order, without a gap.
    int Empty(Pump& pump) {
        int emptied = 0;
        for (; NextIsFull(); next_ = ring_.Next(next_), emptied++) {
            const uint32_t bytes = ring_.Header(next_).bytes;
            REQUIRE(bytes > 0);
            REQUIRE(bytes % kRecordBytes == 0);
            for (uint32_t at = 0; at < bytes; at += kRecordBytes) {
                uint64_t number = 0;
                std::memcpy(&number, ring_.Data(next_).data() + at, sizeof number);
                REQUIRE(number == received_);
                received_++;
            }
            ring_.State(next_).store(kSlotFree, std::memory_order_seq_cst);
            pump.Released();
        }
        return emptied;
    }

    uint64_t Received() const { return received_; }

 private:
    struct alignas(64) Line {
        std::byte bytes[64];
    };
    std::vector<Line> memory_;
    SlotRing ring_;
    uint32_t next_ = 0;
    uint64_t received_ = 0;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool rung_ = false;
};

void DrainToEnd(Consumer& consumer, Pump& pump) {
    while (!pump.Ended()) {
        consumer.AwaitBell();
        consumer.Empty(pump);
    }
    consumer.Empty(pump);
}

}  // namespace

TEST_CASE("every record arrives once and in order, while producer, pump and consumer run") {
    constexpr uint64_t kRecords = 300'000;
    NumberSource source;
    Consumer consumer(3);
    Pump pump(source, consumer.Ring(), consumer.Bell());
    std::thread producer([&] {
        for (uint64_t offered = 0; offered < kRecords; offered += 1000) source.Offer(1000);
        source.Finish();
    });
    DrainToEnd(consumer, pump);
    producer.join();
    CHECK(consumer.Received() == kRecords);
    CHECK(!pump.Failure());
}

TEST_CASE("a lone record is handed over without waiting for a second") {
    NumberSource source;
    Consumer consumer(2);
    Pump pump(source, consumer.Ring(), consumer.Bell());
    for (uint64_t round = 1; round <= 20; round++) {
        source.Offer(1);
        consumer.AwaitBell();
        CHECK(consumer.Empty(pump) == 1);
        CHECK(consumer.Received() == round);
    }
}

TEST_CASE("when every slot is full, nothing more is taken from the source") {
    constexpr uint64_t kPerSlot = kMinDataBytes / kRecordBytes;
    NumberSource source;
    Consumer consumer(2);
    Pump pump(source, consumer.Ring(), consumer.Bell());
    source.Offer(5 * kPerSlot);
    for (int slot = 0; slot < 2; slot++) {
        while (consumer.Ring().State(slot).load(std::memory_order_acquire) != kSlotFull) std::this_thread::yield();
    }
    CHECK(source.Taken() == 2 * kPerSlot);
    source.Finish();
    DrainToEnd(consumer, pump);
    CHECK(consumer.Received() == 5 * kPerSlot);
}

TEST_CASE("Stop ends a pump that waits for a record, for a free slot, or rests; full slots stay full") {
    NumberSource source;
    Consumer consumer(1);
    SUBCASE("for a record") {
        Pump pump(source, consumer.Ring(), consumer.Bell());
        source.AwaitReceiveWaits();
        pump.Stop();
        CHECK(pump.Ended());
    }
    SUBCASE("for a free slot, or resting before it looks for one") {
        Pump pump(source, consumer.Ring(), consumer.Bell());
        source.Offer(3);
        consumer.AwaitBell();
        pump.Stop();
        CHECK(pump.Ended());
        CHECK(consumer.NextIsFull());
        CHECK_THROWS_AS(SlotRing(consumer.Bytes(), 1, kMinDataBytes), SourceError);
        CHECK(consumer.Empty(pump) == 1);
    }
    SUBCASE("twice, and what is left goes to the next pump") {
        {
            Pump pump(source, consumer.Ring(), consumer.Bell());
            pump.Stop();
            pump.Stop();
        }
        source.Offer(3);
        source.Finish();
        Pump pump(source, consumer.Ring(), consumer.Bell());
        DrainToEnd(consumer, pump);
        CHECK(consumer.Received() == 3);
    }
}

TEST_CASE("a pump whose source fails ends, rings, and says why") {
    NumberSource source;
    Consumer consumer(2);
    Pump pump(source, consumer.Ring(), consumer.Bell());
    source.Fail();
    DrainToEnd(consumer, pump);
    REQUIRE(pump.Failure());
    CHECK(pump.Failure()->Status() == 0xC0000001);
}

TEST_CASE("slots of the wrong shape are refused") {
    Consumer consumer(2);
    CHECK_THROWS_AS(SlotRing(consumer.Bytes(), 0, kMinDataBytes), SourceError);
    CHECK_THROWS_AS(SlotRing(consumer.Bytes(), 3, kMinDataBytes), SourceError);
    CHECK_THROWS_AS(SlotRing(consumer.Bytes(), 1, kMinDataBytes - 64), SourceError);
    CHECK_THROWS_AS(SlotRing(consumer.Bytes(), 1, kMinDataBytes + 8), SourceError);
    CHECK_THROWS_AS(SlotRing(consumer.Bytes().subspan(4), 1, kMinDataBytes), SourceError);
}
