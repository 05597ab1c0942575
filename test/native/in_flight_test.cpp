// in_flight_test.cpp: what has arrived and not ended, at any moment; and drops that were no arrivals.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>

#include "capture_session.h"
#include "scripted_driver.h"
#include "sim/driver_loader.h"
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

// What a fast-I/O routine that hands everything on to an IRP does.
BOOLEAN NTAPI FallThrough(PFILE_OBJECT, BOOLEAN, PVOID, ULONG, PVOID, ULONG, ULONG, PIO_STATUS_BLOCK, PDEVICE_OBJECT) {
    return FALSE;
}

}  // namespace

TEST_CASE("in flight: exactly the requests that wait, IRP by IRP, until each has ended") {
    auto machine = sim::Machine::Boot();
    CaptureSession session(*machine);
    CHECK(session.InFlight().empty());  // nothing hooked yet
    REQUIRE(session.Start() == STATUS_SUCCESS);
    AddDriverReply added{};
    REQUIRE(session.AddDriver(DRIVERMON_ECHO_DRIVER_NAME, &added) == STATUS_SUCCESS);
    auto echo = OpenEcho(*machine);
    std::vector<std::unique_ptr<sim::UserHandle::Pending>> held;
    for (int i = 0; i < 10; i++) held.push_back(echo->BeginControl(kEchoHold, nullptr, 0, nullptr, 0));
    uint32_t total = 0;
    auto waiting = session.InFlight(64, &total);
    CHECK(total == 10);
    REQUIRE(waiting.size() == 10);
    for (const InFlightRequest& request : waiting) {
        CHECK(request.driverId == added.driverId);
        CHECK(request.code == kEchoHold);
        CHECK(request.major == IRP_MJ_DEVICE_CONTROL);
        CHECK(request.held == 0);
        CHECK(request.fastIo == 0);
        CHECK(request.irp != 0);
    }
    // A buffer for three gets three, and is told that there are ten.
    CHECK(session.InFlight(3, &total).size() == 3);
    CHECK(total == 10);
    CHECK(session.InFlight(0, &total).empty());
    CHECK(total == 10);
    for (int i = 0; i < 4; i++) {
        held[static_cast<size_t>(i)]->Cancel();
        REQUIRE(held[static_cast<size_t>(i)]->Wait(sim::kForever));
    }
    waiting = session.InFlight(64, &total);
    CHECK(total == 6);
    CHECK(session.Counters().reply.outstanding == 6);
    REQUIRE(session.Stop() == STATUS_SUCCESS);
    CHECK(session.InFlight().size() == 6);  // of the last epoch still
    const Captured captured = session.Finish();
    for (const InFlightRequest& request : waiting) {
        REQUIRE(captured.requests.count(request.requestId) == 1);
        const Request& recorded = captured.requests.at(request.requestId);
        CHECK(recorded.start->header.timestamp == request.arrival);
        CHECK(recorded.start->irp == request.irp);
        CHECK(recorded.start->processId == request.processId);
        CHECK(recorded.start->threadId == request.threadId);
        CHECK_FALSE(recorded.end);
    }
    // A new epoch does not know them.
    REQUIRE(session.Start() == STATUS_SUCCESS);
    CHECK(session.InFlight().empty());
    for (auto& request : held) {
        request->Cancel();
        REQUIRE(request->Wait(sim::kForever));
    }
}

TEST_CASE("in flight: a fast-I/O call is there while its routine runs") {
    auto machine = sim::Machine::Boot();
    static CaptureSession* asked;
    static std::vector<InFlightRequest> seen;
    seen.clear();
    ScriptedDriver driver(u"Fast");
    FAST_IO_DISPATCH table{};
    table.SizeOfFastIoDispatch = sizeof(table);
    table.FastIoDeviceControl = [](PFILE_OBJECT, BOOLEAN, PVOID, ULONG, PVOID, ULONG, ULONG, PIO_STATUS_BLOCK result,
                                   PDEVICE_OBJECT) -> BOOLEAN {
        seen = asked->InFlight();
        result->Status = STATUS_SUCCESS;
        result->Information = 0;
        return TRUE;
    };
    driver.object()->FastIoDispatch = &table;
    CaptureSession session(*machine);
    asked = &session;
    REQUIRE(session.Start() == STATUS_SUCCESS);
    REQUIRE(session.AddDriver(driver.name()) == STATUS_SUCCESS);
    sim::Status status;
    auto handle = machine->Open(driver.path(), &status);
    REQUIRE(handle);
    CHECK(handle->Control(kCode, nullptr, 0, nullptr, 0, nullptr) == STATUS_SUCCESS);
    REQUIRE(seen.size() == 1);
    CHECK(seen[0].fastIo == 1);
    CHECK(seen[0].irp == 0);
    CHECK(seen[0].major == kFastIoDeviceControl);
    CHECK(seen[0].code == kCode);
    CHECK(session.InFlight().empty());
    handle.reset();
    REQUIRE(session.Stop() == STATUS_SUCCESS);
}

