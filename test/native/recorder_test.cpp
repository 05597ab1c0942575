// recorder_test.cpp: what the recorder promises its reader, shown on a recorder of the test's own: order across
// processors, nothing of an old record in a new one, and a stop that waits for whoever is still writing.
#include "core/recorder.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "core/capture.h"
#include "sim/machine.h"
#include "sim/process.h"
#include "sim/processor.h"

namespace drivermon::test {
namespace {

Platform SimulatedPlatform() {
    Platform platform = kNtPlatform;
    platform.kernel = kKernelSimulated;
    return platform;
}

// Recorder needs the processors of a machine; the machine's own driver is not involved.
struct Rings {
    explicit Rings(uint32_t ringBytes) {
        REQUIRE(recorder.Initialize(SimulatedPlatform()) == STATUS_SUCCESS);
        REQUIRE(recorder.Prepare(ringBytes) == STATUS_SUCCESS);
    }
    ~Rings() { recorder.Discard(); }

    bool Write(uint32_t processor, uint64_t timestamp, const std::vector<uint8_t>& payload = {}) {
        RequestEnd record{};
        record.header.type = kRecordRequestEnd;
        record.header.timestamp = timestamp;
        record.payloadLength = static_cast<uint32_t>(payload.size());
        const Bytes piece{payload.data(), record.payloadLength};
        return recorder.Write(recorder.shard(processor), &record.header, sizeof(record), &piece,
                              payload.empty() ? 0 : 1, PASSIVE_LEVEL, Offered::kEnd);
    }
    std::vector<uint8_t> Take(bool quiet) {
        std::vector<uint8_t> out(kMinDataBytes);
        out.resize(recorder.Take(out.data(), kMinDataBytes, quiet));
        return out;
    }
    static std::vector<uint64_t> Timestamps(const std::vector<uint8_t>& stream) {
        std::vector<uint64_t> result;
        for (size_t at = 0; at < stream.size();) {
            RecordHeader header;
            std::memcpy(&header, &stream[at], sizeof(header));
            result.push_back(header.timestamp);
            at += header.size;
        }
        return result;
    }

