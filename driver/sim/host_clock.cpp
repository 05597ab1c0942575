#include "host_clock.h"

#include <fstream>
#include <string>

namespace drivermon::sim {
namespace {

using Clock = std::chrono::steady_clock;

#ifdef DRIVERMON_HAS_TSC
// Linux has watched it for long, and across all processors, before it says so.
bool HostTrustsTsc() {
    std::string name;
    std::ifstream("/sys/devices/system/clocksource/clocksource0/current_clocksource") >> name;
    return name == "tsc";
}

struct Reading {
    Clock::time_point time;
    uint64_t tsc;
};

// Of some readings the one with the least time around it, lest a thread that was preempted in between be believed.
Reading ReadBoth() {
    Reading best{};
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < 16; i++) {
        const uint64_t before = __rdtsc();
        const auto time = Clock::now();
        const uint64_t after = __rdtsc();
        if (after - before >= least) continue;
        least = after - before;
        best = {time, before + least / 2};
    }
    return best;
}

double MeasureTscFrequency() {
    const Reading begin = ReadBoth();
    while (Clock::now() - begin.time < std::chrono::milliseconds(10)) {
    }
    const Reading end = ReadBoth();
    return static_cast<double>(end.tsc - begin.tsc) / std::chrono::duration<double>(end.time - begin.time).count();
}

// 0: not trusted.
double TscFrequency() {
    static const double frequency = HostTrustsTsc() ? MeasureTscFrequency() : 0;
    return frequency;
}
#endif

uint64_t Ticks(Clock::time_point time, uint64_t frequency) {
    const auto ns = static_cast<uint64_t>(time.time_since_epoch() / std::chrono::nanoseconds(1));
    const uint64_t seconds = ns / 1'000'000'000, rest = ns % 1'000'000'000;
    return seconds * frequency + rest * frequency / 1'000'000'000;
}

}  // namespace

HostClock::HostClock(uint64_t frequency) : frequency_(frequency) {
#ifdef DRIVERMON_HAS_TSC
    const double tscFrequency = TscFrequency();
    if (tscFrequency <= static_cast<double>(frequency)) return;
    perTsc_ = static_cast<uint64_t>(static_cast<double>(frequency) / tscFrequency * 0x1p64);
    const Reading start = ReadBoth();
    startTsc_ = start.tsc;
    start_ = Ticks(start.time, frequency);
#endif
}

uint64_t HostClock::FromSteadyClock() const {
    return Ticks(Clock::now(), frequency_);
}

}  // namespace drivermon::sim
