// control_fuzz.cpp: a hostile program in front of the driver's control device: libFuzzer writes its script.
//
// An input is a list of steps; each opens or closes the device, sends a control call (each code, wrong codes, any
// lengths, any bytes, perhaps without memory for it), sends requests to the drivers that may be hooked by then or
// leaves them waiting, or does what the world around does: another hook on top, a driver that unloads and comes back,
// processes that come and go. The real control code answers, on the simulated kernel, whose verifier, AddressSanitizer
// and UBSan judge; what it hands out must be whole records and whole entries. After the last step the machine shuts
// down, and with it everything must be gone: hooks, references, memory.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "protocol/control.h"
#include "protocol/layout.h"
#include "sim/driver_loader.h"
#include "sim/machine.h"
#include "sim/memory.h"
#include "sim/process.h"
#include "sim/registry.h"
#include "targets/afd_protocol.h"
#include "targets/echo.h"
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
    // Of a buffer: mostly short, up to a whole snap length.
    uint32_t Length() {
        const uint32_t drawn = Byte();
        return drawn < 128 ? drawn : (drawn - 127) * (kMaxSnapLength / 128);
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

void Require(bool holds) {
    if (!holds) __builtin_trap();
}

// A client that trusts nobody reads the stream: records are whole, aligned, and no longer than they say.
void CheckRecords(const uint8_t* data, uint32_t bytes) {
    constexpr uint32_t kFixed[] = {0, sizeof(RequestStart), sizeof(RequestEnd), sizeof(LossRecord),
                                   sizeof(DriverRecord), sizeof(DriverRecord), sizeof(ProcessRecord)};
    for (uint32_t at = 0; at < bytes;) {
        RecordHeader header;
        Require(bytes - at >= sizeof(header));
        std::memcpy(&header, data + at, sizeof(header));
        Require(header.size % kRecordAlignment == 0 && header.size <= bytes - at);
        Require(header.type >= kRecordRequestStart && header.type <= kRecordProcess);
        Require(header.size >= kFixed[header.type]);
        at += header.size;
    }
}

// Somebody else's hook on top of whatever is in the echo driver's table, ours or not.
class ForeignHook {
 public:
    ForeignHook() : driver_(sim::ReferenceDriver(DRIVERMON_ECHO_DRIVER_NAME)) {
        below_ = std::exchange(Place(), Dispatch);
    }
    ~ForeignHook() {
        if (OnTop()) Place() = below_;
    }
    ForeignHook(const ForeignHook&) = delete;
    ForeignHook& operator=(const ForeignHook&) = delete;

    // Below somebody else it cannot leave: what is above calls it.
    bool OnTop() { return Place() == Dispatch; }

 private:
    static NTSTATUS Dispatch(PDEVICE_OBJECT device, PIRP irp) { return below_(device, irp); }
    PDRIVER_DISPATCH& Place() { return driver_->MajorFunction[IRP_MJ_DEVICE_CONTROL]; }

    static PDRIVER_DISPATCH below_;
    sim::Ref<DRIVER_OBJECT> driver_;
};
PDRIVER_DISPATCH ForeignHook::below_;

// A test machine's setting, for one run.
class AllowUnload {
 public:
    AllowUnload() { sim::SetServiceValue(kService, u"AllowUnload", 1); }
    ~AllowUnload() { sim::RemoveServiceValue(kService, u"AllowUnload"); }

 private:
    const std::u16string kService = u"" DRIVERMON_SERVICE_NAME;
};

class Program {
 public:
    Program(sim::Machine& machine, Script& script)
        : machine_(machine), script_(script), own_(sim::CurrentThread()->process->id) {}

    void Run() {
        // Bounded: an input that says much is no better than several that say little.
        for (int step = 0; step < 64 && !script_.Ended(); step++) Step();
        TakeData();
        pending_.reset();
        held_.clear();
        ours_.reset();
        foreign_.reset();
        for (auto& process : processes_) sim::ExitProcess(process.get());
    }

 private:
    void Step() {
        sim::Status status;
        switch (script_.Byte() % 16) {
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
            case 8:
                if (foreign_) {
                    if (foreign_->OnTop()) foreign_.reset();
                } else if (sim::ReferenceDriver(DRIVERMON_ECHO_DRIVER_NAME)) {
                    foreign_.emplace();
                }
                break;
            case 9:
                Reload();
                break;
            case 10:
                ChangeProcesses();
                break;
            case 11:
                HoldRequest();
                break;
            case 12:
                // AFD, and with it fast I/O, as its callers use it.
                machine_.StartTraffic({script_.Byte() + 1u, 0, 1u + script_.Byte() % 32});
                while (machine_.TrafficRunning()) std::this_thread::yield();
                machine_.StopTraffic();
                break;
            case 13:
                failing_ = 1 + script_.Byte() % 16;
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
                // From rings that are too small for such a record to those that hold some.
                Append(&call.input,
                       StartRequest{kMinRingBytes << script_.Byte() % 8, script_.Length(), script_.Length(), 0});
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
        std::optional<sim::FailAllocation> fail;
        if (const int64_t nth = std::exchange(failing_, 0)) fail.emplace(nth);
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
            TakeData();
            data_.assign(call.outputBytes, 0);
            pending_ = ours_->BeginControl(code, call.input.data(), static_cast<uint32_t>(call.input.size()),
                                           data_.data(), call.outputBytes);
            return;
        }
        // Exactly as large as it claims to be, so that one byte more is seen.
        const auto output = std::make_unique<uint8_t[]>(call.outputBytes);
        uint32_t returned = 0;
        const sim::Status status = ours_->Control(code, call.input.data(), static_cast<uint32_t>(call.input.size()),
                                                  output.get(), call.outputBytes, &returned);
        Require(returned <= call.outputBytes);
        if (status == 0) CheckEntries(code, output.get(), returned);
    }

    // As many whole entries as the reply says.
    template <typename Reply, typename Entry, typename Field>
    static void CheckCount(const uint8_t* output, uint32_t returned, Field count) {
        Reply reply;
        Require(returned >= sizeof(reply));
        std::memcpy(&reply, output, sizeof(reply));
        Require(returned == sizeof(reply) + reply.*count * sizeof(Entry));
    }
    static void CheckEntries(uint32_t code, const uint8_t* output, uint32_t returned) {
        if (code == kControlGetCounters) {
            CheckCount<CountersReply, FunctionCounters>(output, returned, &CountersReply::entries);
        } else if (code == kControlList) {
            CheckCount<ListReply, HookedDriver>(output, returned, &ListReply::count);
        } else if (code == kControlGetInFlight) {
            CheckCount<InFlightReply, InFlightRequest>(output, returned, &InFlightReply::count);
        }
    }

    // What the last GetData brought, if it has ended.
    void TakeData() {
        if (!pending_ || !pending_->Wait(0)) return;
        uint32_t returned = 0;
        if (pending_->Result(&returned) == 0) {
            Require(returned <= data_.size());
            CheckRecords(data_.data(), returned);
        }
        pending_.reset();
    }

    // The echo driver goes, hooked or not, and comes back: if nobody has a handle of it.
    void Reload() {
        held_.clear();
        if (sim::UnloadDriver(DRIVERMON_ECHO_DRIVER_NAME) == 0) foreign_.reset();  // its table is gone
        if (!sim::ReferenceDriver(DRIVERMON_ECHO_DRIVER_NAME)) {
            sim::LoadDriver(DRIVERMON_ECHO_DRIVER_NAME, u"", TARGET_ENTRY(EchoDriverEntry));
        }
    }

    void ChangeProcesses() {
        const uint8_t what = script_.Byte();
        if ((what & 1) != 0 && !processes_.empty()) {
            sim::ExitProcess(processes_.front().get());
            processes_.pop_front();
        } else if (processes_.size() < 4) {
            const uint32_t parent = (what & 2) != 0 ? own_ : 4;
            processes_.push_back(sim::CreateProcess(std::u16string(1 + what / 4 * 8u, u'p'), parent));
        }
    }

    // Requests that stay, whatever happens to hooks and captures meanwhile.
    void HoldRequest() {
        const uint8_t what = script_.Byte();
        if ((what & 1) != 0 && !held_.empty()) {
            held_.pop_front();
        } else if (held_.size() < 4) {
            sim::Status status;
            Held held{machine_.Open(DRIVERMON_ECHO_USER_PATH, &status), nullptr};
            if (!held.file) return;
            held.request = held.file->BeginControl(targets::kEchoHold, nullptr, 0, nullptr, 0);
            held_.push_back(std::move(held));
        }
    }

    // In whose name: one of the processes that were made, or the client itself.
    void SendToTargets() {
        std::optional<sim::RunAs> as;
        if (!processes_.empty()) as.emplace(processes_.back().get(), 0);
        sim::Status status;
        auto echo = machine_.Open(DRIVERMON_ECHO_USER_PATH, &status);
        if (!echo) return;
        static constexpr uint32_t kAsked[] = {targets::kEchoBuffered, targets::kEchoInDirect, targets::kEchoOutDirect,
                                              targets::kEchoNeither,  targets::kEchoPend,     targets::kEchoFail,
                                              targets::kEchoHold};
        const uint8_t which = script_.Byte() % 9;
        std::vector<uint8_t> input(script_.Length()), output(script_.Length());
        script_.Fill(input.data(), std::min<size_t>(input.size(), 16));
        if (which == 7) {
            echo->Write(input.data(), static_cast<uint32_t>(input.size()), 0, nullptr);
            return;
        }
        if (which == 8) {
            echo->Read(output.data(), static_cast<uint32_t>(output.size()), 0, nullptr);
            return;
        }
        const uint32_t code = kAsked[which];
        // The delay of a pended request: soon.
        if (code == targets::kEchoPend && input.size() >= 4) std::memset(input.data(), 0, 4);
        auto request = echo->BeginControl(code, input.data(), static_cast<uint32_t>(input.size()), output.data(),
                                          static_cast<uint32_t>(output.size()));
        if (!request->Wait(0)) request->Cancel();
        request->Wait(sim::kForever);
    }

    struct Held {
        std::unique_ptr<sim::UserHandle> file;
        std::unique_ptr<sim::UserHandle::Pending> request;
    };

    sim::Machine& machine_;
    Script& script_;
    const uint32_t own_;
    std::unique_ptr<sim::UserHandle> ours_, second_;
    std::vector<uint8_t> data_;
    std::unique_ptr<sim::UserHandle::Pending> pending_;
    std::deque<Held> held_;
    std::optional<ForeignHook> foreign_;
    std::deque<sim::Ref<_EPROCESS>> processes_;
    int64_t failing_ = 0;  // which allocation of the next call has no memory
};

}  // namespace
}  // namespace drivermon

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    drivermon::sim::MachineOptions options;
    options.processors = 1 + data[0] % 2;
    options.sections = (data[0] & 2) != 0;
    if ((data[0] & 4) != 0) options.requestQuota = 2;
    std::optional<drivermon::AllowUnload> allowed;
    if ((data[0] & 8) != 0) {
        options.slotRestMs = 0;
        allowed.emplace();
    }
    const auto machine = drivermon::sim::Machine::Boot(options);
    drivermon::Script script(data + 1, size - 1);
    drivermon::Program(*machine, script).Run();
    return 0;
}
