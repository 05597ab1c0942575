// control_fuzz.cpp: a hostile program in front of the driver's control device: libFuzzer writes its script.
//
// An input is a list of steps; each opens or closes the device, sends a control call (each code, wrong codes, any
// lengths, any bytes), or sends requests to the drivers that may be hooked by then. The real control code answers, on
// the simulated kernel, whose verifier and AddressSanitizer judge. After the last step the machine shuts down, and with
// it everything must be gone: hooks, references, memory.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "protocol/control.h"
#include "protocol/layout.h"
#include "sim/machine.h"
#include "targets/afd_protocol.h"
#include "targets/echo_protocol.h"

namespace drivermon {
namespace {

constexpr uint32_t kCodes[] = {kControlHello,        kControlStart,         kControlStop,       kControlAddDriver,
                               kControlRemoveDriver, kControlRemoveAll,     kControlGetData,    kControlGetCounters,
                               kControlList,         kControlSetPredicates, kControlGetInFlight};
constexpr size_t kCodeCount = sizeof(kCodes) / sizeof(kCodes[0]);

// A call of a program that knows the protocol, for the fuzzer to spoil.
struct Call {
    std::vector<uint8_t> input;
    uint32_t outputBytes = 0;
};

class Script {
 public:
    Script(const uint8_t* data, size_t size) : at_(data), end_(data + size) {}

    bool Ended() const { return at_ == end_; }
    uint8_t Byte() { return Ended() ? 0 : *at_++; }
    uint32_t Word() {
        uint32_t word = 0;
        for (int i = 0; i < 4; i++) word = word << 8 | Byte();
        return word;
    }
    void Fill(void* to, size_t bytes) {
        for (size_t i = 0; i < bytes; i++) static_cast<uint8_t*>(to)[i] = Byte();
    }

 private:
    const uint8_t* at_;
    const uint8_t* end_;
};

template <typename T>
void Append(std::vector<uint8_t>* bytes, const T& value) {
    const auto* raw = reinterpret_cast<const uint8_t*>(&value);
    bytes->insert(bytes->end(), raw, raw + sizeof(value));
}

class Program {
 public:
    Program(sim::Machine& machine, Script& script) : machine_(machine), script_(script) {}

    void Run() {
        // Bounded: an input that says much is no better than several that say little.
        for (int step = 0; step < 64 && !script_.Ended(); step++) Step();
        pending_.reset();
    }

 private:
    void Step() {
        sim::Status status;
        switch (script_.Byte() % 8) {
            case 0:
                if (!ours_) ours_ = machine_.Open(DRIVERMON_USER_PATH, &status);
                second_ = machine_.Open(DRIVERMON_USER_PATH, &status);
                break;
            case 1:
                pending_.reset();
                second_.reset();
                ours_.reset();
                break;
            case 2:
                SendToTargets();
                break;
            case 3:
                if (ours_) ours_->CancelAll();
                break;
            default:
                if (!ours_) {
                    ours_ = machine_.Open(DRIVERMON_USER_PATH, &status);
                    const HelloRequest hello{kAbiVersion, kLayoutHash};
                    HelloReply reply;
                    if (ours_) {
                        ours_->Control(kControlHello, &hello, sizeof(hello), &reply, sizeof(reply), nullptr);
                    }
                }
                if (ours_) Send();
        }
    }

