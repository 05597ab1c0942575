#include "traffic.h"

#include <algorithm>
#include <chrono>
#include <numbers>

#include "caller.h"
#include "pace.h"
#include "processor.h"
#include "scripts.h"

namespace drivermon::sim {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

// Where every caller waits for a request of its own.
constexpr auto kNobodyCan = std::chrono::microseconds(50);
constexpr uint64_t kUnlimitedTurn = 1'000'000;
constexpr uint32_t kThreadIdsApart = 16'384;  // of two threads with the same role

// One per role. Who has to wait now and then sends ten thousand requests a second; where more are wanted, the
// programs have more threads.
size_t HowManyCallers(const TrafficOptions& options) {
    constexpr double kRatePerCaller = 10'000;
    constexpr uint64_t kWorthACaller = 64;  // requests: so that each has something to tell
    constexpr size_t kMost = 256;
    const size_t roles = Roles().size();
    const double wanted = std::min(options.rate / kRatePerCaller, double{kMost});
    size_t callers = options.rate > 0 ? std::max(roles, static_cast<size_t>(wanted)) : kMost;
    if (options.count) callers = std::clamp<size_t>(options.count / kWorthACaller, 1, callers);
    return callers;
}

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

    const std::span<const Role> roles = Roles();
    const size_t callers = HowManyCallers(options);
    uint64_t weights = 0;
    for (size_t i = 0; i < callers; i++) weights += roles[i % roles.size()].weight;

    uint64_t assigned = 0;
    std::vector<uint64_t> weightOf(ProcessorCount());
    for (size_t i = 0; i < callers; i++) {
        const Role& role = roles[i % roles.size()];
        const auto threadId = role.threadId + static_cast<uint32_t>(i / roles.size()) * kThreadIdsApart;
        const auto processor = static_cast<uint32_t>(i % ProcessorCount());
        auto process = std::find_if(processes_.begin(), processes_.end(),
                                    [&](const auto& candidate) { return candidate->id == role.processId; });
        callers_.push_back(std::make_unique<Caller>(process->get(), threadId, processor, role.driver, role.script,
                                                    role.weight, options.seed * 0x9E3779B97F4A7C15u + threadId));
        // The first caller also gets what does not divide.
        const uint64_t quota = options.count ? options.count * role.weight / weights : Caller::kUnlimited;
        callers_.back()->Begin(quota);
        if (options.count) assigned += quota;
        weightOf[processor] += role.weight;
    }
    if (options.count) callers_.front()->Allow(options.count - assigned);

    running_ = ProcessorCount();
    // Equal swings, evenly apart in phase, add up to nothing.
    const double ratePerWeight = options.rate / static_cast<double>(weights);
    const double swing =
        ProcessorCount() == 1 ? 0 : 0.3 * ratePerWeight * static_cast<double>(*std::ranges::min_element(weightOf));
    for (uint32_t processor = 0; processor < ProcessorCount(); processor++) {
        workers_.emplace_back(&Traffic::Work, this, processor, ratePerWeight * static_cast<double>(weightOf[processor]),
                              swing);
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

void Traffic::Work(uint32_t processor, double rate, double swing) {
    std::vector<Caller*> active;
    for (const auto& caller : callers_) {
        if (caller->processor() == processor) active.push_back(caller.get());
    }
    Pace pace(rate, swing, 2 * std::numbers::pi * processor / ProcessorCount());
    const auto start = Clock::now();
    uint64_t credit = 0;
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
        if (credit == 0) {
            // The clock is read once for all that has become due.
            credit = pace.Unlimited() ? kUnlimitedTurn : pace.TakeCredit(Seconds(Clock::now() - start).count());
            if (credit == 0) {
                std::this_thread::sleep_for(Seconds(pace.SleepSeconds()));
                continue;
            }
        }
        credit--;
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
