// machine.cpp: boots the simulated machine and shuts it down.
#include "machine.h"

#include <atomic>
#include <cstdio>
#include <stdexcept>

#include "core/driver.h"
#include "core/guarded_copy.h"
#include "core/platform.h"
#include "driver_loader.h"
#include "memory.h"
#include "process.h"
#include "processor.h"
#include "protocol/version.h"
#include "targets/afd.h"
#include "targets/afd_protocol.h"
#include "targets/echo.h"
#include "targets/echo_protocol.h"
#include "traffic.h"
#include "user_mode.h"
#include "verifier.h"

namespace drivermon::sim {
namespace {

const std::u16string kOurDriver =
    u"\\Driver\\"
    u"" DRIVERMON_SERVICE_NAME;

struct Target {
    const char16_t* name;
    const char16_t* displayName;
    PDRIVER_INITIALIZE entry;
};
constexpr Target kTargets[] = {
    {DRIVERMON_AFD_DRIVER_NAME, u"Ancillary Function Driver for Winsock", AfdDriverEntry},
    {DRIVERMON_ECHO_DRIVER_NAME, u"DriverMon echo target", EchoDriverEntry},
};

std::atomic<bool> booted{false};

[[noreturn]] void Fail(const char* what, NTSTATUS status) {
    char text[128];
    std::snprintf(text, sizeof(text), "The simulated machine could not load %s: status 0x%08X", what,
                  static_cast<unsigned>(status));
    throw std::runtime_error(text);
}

// What is there without any driver. Built and torn down in one order, also when a driver refuses to load.
class Hardware {
 public:
    explicit Hardware(const MachineOptions& options) : allocationsBefore_(OutstandingAllocations()) {
        if (booted.exchange(true)) throw std::runtime_error("A simulated machine is running in this process already");
        CreateProcessors(options.processors ? options.processors : 1, options.sections, options.frequency);
        BootProcesses();
        StartProcessorThreads();
        StartCloseWorker();
    }
    ~Hardware() {
        WaitForCloses();
        StopCloseWorker();
        StopProcessorThreads();
        ShutDownProcesses();
        DestroyProcessors();
        const int64_t leaked = OutstandingAllocations() - allocationsBefore_;
        if (leaked) Violation("leak", "%lld allocations are left", static_cast<long long>(leaked));
        if (long files = ObjectHeader::live[1]) Violation("leak", "%ld files are left open", files);
        if (long objects = ObjectHeader::live[0]) Violation("leak", "%ld objects are left", objects);
        booted = false;
    }
    Hardware(const Hardware&) = delete;
    Hardware& operator=(const Hardware&) = delete;

 private:
    const int64_t allocationsBefore_;
};

class SimulatedMachine final : public Machine {
 public:
    explicit SimulatedMachine(const MachineOptions& options) : hardware_(options) {
        platform_ = kNtPlatform;
        platform_.kernel = kKernelSimulated;
        platform_.raiseIrql = options.sections;
        platform_.lockRings = !options.sections;
        if (options.requestQuota != 0) platform_.requestQuota = options.requestQuota;
        platform_.slotRestMs = options.slotRestMs;
        platform_.oldRequestMs = options.oldRequestMs;
        platformOverride = &platform_;
        try {
            if (options.processorsAtLoad != 0) SetActiveProcessors(options.processorsAtLoad);
            Load(kOurDriver, u"DriverMon", DriverLoad);
            SetActiveProcessors(ProcessorCount());
            // Hooking takes the unload routine away for good; a machine that shuts down may still call it.
            unload_ = ReferenceDriver(kOurDriver)->DriverUnload;
            if (options.targets) {
                for (const Target& target : kTargets) Load(target.name, target.displayName, target.entry);
                traffic_ = std::make_unique<Traffic>();
            }
        } catch (...) {
            ShutDown();
            throw;
        }
    }
    ~SimulatedMachine() override { ShutDown(); }

    std::vector<DriverInfo> Drivers() override {
        std::vector<DriverInfo> drivers;
        for (LoadedDriver& driver : LoadedDrivers()) {
            drivers.push_back({std::move(driver.name), std::move(driver.displayName)});
        }
        return drivers;
    }

    std::vector<ProcessInfo> Processes() override {
        std::vector<ProcessInfo> processes;
        for (const auto& process : sim::Processes()) {
            processes.push_back({process->id, process->parentId, process->name});
        }
        return processes;
    }

    std::unique_ptr<UserHandle> Open(const std::u16string& path, Status* status) override {
        return OpenFile(path, {}, status);
    }

    void StartTraffic(const TrafficOptions& options) override {
        if (!traffic_) throw std::runtime_error("The simulated machine was booted without targets");
        traffic_->Start(options);
    }
    void StopTraffic() override {
        if (traffic_) traffic_->Stop();
    }
    bool TrafficRunning() override { return traffic_ && traffic_->Running(); }
    std::map<std::u16string, uint64_t> Issued() override {
        return traffic_ ? traffic_->Issued() : std::map<std::u16string, uint64_t>{};
    }

 private:
    static void Load(const std::u16string& name, const std::u16string& displayName, PDRIVER_INITIALIZE entry) {
        const NTSTATUS status = LoadDriver(name, displayName, entry);
        if (NT_SUCCESS(status)) return;
        Fail(std::string(name.begin(), name.end()).c_str(), status);
    }

    void ShutDown() {
        traffic_.reset();
        WaitForCloses();
        if (Ref<DRIVER_OBJECT> ours = ReferenceDriver(kOurDriver); ours && unload_) ours->DriverUnload = unload_;
        // Ours first: it may not hold on to drivers that go.
        Unload(kOurDriver);
        for (const LoadedDriver& driver : LoadedDrivers()) Unload(driver.name);
        platformOverride = nullptr;
    }
    static void Unload(const std::u16string& name) {
        const NTSTATUS status = UnloadDriver(name);
        if (NT_SUCCESS(status) || status == STATUS_OBJECT_NAME_NOT_FOUND) return;
        Violation("driver left loaded", "%s: status %08x", std::string(name.begin(), name.end()).c_str(),
                  static_cast<unsigned>(status));
    }

    const Hardware hardware_;
    Platform platform_;
    PDRIVER_UNLOAD unload_ = nullptr;
    std::unique_ptr<Traffic> traffic_;
};

}  // namespace

std::unique_ptr<Machine> Machine::Boot(const MachineOptions& options) {
    return std::make_unique<SimulatedMachine>(options);
}

}  // namespace drivermon::sim

// What core takes from __try on a real kernel.
BOOLEAN DrivermonGuardedCopy(void* to, const void* from, SIZE_T bytes) {
    drivermon::sim::RequireIrql(APC_LEVEL, "a copy of user memory");
    // What __try does not cover: a bad address above user space stops the machine, and a good one is told to a user.
    constexpr uint64_t kEndOfUserSpace = 0x7FFFFFFF0000;
    const auto first = reinterpret_cast<uint64_t>(from);
    if (first > kEndOfUserSpace || bytes > kEndOfUserSpace - first) {
        drivermon::sim::Violation("kernel address read as a user's", "%zu bytes at %p", size_t{bytes}, from);
        return FALSE;
    }
    if (!drivermon::sim::UserMemoryIsReadable(from, bytes)) return FALSE;
    memcpy(to, from, bytes);
    return TRUE;
}
