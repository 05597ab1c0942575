// session_test.cpp: one client's life with the driver: what it may ask when, what it must not get away with, and what
// is left when it goes.
#include <doctest/doctest.h>

#include <atomic>
#include <cstring>
#include <stdexcept>
#include <thread>

#include "capture_session.h"
#include "protocol/layout.h"
#include "scripted_driver.h"
#include "sim/driver_loader.h"
#include "sim/memory.h"
#include "targets/afd_protocol.h"
#include "targets/echo_protocol.h"

namespace drivermon::test {
namespace {

using namespace targets;

std::unique_ptr<sim::UserHandle> OpenEcho(sim::Machine& machine) {
    sim::Status status;
    auto echo = machine.Open(DRIVERMON_ECHO_USER_PATH, &status);
    REQUIRE(echo);
    return echo;
}

void Echo(sim::UserHandle& echo, int times) {
    char bytes[16] = "0123456789abcde";
    for (int i = 0; i < times; i++) {
        REQUIRE(echo.Control(kEchoBuffered, bytes, sizeof(bytes), bytes, sizeof(bytes), nullptr) == STATUS_SUCCESS);
    }
}

// Arrivals, and what became of them, agree.
void CheckEqualities(const Totals& totals) {
    CHECK(totals.Sum(&FunctionCounters::arrivals) == totals.Sum(&FunctionCounters::completions) +
                                                         totals.reply.outstanding +
                                                         totals.Sum(&FunctionCounters::unseen));
    uint64_t dropped = totals.reply.dropsOther;
    for (LossReason reason : {kLossRingFull, kLossRecordTooLarge}) {
        dropped += totals.reply.dropsStart[reason] + totals.reply.dropsEnd[reason];
    }
    CHECK(totals.reply.offered == totals.reply.written + dropped);
}

struct Dispatch {
    explicit Dispatch(const std::u16string& name) {
        auto driver = sim::ReferenceDriver(name);
        std::memcpy(majors, driver->MajorFunction, sizeof(majors));
        fastIo = driver->FastIoDispatch;
        unload = driver->DriverUnload;
    }
    bool operator==(const Dispatch& other) const {
        return std::memcmp(majors, other.majors, sizeof(majors)) == 0 && fastIo == other.fastIo &&
               unload == other.unload;
    }
    PDRIVER_DISPATCH majors[IRP_MJ_MAXIMUM_FUNCTION + 1];
    PFAST_IO_DISPATCH fastIo;
    PDRIVER_UNLOAD unload;
};

}  // namespace

TEST_CASE("one machine at a time, one after the other") {
    for (int i = 0; i < 2; i++) {
        auto machine = sim::Machine::Boot();
        CHECK_THROWS_AS(sim::Machine::Boot(), std::runtime_error);
        CHECK(machine->Drivers().size() == 3);
        CaptureSession session(*machine);
        REQUIRE(session.Start() == STATUS_SUCCESS);
        REQUIRE(session.AddDriver(DRIVERMON_AFD_DRIVER_NAME) == STATUS_SUCCESS);
    }
}

TEST_CASE("the driver has one owner") {
    auto machine = sim::Machine::Boot();
    sim::Status status;
    {
        CaptureSession session(*machine);
        CHECK_FALSE(machine->Open(DRIVERMON_USER_PATH, &status));
        CHECK(status == STATUS_SHARING_VIOLATION);
    }
    CHECK(machine->Open(DRIVERMON_USER_PATH, &status));
}

TEST_CASE("controls with wrong lengths, values or at the wrong time are refused") {
    auto machine = sim::Machine::Boot();
    CaptureSession session(*machine);
    sim::UserHandle& handle = session.handle();

    CHECK(session.Start({kMinRingBytes / 2, 0, 0, 0}) == STATUS_INVALID_PARAMETER);
    CHECK(session.Start({kMinRingBytes + 8, 0, 0, 0}) == STATUS_INVALID_PARAMETER);
    CHECK(session.Start({kMaxRingBytes * 2, 0, 0, 0}) == STATUS_INVALID_PARAMETER);
    CHECK(session.Start({1 << 16, kMaxSnapLength + 1, 0, 0}) == STATUS_INVALID_PARAMETER);
    CHECK(session.Start({1 << 16, 0, kMaxSnapLength + 1, 0}) == STATUS_INVALID_PARAMETER);
    CHECK(session.Start({1 << 16, 0, 0, 1}) == STATUS_INVALID_PARAMETER);
    REQUIRE(session.Start() == STATUS_SUCCESS);
    CHECK(session.Start() == STATUS_INVALID_DEVICE_STATE);

    CHECK(session.AddDriver(u"\\Driver\\None") == STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(session.AddDriver(u"\\Driver\\" DRIVERMON_SERVICE_NAME) == STATUS_ACCESS_DENIED);
    CHECK(session.AddDriver(std::u16string(kMaxDriverNameLength + 1, u'x')) == STATUS_NAME_TOO_LONG);
    CHECK(session.AddDriver(u"") < 0);
    AddDriverReply added{};
    REQUIRE(session.AddDriver(DRIVERMON_ECHO_DRIVER_NAME, &added) == STATUS_SUCCESS);
    CHECK(session.AddDriver(DRIVERMON_ECHO_DRIVER_NAME) == STATUS_OBJECT_NAME_COLLISION);
    CHECK(session.AddDriver(u"\\driver\\drivermonECHO") == STATUS_OBJECT_NAME_COLLISION);
    CHECK(session.RemoveDriver(added.driverId + 1) == STATUS_NOT_FOUND);

    // A name that claims to be longer than its buffer, and an odd one.
    for (uint32_t length : {40u, 3u}) {
        uint8_t lying[sizeof(AddDriverRequest) + 4] = {};
        const AddDriverRequest request{0, length};
        std::memcpy(lying, &request, sizeof(request));
        CHECK(handle.Control(kControlAddDriver, lying, sizeof(lying), &added, sizeof(added), nullptr) < 0);
    }
    // Each control with every length below its own, and an unknown one.
    const uint8_t zeros[64] = {};
    uint8_t output[16];
    for (uint32_t code : {kControlHello, kControlStart, kControlAddDriver, kControlRemoveDriver}) {
        const uint32_t least = code == kControlStart ? sizeof(StartRequest) : 8;
        for (uint32_t bytes = 0; bytes < least; bytes++) {
            CHECK(handle.Control(code, zeros, bytes, output, sizeof(output), nullptr) < 0);
        }
    }
    CHECK(handle.Control(kControlGetData, nullptr, 0, output, sizeof(output), nullptr) < 0);
    CHECK(handle.Control(kControlGetCounters, nullptr, 0, output, sizeof(output), nullptr) < 0);
    CHECK(handle.Control(kControlList, nullptr, 0, output, 4, nullptr) < 0);
    CHECK(handle.Control(ControlCode(100, kMethodBuffered), nullptr, 0, nullptr, 0, nullptr) ==
          STATUS_INVALID_DEVICE_REQUEST);
}

TEST_CASE("one GetData at a time; a cancel loses nothing") {
    auto machine = sim::Machine::Boot();
    CaptureSession session(*machine);
    REQUIRE(session.Start() == STATUS_SUCCESS);
    std::vector<uint8_t> first(kMinDataBytes), second(kMinDataBytes);
    auto pending = session.handle().BeginControl(kControlGetData, nullptr, 0, first.data(), kMinDataBytes);
    REQUIRE_FALSE(pending->Wait(0));
    CHECK(session.handle().Control(kControlGetData, nullptr, 0, second.data(), kMinDataBytes, nullptr) ==
          STATUS_DEVICE_BUSY);
    pending->Cancel();
    REQUIRE(pending->Wait(sim::kForever));
    CHECK(pending->Result(nullptr) == STATUS_CANCELLED);

    REQUIRE(session.AddDriver(DRIVERMON_ECHO_DRIVER_NAME) == STATUS_SUCCESS);
    auto echo = OpenEcho(*machine);
    Echo(*echo, 10);
    echo.reset();
    REQUIRE(session.Stop() == STATUS_SUCCESS);
    CHECK(session.Finish().WithCode(kEchoBuffered).size() == 10);
}

TEST_CASE("a waiting GetData is woken by the first records") {
    auto machine = sim::Machine::Boot();
    CaptureSession session(*machine);
    REQUIRE(session.Start() == STATUS_SUCCESS);
    REQUIRE(session.AddDriver(DRIVERMON_ECHO_DRIVER_NAME) == STATUS_SUCCESS);
    session.Follow();
    auto echo = OpenEcho(*machine);
    Echo(*echo, 3);
    echo.reset();
    REQUIRE(session.Stop() == STATUS_SUCCESS);
    CHECK(session.Finish().WithCode(kEchoBuffered).size() == 3);
}

TEST_CASE("one GetData takes no more than its most, however large its buffer: others wait for the same lock") {
    auto machine = sim::Machine::Boot();
    CaptureSession session(*machine);
    REQUIRE(session.Start({1u << 24, kMaxSnapLength, 0, 0}) == STATUS_SUCCESS);
    REQUIRE(session.AddDriver(DRIVERMON_ECHO_DRIVER_NAME) == STATUS_SUCCESS);
    auto echo = OpenEcho(*machine);
    std::vector<uint8_t> large(kMaxSnapLength);
    constexpr uint32_t kRequests = kMaxDataBytes / kMaxSnapLength + 8;
    for (uint32_t i = 0; i < kRequests; i++) {
        REQUIRE(echo->Control(kEchoBuffered, large.data(), kMaxSnapLength, nullptr, 0, nullptr) == STATUS_SUCCESS);
    }
    std::vector<uint8_t> data(2 * kMaxDataBytes);
    uint32_t returned = 0;
    REQUIRE(session.handle().Control(kControlGetData, nullptr, 0, data.data(), 2 * kMaxDataBytes, &returned) ==
            STATUS_SUCCESS);
    CHECK(returned <= kMaxDataBytes);
    CHECK(returned > kMaxDataBytes - kMaxRecordSize);
    // What did not fit is there for the next.
    REQUIRE(session.handle().Control(kControlGetData, nullptr, 0, data.data(), 2 * kMaxDataBytes, &returned) ==
            STATUS_SUCCESS);
    CHECK(returned > 8 * kMaxSnapLength - kMaxRecordSize);
    echo.reset();
    REQUIRE(session.Stop() == STATUS_SUCCESS);
}

TEST_CASE("stop and start: each capture has its own requests") {
    auto machine = sim::Machine::Boot();
    CaptureSession session(*machine);
    AddDriverReply added{};
    REQUIRE(session.AddDriver(DRIVERMON_ECHO_DRIVER_NAME, &added) == STATUS_SUCCESS);
    auto echo = OpenEcho(*machine);
    uint64_t epoch = 0;
    for (int round = 0; round < 3; round++) {
        REQUIRE(session.Start() == STATUS_SUCCESS);
        auto held = echo->BeginControl(kEchoHold, nullptr, 0, nullptr, 0);
        Echo(*echo, 5);
        REQUIRE(session.Stop() == STATUS_SUCCESS);
        CHECK(session.Stop() == STATUS_SUCCESS);  // idempotent
        const Totals totals = session.Counters();
        CHECK(totals.reply.epoch > epoch);
        epoch = totals.reply.epoch;
        CHECK(totals.Sum(&FunctionCounters::arrivals) == 6);
        CHECK(totals.reply.outstanding == 1);
        CheckEqualities(totals);
        // The request of this capture ends in none.
        held->Cancel();
        REQUIRE(held->Wait(sim::kForever));
    }
    CHECK(session.RemoveDriver(added.driverId) == STATUS_SUCCESS);
}

TEST_CASE("a driver is unhooked with requests in flight") {
    auto machine = sim::Machine::Boot();
    const Dispatch before(DRIVERMON_ECHO_DRIVER_NAME);
    CaptureSession session(*machine);
    REQUIRE(session.Start() == STATUS_SUCCESS);
    AddDriverReply added{};
    REQUIRE(session.AddDriver(DRIVERMON_ECHO_DRIVER_NAME, &added) == STATUS_SUCCESS);
    CHECK_FALSE(Dispatch(DRIVERMON_ECHO_DRIVER_NAME) == before);
    auto echo = OpenEcho(*machine);
    std::vector<std::unique_ptr<sim::UserHandle::Pending>> held;
    for (int i = 0; i < 20; i++) held.push_back(echo->BeginControl(kEchoHold, nullptr, 0, nullptr, 0));
    RemoveDriverReply removed{};
    REQUIRE(session.RemoveDriver(added.driverId, &removed) == STATUS_SUCCESS);
    CHECK(removed.chainedFunctions == 0);
    CHECK(Dispatch(DRIVERMON_ECHO_DRIVER_NAME) == before);
    Echo(*echo, 5);  // unseen by anyone
    for (auto& request : held) {
        request->Cancel();
        REQUIRE(request->Wait(sim::kForever));
        CHECK(request->Result(nullptr) == STATUS_CANCELLED);
    }
    echo.reset();
    REQUIRE(session.Stop() == STATUS_SUCCESS);
    CheckEqualities(session.Counters());
    const Captured captured = session.Finish();
    CHECK(captured.WithCode(kEchoHold).size() == 20);
    CHECK(captured.WithCode(kEchoBuffered).empty());
}

TEST_CASE("hooks come and go under load") {
    auto machine = sim::Machine::Boot();
    const Dispatch afdBefore(DRIVERMON_AFD_DRIVER_NAME), echoBefore(DRIVERMON_ECHO_DRIVER_NAME);
    CaptureSession session(*machine);
    REQUIRE(session.Start({1u << 16, 64, 64, 0}) == STATUS_SUCCESS);
    session.Follow();
    machine->StartTraffic({3, 0, 0});
    for (int i = 0; i < 25; i++) {
        AddDriverReply afd{}, echo{};
        REQUIRE(session.AddDriver(DRIVERMON_AFD_DRIVER_NAME, &afd) == STATUS_SUCCESS);
        REQUIRE(session.AddDriver(DRIVERMON_ECHO_DRIVER_NAME, &echo) == STATUS_SUCCESS);
        std::this_thread::yield();
        REQUIRE(session.RemoveDriver(afd.driverId) == STATUS_SUCCESS);
        REQUIRE(session.RemoveDriver(echo.driverId) == STATUS_SUCCESS);
    }
    machine->StopTraffic();
    REQUIRE(session.Stop() == STATUS_SUCCESS);
    const Totals totals = session.Counters();
    CheckEqualities(totals);
    CHECK(totals.reply.outstanding == 0);
    session.Finish();
    CHECK(Dispatch(DRIVERMON_AFD_DRIVER_NAME) == afdBefore);
    CHECK(Dispatch(DRIVERMON_ECHO_DRIVER_NAME) == echoBefore);
}

TEST_CASE("the client dies: everything is unhooked, and the next one finds a clean driver") {
    auto machine = sim::Machine::Boot();
    const Dispatch before(DRIVERMON_ECHO_DRIVER_NAME);
    auto echo = OpenEcho(*machine);
    for (int i = 0; i < 2; i++) {
        CaptureSession session(*machine);
        REQUIRE(session.Start() == STATUS_SUCCESS);
        REQUIRE(session.AddDriver(DRIVERMON_ECHO_DRIVER_NAME) == STATUS_SUCCESS);
        std::vector<uint8_t> data(kMinDataBytes);
        Echo(*echo, 2);
        auto held = echo->BeginControl(kEchoHold, nullptr, 0, nullptr, 0);
        session.Die();
        CHECK(Dispatch(DRIVERMON_ECHO_DRIVER_NAME) == before);
        held->Cancel();
        REQUIRE(held->Wait(sim::kForever));
    }
}

TEST_CASE("a hooked driver that unloads takes its hook along") {
    auto machine = sim::Machine::Boot();
    CaptureSession session(*machine);
    REQUIRE(session.Start() == STATUS_SUCCESS);
    AddDriverReply added{};
    {
        ScriptedDriver driver(u"Fleeting");
        REQUIRE(session.AddDriver(driver.name(), &added) == STATUS_SUCCESS);
        sim::Status status;
        auto handle = machine->Open(driver.path(), &status);
        CHECK(handle->Control(kCode, nullptr, 0, nullptr, 0, nullptr) == STATUS_SUCCESS);
    }
    // The name is free again, and so is the hook.
    ScriptedDriver driver(u"Fleeting");
    CHECK(session.AddDriver(driver.name()) == STATUS_SUCCESS);
    REQUIRE(session.Stop() == STATUS_SUCCESS);
    CHECK(session.Finish().WithCode(kCode).size() == 1);
}

TEST_CASE("a ring that is far too small: what is not there has been counted") {
    for (bool sections : {true, false}) {
        CAPTURE(sections);
        sim::MachineOptions options;
        options.sections = sections;
        auto machine = sim::Machine::Boot(options);
        CaptureSession session(*machine);
        REQUIRE(session.Start({kMinRingBytes, 64, 64, 0}) == STATUS_SUCCESS);
        REQUIRE(session.AddDriver(DRIVERMON_ECHO_DRIVER_NAME) == STATUS_SUCCESS);
        auto echo = OpenEcho(*machine);
        constexpr int kRequests = 1000;
        Echo(*echo, kRequests);
        // There is room again: the loss is told before the next record.
        std::vector<uint8_t> data(kMinDataBytes);
        uint32_t returned = 0;
        REQUIRE(session.handle().Control(kControlGetData, nullptr, 0, data.data(), kMinDataBytes, &returned) ==
                STATUS_SUCCESS);
        CHECK(returned > 0);
        Echo(*echo, 1);
        echo.reset();
        REQUIRE(session.Stop() == STATUS_SUCCESS);
        const Totals totals = session.Counters();
        CheckEqualities(totals);
        CHECK(totals.Sum(&FunctionCounters::arrivals) == kRequests + 4);
        CHECK(totals.Sum(&FunctionCounters::completions) == kRequests + 4);
        const Captured captured = session.Finish();
        uint64_t told = captured.lostStarts, starts = 0;
        for (uint32_t at = 0; at < returned;) {
            RecordHeader header;
            std::memcpy(&header, &data[at], sizeof(header));
            starts += header.type == kRecordRequestStart;
            if (header.type == kRecordLoss) {
                LossRecord loss;
                std::memcpy(&loss, &data[at], sizeof(loss));
                told += loss.starts[kLossRingFull];
            }
            at += header.size;
        }
        starts += captured.Arrivals();
        CHECK(told > 0);
        CHECK(starts + told == kRequests + 4);
        CHECK(totals.reply.dropsStart[kLossRingFull] == told);
    }
}

TEST_CASE("no memory: each allocation may fail, and nothing is left behind") {
    auto machine = sim::Machine::Boot();
    bool happened = true;
    for (int64_t n = 1; happened; n++) {
        REQUIRE(n < 200);
        sim::FailAllocation fail(n);
        sim::Status status;
        auto handle = machine->Open(DRIVERMON_USER_PATH, &status);
        if (handle) {
            const HelloRequest hello{kAbiVersion, kLayoutHash};
            HelloReply reply{};
            handle->Control(kControlHello, &hello, sizeof(hello), &reply, sizeof(reply), nullptr);
            const StartRequest start{kMinRingBytes, 64, 64, 0};
            handle->Control(kControlStart, &start, sizeof(start), nullptr, 0, nullptr);
            const std::u16string name = DRIVERMON_ECHO_DRIVER_NAME;
            const AddDriverRequest add{0, static_cast<uint32_t>(2 * name.size())};
            std::vector<uint8_t> input(sizeof(add) + add.nameLength);
            std::memcpy(input.data(), &add, sizeof(add));
            std::memcpy(input.data() + sizeof(add), name.data(), add.nameLength);
            AddDriverReply added{};
            handle->Control(kControlAddDriver, input.data(), static_cast<uint32_t>(input.size()), &added, sizeof(added),
                            nullptr);
            if (auto echo = machine->Open(DRIVERMON_ECHO_USER_PATH, &status)) {
                char byte = 'x';
                echo->Control(kEchoOutDirect, &byte, 1, &byte, 1, nullptr);
            }
        }
        happened = fail.Happened();
    }
    // And with memory it works.
    CaptureSession session(*machine);
    CHECK(session.Start() == STATUS_SUCCESS);
    CHECK(session.AddDriver(DRIVERMON_ECHO_DRIVER_NAME) == STATUS_SUCCESS);
}

TEST_CASE("no memory at load: the driver does not load, and leaves nothing") {
    bool loaded = false;
    for (int64_t n = 1; !loaded; n++) {
        REQUIRE(n < 100);
        sim::FailAllocation fail(n);
        try {
            auto machine = sim::Machine::Boot();
            loaded = true;
        } catch (const std::runtime_error&) {
        }
    }
}

}  // namespace drivermon::test
