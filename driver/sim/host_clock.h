// host_clock.h: a counter of any frequency, from the host's fastest clock that can be trusted.
//
// Every record has a time stamp, and a call into the host's clock costs as much as the rest of the record. Where the
// host's kernel itself keeps time by the processor's time stamp counter, so do we: read it, multiply. Elsewhere, and
// under a sanitizer's or an emulator's processor that says nothing, it is the host's steady clock.
#pragma once

#include <chrono>
#include <cstdint>

#if defined(__linux__) && defined(__x86_64__)
#include <x86intrin.h>
#define DRIVERMON_HAS_TSC 1
#endif

namespace drivermon::sim {

class HostClock {
 public:
    HostClock() = default;
    // Takes some milliseconds, once in a process: the time stamp counter's own frequency has to be measured.
    explicit HostClock(uint64_t frequency);

    uint64_t frequency() const { return frequency_; }
    // Never runs backwards on one processor.
    uint64_t Now() const {
#ifdef DRIVERMON_HAS_TSC
        using Wide = unsigned __int128;
        if (perTsc_) return start_ + static_cast<uint64_t>(Wide{__rdtsc() - startTsc_} * perTsc_ >> 64);
#endif
        return FromSteadyClock();
    }

 private:
    uint64_t FromSteadyClock() const;

    uint64_t frequency_ = 1;
    uint64_t perTsc_ = 0;  // ticks per count of the time stamp counter, times 2^64; 0: it is not trusted
    uint64_t startTsc_ = 0;
    uint64_t start_ = 0;  // the steady clock's at startTsc_: both agree on when zero was
};

}  // namespace drivermon::sim
