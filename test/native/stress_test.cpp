// stress_test.cpp: everything at once. Eight threads send requests while hooks come and go, captures start and stop,
// and every query is asked; ThreadSanitizer looks on (npm test -- tsan). At the end the sums hold.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <functional>
#include <map>
#include <thread>
#include <vector>

#include "capture_session.h"
#include "targets/afd_protocol.h"
#include "targets/echo_protocol.h"

namespace drivermon::test {
namespace {

using namespace targets;

constexpr int kCallers = 8;
constexpr sim::Status kSuccess = 0;
constexpr sim::Status kEndOfFile = static_cast<sim::Status>(0xC0000011);
constexpr sim::Status kCancelled = static_cast<sim::Status>(0xC0000120);

// One of each kind of request, each ending as it would without a hook.
void SendRound(sim::UserHandle& echo) {
    char in[16] = "0123456789abcde", out[16];
    CHECK(echo.Control(kEchoBuffered, in, sizeof(in), out, sizeof(out), nullptr) == kSuccess);
    CHECK(std::memcmp(in, out, sizeof(in)) == 0);
    CHECK(echo.Control(kEchoOutDirect, in, sizeof(in), out, sizeof(out), nullptr) == kSuccess);
    CHECK(echo.Control(kEchoNeither, in, sizeof(in), out, sizeof(out), nullptr) == kSuccess);
    const EchoPendRequest pend{0, 0};
    std::memcpy(in, &pend, sizeof(pend));
    CHECK(echo.Control(kEchoPend, in, sizeof(in), out, sizeof(out), nullptr) == kSuccess);
    auto held = echo.BeginControl(kEchoHold, nullptr, 0, nullptr, 0);
    held->Cancel();
    CHECK(held->Wait(sim::kForever));
    CHECK(held->Result(nullptr) == kCancelled);
}
constexpr uint64_t kRequestsInRound = 5;

std::unique_ptr<sim::UserHandle> OpenEcho(sim::Machine& machine) {
    sim::Status status;
    auto echo = machine.Open(DRIVERMON_ECHO_USER_PATH, &status);
    CHECK(echo);
    return echo;
}

// What is read while everything moves: monotonic within a capture, and never more done than begun.
class Watcher {
 public:
    void Look(CaptureSession& session) {
        const Totals totals = session.Counters();
        const CountersReply& now = totals.reply;
        CHECK(totals.Sum(&FunctionCounters::arrivals) >= totals.Sum(&FunctionCounters::completions));
        CHECK(now.written <= now.offered);
        std::vector<uint64_t> counts{now.offered,
                                     now.written,
                                     now.bytesWritten,
                                     now.dropsOther,
                                     now.filteredStarts,
                                     now.sampledOut,
                                     now.heldInputTruncated,
                                     now.filteredFellThrough,
                                     now.sampledOutFellThrough,
                                     now.payloadsBeyondReach};
        for (const auto* drops : {now.dropsStart, now.dropsEnd, now.dropsFellThrough}) {
            counts.insert(counts.end(), drops, drops + kLossReasonCount);
        }
        std::map<std::pair<uint32_t, uint32_t>, FunctionCounters> functions;
        for (const FunctionCounters& each : totals.functions) functions[{each.driverId, each.function}] = each;
        if (!counts_.empty() && now.epoch == epoch_) {
            CHECK(NeverLess(counts, counts_));
            // A driver that goes leaves its counts.
            for (const auto& [which, before] : functions_) {
                CHECK(functions.count(which) == 1);
                CHECK(NeverLess(CountsOf(functions[which]), CountsOf(before)));
            }
        }
        epoch_ = now.epoch;
        counts_ = std::move(counts);
        functions_ = std::move(functions);
    }

 private:
    static std::vector<uint64_t> CountsOf(const FunctionCounters& function) {
        std::vector<uint64_t> counts((sizeof(function) - offsetof(FunctionCounters, arrivals)) / sizeof(uint64_t));
        std::memcpy(counts.data(), &function.arrivals, counts.size() * sizeof(uint64_t));
        return counts;
    }
    static bool NeverLess(const std::vector<uint64_t>& now, const std::vector<uint64_t>& before) {
        return std::equal(now.begin(), now.end(), before.begin(), before.end(), std::greater_equal<>());
    }

