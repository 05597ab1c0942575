// stress.cpp: see stress.h.
#include "stress.h"

#include <atomic>
#include <chrono>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>
#include <thread>

#include "client.h"
#include "scenario.h"
#include "targets/echo_protocol.h"

namespace drivermon::caller {
namespace {

using namespace drivermon::targets;

constexpr uint32_t kThreads = 8;
constexpr int32_t kCancelled = static_cast<int32_t>(0xC0000120);

void Check(bool holds, const std::string& what) {
    if (!holds) throw std::runtime_error("this does not hold: " + what);
}

// What one thread has asked.
struct Asked {
    uint64_t opened = 0;
    uint64_t controls = 0;
    uint64_t pended = 0;
    uint64_t cancelled = 0;

    void Add(const Asked& other) {
        opened += other.opened;
        controls += other.controls;
        pended += other.pended;
        cancelled += other.cancelled;
    }
};

class Asker {
 public:
    Asker(Handle::Opener open, CancelRace race, uint32_t seed) : race_(race), open_(open), state_(seed) {}

    Asked AskUntil(const std::atomic<bool>& enough) {
        while (!enough) {
            sim::Status status;
            const auto echo = open_(DRIVERMON_ECHO_USER_PATH, false, &status);
            Check(echo != nullptr, "the echo driver opens");
            asked_.opened++;
            for (int i = 0; i < 50 && !enough; i++) {
                AskAtOnce(*echo);
                AskLater(*echo);
                AskAndCancel(*echo);
            }
        }
        return asked_;
    }

 private:
    uint32_t Below(uint32_t bound) {
        state_ = state_ * 6364136223846793005ull + 1442695040888963407ull;
        return static_cast<uint32_t>(state_ >> 33) % bound;
    }

    void AskAtOnce(sim::UserHandle& echo) {
        const uint32_t code = Below(2) ? kEchoBuffered : kEchoOutDirect;
        const Bytes in = Payload(1 + Below(64), Below(1000));
        Bytes out(in.size());
        uint32_t returned = 0;
        const auto size = static_cast<uint32_t>(in.size());
        Check(echo.Control(code, in.data(), size, out.data(), size, &returned) == 0, "an echo succeeds");
        Check(returned == size && out == in, "an echo returns what it was given");
        asked_.controls++;
    }

