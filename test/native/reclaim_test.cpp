// reclaim_test.cpp: requests whose end never comes, and what becomes of their place.
#include <doctest/doctest.h>

#include <utility>

#include "capture_session.h"
#include "scripted_driver.h"
#include "sim/processor.h"

namespace drivermon::test {
namespace {

constexpr uint32_t kQuota = 8;
constexpr uint32_t kOldMs = 2'000;

// A hooked driver whose requests pend, with a small quota. It may eat our routine, as one does that sets its own after
// having skipped its stack location.
struct Hoarder {
    Hoarder() {
        driver.onControl = [this](PDEVICE_OBJECT, PIRP irp) {
            if (eats) IoGetCurrentIrpStackLocation(irp)->Control = 0;
            IoMarkIrpPending(irp);
            pended.push_back(irp);
            return STATUS_PENDING;
        };
        REQUIRE(session.Start() == STATUS_SUCCESS);
        REQUIRE(session.AddDriver(driver.name()) == STATUS_SUCCESS);
        sim::Status status;
        handle = machine->Open(driver.path(), &status);
        REQUIRE(handle);
    }
    ~Hoarder() {
        CompleteAll();
        waiting.clear();
        handle.reset();
        session.Die();
    }
    // Requests of user mode: nobody above the driver has a routine.
    void Send(uint32_t count) {
        for (uint32_t i = 0; i < count; i++) waiting.push_back(handle->BeginControl(kCode, nullptr, 0, nullptr, 0));
    }
    void CompleteAll() {
        for (PIRP irp : pended) Complete(irp, STATUS_SUCCESS);
        pended.clear();
    }
    // Arrivals, and what became of them, agree.
    Totals Counters() {
        const Totals totals = session.Counters();
        CHECK(totals.Sum(&FunctionCounters::arrivals) == totals.Sum(&FunctionCounters::completions) +
                                                             totals.reply.outstanding +
                                                             totals.Sum(&FunctionCounters::unseen));
        return totals;
    }

