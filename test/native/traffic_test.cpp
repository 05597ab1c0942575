// traffic_test.cpp: seeded callers against the whole driver: what they sent is what was captured and counted.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <thread>
#include <tuple>

#include "capture_session.h"
#include "targets/afd_protocol.h"
#include "targets/echo_protocol.h"

namespace drivermon::test {
namespace {

struct Run {
    Captured captured;
    Totals totals;
    std::map<std::u16string, uint64_t> issued;
    std::map<std::u16string, uint32_t> ids;
};

// All of it fits, however seldom the follower gets to run.
constexpr uint32_t kRoomForAll = 1u << 24;

Run RunTraffic(const sim::TrafficOptions& traffic, bool sections, uint32_t ringBytes = kRoomForAll) {
    sim::MachineOptions options;
    options.sections = sections;
    auto machine = sim::Machine::Boot(options);
    CaptureSession session(*machine);
    REQUIRE(session.Start({ringBytes, 256, 256, 0}) == 0);
    Run run;
    for (const std::u16string& name :
         {std::u16string(DRIVERMON_AFD_DRIVER_NAME), std::u16string(DRIVERMON_ECHO_DRIVER_NAME)}) {
        AddDriverReply reply{};
        REQUIRE(session.AddDriver(name, &reply) == 0);
        run.ids[name] = reply.driverId;
    }
    session.Follow();
    machine->StartTraffic(traffic);
    while (machine->TrafficRunning()) std::this_thread::yield();
    machine->StopTraffic();
    run.issued = machine->Issued();
    REQUIRE(session.Stop() == 0);
    run.totals = session.Counters();
    run.captured = session.Finish();
    return run;
}

// What each thread asked for, in its order.
using Asked = std::tuple<uint8_t, uint32_t, uint32_t, uint32_t>;
std::map<uint32_t, std::vector<Asked>> ByThread(const Captured& captured) {
    std::map<uint32_t, std::vector<std::pair<uint64_t, Asked>>> timed;
    for (const auto& [id, request] : captured.requests) {
        if (!request.start || request.FellThrough() || request.start->major == 0x12 || request.start->major == 0x02) {
            continue;  // a CLOSE comes from whoever was last
        }
        const RequestStart& start = *request.start;
        const uint8_t major = start.flags & kRequestFastIo ? 0x0E : start.major;
        timed[start.threadId].push_back({start.header.timestamp * 4096 + id % 4096,
                                         Asked(major, start.code, start.inputLength, start.outputLength)});
    }
    std::map<uint32_t, std::vector<Asked>> result;
    for (auto& [thread, requests] : timed) {
        std::sort(requests.begin(), requests.end());
        for (auto& [time, asked] : requests) result[thread].push_back(asked);
    }
    return result;
}

}  // namespace

TEST_CASE("traffic issued is traffic captured and counted") {
    for (bool sections : {true, false}) {
        CAPTURE(sections);
        const Run run = RunTraffic({11, 0, 20'000}, sections);
        uint64_t total = 0;
        for (const auto& [name, issued] : run.issued) {
            total += issued;
            uint64_t captured = 0, counted = 0;
            for (const auto& [id, request] : run.captured.requests) {
                captured +=
                    request.start && request.start->header.driverId == run.ids.at(name) && !request.FellThrough();
            }
            for (const FunctionCounters& counters : run.totals.functions) {
                if (counters.driverId == run.ids.at(name)) counted += counters.arrivals - counters.fellThrough;
            }
            CHECK(captured == issued);
            CHECK(counted == issued);
        }
        CHECK(total == 20'000);
        CHECK(run.captured.lostStarts == 0);
        CHECK(run.captured.lostEnds == 0);
        CHECK(run.totals.reply.outstanding == 0);
        uint64_t ends = 0;
        for (const auto& [id, request] : run.captured.requests) ends += request.start && request.end;
        CHECK(ends == run.captured.requests.size());
        CHECK(run.totals.Sum(&FunctionCounters::cancelled) > 0);
        CHECK(run.totals.Sum(&FunctionCounters::errors) > 0);
        CHECK(run.totals.Sum(&FunctionCounters::pended) > 0);
    }
}

TEST_CASE("counters say what the records say, function by function") {
    const Run run = RunTraffic({5, 0, 5'000}, true);
    for (const FunctionCounters& counters : run.totals.functions) {
        CAPTURE(counters.driverId);
        CAPTURE(counters.function);
        FunctionCounters seen{};
        for (const auto& [id, request] : run.captured.requests) {
            const RequestStart& start = *request.start;
            const uint32_t function =
                start.flags & kRequestFastIo ? kMajorFunctionCount + start.major : uint32_t{start.major};
            if (start.header.driverId != counters.driverId || function != counters.function) continue;
            const RequestEnd& end = *request.end;
            seen.arrivals++;
            seen.completions++;
            seen.fellThrough += (end.flags & kRequestFellThrough) != 0;
            seen.pended += (end.flags & kRequestPended) != 0;
            seen.cancelled += end.status == 0xC0000120;
        }
        CHECK(counters.arrivals == seen.arrivals);
        CHECK(counters.completions == seen.completions);
        CHECK(counters.fellThrough == seen.fellThrough);
        CHECK(counters.pended == seen.pended);
        CHECK(counters.cancelled == seen.cancelled);
        uint64_t inHistogram = 0;
        for (uint64_t bucket : counters.latency) inHistogram += bucket;
        CHECK(inHistogram == counters.completions);
    }
}

TEST_CASE("the same seed gives every caller the same requests; another seed does not") {
    const auto first = ByThread(RunTraffic({42, 0, 3'000}, true).captured);
    const auto again = ByThread(RunTraffic({42, 0, 3'000}, true).captured);
    const auto other = ByThread(RunTraffic({43, 0, 3'000}, true).captured);
    CHECK(first == again);
    CHECK(first != other);
}

TEST_CASE("traffic can be stopped at any time, with requests outstanding") {
    auto machine = sim::Machine::Boot();
    for (double rate : {0.0, 50.0, 5000.0}) {
        CaptureSession session(*machine);
        REQUIRE(session.Start({1u << 20, 64, 64, 0}) == 0);
        REQUIRE(session.AddDriver(DRIVERMON_AFD_DRIVER_NAME) == 0);
        REQUIRE(session.AddDriver(DRIVERMON_ECHO_DRIVER_NAME) == 0);
        session.Follow();
        machine->StartTraffic({1, rate, 0});
        uint64_t issued = 0;
        while (issued < 5) {
            std::this_thread::yield();
            issued = 0;
            for (const auto& [name, count] : machine->Issued()) issued += count;
        }
        machine->StopTraffic();
        CHECK_FALSE(machine->TrafficRunning());
        issued = 0;
        for (const auto& [name, count] : machine->Issued()) issued += count;
        REQUIRE(session.Stop() == 0);
        const Totals totals = session.Counters();
        CHECK(totals.Sum(&FunctionCounters::arrivals) - totals.Sum(&FunctionCounters::fellThrough) == issued);
        CHECK(totals.reply.outstanding == 0);
        session.Finish();
    }
}

TEST_CASE("at any speed into rings too small: written and lost add up to what was issued") {
    const Run run = RunTraffic({9, 0, 30'000}, true, 1u << 12);
    uint64_t starts = 0;
    for (const auto& [id, request] : run.captured.requests) starts += request.start.has_value();
    const uint64_t arrivals = run.totals.Sum(&FunctionCounters::arrivals);
    CHECK(arrivals - run.totals.Sum(&FunctionCounters::fellThrough) == 30'000);
    CHECK(starts + run.totals.reply.dropsStart[kLossRingFull] == arrivals);
    CHECK(run.captured.lostStarts == run.totals.reply.dropsStart[kLossRingFull]);
}

}  // namespace drivermon::test
