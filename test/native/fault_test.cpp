// fault_test.cpp: every allocation of every path fails once. Whoever asked gets a clear status, nothing has changed
// (but that a Start has let go of the rings before it), and the same call succeeds when it is made again; when the
// machine shuts down nothing is left (the machine counts). How many of them are the driver's own stands beside each
// path: one more in the driver, and its path has to say so.
#include <doctest/doctest.h>

#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/pool.h"
#include "protocol/layout.h"
#include "scene.h"
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
    // Allocations of the driver's own, without which the last step fails, and without which it does not.
    uint32_t needed = 0;
    uint32_t spared = 0;
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
    // One that waits, until the client is gone.
    sim::Status Hold() {
        sim::Status status = STATUS_SUCCESS;
        waitsAt = machine->Open(DRIVERMON_ECHO_USER_PATH, &status);
        if (waitsAt) waiting = waitsAt->BeginControl(targets::kEchoHold, nullptr, 0, nullptr, 0);
        return status;
    }
    sim::Status Control(uint32_t code, const void* in, uint32_t inBytes, void* out, uint32_t outBytes) {
        return handle->Control(code, in, inBytes, out, outBytes, nullptr);
    }

    // A quota that is easily used up.
    static sim::MachineOptions Options() {
        sim::MachineOptions options;
        options.requestQuota = 1;
        return options;
    }
    std::unique_ptr<sim::Machine> machine = sim::Machine::Boot(Options());
    std::unique_ptr<sim::UserHandle> handle, waitsAt;
    std::unique_ptr<sim::UserHandle::Pending> waiting;
    std::vector<uint8_t> output;
    uint32_t driverId = 0;
};

Path PathTo(const char* name, Client& client, std::vector<Step> more, uint32_t needed = 0, uint32_t spared = 0) {
    std::vector<Step> steps{[&] { return client.Open(); }, [&] { return client.Hello(); }};
    steps.insert(steps.end(), more.begin(), more.end());
    return {name, steps, needed, spared};
}

// What the first hook takes: contexts, scratch and its marks, the watch and its cells.
constexpr uint32_t kOfTheFirstHook = 5;

std::vector<std::function<Path(Client&)>> Paths() {
    return {
        [](Client& c) {
            return Path{"open", {[&] { return c.Open(); }}};
        },
        [](Client& c) { return PathTo("hello", c, {}); },
        [](Client& c) { return PathTo("start", c, {[&] { return c.Start(kMinRingBytes); }}, 1); },
        [](Client& c) {
            return PathTo("start with other rings", c,
                          {[&] { return c.Start(kMinRingBytes); }, [&] { return c.Ask(kControlStop, 0); },
                           [&] { return c.Start(4 * kMinRingBytes); }},
                          1);
        },
        [](Client& c) {
            return PathTo("hook", c, {[&] { return c.AddDriver(DRIVERMON_ECHO_DRIVER_NAME); }}, kOfTheFirstHook);
        },
        [](Client& c) {
            return PathTo(
                "hook a driver with fast I/O while capturing", c,
                {[&] { return c.Start(kMinRingBytes); }, [&] { return c.AddDriver(DRIVERMON_AFD_DRIVER_NAME); }},
                kOfTheFirstHook);
        },
        [](Client& c) {
            return PathTo(
                "hook again, when the totals of the first hook are to be kept", c,
                {[&] { return c.Start(kMinRingBytes); }, [&] { return c.AddDriver(DRIVERMON_ECHO_DRIVER_NAME); },
                 [&] { return c.Echo(targets::kEchoBuffered); }, [&] { return c.RemoveDriver(); },
                 [&] { return c.AddDriver(DRIVERMON_ECHO_DRIVER_NAME); }},
                2, 1);
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
        [](Client& c) {
            return PathTo(
                "counters, when contexts are looked for that can be reclaimed", c,
                {[&] { return c.Start(kMinRingBytes); }, [&] { return c.AddDriver(DRIVERMON_ECHO_DRIVER_NAME); },
                 [&] { return c.Hold(); }, [&] { return c.Echo(targets::kEchoBuffered); },
                 [&] { return c.Ask(kControlGetCounters, sizeof(CountersReply)); }},
                0, 1);
        },
        [](Client& c) {
            return PathTo("predicates that hold starts", c, {[&] {
                              Predicates predicates{};
                              predicates.flags = kPredicateErrorsOnly;
                              return c.Control(kControlSetPredicates, &predicates, sizeof(predicates), nullptr, 0);
                          }},
                          4);
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
        uint32_t needed = 0, spared = 0;
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
                if (fail.Tag() == kPoolTag) (status == STATUS_SUCCESS ? spared : needed)++;
            }
            // What can do without (the totals of a hook that is gone stay where they are) may do without.
            if (status != STATUS_SUCCESS) {
                CHECK(happened);
                CHECK(status == STATUS_INSUFFICIENT_RESOURCES);
                CHECK(path.steps.back()() == STATUS_SUCCESS);
            }
            if (n == 1) CHECK(happened);
            if (happened) continue;
            CHECK(needed == path.needed);
            CHECK(spared == path.spared);
        }
    }
}

TEST_CASE(
    "a Start without memory for its rings: what was there before is gone, and the counters tell of nothing else") {
    Scene scene;
    PIRP pended = nullptr;
    scene.driver.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
        IoMarkIrpPending(irp);
        pended = irp;
        return STATUS_PENDING;
    };
    OwnRequest waiting(scene.driver, IRP_MJ_DEVICE_CONTROL);
    waiting.SetControl(kCode, 0, 0);
    CHECK(waiting.Send() == STATUS_PENDING);
    REQUIRE(scene.session.Stop() == STATUS_SUCCESS);
    const uint64_t epoch = scene.session.Counters().reply.epoch;
    CHECK(scene.session.Counters().reply.outstanding == 1);

    ULONG tag = 0;
    for (int64_t n = 1; tag != kPoolTag; n++) {
        sim::FailAllocation fail(n);
        REQUIRE(scene.session.Start({4 * kDefaultStart.ringBytes, 0, 0, 0}) == STATUS_INSUFFICIENT_RESOURCES);
        tag = fail.Tag();
    }
    CHECK(scene.session.Finish().order.empty());
    CHECK(scene.session.InFlight().empty());
    const Totals totals = scene.session.Counters();
    CHECK(totals.functions.empty());
    CHECK(totals.reply.offered == 0);
    CHECK(totals.reply.outstanding == 0);
    CHECK(totals.reply.epoch == epoch + 1);
    Complete(pended, STATUS_SUCCESS);
    CHECK(scene.session.Counters().functions.empty());
}

TEST_CASE("each allocation of loading fails once: no driver, and nothing is left of it") {
    // The driver itself, its shards, their cursors.
    constexpr uint32_t kOurs = 3;
    uint32_t ours = 0;
    for (int64_t n = 1;; n++) {
        REQUIRE(n < 100);
        sim::FailAllocation fail(n);
        sim::MachineOptions options;
        options.targets = false;
        std::unique_ptr<sim::Machine> machine;
        try {
            machine = sim::Machine::Boot(options);
        } catch (const std::runtime_error&) {
        }
        ours += fail.Tag() == kPoolTag;
        CHECK((machine == nullptr) == fail.Happened());
        if (machine) break;
    }
    CHECK(ours == kOurs);
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
