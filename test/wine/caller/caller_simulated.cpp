// caller_simulated.cpp: the caller on the simulated machine.
//
//   caller_simulated ask FOLDER        asks what the Windows caller asks, and captures it, too
//   caller_simulated sessions FOLDER   runs the sessions
//   caller_simulated stress SECONDS    runs the stress
#include <stdexcept>

#include "client.h"
#include "scenario.h"
#include "sessions.h"
#include "sim/driver_loader.h"
#include "sim/user_mode.h"
#include "stress.h"
#include "targets/echo_protocol.h"
#include "targets/layer.h"

namespace drivermon::caller {

uint32_t CurrentThreadId() {
    return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(PsGetCurrentThreadId()));
}

namespace {

// Less than the longest payload: what is cut off must be cut off at the right place.
constexpr uint32_t kSnapLength = 1024;

std::unique_ptr<sim::UserHandle> Open(const std::u16string& path, bool synchronous, sim::Status* status) {
    sim::OpenOptions options;
    options.synchronous = synchronous;
    return sim::OpenFile(path, options, status);
}

// The layer driver is not part of the simulated machine. It goes before what it is attached to.
class LayerDriver {
 public:
    LayerDriver() {
        if (sim::LoadDriver(DRIVERMON_LAYER_DRIVER_NAME, u"DriverMon layer target", LayerDriverEntry) != 0) {
            throw std::runtime_error("cannot load the layer driver");
        }
    }
    ~LayerDriver() {
        sim::WaitForCloses();
        sim::UnloadDriver(DRIVERMON_LAYER_DRIVER_NAME);
    }
};

}  // namespace
}  // namespace drivermon::caller

int main(int argc, char** argv) {
    using namespace drivermon;
    using namespace drivermon::caller;
    const std::string what = argc == 3 ? argv[1] : "";
    if (what != "ask" && what != "sessions" && what != "stress") {
        std::fprintf(stderr, "usage: caller_simulated ask|sessions FOLDER, or stress SECONDS\n");
        return 2;
    }
    try {
        const std::string folder = argv[2];
        const auto machine = sim::Machine::Boot();
        const LayerDriver layers;
        const auto processId = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(PsGetCurrentProcessId()));
        if (what == "stress") {
            RunStress(static_cast<uint32_t>(std::stoul(folder)), CancelRace::Yes, Open);
            return 0;
        }
        if (what == "sessions") {
            RunSessions(folder, processId, Open);
            return 0;
        }
        Client client(Open);
        client.Hook(DRIVERMON_ECHO_DRIVER_NAME);
        client.Hook(DRIVERMON_LAYER_DRIVER_NAME);
        Predicates predicates{};
        predicates.flags = kPredicateOwnProcesses;  // this very process asks the questions
        client.SetPredicates(predicates);
        client.Start({kSnapLength, kSnapLength});
        {
            Truth truth(folder + "/simulated.truth.jsonl", processId);
            AskEcho(truth, Open);
        }
        client.StopAndSave(folder + "/simulated.records");
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "caller_simulated: %s\n", failure.what());
        return 1;
    }
    return 0;
}
