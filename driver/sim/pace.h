// pace.h: how many requests a worker has been allowed by when.
//
// All workers together keep the rate exactly; how it is spread over them breathes a little, so that a chart has
// something to show. What a late worker has not sent it may catch up on, within limits.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace drivermon::sim {

class Pace {
 public:
    static constexpr double kBreathSeconds = 11;
    static constexpr double kMostDebtSeconds = 1;

    // `rate`: this worker's, on the mean; `swing`: by how much it goes up and down; `phase`: when. Equal swings that
    // are evenly apart in phase add up to nothing.
    Pace(double rate, double swing, double phase) : rate_(rate), swing_(swing / kOmega), phase_(phase) {}

    // What has become due since the last time, `seconds` after the start.
    uint64_t TakeCredit(double seconds) {
        const double due = rate_ * seconds + swing_ * (std::cos(phase_) - std::cos(kOmega * seconds + phase_));
        given_ = std::max(given_, std::floor(due - kMostDebtSeconds * rate_));
        const double credit = std::max(0.0, std::floor(due - given_));
        given_ += credit;
        return static_cast<uint64_t>(credit);
    }

    // How long to sleep while nothing is due: not so short that the host's processor does nothing but fall asleep and
    // wake up, and not so long that a stop is seen late.
    double SleepSeconds() const { return std::clamp(1 / rate_, 200e-6, 20e-3); }

    bool Unlimited() const { return rate_ <= 0; }

 private:
    static constexpr double kOmega = 2 * std::numbers::pi / kBreathSeconds;

    double rate_, swing_, phase_;
    double given_ = 0;  // credit so far
};

}  // namespace drivermon::sim
