// source.h: what the addon needs of a driver, wherever that driver lives.
//
// Two kinds exist: a Windows device handle (device_source) and the simulated machine in this process (sim_source).
// The pump and the binding know only this interface, so both are pumped, stopped and torn down by the same code.
//
// Threads: a Source belongs to one JavaScript thread. Its Receiver is the exception: Receive runs on the pump's
// thread while the other thread may be inside Control, and Cancel may come from any thread at any time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace drivermon {

// Something a person should read, with the NTSTATUS or Win32 error that was behind it (0 = none).
class SourceError : public std::runtime_error {
 public:
    SourceError(uint32_t status, const std::string& message) : std::runtime_error(message), status_(status) {}
    uint32_t Status() const { return status_; }

 private:
    uint32_t status_;
};

struct DriverListing {
    std::u16string name;         // \Driver\AFD
    std::u16string displayName;  // of its service, or empty
};

struct ProcessListing {
    uint32_t processId;
    uint32_t parentProcessId;
    std::u16string name;  // no path
};

struct TrafficOptions {
    uint64_t seed;
    uint64_t rate;   // requests a second over all callers; 0 = as many as the machine can
    uint64_t count;  // stop after this many; 0 = go on
};

enum class Receipt { kData, kEnd, kCancelled };

struct Received {
    Receipt receipt;
    size_t bytes;  // > 0 exactly when receipt is kData
};

// One reader of the driver's records: the inverted call, made to look like a blocking read.
class Receiver {
 public:
    virtual ~Receiver() = default;

    // Waits until there is a record, and writes whole records to `buffer` (at least kMinDataBytes). Throws SourceError.
    // When it returns or throws, the driver no longer holds the buffer.
    virtual Received Receive(std::span<std::byte> buffer) = 0;

    // For good: a Receive that waits returns kCancelled, and so does every later one. Loses no record.
    virtual void Cancel() = 0;
};

class Source {
 public:
    virtual ~Source() = default;

    // Sends one IOCTL and waits for it; returns the bytes written to `output`. Throws SourceError.
    virtual size_t Control(uint32_t code, std::span<const std::byte> input, std::span<std::byte> output) = 0;

    virtual std::vector<DriverListing> Drivers() = 0;
    virtual std::vector<ProcessListing> Processes() = 0;

    // At most one at a time, and it must be gone before the Source is.
    virtual std::unique_ptr<Receiver> OpenReceiver() = 0;

    // Only a simulated machine can make its own callers.
    virtual void StartTraffic(const TrafficOptions&) { NoTraffic(); }
    virtual void StopTraffic() { NoTraffic(); }
    virtual std::map<std::u16string, uint64_t> Issued() { NoTraffic(); }
    virtual bool TrafficRunning() { NoTraffic(); }

 private:
    [[noreturn]] static void NoTraffic() { throw SourceError(0, "Only the simulator makes traffic of its own"); }
};

std::unique_ptr<Source> OpenDeviceSource();
std::unique_ptr<Source> OpenSimSource();

}  // namespace drivermon
