// caller_simulated.cpp: the caller on the simulated machine: `caller_simulated TRUTH-FILE RECORDS-FILE SNAP-LENGTH`.
//
// It is both sides at once: the program that asks the echo driver, and the client that captures. What it captures
// goes to a file as it came: the HelloReply, then the records.
#include <cstring>
#include <stdexcept>

#include "protocol/control.h"
#include "protocol/layout.h"
#include "scenario.h"
#include "sim/nt.h"
#include "targets/echo_protocol.h"

namespace drivermon::caller {

uint32_t CurrentThreadId() {
    return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(PsGetCurrentThreadId()));
}

namespace {

constexpr sim::Status kEndOfFile = static_cast<sim::Status>(0xC0000011);

sim::Machine* theMachine;

std::unique_ptr<sim::UserHandle> Open(const std::u16string& path, sim::Status* status) {
    return theMachine->Open(path, status);
}

class Client {
 public:
    explicit Client(const std::string& path) : file_(std::fopen(path.c_str(), "wb"), std::fclose) {
        if (!file_) throw std::runtime_error("cannot write " + path);
        sim::Status status;
        device_ = Open(DRIVERMON_USER_PATH, &status);
        if (!device_) throw std::runtime_error("cannot open our driver");
        const HelloRequest hello{kAbiVersion, kLayoutHash};
        HelloReply reply;
        Ask(kControlHello, &hello, sizeof(hello), &reply, sizeof(reply));
        Write(&reply, sizeof(reply));
    }

    void Hook(const std::u16string& driver) {
        const AddDriverRequest request{0, static_cast<uint32_t>(driver.size() * sizeof(char16_t))};
        Bytes message(sizeof(request) + request.nameLength);
        std::memcpy(message.data(), &request, sizeof(request));
        std::memcpy(message.data() + sizeof(request), driver.data(), request.nameLength);
        AddDriverReply reply;
        Ask(kControlAddDriver, message.data(), static_cast<uint32_t>(message.size()), &reply, sizeof(reply));
    }

    void Start(uint32_t snapLength) {
        // The questions are asked by this very process, which is the driver's client.
        Predicates predicates{};
        predicates.flags = kPredicateOwnProcesses;
        Ask(kControlSetPredicates, &predicates, sizeof(predicates), nullptr, 0);
        const StartRequest request{kDefaultRingBytes, snapLength, snapLength, 0};
        Ask(kControlStart, &request, sizeof(request), nullptr, 0);
    }

    // Everything fits into the rings: nothing is fetched before the end.
    void Stop() {
        Ask(kControlStop, nullptr, 0, nullptr, 0);
        Bytes buffer(kMinDataBytes);
        for (;;) {
            uint32_t returned = 0;
            const sim::Status status =
                device_->Control(kControlGetData, nullptr, 0, buffer.data(), kMinDataBytes, &returned);
            if (status == kEndOfFile) return;
            if (status != 0) throw std::runtime_error("GetData failed");
            Write(buffer.data(), returned);
        }
    }

 private:
    void Ask(uint32_t code, const void* in, uint32_t inBytes, void* out, uint32_t outBytes) {
        uint32_t returned = 0;
        const sim::Status status = device_->Control(code, in, inBytes, out, outBytes, &returned);
        if (status != 0 || returned != outBytes) throw std::runtime_error("our driver refuses");
    }
    void Write(const void* bytes, size_t count) {
        if (std::fwrite(bytes, 1, count, file_.get()) != count) throw std::runtime_error("disk full");
    }

    std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
    std::unique_ptr<sim::UserHandle> device_;
};

}  // namespace
}  // namespace drivermon::caller

int main(int argc, char** argv) {
    using namespace drivermon;
    using namespace drivermon::caller;
    if (argc != 4) {
        std::fprintf(stderr, "usage: caller_simulated TRUTH-FILE RECORDS-FILE SNAP-LENGTH\n");
        return 2;
    }
    try {
        const auto machine = sim::Machine::Boot();
        theMachine = machine.get();
        Client client(argv[2]);
        client.Hook(DRIVERMON_ECHO_DRIVER_NAME);
        client.Start(static_cast<uint32_t>(std::stoul(argv[3])));
        {
            Truth truth(argv[1], static_cast<uint32_t>(reinterpret_cast<uintptr_t>(PsGetCurrentProcessId())));
            AskEcho(truth, Open);
        }
        client.Stop();
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "caller_simulated: %s\n", failure.what());
        return 1;
    }
    return 0;
}
