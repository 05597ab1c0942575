// in_flight_test.cpp: what has arrived and not ended, at any moment.
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

}  // namespace drivermon::test
