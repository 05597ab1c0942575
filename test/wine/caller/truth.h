// truth.h: what a caller asked of a driver and what it got, written down by the caller itself.
//
// A capture is held against it: one JSON object a line and a request. Bytes are hexadecimal. `order` is the order of
// issue over all threads; lines come in the order in which requests ended.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "sim/machine.h"

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
};

// The id that a driver sees for the calling thread. Each program that is a caller says how to get it.
uint32_t CurrentThreadId();

class Truth {
 public:
    // Throws std::runtime_error when the file cannot be written.
    Truth(const std::string& path, uint32_t processId);

    // A request of this thread is about to be sent.
    Request Begin(const std::string& driver, Major major);
    void Tell(const Request& request);
    // What an API of the system answered, that sends requests of its own.
    void TellAnswer(const std::string& api, const std::string& answer);

 private:
    struct CloseFile {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };
    std::unique_ptr<std::FILE, CloseFile> file_;
    std::mutex lock_;
    std::atomic<uint32_t> next_{0};
};

// A handle whose requests are all written down, its own opening and closing included.
class Handle {
 public:
    using Opener = std::unique_ptr<sim::UserHandle> (*)(const std::u16string& path, sim::Status* status);

    // Throws std::runtime_error when the device cannot be opened.
    Handle(Truth& truth, Opener open, const std::string& driver, const std::u16string& path);
    ~Handle();

    void Control(uint32_t code, const Bytes& input, uint32_t outputBytes);
    // METHOD_IN_DIRECT: what is called the output buffer holds more input.
    void ControlInDirect(uint32_t code, const Bytes& input, const Bytes& more);
    void Read(uint32_t bytes, uint64_t offset);
    void Write(const Bytes& input, uint64_t offset);

    // A request that the driver pends. To be ended by Finish.
    class Pended {
     public:
        Pended(Handle& handle, uint32_t code, Bytes input, uint32_t outputBytes);
        void Cancel();
        void Finish();

     private:
        Truth& truth_;
        Request request_;
        Bytes output_;
        std::unique_ptr<sim::UserHandle::Pending> pending_;  // ends before the buffers that it uses
    };

    // Cancels what is outstanding; each Pended still has to be finished.
    void CancelAll();

 private:
    Truth& truth_;
    std::string driver_;
    std::unique_ptr<sim::UserHandle> handle_;
};

}  // namespace drivermon::caller
