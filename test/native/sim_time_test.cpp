// sim_time_test.cpp: the simulator's two dealings with time: the performance counter, and how fast callers may go.
#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <numbers>
#include <vector>

#include "sim/host_clock.h"
#include "sim/pace.h"

namespace drivermon::test {
namespace {

using sim::HostClock;
using sim::Pace;

constexpr double kRate = 100'000;

// `count` workers that share a rate unequally, as Traffic spreads it.
std::vector<Pace> Workers(uint32_t count) {
    std::vector<Pace> workers;
    const double weights = count * (count + 1) / 2.0;
    for (uint32_t i = 0; i < count; i++) {
        workers.emplace_back(kRate * (i + 1) / weights, count == 1 ? 0 : 0.3 * kRate / weights,
                             2 * std::numbers::pi * i / count);
    }
    return workers;
}

}  // namespace

TEST_CASE("the performance counter tells the host's time, at any frequency, and never runs backwards") {
    for (uint64_t frequency : {10'000'000ull, 3'579'545ull, 24'000'000ull}) {
        CAPTURE(frequency);
        const HostClock clock(frequency);
        const auto host = [&] {
            const auto now = std::chrono::steady_clock::now().time_since_epoch();
            return std::chrono::duration<double>(now).count() * static_cast<double>(frequency);
        };
        // The time stamp counter's frequency was measured: it may be off by a few millionths.
        const double slack = static_cast<double>(frequency) / 1000;
        uint64_t last = 0;
        for (int i = 0; i < 1000; i++) {
            const double before = host();
            const uint64_t now = clock.Now();
            const double after = host();
            CHECK(static_cast<double>(now) > before - slack);
            CHECK(static_cast<double>(now) < after + slack);
            CHECK(now >= last);
            last = now;
        }
        CHECK(clock.frequency() == frequency);
    }
}

TEST_CASE("all workers together keep the rate at any time, though each one's breathes") {
    for (uint32_t count : {1u, 2u, 3u, 8u}) {
        CAPTURE(count);
        std::vector<Pace> workers = Workers(count);
        std::vector<double> given(count), secondAgo(count);
        double least = kRate, most = 0;
        for (int step = 1; step <= 12'000; step++) {
            const double seconds = step / 1000.0;
            double sum = 0;
            for (uint32_t i = 0; i < count; i++) {
                given[i] += static_cast<double>(workers[i].TakeCredit(seconds));
                sum += given[i];
            }
            CHECK(std::abs(sum - kRate * seconds) <= count);
            if (step % 1000 != 0) continue;
            least = std::min(least, given[0] - secondAgo[0]);
            most = std::max(most, given[0] - secondAgo[0]);
            secondAgo = given;
        }
        CHECK((most > 1.3 * least) == (count > 1));
    }
}

TEST_CASE("a worker that is late catches up, but not on more than a second") {
    Pace pace(kRate, 0, 0);
    CHECK(pace.TakeCredit(0.5) == kRate / 2);
    CHECK(pace.TakeCredit(0.5) == 0);
    CHECK(pace.TakeCredit(1.25) == 3 * kRate / 4);
    CHECK(pace.TakeCredit(60) == Pace::kMostDebtSeconds * kRate);
    CHECK(pace.TakeCredit(60.001) == kRate / 1000);
}

}  // namespace drivermon::test
