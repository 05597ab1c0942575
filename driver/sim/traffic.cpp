#include "traffic.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numbers>

#include "caller.h"
#include "processor.h"
#include "scripts.h"

namespace drivermon::sim {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

// When the next request may go. At a limited rate evenly, but for a slow breath that keeps the mean.
class Pace {
 public:
    Pace(double rate, double phase) : rate_(rate), phase_(phase), start_(Clock::now()), due_(start_) {}

    bool Due() {
        if (rate_ <= 0) return true;
        const auto now = Clock::now();
        if (now < due_) return false;
        // After a stall the debt is not paid back at once.
        due_ = std::max(due_, now - std::chrono::milliseconds(100));
        const double t = Seconds(due_ - start_).count();
        const double breath = 1 + 0.3 * std::sin(2 * std::numbers::pi * t / 11 + phase_) +
                              0.15 * std::sin(2 * std::numbers::pi * t / 3.7 + 2 * phase_);
        due_ += std::chrono::duration_cast<Clock::duration>(Seconds(1 / (rate_ * breath)));
        return true;
    }
    // A while in which nothing is due; short enough that a stop is seen soon.
    void Sleep() const {
        const auto now = Clock::now();
        const auto until = std::min(due_, now + std::chrono::milliseconds(20));
        if (until - now > std::chrono::microseconds(30)) std::this_thread::sleep_until(until);
    }

 private:
    const double rate_, phase_;
    const Clock::time_point start_;
    Clock::time_point due_;
};

// Where every caller waits for a request of its own.
constexpr auto kNobodyCan = std::chrono::microseconds(50);
// A run of so few requests is shared by fewer callers, so that each has something to tell.
constexpr uint64_t kWorthACaller = 64;

}  // namespace

Traffic::Traffic() {
    for (const Program& program : Programs()) {
        processes_.push_back(CreateProcess(program.name, program.parentProcessId, program.processId));
    }
}

Traffic::~Traffic() {
    Stop();
    callers_.clear();
    for (auto process = processes_.rbegin(); process != processes_.rend(); ++process) ExitProcess(process->get());
}

void Traffic::Start(const TrafficOptions& options) {
    Stop();
    stop_ = false;
    callers_.clear();

    std::span<const Role> roles = Roles();
    if (options.count) roles = roles.first(std::clamp<size_t>(options.count / kWorthACaller, 1, roles.size()));
    uint64_t weights = 0;
    for (const Role& role : roles) weights += role.weight;

    uint64_t assigned = 0;
    std::vector<uint64_t> weightOf(ProcessorCount());
    for (size_t i = 0; i < roles.size(); i++) {
        const Role& role = roles[i];
        const auto processor = static_cast<uint32_t>(i % ProcessorCount());
        auto process = std::find_if(processes_.begin(), processes_.end(),
                                    [&](const auto& candidate) { return candidate->id == role.processId; });
        callers_.push_back(std::make_unique<Caller>(process->get(), role.threadId, processor, role.driver, role.script,
                                                    role.weight, options.seed * 0x9E3779B97F4A7C15u + role.threadId));
        // The first caller also gets what does not divide.
        const uint64_t quota = options.count ? options.count * role.weight / weights : Caller::kUnlimited;
        callers_.back()->Begin(quota);
        if (options.count) assigned += quota;
        weightOf[processor] += role.weight;
    }
    if (options.count) callers_.front()->Allow(options.count - assigned);

    running_ = ProcessorCount();
    for (uint32_t processor = 0; processor < ProcessorCount(); processor++) {
        const double share = static_cast<double>(weightOf[processor]) / static_cast<double>(weights);
        workers_.emplace_back(&Traffic::Work, this, processor, options.rate * share);
    }
}

void Traffic::Stop() {
    stop_ = true;
    for (std::thread& worker : workers_) worker.join();
    workers_.clear();
}

std::map<std::u16string, uint64_t> Traffic::Issued() const {
    std::map<std::u16string, uint64_t> issued;
    for (const Role& role : Roles()) issued[role.driver];
    for (const auto& caller : callers_) issued[caller->driver()] += caller->issued();
    return issued;
}

void Traffic::Work(uint32_t processor, double rate) {
    std::vector<Caller*> active;
    for (const auto& caller : callers_) {
        if (caller->processor() == processor) active.push_back(caller.get());
    }
    Pace pace(rate, 1.3 * processor);
    size_t at = 0;
    uint32_t inARow = 0;
    while (!stop_ && !active.empty()) {
        Caller* chosen = nullptr;
        for (size_t tries = active.size(); tries && !chosen; tries--) {
            at %= active.size();
            Caller* caller = active[at];
            if (!caller->GoOn()) {
                caller->End();
                active.erase(active.begin() + static_cast<ptrdiff_t>(at));
                inARow = 0;
                if (active.empty()) break;
            } else if (caller->WantsSlot()) {
                chosen = caller;
            } else {
                at++;
                inARow = 0;
            }
        }
        if (!chosen) {
            if (!active.empty()) std::this_thread::sleep_for(kNobodyCan);
            continue;
        }
        if (!pace.Due()) {
            pace.Sleep();
            continue;
        }
        chosen->UseSlot();
        if (++inARow >= chosen->weight()) {
            at++;
            inARow = 0;
        }
    }
    for (Caller* caller : active) caller->End();
    WaitForCloses();
    running_--;
}

}  // namespace drivermon::sim