    // What the driver may ask for, right for the most part.
    Call Proper(uint32_t code) {
        Call call;
        switch (code) {
            case kControlHello:
                Append(&call.input, HelloRequest{kAbiVersion, kLayoutHash});
                call.outputBytes = sizeof(HelloReply);
                break;
            case kControlStart:
                Append(&call.input,
                       StartRequest{kMinRingBytes << script_.Byte() % 4, script_.Byte(), script_.Byte(), 0});
                break;
            case kControlAddDriver: {
                static const std::u16string kNames[] = {DRIVERMON_AFD_DRIVER_NAME, DRIVERMON_ECHO_DRIVER_NAME,
                                                        u"\\Driver\\" DRIVERMON_SERVICE_NAME, u"\\Driver\\None"};
                const std::u16string& name = kNames[script_.Byte() % 4];
                Append(&call.input, AddDriverRequest{0, static_cast<uint32_t>(2 * name.size())});
                for (char16_t unit : name) Append(&call.input, unit);
                call.outputBytes = sizeof(AddDriverReply);
                break;
            }
            case kControlRemoveDriver:
                Append(&call.input, RemoveDriverRequest{script_.Byte() % 8u, 0});
                call.outputBytes = sizeof(RemoveDriverReply);
                break;
            case kControlGetData:
                call.outputBytes = kMinDataBytes;
                break;
            case kControlGetCounters:
                call.outputBytes = sizeof(CountersReply) + script_.Byte() % 8u * sizeof(FunctionCounters);
                break;
            case kControlList:
                call.outputBytes = sizeof(ListReply) + script_.Byte() % 4u * sizeof(HookedDriver);
                break;
            case kControlSetPredicates: {
                Predicates predicates{};
                script_.Fill(&predicates, offsetof(Predicates, drivers));
                predicates.driverCount %= kMaxPredicateEntries + 2;
                predicates.processCount %= kMaxPredicateEntries + 2;
                predicates.codeCount %= kMaxPredicateEntries + 2;
                predicates.drivers[0] = script_.Byte();
                predicates.codes[0] = targets::kEchoBuffered;
                Append(&call.input, predicates);
                break;
            }
            case kControlGetInFlight:
                call.outputBytes = sizeof(InFlightReply) + script_.Byte() % 4u * sizeof(InFlightRequest);
                break;
        }
        return call;
    }

    void Send() {
        const uint8_t which = script_.Byte();
        const uint32_t code = which % 16 < kCodeCount ? kCodes[which % 16] : script_.Word();
        Call call = Proper(code);
        const uint8_t spoiled = script_.Byte();
        if ((spoiled & 1) != 0) call.input.resize(script_.Byte() * 5u);
        if ((spoiled & 2) != 0) {
            for (int i = script_.Byte() % 8; i > 0 && !call.input.empty(); i--) {
                const size_t at = script_.Byte() % call.input.size();
                call.input[at] = script_.Byte();
            }
        }
        if ((spoiled & 4) != 0) call.outputBytes = script_.Byte() * 17u;
        if (code == kControlGetData) {
            // It may pend for ever.
            if (pending_ && !pending_->Wait(0)) return;
            pending_.reset();
            data_.assign(call.outputBytes, 0);
            pending_ = ours_->BeginControl(code, call.input.data(), static_cast<uint32_t>(call.input.size()),
                                           data_.data(), call.outputBytes);
            return;
        }
        // Exactly as large as it claims to be, so that one byte more is seen.
        const auto output = std::make_unique<uint8_t[]>(call.outputBytes);
        uint32_t returned = 0;
        ours_->Control(code, call.input.data(), static_cast<uint32_t>(call.input.size()), output.get(),
                       call.outputBytes, &returned);
        if (returned > call.outputBytes) __builtin_trap();
    }

    void SendToTargets() {
        sim::Status status;
        auto echo = machine_.Open(DRIVERMON_ECHO_USER_PATH, &status);
        if (!echo) return;
        static constexpr uint32_t kAsked[] = {targets::kEchoBuffered, targets::kEchoInDirect, targets::kEchoOutDirect,
                                              targets::kEchoNeither,  targets::kEchoPend,     targets::kEchoFail,
                                              targets::kEchoHold};
        const uint32_t code = kAsked[script_.Byte() % 7];
        std::vector<uint8_t> input(script_.Byte()), output(script_.Byte());
        script_.Fill(input.data(), std::min<size_t>(input.size(), 16));
        // The delay of a pended request: soon.
        if (code == targets::kEchoPend && input.size() >= 4) std::memset(input.data(), 0, 4);
        auto request = echo->BeginControl(code, input.data(), static_cast<uint32_t>(input.size()), output.data(),
                                          static_cast<uint32_t>(output.size()));
        if (!request->Wait(0)) request->Cancel();
        request->Wait(sim::kForever);
    }

    sim::Machine& machine_;
    Script& script_;
    std::unique_ptr<sim::UserHandle> ours_, second_;
    std::vector<uint8_t> data_;
    std::unique_ptr<sim::UserHandle::Pending> pending_;
};

}  // namespace
}  // namespace drivermon

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    drivermon::sim::MachineOptions options;
    options.processors = 1 + data[0] % 2;
    options.sections = (data[0] & 2) != 0;
    const auto machine = drivermon::sim::Machine::Boot(options);
    drivermon::Script script(data + 1, size - 1);
    drivermon::Program(*machine, script).Run();
    return 0;
}
