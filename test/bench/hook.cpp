// hook.cpp: what being watched costs a request, on the simulated kernel: the echo driver's shortest request, not
// hooked, hooked, and captured (two records, fetched by a thread beside it). They take turns; medians, in ns per
// request, are printed as one JSON object.
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "protocol/control.h"
#include "protocol/layout.h"
#include "sim/machine.h"
#include "targets/echo_protocol.h"

using namespace drivermon;

namespace {

constexpr uint32_t kRequests = 100'000;
constexpr uint32_t kRingBytes = 1u << 25;  // nothing is dropped: a drop would be cheaper than a record

void Must(bool holds, const char* what) {
    if (holds) return;
    fprintf(stderr, "%s failed\n", what);
    exit(1);
}

// The hooks run on the requester's thread; its processor time does not count what others do on this machine.
double ThreadCpuNs() {
    timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

class Client {
 public:
    Client() : machine_(sim::Machine::Boot()) {
        sim::Status status = 0;
        driver_ = machine_->Open(DRIVERMON_USER_PATH, &status);
        echo_ = machine_->Open(DRIVERMON_ECHO_USER_PATH, &status);
        Must(driver_ && echo_, "open");
        const HelloRequest hello = {kAbiVersion, kLayoutHash};
        HelloReply reply;
        Control(kControlHello, &hello, sizeof(hello), &reply, sizeof(reply));
        Must(reply.accepted, "Hello");
    }

    double Requests() {
        uint64_t in = 1, out = 0;
        uint32_t returned = 0;
        const double begin = ThreadCpuNs();
        for (uint32_t i = 0; i < kRequests; i++) {
            echo_->Control(targets::kEchoBuffered, &in, sizeof(in), &out, sizeof(out), &returned);
        }
        return (ThreadCpuNs() - begin) / kRequests;
    }

    uint32_t Hook() {
        const std::u16string name = DRIVERMON_ECHO_DRIVER_NAME;
        std::vector<uint8_t> request(sizeof(AddDriverRequest) + 2 * name.size());
        const AddDriverRequest header = {0, static_cast<uint32_t>(2 * name.size())};
        memcpy(request.data(), &header, sizeof(header));
        memcpy(request.data() + sizeof(header), name.data(), 2 * name.size());
        AddDriverReply reply;
        Control(kControlAddDriver, request.data(), static_cast<uint32_t>(request.size()), &reply, sizeof(reply));
        return reply.driverId;
    }
    void Unhook(uint32_t id) {
        const RemoveDriverRequest request = {id, 0};
        RemoveDriverReply reply;
        Control(kControlRemoveDriver, &request, sizeof(request), &reply, sizeof(reply));
    }

    double CapturedRequests(uint32_t snapLength) {
        StartRequest start = {};
        start.ringBytes = kRingBytes;
        start.inputSnapLength = snapLength;
        start.outputSnapLength = snapLength;
        Control(kControlStart, &start, sizeof(start), nullptr, 0);
        std::thread consumer([this] { Fetch(); });
        const double ns = Requests();
        Control(kControlStop, nullptr, 0, nullptr, 0);
        consumer.join();
        return ns;
    }

 private:
    void Control(uint32_t code, const void* in, uint32_t inBytes, void* out, uint32_t outBytes) {
        uint32_t returned = 0;
        Must(driver_->Control(code, in, inBytes, out, outBytes, &returned) >= 0, "a control call");
    }
    void Fetch() {
        std::vector<uint8_t> batch(kMinDataBytes);
        uint32_t returned = 0;
        while (driver_->Control(kControlGetData, nullptr, 0, batch.data(), static_cast<uint32_t>(batch.size()),
                                &returned) >= 0) {
        }
    }

    const std::unique_ptr<sim::Machine> machine_;
    std::unique_ptr<sim::UserHandle> driver_, echo_;
};

double Median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

}  // namespace

// usage: bench_hook ROUNDS
int main(int argc, char** argv) {
    const int rounds = argc > 1 ? atoi(argv[1]) : 9;
    Client client;
    std::map<std::string, std::vector<double>> values;
    for (int round = 0; round <= rounds; round++) {
        std::map<std::string, double> turn;
        turn["unhooked"] = client.Requests();
        const uint32_t id = client.Hook();
        turn["hooked"] = client.Requests();
        turn["captured"] = client.CapturedRequests(0);
        turn["capturedPayload"] = client.CapturedRequests(kDefaultSnapLength);
        client.Unhook(id);
        if (round == 0) continue;
        for (const auto& [name, value] : turn) values[name].push_back(value);
    }
    const char* separator = "{";
    for (const auto& [name, all] : values) {
        printf("%s\"%s\":%.1f", separator, name.c_str(), Median(all));
        separator = ",";
    }
    printf("}\n");
}
