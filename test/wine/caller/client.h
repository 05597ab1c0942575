// client.h: a program that captures, in the plainest form: every control call of ours, and records as they come.
#pragma once

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "protocol/control.h"
#include "truth.h"

namespace drivermon::caller {

// What is kept of each input and output.
struct SnapLengths {
    uint32_t input, output;
};

class Client {
 public:
    // Opens our driver and says hello. Throws std::runtime_error, as all calls do, when it is refused.
    explicit Client(Handle::Opener open);

    uint64_t TicksPerSecond() const { return hello_.frequency; }

    // Returns the driver's id.
    uint32_t Hook(const std::u16string& driver);
    // True: nothing of ours is left in the driver.
    bool Unhook(uint32_t driverId);
    uint32_t Hooked();
    void SetPredicates(const Predicates& predicates);
    std::vector<InFlightRequest> InFlight();
    struct Counters {
        CountersReply totals;
        std::vector<FunctionCounters> functions;
    };
    Counters ReadCounters();

    void Start(SnapLengths snap);
    void Stop();
    // Stops; the HelloReply and the records since Start go to a file. They have been in the rings until now.
    void StopAndSave(const std::string& recordsFile);

 private:
    // Returns the bytes that came.
    uint32_t Ask(uint32_t code, const void* in, size_t inBytes, void* out, size_t outBytes);

    std::unique_ptr<sim::UserHandle> device_;
    HelloReply hello_;
};

}  // namespace drivermon::caller
