// client.cpp: see client.h.
#include "client.h"

#include <cstring>
#include <stdexcept>

#include "protocol/layout.h"

namespace drivermon::caller {
namespace {

constexpr sim::Status kEndOfFile = static_cast<sim::Status>(0xC0000011);

}  // namespace

Client::Client(Handle::Opener open) {
    sim::Status status;
    device_ = open(DRIVERMON_USER_PATH, false, &status);
    if (!device_) throw std::runtime_error("cannot open our driver");
    const HelloRequest hello{kAbiVersion, kLayoutHash};
    Ask(kControlHello, &hello, sizeof(hello), &hello_, sizeof(hello_));
}

uint32_t Client::Ask(uint32_t code, const void* in, size_t inBytes, void* out, size_t outBytes) {
    uint32_t returned = 0;
    const sim::Status status = device_->Control(code, in, static_cast<uint32_t>(inBytes), out,
                                                static_cast<uint32_t>(outBytes), &returned);
    if (status == 0) return returned;
    char text[64];
    std::snprintf(text, sizeof(text), "our driver refuses %08x: %08x", code, static_cast<unsigned>(status));
    throw std::runtime_error(text);
}

uint32_t Client::Hook(const std::u16string& driver) {
    const AddDriverRequest request{0, static_cast<uint32_t>(driver.size() * sizeof(char16_t))};
    Bytes message(sizeof(request) + request.nameLength);
    std::memcpy(message.data(), &request, sizeof(request));
    std::memcpy(message.data() + sizeof(request), driver.data(), request.nameLength);
    AddDriverReply reply;
    Ask(kControlAddDriver, message.data(), message.size(), &reply, sizeof(reply));
    return reply.driverId;
}

bool Client::Unhook(uint32_t driverId) {
    const RemoveDriverRequest request{driverId, 0};
    RemoveDriverReply reply;
    Ask(kControlRemoveDriver, &request, sizeof(request), &reply, sizeof(reply));
    return reply.chainedFunctions == 0 && reply.chainedFastIo == 0;
}

uint32_t Client::Hooked() {
    ListReply reply;
    Ask(kControlList, nullptr, 0, &reply, sizeof(reply));
    return reply.total;
}

void Client::SetPredicates(const Predicates& predicates) {
    Ask(kControlSetPredicates, &predicates, sizeof(predicates), nullptr, 0);
}

std::vector<InFlightRequest> Client::InFlight() {
    Bytes buffer(sizeof(InFlightReply) + 64 * sizeof(InFlightRequest));
    Ask(kControlGetInFlight, nullptr, 0, buffer.data(), buffer.size());
    InFlightReply reply;
    std::memcpy(&reply, buffer.data(), sizeof(reply));
    std::vector<InFlightRequest> requests(reply.count);
    if (reply.count) {
        std::memcpy(requests.data(), buffer.data() + sizeof(reply), reply.count * sizeof(InFlightRequest));
    }
    return requests;
}

void Client::Start(SnapLengths snap) {
    const StartRequest request{kDefaultRingBytes, snap.input, snap.output, 0};
    Ask(kControlStart, &request, sizeof(request), nullptr, 0);
}

Client::Counters Client::ReadCounters() {
    Bytes buffer(sizeof(CountersReply) + kMajorFunctionCount * sizeof(FunctionCounters));
    Ask(kControlGetCounters, nullptr, 0, buffer.data(), buffer.size());
    Counters counters;
    std::memcpy(&counters.totals, buffer.data(), sizeof(CountersReply));
    counters.functions.resize(counters.totals.entries);
    if (!counters.functions.empty()) {
        std::memcpy(counters.functions.data(), buffer.data() + sizeof(CountersReply),
                    counters.functions.size() * sizeof(FunctionCounters));
    }
    return counters;
}

void Client::Stop() {
    Ask(kControlStop, nullptr, 0, nullptr, 0);
}

void Client::StopAndSave(const std::string& recordsFile) {
    Stop();
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(recordsFile.c_str(), "wb"), std::fclose);
    if (!file) throw std::runtime_error("cannot write " + recordsFile);
    const auto write = [&](const void* bytes, size_t count) {
        if (std::fwrite(bytes, 1, count, file.get()) != count) throw std::runtime_error("disk full");
    };
    write(&hello_, sizeof(hello_));
    Bytes buffer(kMinDataBytes);
    for (;;) {
        uint32_t returned = 0;
        const sim::Status status =
            device_->Control(kControlGetData, nullptr, 0, buffer.data(), kMinDataBytes, &returned);
        if (status == kEndOfFile) return;
        if (status != 0) throw std::runtime_error("GetData failed");
        write(buffer.data(), returned);
    }
}

}  // namespace drivermon::caller
