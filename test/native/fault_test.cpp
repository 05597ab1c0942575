// fault_test.cpp: every allocation of every path fails once. Whoever asked gets a clear status, nothing has changed,
// and the same call succeeds when it is made again; when the machine shuts down nothing is left (the machine counts).
#include <doctest/doctest.h>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "capture_session.h"
#include "protocol/layout.h"
#include "scripted_driver.h"
#include "sim/memory.h"
#include "targets/afd_protocol.h"
#include "targets/echo_protocol.h"

namespace drivermon::test {
namespace {

using Step = std::function<sim::Status()>;

struct Path {
    const char* name;
    // Steps of one client's life. The last one is under test; those before it have memory.
    std::vector<Step> steps;
};

// A client that does not stop at a failure, as CaptureSession does.
struct Client {
    sim::Status Open() {
        sim::Status status = STATUS_SUCCESS;
        handle = machine->Open(DRIVERMON_USER_PATH, &status);
        return handle ? STATUS_SUCCESS : status;
    }
    sim::Status Hello() {
        const HelloRequest request{kAbiVersion, kLayoutHash};
        HelloReply reply;
        return Control(kControlHello, &request, sizeof(request), &reply, sizeof(reply));
    }
    sim::Status Start(uint32_t ringBytes) {
        const StartRequest request{ringBytes, 64, 64, 0};
        return Control(kControlStart, &request, sizeof(request), nullptr, 0);
    }
    sim::Status AddDriver(const std::u16string& name) {
        const AddDriverRequest request{0, static_cast<uint32_t>(2 * name.size())};
        std::vector<uint8_t> input(sizeof(request) + request.nameLength);
        std::memcpy(input.data(), &request, sizeof(request));
        std::memcpy(input.data() + sizeof(request), name.data(), request.nameLength);
        AddDriverReply reply;
        const sim::Status status =
            Control(kControlAddDriver, input.data(), static_cast<uint32_t>(input.size()), &reply, sizeof(reply));
        if (status == STATUS_SUCCESS) driverId = reply.driverId;
        return status;
    }
    sim::Status RemoveDriver() {
        const RemoveDriverRequest request{driverId, 0};
        RemoveDriverReply reply;
        return Control(kControlRemoveDriver, &request, sizeof(request), &reply, sizeof(reply));
    }
    sim::Status Ask(uint32_t code, uint32_t outputBytes) {
        output.resize(outputBytes);
        return Control(code, nullptr, 0, output.data(), outputBytes);
    }
    // A request to the hooked driver. CREATE, CLEANUP and CLOSE go the same way.
    sim::Status Echo(uint32_t code) {
        sim::Status status;
        auto echo = machine->Open(DRIVERMON_ECHO_USER_PATH, &status);
        if (!echo) return status;
        char bytes[] = "abc";
        return echo->Control(code, bytes, 3, bytes, 3, nullptr);
    }
    sim::Status Control(uint32_t code, const void* in, uint32_t inBytes, void* out, uint32_t outBytes) {
        return handle->Control(code, in, inBytes, out, outBytes, nullptr);
    }

