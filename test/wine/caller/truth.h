// truth.h: what a caller asked of a driver and what it got, written down by the caller itself.
//
// A capture is held against it: one JSON object a line and a request. Bytes are hexadecimal. `order` is the order of
// issue over all threads; lines come in the order in which requests ended.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "sim/machine.h"
#include "targets/layer_protocol.h"

namespace drivermon::caller {

using Bytes = std::vector<uint8_t>;

enum class Major : uint8_t { Create = 0, Close = 2, Read = 3, Write = 4, DeviceControl = 14 };

struct Request {
    uint32_t order = 0;
    uint32_t thread = 0;
    std::string driver;
    Major major = Major::DeviceControl;
    uint32_t code = 0;
    Bytes input;
    uint32_t outputLength = 0;  // bytes asked for
    uint32_t status = 0;
    uint32_t information = 0;
    Bytes output;
    bool pended = false;
    bool cancelled = false;
    bool ended = true;  // false: the capture ended before the request did
};

// Whether the driver ends a request in its dispatch routine.
enum class Ends : uint8_t { AtOnce, Later };

// What is opened, and which drivers see a request that is sent there: the topmost first, a driver with two devices
// twice.
struct Device {
    const char16_t* path;
    std::vector<std::string> drivers;
};

// The id that a driver sees for the calling thread. Each program that is a caller says how to get it.
uint32_t CurrentThreadId();

class Truth {
 public:
    // Throws std::runtime_error when the file cannot be written.
    Truth(const std::string& path, uint32_t processId);

    // A request of this thread is about to be sent.
    Request Begin(Major major);
    // It has ended.
    void Tell(const Request& request);
    // Writes down only those requests that pass. Null, as at first: each.
    void Only(std::function<bool(const Request&)> wanted) { wanted_ = std::move(wanted); }
    // What an API of the system answered, that sends requests of its own.
    void TellAnswer(const std::string& api, const std::string& answer);

 private:
    struct CloseFile {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };
    std::unique_ptr<std::FILE, CloseFile> file_;
    std::mutex lock_;
    std::function<bool(const Request&)> wanted_;
    std::atomic<uint32_t> next_{0};
};

// A handle whose requests are all written down, its own opening and closing included.
class Handle {
 public:
    using Opener = std::unique_ptr<sim::UserHandle> (*)(const std::u16string& path, bool synchronous,
                                                        sim::Status* status);

    // Throws std::runtime_error when the device cannot be opened.
    Handle(Truth& truth, Opener open, Device device, bool synchronous = false);
    ~Handle();

    void Control(uint32_t code, const Bytes& input, uint32_t outputBytes, Ends ends = Ends::AtOnce);
    // METHOD_IN_DIRECT: what is called the output buffer holds more input.
    void ControlInDirect(uint32_t code, const Bytes& input, const Bytes& more);
    void Read(uint32_t bytes, uint64_t offset, Ends ends = Ends::AtOnce);
    void Write(const Bytes& input, uint64_t offset, Ends ends = Ends::AtOnce);

    // The layer driver's kLayerUse, which the topmost device answers.
    void Use(targets::LayerManner manner);

    // A request that goes on. To be ended by Finish.
    class Pended {
     public:
        void Cancel();
        void Finish();
        // As Finish, for a request whose end no capture has seen. Returns its status.
        sim::Status FinishUnseen();

     private:
        friend Handle;
        Pended(Handle& handle, Major major);
        sim::Status Wait(uint32_t* returned);

        Handle& handle_;
        Request request_;
        Bytes output_;
        std::unique_ptr<sim::UserHandle::Pending> pending_;  // ends before the buffers that it uses
    };
    std::unique_ptr<Pended> BeginControl(uint32_t code, Bytes input, uint32_t outputBytes, Ends ends = Ends::Later);
    std::unique_ptr<Pended> BeginRead(uint32_t bytes, uint64_t offset, Ends ends = Ends::Later);
    std::unique_ptr<Pended> BeginWrite(Bytes input, uint64_t offset, Ends ends = Ends::Later);

    // Cancels what is outstanding, or what of it this thread has sent; each Pended still has to be finished.
    void CancelAll();
    void CancelOwn();

 private:
    void Tell(Request request) const;

    Truth& truth_;
    const std::vector<std::string> drivers_;
    targets::LayerManner manner_ = targets::kLayerSkip;
    std::unique_ptr<sim::UserHandle> handle_;
};

}  // namespace drivermon::caller