    static sim::MachineOptions Options() {
        sim::MachineOptions options;
        options.requestQuota = kQuota;
        options.oldRequestMs = kOldMs;
        return options;
    }
    std::unique_ptr<sim::Machine> machine = sim::Machine::Boot(Options());
    ScriptedDriver driver{u"Hoarder"};
    bool eats = true;
    std::vector<PIRP> pended;
    CaptureSession session{*machine};
    std::unique_ptr<sim::UserHandle> handle;
    std::vector<std::unique_ptr<sim::UserHandle::Pending>> waiting;
};

// A request of the test's own, which can be sent again: its driver's location has no routine, the test's above it has.
struct Recurring {
    explicit Recurring(PDEVICE_OBJECT target) : device(target), irp(IoAllocateIrp(2, FALSE)) { REQUIRE(irp); }
    ~Recurring() { IoFreeIrp(irp); }
    void Send() {
        IoReuseIrp(irp, STATUS_SUCCESS);
        IoSetCompletionRoutine(
            irp, [](PDEVICE_OBJECT, PIRP, PVOID) -> NTSTATUS { return STATUS_MORE_PROCESSING_REQUIRED; }, nullptr, TRUE,
            TRUE, TRUE);
        IoSetNextIrpStackLocation(irp);
        PIO_STACK_LOCATION location = IoGetNextIrpStackLocation(irp);
        location->MajorFunction = IRP_MJ_DEVICE_CONTROL;
        location->Parameters.DeviceIoControl.IoControlCode = kCode;
        CHECK(IoCallDriver(device, irp) == STATUS_PENDING);
    }
    PDEVICE_OBJECT device;
    PIRP irp;
};

}  // namespace

TEST_CASE("an IRP that comes again at the same place has ended before: its context is reclaimed, and no other") {
    Hoarder hoarder;
    hoarder.eats = false;
    hoarder.Send(2);  // these do wait
    hoarder.eats = true;
    std::vector<PIRP> waiting = std::exchange(hoarder.pended, {});
    {
        Recurring recurring(hoarder.driver.device());
        for (uint32_t i = 0; i < kQuota; i++) {
            recurring.Send();
            hoarder.CompleteAll();
            sim::AdvanceTime(1);
        }
    }
    // Six were followed, of which the last may still be on its way; two came when the quota was used up.
    CHECK(hoarder.Counters().Sum(&FunctionCounters::unseen) == kQuota - 3 + 2);
    CHECK(hoarder.Counters().reply.outstanding == 3);
    hoarder.eats = false;
    hoarder.Send(kQuota - 3);
    CHECK(hoarder.Counters().reply.outstanding == kQuota);
    hoarder.pended.insert(hoarder.pended.end(), waiting.begin(), waiting.end());
    hoarder.CompleteAll();
    CHECK(hoarder.Counters().reply.outstanding == 1);
    REQUIRE(hoarder.session.Stop() == STATUS_SUCCESS);
    uint32_t unseen = 0, inFlight = 0;
    for (const Request& request : hoarder.session.Finish().WithCode(kCode)) {
        if (request.start->flags & kRequestUncaptured) continue;
        inFlight += !request.end;
        if (!request.end || !(request.end->flags & kRequestUnseen)) continue;
        unseen++;
        CHECK(request.end->status == static_cast<uint32_t>(STATUS_PENDING));
    }
    CHECK(unseen == kQuota - 3);
    CHECK(inFlight == 1);
}

TEST_CASE("when a quota is used up, old requests make room; young ones stay, and so do all while there is room") {
    Hoarder hoarder;
    hoarder.Send(kQuota / 2);
    hoarder.CompleteAll();
    sim::AdvanceTime(kOldMs + 1000);
    CHECK(hoarder.Counters().reply.outstanding == kQuota / 2);  // nobody needs their place
    hoarder.Send(kQuota / 2);
    CHECK(hoarder.Counters().reply.outstanding == kQuota);
    hoarder.Send(1);
    CHECK(hoarder.Counters().reply.outstanding == kQuota / 2);
    CHECK(hoarder.Counters().Sum(&FunctionCounters::unseen) == kQuota / 2 + 1);
    hoarder.eats = false;
    hoarder.Send(kQuota / 2);
    CHECK(hoarder.Counters().reply.outstanding == kQuota);
}

TEST_CASE("a request that was given up because it was old ends for its caller as if nobody had hooked it") {
    Hoarder hoarder;
    hoarder.eats = false;
    hoarder.Send(kQuota);
    sim::AdvanceTime(kOldMs + 1000);
    hoarder.Send(1);
    CHECK(hoarder.Counters().reply.outstanding == 0);
    hoarder.Send(kQuota);  // in the very contexts
    hoarder.CompleteAll();
    for (auto& request : hoarder.waiting) {
        REQUIRE(request->Wait(sim::kForever));
        CHECK(request->Result(nullptr) == STATUS_SUCCESS);
    }
    const Totals totals = hoarder.Counters();
    CHECK(totals.Sum(&FunctionCounters::unseen) == kQuota + 1);
    CHECK(totals.reply.outstanding == 0);
}

TEST_CASE("an old request that holds a caller's routine stays: it must yet be called") {
    Hoarder hoarder;
    hoarder.eats = false;
    static uint32_t called;
    called = 0;
    std::vector<PIRP> irps;
    for (uint32_t i = 0; i <= kQuota; i++) {
        irps.push_back(MakeControl(hoarder.driver.device(), kCode, nullptr, 0, 0));
        IoSetCompletionRoutine(
            irps.back(),
            [](PDEVICE_OBJECT, PIRP, PVOID) -> NTSTATUS {
                called++;
                return STATUS_MORE_PROCESSING_REQUIRED;
            },
            nullptr, TRUE, TRUE, TRUE);
        CHECK(IoCallDriver(hoarder.driver.device(), irps.back()) == STATUS_PENDING);
        sim::AdvanceTime(kOldMs + 1000);
    }
    CHECK(hoarder.Counters().reply.outstanding == kQuota);
    hoarder.CompleteAll();
    CHECK(called == kQuota + 1);
    for (PIRP irp : irps) IoFreeIrp(irp);
    CHECK(hoarder.Counters().reply.outstanding == 0);
}

TEST_CASE("two hooks on one stack location: the upper one's request is alive though the IRP came again") {
    sim::MachineOptions options;
    options.requestQuota = 1;
    auto machine = sim::Machine::Boot(options);
    ScriptedDriver lower(u"Lower"), upper(u"Upper");
    upper.AttachTo(lower);
    upper.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
        IoSkipCurrentIrpStackLocation(irp);
        return IoCallDriver(upper.lower(), irp);
    };
    std::vector<PIRP> pended;
    lower.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
        IoMarkIrpPending(irp);
        pended.push_back(irp);
        return STATUS_PENDING;
    };
    CaptureSession session(*machine);
    REQUIRE(session.Start() == STATUS_SUCCESS);
    sim::Status status;
    auto handle = machine->Open(lower.path(), &status);
    REQUIRE(handle);
    REQUIRE(session.AddDriver(upper.name()) == STATUS_SUCCESS);
    REQUIRE(session.AddDriver(lower.name()) == STATUS_SUCCESS);
    auto first = handle->BeginControl(kCode, nullptr, 0, nullptr, 0);
    auto beyond = handle->BeginControl(kCode, nullptr, 0, nullptr, 0);
    CHECK(session.Counters().reply.outstanding == 2);
    for (PIRP irp : pended) Complete(irp, STATUS_SUCCESS);
    REQUIRE(first->Wait(sim::kForever));
    REQUIRE(beyond->Wait(sim::kForever));
    const Totals totals = session.Counters();
    CHECK(totals.reply.outstanding == 0);
    CHECK(totals.Sum(&FunctionCounters::completions) == 2);
    first.reset();
    beyond.reset();
    handle.reset();
    session.Die();
}

}  // namespace drivermon::test