    std::unique_ptr<sim::Machine> machine = sim::Machine::Boot();
    std::unique_ptr<sim::UserHandle> handle;
    std::vector<uint8_t> output;
    uint32_t driverId = 0;
};

Path PathTo(const char* name, Client& client, std::vector<Step> more) {
    std::vector<Step> steps{[&] { return client.Open(); }, [&] { return client.Hello(); }};
    steps.insert(steps.end(), more.begin(), more.end());
    return {name, steps};
}

std::vector<std::function<Path(Client&)>> Paths() {
    return {
        [](Client& c) {
            return Path{"open", {[&] { return c.Open(); }}};
        },
        [](Client& c) { return PathTo("hello", c, {}); },
        [](Client& c) { return PathTo("start", c, {[&] { return c.Start(kMinRingBytes); }}); },
        [](Client& c) {
            return PathTo("start with other rings", c,
                          {[&] { return c.Start(kMinRingBytes); }, [&] { return c.Ask(kControlStop, 0); },
                           [&] { return c.Start(4 * kMinRingBytes); }});
        },
        [](Client& c) { return PathTo("hook", c, {[&] { return c.AddDriver(DRIVERMON_ECHO_DRIVER_NAME); }}); },
        [](Client& c) {
            return PathTo(
                "hook a driver with fast I/O while capturing", c,
                {[&] { return c.Start(kMinRingBytes); }, [&] { return c.AddDriver(DRIVERMON_AFD_DRIVER_NAME); }});
        },
        [](Client& c) {
            return PathTo(
                "hook again, when the totals of the first hook are to be kept", c,
                {[&] { return c.Start(kMinRingBytes); }, [&] { return c.AddDriver(DRIVERMON_ECHO_DRIVER_NAME); },
                 [&] { return c.Echo(targets::kEchoBuffered); }, [&] { return c.RemoveDriver(); },
                 [&] { return c.AddDriver(DRIVERMON_ECHO_DRIVER_NAME); }});
        },
        [](Client& c) {
            return PathTo("unhook", c,
                          {[&] { return c.AddDriver(DRIVERMON_ECHO_DRIVER_NAME); }, [&] { return c.RemoveDriver(); }});
        },
        [](Client& c) {
            return PathTo(
                "a request through the hook", c,
                {[&] { return c.Start(kMinRingBytes); }, [&] { return c.AddDriver(DRIVERMON_ECHO_DRIVER_NAME); },
                 [&] { return c.Echo(targets::kEchoOutDirect); }});
        },
        [](Client& c) {
            return PathTo("counters", c, {[&] { return c.Ask(kControlGetCounters, sizeof(CountersReply)); }});
        },
        [](Client& c) { return PathTo("list", c, {[&] { return c.Ask(kControlList, sizeof(ListReply)); }}); },
        [](Client& c) {
            return PathTo("in flight", c, {[&] { return c.Ask(kControlGetInFlight, sizeof(InFlightReply)); }});
        },
        [](Client& c) {
            return PathTo(
                "data", c,
                {[&] { return c.Start(kMinRingBytes); }, [&] { return c.AddDriver(DRIVERMON_ECHO_DRIVER_NAME); },
                 [&] { return c.Ask(kControlGetData, kMinDataBytes); }});
        },
        [](Client& c) {
            return PathTo("stop", c, {[&] { return c.Start(kMinRingBytes); }, [&] { return c.Ask(kControlStop, 0); }});
        },
    };
}

}  // namespace

TEST_CASE("each allocation of each path fails once: a clear status, and the next try succeeds") {
    for (const auto& make : Paths()) {
        bool happened = true;
        for (int64_t n = 1; happened; n++) {
            REQUIRE(n < 100);
            Client client;
            Path path = make(client);
            CAPTURE(path.name);
            CAPTURE(n);
            for (size_t i = 0; i + 1 < path.steps.size(); i++) REQUIRE(path.steps[i]() == STATUS_SUCCESS);
            sim::Status status;
            {
                sim::FailAllocation fail(n);
                status = path.steps.back()();
                happened = fail.Happened();
            }
            // What can do without (the totals of a hook that is gone stay where they are) may do without.
            if (status != STATUS_SUCCESS) {
                CHECK(happened);
                CHECK(status == STATUS_INSUFFICIENT_RESOURCES);
                CHECK(path.steps.back()() == STATUS_SUCCESS);
            }
            if (n == 1) CHECK(happened);
        }
    }
}

TEST_CASE("a request through a hook allocates nothing of ours") {
    Client client;
    REQUIRE(client.Open() == STATUS_SUCCESS);
    REQUIRE(client.Hello() == STATUS_SUCCESS);
    // As many as can be made to fail.
    const auto allocations = [&] {
        for (int64_t n = 1;; n++) {
            sim::FailAllocation fail(n);
            client.Echo(targets::kEchoNeither);
            if (!fail.Happened()) return n - 1;
        }
    };
    const int64_t without = allocations();
    CHECK(without > 0);
    REQUIRE(client.Start(kMinRingBytes) == STATUS_SUCCESS);
    REQUIRE(client.AddDriver(DRIVERMON_ECHO_DRIVER_NAME) == STATUS_SUCCESS);
    CHECK(allocations() == without);
}

}  // namespace drivermon::test