    uint64_t epoch_ = 0;
    std::vector<uint64_t> counts_;
    std::map<std::pair<uint32_t, uint32_t>, FunctionCounters> functions_;
};

void CheckEqualities(const Totals& totals) {
    CHECK(totals.Sum(&FunctionCounters::arrivals) == totals.Sum(&FunctionCounters::completions) +
                                                         totals.Sum(&FunctionCounters::unseen) +
                                                         totals.reply.outstanding);
    uint64_t dropped = totals.reply.dropsOther;
    for (LossReason reason : {kLossRingFull, kLossRecordTooLarge}) {
        dropped += totals.reply.dropsStart[reason] + totals.reply.dropsEnd[reason];
    }
    CHECK(totals.reply.offered == totals.reply.written + dropped);
}

void Stress(bool sections, uint32_t processorsAtLoad = 4) {
    sim::MachineOptions options;
    options.processors = 4;
    options.processorsAtLoad = processorsAtLoad;
    options.sections = sections;
    auto machine = sim::Machine::Boot(options);
    CaptureSession session(*machine);
    const StartRequest start{1u << 14, 64, 64, 0};
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;

    for (int i = 0; i < kCallers; i++) {
        threads.emplace_back([&] {
            auto echo = OpenEcho(*machine);
            while (!stop) SendRound(*echo);
        });
    }
    threads.emplace_back([&] {
        std::vector<uint8_t> data(kMinDataBytes);
        while (!stop) {
            auto request = session.handle().BeginControl(kControlGetData, nullptr, 0, data.data(), kMinDataBytes);
            while (!request->Wait(1)) {
                if (stop) request->Cancel();
            }
            const sim::Status status = request->Result(nullptr);
            CHECK((status == kSuccess || status == kEndOfFile || status == kCancelled));
        }
    });
    threads.emplace_back([&] {
        Watcher watcher;
        std::vector<uint8_t> output(sizeof(InFlightReply) + 64 * sizeof(InFlightRequest));
        while (!stop) {
            watcher.Look(session);
            for (uint32_t code : {kControlGetInFlight, kControlList}) {
                CHECK(session.handle().Control(code, nullptr, 0, output.data(), static_cast<uint32_t>(output.size()),
                                               nullptr) == kSuccess);
            }
        }
    });
    std::thread hooks([&] {
        for (int i = 0; i < 40; i++) {
            AddDriverReply afd{}, echo{};
            CHECK(session.AddDriver(DRIVERMON_AFD_DRIVER_NAME, &afd) == kSuccess);
            CHECK(session.AddDriver(DRIVERMON_ECHO_DRIVER_NAME, &echo) == kSuccess);
            std::this_thread::yield();
            CHECK(session.RemoveDriver(afd.driverId) == kSuccess);
            CHECK(session.RemoveDriver(echo.driverId) == kSuccess);
        }
    });
    std::thread captures([&] {
        for (int i = 0; i < 40; i++) {
            CHECK(session.Start(start) == kSuccess);
            std::this_thread::yield();
            CHECK(session.Stop() == kSuccess);
        }
    });
    hooks.join();
    captures.join();
    stop = true;
    for (std::thread& thread : threads) thread.join();
    CheckEqualities(session.Counters());

    // A known number of requests at the same pace, and somebody who reads all the while: the counters are exact.
    AddDriverReply added{};
    REQUIRE(session.AddDriver(DRIVERMON_ECHO_DRIVER_NAME, &added) == kSuccess);
    REQUIRE(session.Start(start) == kSuccess);
    constexpr uint64_t kRounds = 100;
    std::atomic<bool> done{false};
    std::thread reader([&] {
        Watcher watcher;
        while (!done) watcher.Look(session);
    });
    std::vector<std::thread> callers;
    for (int i = 0; i < kCallers; i++) {
        callers.emplace_back([&] {
            auto echo = OpenEcho(*machine);
            for (uint64_t round = 0; round < kRounds; round++) SendRound(*echo);
        });
    }
    for (std::thread& caller : callers) caller.join();
    done = true;
    reader.join();
    REQUIRE(session.Stop() == kSuccess);
    const Totals totals = session.Counters();
    CheckEqualities(totals);
    // Of one function: the CLOSE of a handle comes when its last request lets go of it, perhaps in the next capture.
    const auto controls = std::find_if(totals.functions.begin(), totals.functions.end(),
                                       [](const FunctionCounters& counters) { return counters.function == 0x0E; });
    REQUIRE(controls != totals.functions.end());
    CHECK(controls->arrivals == kCallers * kRounds * kRequestsInRound);
    CHECK(controls->completions == controls->arrivals);
    CHECK(controls->cancelled == kCallers * kRounds);
    CHECK(controls->pended == 2 * kCallers * kRounds);
    CHECK(controls->unseen == 0);
}

}  // namespace

TEST_CASE("cancels that race with completions: each request ends once, in one way or the other") {
    for (const bool sections : {true, false}) {
        CAPTURE(sections);
        sim::MachineOptions options;
        options.processors = 4;
        options.sections = sections;
        auto machine = sim::Machine::Boot(options);
        CaptureSession session(*machine);
        REQUIRE(session.Start({1u << 20, 0, 0, 0}) == kSuccess);
        REQUIRE(session.AddDriver(DRIVERMON_ECHO_DRIVER_NAME) == kSuccess);
        auto echo = OpenEcho(*machine);
        constexpr uint32_t kCallersHere = 4, kEach = 200;
        std::atomic<uint64_t> succeeded{0}, cancelled{0}, fetched{0};
        std::atomic<bool> done{false}, readerHasEnded{false};

        std::vector<std::thread> callers;
        for (uint32_t i = 0; i < kCallersHere; i++) {
            callers.emplace_back([&, i] {
                for (uint32_t n = 0; n < kEach; n++) {
                    // Of many lengths, so that the cancels come before it is over, after it, and in the middle.
                    const EchoPendRequest pend{1 + (n * 37 + i * 101) % 300, 0};
                    auto request = echo->BeginControl(kEchoPend, &pend, sizeof(pend), nullptr, 0);
                    CHECK(request->Wait(sim::kForever));
                    const sim::Status status = request->Result(nullptr);
                    CHECK((status == kSuccess || status == kCancelled));
                    (status == kSuccess ? succeeded : cancelled)++;
                }
            });
        }
        // A GetData that waits is cancelled by the same threads, and woken by the records of those requests.
        std::vector<uint8_t> stream;
        std::thread reader([&] {
            std::vector<uint8_t> data(kMinDataBytes);
            while (!done) {
                auto request = session.handle().BeginControl(kControlGetData, nullptr, 0, data.data(), kMinDataBytes);
                CHECK(request->Wait(sim::kForever));
                uint32_t bytes = 0;
                const sim::Status status = request->Result(&bytes);
                CHECK((status == kSuccess || status == kCancelled));
                if (status == kSuccess) stream.insert(stream.end(), data.begin(), data.begin() + bytes);
                fetched++;
            }
        });
        std::vector<std::thread> cancellers;
        for (int i = 0; i < 2; i++) {
            cancellers.emplace_back([&] {
                while (!readerHasEnded) {
                    echo->CancelAll();
                    session.handle().CancelAll();
                    std::this_thread::yield();
                }
            });
        }
        for (std::thread& caller : callers) caller.join();
        done = true;
        reader.join();
        readerHasEnded = true;
        for (std::thread& canceller : cancellers) canceller.join();
        REQUIRE(session.Stop() == kSuccess);

        const Totals totals = session.Counters();
        CheckEqualities(totals);
        CHECK(succeeded + cancelled == kCallersHere * kEach);
        const auto controls = std::find_if(totals.functions.begin(), totals.functions.end(),
                                           [](const FunctionCounters& counters) { return counters.function == 0x0E; });
        REQUIRE(controls != totals.functions.end());
        CHECK(controls->arrivals == kCallersHere * kEach);
        CHECK(controls->completions == kCallersHere * kEach);
        CHECK(controls->success == succeeded);
        CHECK(controls->cancelled == cancelled);
        CHECK(totals.reply.outstanding == 0);
        // And so say the records: those that the reader fetched, and the rest.
        const Captured rest = session.Finish();
        std::map<uint64_t, uint32_t> ends;  // by request
        for (const auto& [id, request] : rest.requests) {
            if (request.end && request.end->major == 0x0E) ends[id]++;
        }
        for (size_t at = 0; at < stream.size();) {
            RequestEnd end{};
            std::memcpy(&end, &stream[at], std::min(sizeof(end), stream.size() - at));
            if (end.header.type == kRecordRequestEnd && end.major == 0x0E) ends[end.requestId]++;
            at += end.header.size;
        }
        CHECK(ends.size() == kCallersHere * kEach);
        for (const auto& [id, times] : ends) CHECK(times == 1);
        MESSAGE(succeeded.load() << " in time, " << cancelled.load() << " cancelled, " << fetched.load() << " GetData");
    }
}

TEST_CASE("everything at once, sections by IRQL") {
    Stress(true);
}

TEST_CASE("everything at once, on processors of which two have appeared after load") {
    Stress(true, 2);
}

TEST_CASE("everything at once, sections by lock") {
    Stress(false);
}

}  // namespace drivermon::test
