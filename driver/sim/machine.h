// machine.h: the simulated machine, as the addon and the tests see it.
//
// One object is one booted machine: processors, processes, our driver as \Driver\DriverMon1, the targets, and user
// mode's way to talk to them. It speaks in plain types: no header of the simulated kernel leaks out of here, because
// its names would collide with <windows.h>.
//
// One machine per process: the kernel's names are global, as they are on NT.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace drivermon::sim {

using Status = int32_t;  // NTSTATUS

struct MachineOptions {
    uint32_t processors = 2;
    uint32_t processorsAtLoad = 0;  // so many are there when our driver loads, the others appear after that; 0: all are
    // True: IRQL excludes, as on NT, and driver/core uses sections. False: IRQL is a fiction, as on Wine, and it uses
    // spin locks.
    bool sections = true;
    bool targets = true;              // load \Driver\DrivermonEcho and \Driver\AFD
    uint64_t frequency = 10'000'000;  // of the performance counter
    uint32_t slotRestMs = 10'000;     // before a hook's slot serves another driver, or our driver may be unloaded
    uint32_t oldRequestMs = 600'000;  // in flight for longer, a request may lose its place to another
    uint32_t requestQuota = 0;        // requests in flight that are followed of one driver; 0: as on NT
};

struct DriverInfo {
    std::u16string name;  // \Driver\AFD
    std::u16string displayName;
};

struct ProcessInfo {
    uint32_t processId;
    uint32_t parentProcessId;
    std::u16string name;  // msedge.exe
};

struct TrafficOptions {
    uint64_t seed = 1;
    double rate = 0;     // requests a second over all callers; 0: as many as the machine can
    uint64_t count = 0;  // stop after so many; 0: go on
};

// One user-mode handle. Any thread may use it; requests of different threads run in parallel.
class UserHandle {
 public:
    virtual ~UserHandle() = default;  // NtClose; outstanding requests must have been waited for

    // Sends one request and waits for it. `*returned` is IoStatus.Information.
    virtual Status Control(uint32_t code, const void* in, uint32_t inBytes, void* out, uint32_t outBytes,
                           uint32_t* returned) = 0;
    virtual Status Read(void* out, uint32_t bytes, uint64_t offset, uint32_t* returned) = 0;
    virtual Status Write(const void* in, uint32_t bytes, uint64_t offset, uint32_t* returned) = 0;

    // An overlapped request: the buffers belong to the driver until Wait has returned true. Destroying it cancels
    // the request and waits.
    class Pending {
     public:
        virtual ~Pending() = default;
        // False: not finished within the time. kForever waits.
        virtual bool Wait(uint32_t timeoutMs) = 0;
        // Asks the driver to give it up; Wait still has to be called.
        virtual void Cancel() = 0;
        // After Wait has returned true.
        virtual Status Result(uint32_t* returned) const = 0;
    };
    virtual std::unique_ptr<Pending> BeginControl(uint32_t code, const void* in, uint32_t inBytes, void* out,
                                                  uint32_t outBytes) = 0;
    virtual std::unique_ptr<Pending> BeginRead(void* out, uint32_t bytes, uint64_t offset) = 0;
    virtual std::unique_ptr<Pending> BeginWrite(const void* in, uint32_t bytes, uint64_t offset) = 0;
    // CancelIoEx(handle, NULL): every outstanding request of this handle.
    virtual void CancelAll() = 0;
    // CancelIo(handle): those that the calling thread has issued.
    virtual void CancelOwn() = 0;
};
constexpr uint32_t kForever = 0xFFFFFFFFu;

class Machine {
 public:
    // Throws std::runtime_error when a machine is running already, or a driver fails to load.
    static std::unique_ptr<Machine> Boot(const MachineOptions& options = {});
    // Stops traffic, unloads every driver and checks that nothing leaked. Handles must be closed.
    virtual ~Machine() = default;

    virtual std::vector<DriverInfo> Drivers() = 0;
    virtual std::vector<ProcessInfo> Processes() = 0;
    // NULL on failure, with the reason in `status`. Paths such as \\.\DriverMon1.
    virtual std::unique_ptr<UserHandle> Open(const std::u16string& path, Status* status) = 0;

    virtual void StartTraffic(const TrafficOptions& options) = 0;
    // Returns when every caller has returned from its last request and closed its handles.
    virtual void StopTraffic() = 0;
    virtual bool TrafficRunning() = 0;  // false before the first start, once `count` is reached, and after a stop
    // By driver name: IRPs and fast-I/O calls that the callers sent since StartTraffic. A fast-I/O call that falls
    // through counts as the IRP that follows it.
    virtual std::map<std::u16string, uint64_t> Issued() = 0;
};

}  // namespace drivermon::sim
