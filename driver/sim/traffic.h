// traffic.h: simulated programs that keep the targets busy, from a seed.
//
// Each caller is a thread of a simulated process with a script: a coroutine that asks for a slot, sends one request,
// waits for it if it has to, and so on. What a script does depends on its seed alone, never on time, so a seed gives
// each caller the same requests again; the schedule decides only when.
//
// A worker per processor runs the callers that belong to it. It gives out slots: evenly paced, or as fast as it can.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "machine.h"
#include "process.h"

namespace drivermon::sim {

class Caller;

class Traffic {
 public:
    // The processes exist from here on; nothing is sent before Start.
    Traffic();
    ~Traffic();

    void Start(const TrafficOptions& options);
    // Idempotent.
    void Stop();
    bool Running() const { return running_.load() > 0; }
    std::map<std::u16string, uint64_t> Issued() const;

 private:
    void Work(uint32_t processor, double rate, double swing);

    std::vector<Ref<_EPROCESS>> processes_;
    std::vector<std::unique_ptr<Caller>> callers_;  // of the last start, for their counts
    std::vector<std::thread> workers_;
    std::atomic<bool> stop_{false};
    std::atomic<uint32_t> running_{0};  // workers
};

}  // namespace drivermon::sim