TEST_CASE("in flight: asked while requests come and go, every answer is a request that was") {
    for (bool sections : {true, false}) {
        CAPTURE(sections);
        sim::MachineOptions options;
        options.sections = sections;
        auto machine = sim::Machine::Boot(options);
        CaptureSession session(*machine);
        REQUIRE(session.Start({1u << 22, 0, 0, 0}) == STATUS_SUCCESS);
        REQUIRE(session.AddDriver(DRIVERMON_AFD_DRIVER_NAME) == STATUS_SUCCESS);
        REQUIRE(session.AddDriver(DRIVERMON_ECHO_DRIVER_NAME) == STATUS_SUCCESS);
        session.Follow();
        machine->StartTraffic({77, 0, 10'000});
        std::vector<InFlightRequest> told;
        while (machine->TrafficRunning()) {
            for (const InFlightRequest& request : session.InFlight(4096)) told.push_back(request);
        }
        machine->StopTraffic();
        CHECK(session.InFlight().empty());
        REQUIRE(session.Stop() == STATUS_SUCCESS);
        const Captured captured = session.Finish();
        CHECK_FALSE(told.empty());
        uint64_t wrong = 0;
        for (const InFlightRequest& request : told) {
            auto found = captured.requests.find(request.requestId);
            if (found == captured.requests.end()) {
                wrong++;
                continue;
            }
            const RequestStart& start = *found->second.start;
            wrong += start.header.timestamp != request.arrival || start.irp != request.irp ||
                     start.code != request.code || start.threadId != request.threadId ||
                     start.processId != request.processId || start.header.driverId != request.driverId ||
                     start.major != request.major;
        }
        CHECK(wrong == 0);
    }
}

TEST_CASE("a dropped start whose call fell through was no arrival, and is counted as such") {
    auto machine = sim::Machine::Boot();
    ScriptedDriver driver(u"Through");
    FAST_IO_DISPATCH table{};
    table.SizeOfFastIoDispatch = sizeof(table);
    table.FastIoDeviceControl = FallThrough;
    driver.object()->FastIoDispatch = &table;
    CaptureSession session(*machine);
    REQUIRE(session.Start({kMinRingBytes, 64, 64, 0}) == STATUS_SUCCESS);
    REQUIRE(session.AddDriver(driver.name()) == STATUS_SUCCESS);
    sim::Status status;
    auto handle = machine->Open(driver.path(), &status);
    REQUIRE(handle);
    constexpr uint64_t kCalls = 500;
    for (uint64_t i = 0; i < kCalls; i++) {
        CHECK(handle->Control(kCode, nullptr, 0, nullptr, 0, nullptr) == STATUS_SUCCESS);
    }
    handle.reset();
    REQUIRE(session.Stop() == STATUS_SUCCESS);
    const Totals totals = session.Counters();
    const Captured captured = session.Finish();
    uint64_t calls = 0, irps = 0;
    for (const auto& [id, request] : captured.requests) {
        if (!request.start) continue;
        (request.start->flags & kRequestFastIo ? calls : irps)++;
    }
    const uint64_t dropped = totals.reply.dropsStart[kLossRingFull] + totals.reply.dropsStart[kLossRecordTooLarge];
    CHECK(totals.Sum(&FunctionCounters::fellThrough) == kCalls);
    CHECK(totals.reply.dropsFellThrough == kCalls - calls);
    CHECK(totals.reply.dropsFellThrough > 0);
    CHECK(dropped - totals.reply.dropsFellThrough == kCalls + 3 - irps);
}

TEST_CASE("traffic into tiny rings: arrivals captured and arrivals dropped are the requests issued") {
    auto machine = sim::Machine::Boot();
    CaptureSession session(*machine);
    REQUIRE(session.Start({kMinRingBytes, 256, 256, 0}) == STATUS_SUCCESS);
    REQUIRE(session.AddDriver(DRIVERMON_AFD_DRIVER_NAME) == STATUS_SUCCESS);
    REQUIRE(session.AddDriver(DRIVERMON_ECHO_DRIVER_NAME) == STATUS_SUCCESS);
    session.Follow();
    machine->StartTraffic({21, 0, 20'000});
    while (machine->TrafficRunning()) std::this_thread::yield();
    machine->StopTraffic();
    REQUIRE(session.Stop() == STATUS_SUCCESS);
    const CountersReply reply = session.Counters().reply;
    const uint64_t fellThrough = session.Counters().Sum(&FunctionCounters::fellThrough);
    const Captured captured = session.Finish();
    uint64_t starts = 0, toldFellThrough = 0;
    for (const auto& [id, request] : captured.requests) {
        starts += request.start.has_value();
        toldFellThrough += request.start && request.FellThrough();
    }
    // A start whose end was dropped does not tell that its call fell through; the counters do.
    const uint64_t recordedFellThrough = fellThrough - reply.dropsFellThrough;
    CHECK(toldFellThrough <= recordedFellThrough);
    const uint64_t dropped = reply.dropsStart[kLossRingFull] + reply.dropsStart[kLossRecordTooLarge];
    CHECK(reply.dropsFellThrough > 0);
    CHECK(dropped - reply.dropsFellThrough + starts - recordedFellThrough == 20'000);
}

}  // namespace drivermon::test