    std::unique_ptr<sim::Machine> machine = sim::Machine::Boot();
    Recorder recorder;
};

}  // namespace

TEST_CASE("records of several processors come in the order of their time") {
    Rings rings(1u << 16);
    for (uint64_t time = 1; time <= 100; time++) REQUIRE(rings.Write(time % 3 == 0, time));
    std::vector<uint64_t> expected;
    for (uint64_t time = 1; time <= 100; time++) expected.push_back(time);
    CHECK(Rings::Timestamps(rings.Take(false)) == expected);
}

TEST_CASE("a record younger than the look at the rings waits for the next look, unless it is the oldest") {
    Rings rings(1u << 16);
    const uint64_t now = NowTicks();
    constexpr uint64_t kFuture = 1ull << 50;
    REQUIRE(rings.Write(0, now));
    REQUIRE(rings.Write(0, now + kFuture));
    REQUIRE(rings.Write(1, now + 1));
    CHECK(Rings::Timestamps(rings.Take(false)) == std::vector{now, now + 1});
    // A clock that runs ahead must not stall the stream.
    CHECK(Rings::Timestamps(rings.Take(false)) == std::vector{now + kFuture});
    // And when nobody writes any more, everything goes at once.
    REQUIRE(rings.Write(0, now + kFuture));
    REQUIRE(rings.Write(1, now + 2 * kFuture));
    CHECK(Rings::Timestamps(rings.Take(true)).size() == 2);
}

TEST_CASE("the bytes that round a record up are zero, whatever lay in the ring before") {
    Rings rings(kMinRingBytes);
    const std::vector<uint8_t> secret(1001, 0xEE);
    for (int i = 0; i < 8; i++) {
        REQUIRE(rings.Write(0, 1, secret));
        rings.Take(true);
    }
    for (uint32_t length = 1; length < 100; length++) {
        REQUIRE(rings.Write(0, 1, std::vector<uint8_t>(length, 0x11)));
        const std::vector<uint8_t> record = rings.Take(true);
        REQUIRE(record.size() == (sizeof(RequestEnd) + length + 7) / 8 * 8);
        for (size_t at = sizeof(RequestEnd) + length; at < record.size(); at++) CHECK(record[at] == 0);
    }
}

TEST_CASE("a dropped record takes a number, and the losses are told: before the next record, or at the end") {
    Rings rings(kMinRingBytes);
    uint32_t written = 0;
    while (rings.Write(0, 1, std::vector<uint8_t>(100, 0x33))) written++;
    for (int i = 0; i < 4; i++) REQUIRE_FALSE(rings.Write(0, 1, std::vector<uint8_t>(100, 0x33)));
    const uint32_t dropped = 5;
    bool quiet = false;
    SUBCASE("before the next record") {
        rings.Take(false);
        REQUIRE(rings.Write(0, 1));
    }
    SUBCASE("at the end") {
        quiet = true;
        rings.Take(true);
    }
    const std::vector<uint8_t> stream = rings.Take(quiet);
    REQUIRE(stream.size() >= sizeof(LossRecord));
    LossRecord loss;
    std::memcpy(&loss, stream.data(), sizeof(loss));
    CHECK(loss.header.type == kRecordLoss);
    CHECK(loss.ends[kLossRingFull] == dropped);
    // Its number is that of the next record; those in between are the lost ones.
    CHECK(loss.header.sequence == written + dropped);
    if (quiet) return;
    RecordHeader next;
    std::memcpy(&next, &stream[sizeof(loss)], sizeof(next));
    CHECK(next.sequence == written + dropped);
}

TEST_CASE("padding at the end of a ring stays there") {
    Rings rings(kMinRingBytes);
    for (int i = 0; i < 100; i++) {
        REQUIRE(rings.Write(0, 1, std::vector<uint8_t>(500, 0x22)));
        const std::vector<uint8_t> record = rings.Take(true);
        REQUIRE(record.size() == (sizeof(RequestEnd) + 500 + 7) / 8 * 8);
        RecordHeader header;
        std::memcpy(&header, record.data(), sizeof(header));
        CHECK(header.type == kRecordRequestEnd);
    }
}

TEST_CASE("closing a capture waits for whoever is still in a section") {
    for (bool sections : {true, false}) {
        CAPTURE(sections);
        sim::MachineOptions options;
        options.sections = sections;
        auto machine = sim::Machine::Boot(options);
        Platform platform = SimulatedPlatform();
        platform.raiseIrql = sections;
        platform.lockRings = !sections;
        Capture capture;
        REQUIRE(capture.Initialize(platform) == STATUS_SUCCESS);
        REQUIRE(capture.Prepare({kMinRingBytes, 0, 0, 0}) == STATUS_SUCCESS);
        capture.Open();
        std::atomic<bool> inside{false}, left{false};
        std::thread writer([&] {
            Section section(capture.recorder);
            inside = true;
            // It has looked at recording() before; that the capture closes meanwhile does not throw it out.
            while (capture.recording()) std::this_thread::yield();
            for (int i = 0; i < 10'000; i++) std::this_thread::yield();
            left = true;
        });
        while (!inside) std::this_thread::yield();
        capture.Close();
        CHECK(left);
        writer.join();
        capture.recorder.Discard();
    }
}

TEST_CASE(
    "processors that appear after load share a shard, one thread at a time; and closing a capture waits for them") {
    sim::MachineOptions options;
    options.processors = 3;
    auto machine = sim::Machine::Boot(options);
    sim::SetActiveProcessors(1);
    Capture capture;
    REQUIRE(capture.Initialize(SimulatedPlatform()) == STATUS_SUCCESS);
    sim::SetActiveProcessors(3);
    REQUIRE(capture.Prepare({kMinRingBytes, 0, 0, 0}) == STATUS_SUCCESS);
    capture.Open();
    const uint32_t shared = capture.recorder.shardCount() - 1;
    CHECK(shared == 1);
    std::atomic<bool> firstIsIn{false}, secondTries{false}, firstLeft{false}, secondIsIn{false}, secondLeft{false};
    std::thread first([&] {
        const sim::RunAs as(sim::SystemProcess(), 1);
        Section section(capture.recorder);
        CHECK(section.shard().index == shared);
        firstIsIn = true;
        while (!secondTries) std::this_thread::yield();
        for (int i = 0; i < 10'000; i++) std::this_thread::yield();
        firstLeft = true;
    });
    std::thread second([&] {
        const sim::RunAs as(sim::SystemProcess(), 2);
        while (!firstIsIn) std::this_thread::yield();
        secondTries = true;
        Section section(capture.recorder);
        CHECK(section.shard().index == shared);
        CHECK(firstLeft);
        secondIsIn = true;
        while (capture.recording()) std::this_thread::yield();
        for (int i = 0; i < 10'000; i++) std::this_thread::yield();
        secondLeft = true;
    });
    while (!secondIsIn) std::this_thread::yield();
    capture.Close();
    CHECK(secondLeft);
    first.join();
    second.join();
    capture.recorder.Discard();
}

}  // namespace drivermon::test