    // Ended by its timer.
    void AskLater(sim::UserHandle& echo) {
        Bytes in = Payload(sizeof(EchoPendRequest) + 8, Below(1000)), out(8);
        const EchoPendRequest request{1 + Below(1'500), 0};
        std::memcpy(in.data(), &request, sizeof(request));
        const auto pending = echo.BeginControl(kEchoPend, in.data(), static_cast<uint32_t>(in.size()), out.data(), 8);
        // A race with the timer, half of the time.
        const bool cancels = race_ == CancelRace::Yes && Below(2) != 0;
        if (cancels) {
            pending->Wait(Below(3));
            pending->Cancel();
        }
        const sim::Status status = End(*pending);
        Check(status == 0 || (cancels && status == kCancelled), "a request with a timer ends with it");
        if (status == 0) Check(std::memcmp(out.data(), in.data() + sizeof(request), 8) == 0, "with its output");
    }

    // Ended by a cancel.
    void AskAndCancel(sim::UserHandle& echo) {
        const auto pending = echo.BeginControl(kEchoHold, nullptr, 0, nullptr, 0);
        if (Below(2)) pending->Wait(Below(3));
        pending->Cancel();
        Check(End(*pending) == kCancelled, "a request without a timer ends when it is cancelled");
    }

    sim::Status End(sim::UserHandle::Pending& pending) {
        Check(pending.Wait(60'000), "a request ends within a minute");
        uint32_t returned = 0;
        const sim::Status status = pending.Result(&returned);
        asked_.controls++;
        asked_.pended++;
        if (status == kCancelled) asked_.cancelled++;
        return status;
    }

    const CancelRace race_;
    const Handle::Opener open_;
    uint64_t state_;
    Asked asked_;
};

// Runs `meanwhile` again and again while all threads ask. Returns what they have asked.
template <typename Meanwhile>
Asked AskFromAllThreads(Handle::Opener open, CancelRace race, uint32_t milliseconds, Meanwhile meanwhile) {
    std::atomic<bool> enough{false};
    std::exception_ptr failures[kThreads];
    Asked asked[kThreads];
    std::vector<std::thread> threads;
    for (uint32_t i = 0; i < kThreads; i++) {
        threads.emplace_back([&, i] {
            try {
                asked[i] = Asker(open, race, i + 1).AskUntil(enough);
            } catch (...) {
                failures[i] = std::current_exception();
            }
        });
    }
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
    while (std::chrono::steady_clock::now() < end) meanwhile();
    enough = true;
    for (std::thread& thread : threads) thread.join();
    Asked sum;
    for (uint32_t i = 0; i < kThreads; i++) {
        if (failures[i]) std::rethrow_exception(failures[i]);
        sum.Add(asked[i]);
    }
    return sum;
}

void AMoment() {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
}

}  // namespace

void RunStress(uint32_t seconds, CancelRace race, Handle::Opener open) {
    Client client(open);
    Predicates predicates{};
    predicates.flags = kPredicateOwnProcesses;
    client.SetPredicates(predicates);
    client.Start({16, 16});
    uint64_t hooks = 0;
    const Asked shaken = AskFromAllThreads(open, race, seconds * 500, [&] {
        const uint32_t id = client.Hook(DRIVERMON_ECHO_DRIVER_NAME);
        AMoment();
        Check(client.Unhook(id), "the driver's own routines are back");
        AMoment();
        hooks++;
    });
    client.Stop();
    Check(client.Hooked() == 0, "nothing is hooked any more");
    std::printf("%llu requests, %llu cancelled, hooked and unhooked %llu times\n",
                static_cast<unsigned long long>(shaken.controls), static_cast<unsigned long long>(shaken.cancelled),
                static_cast<unsigned long long>(hooks));

    client.Hook(DRIVERMON_ECHO_DRIVER_NAME);
    client.Start({16, 16});
    const Asked asked = AskFromAllThreads(open, race, seconds * 500, AMoment);
    client.Stop();
    const Client::Counters counters = client.ReadCounters();
    uint64_t opened = 0;
    FunctionCounters controls{};
    for (const FunctionCounters& each : counters.functions) {
        if (each.function == static_cast<uint32_t>(Major::Create)) opened = each.arrivals;
        if (each.function == static_cast<uint32_t>(Major::DeviceControl)) controls = each;
    }
    Check(opened == asked.opened, "each CREATE is counted");
    Check(controls.arrivals == asked.controls, "each request is counted");
    Check(controls.completions == asked.controls && controls.unseen == 0, "and its end");
    Check(controls.pended == asked.pended, "and whether it pended");
    Check(controls.cancelled == asked.cancelled, "and was cancelled");
    Check(controls.success == asked.controls - asked.cancelled, "or succeeded");
    Check(counters.totals.outstanding == 0, "nothing is in flight");
    uint64_t dropped = counters.totals.dropsOther;
    dropped += counters.totals.dropsStart[kLossRingFull] + counters.totals.dropsEnd[kLossRingFull];
    Check(counters.totals.offered == counters.totals.written + dropped, "each record is there, or counted as dropped");
    std::printf("%llu requests, %llu cancelled, all counted; %llu records, %llu dropped\n",
                static_cast<unsigned long long>(asked.controls), static_cast<unsigned long long>(asked.cancelled),
                static_cast<unsigned long long>(counters.totals.written), static_cast<unsigned long long>(dropped));
}

}  // namespace drivermon::caller
