// verifier_test.cpp: the simulated kernel catches drivers that break its rules. A rule that is not caught here proves
// nothing about the driver elsewhere.
#include "sim/verifier.h"

#include <doctest/doctest.h>

#include "capture_session.h"
#include "scripted_driver.h"
#include "sim/memory.h"

namespace drivermon::test {
namespace {

// A machine with one driver that misbehaves, and a request to it.
struct Offender {
    explicit Offender(std::function<NTSTATUS(PDEVICE_OBJECT, PIRP)> control) {
        driver.onControl = std::move(control);
        sim::Status status;
        handle = machine->Open(driver.path(), &status);
        REQUIRE(handle);
    }
    void Provoke() {
        char buffer[4] = {};
        handle->Control(kCode, buffer, 4, buffer, 4, nullptr);
    }

    sim::ExpectViolations expected;
    std::unique_ptr<sim::Machine> machine = sim::Machine::Boot();
    ScriptedDriver driver{u"Offender"};
    std::unique_ptr<sim::UserHandle> handle;
};

}  // namespace

TEST_CASE("pending returned, not marked") {
    Offender offender([](PDEVICE_OBJECT, PIRP irp) {
        Complete(irp, STATUS_SUCCESS);
        return STATUS_PENDING;
    });
    offender.Provoke();
    CHECK(offender.expected.Rules() == std::vector<std::string>{"pending not marked"});
}

TEST_CASE("pending marked, not returned") {
    Offender offender([](PDEVICE_OBJECT, PIRP irp) {
        IoMarkIrpPending(irp);
        return Complete(irp, STATUS_SUCCESS);
    });
    offender.Provoke();
    CHECK(offender.expected.Rules() == std::vector<std::string>{"pending not returned"});
}

TEST_CASE("another status returned than completed with") {
    Offender offender([](PDEVICE_OBJECT, PIRP irp) {
        Complete(irp, STATUS_ACCESS_DENIED);
        return STATUS_SUCCESS;
    });
    offender.Provoke();
    CHECK(offender.expected.Rules() == std::vector<std::string>{"wrong status returned"});
}

TEST_CASE("more output than there is room for") {
    Offender offender([](PDEVICE_OBJECT, PIRP irp) { return Complete(irp, STATUS_SUCCESS, 100); });
    offender.Provoke();
    CHECK(offender.expected.Rules() == std::vector<std::string>{"more than asked for"});
}

TEST_CASE("completed twice") {
    auto machine = sim::Machine::Boot();
    ScriptedDriver driver(u"Offender");
    driver.onControl = [](PDEVICE_OBJECT, PIRP irp) {
        Complete(irp, STATUS_SUCCESS);
        return Complete(irp, STATUS_SUCCESS);
    };
    sim::ExpectViolations expected;
    char buffer[4] = {};
    PIRP irp = MakeControl(driver.device(), kCode, buffer, 4, 4);
    // Its maker keeps it, so that the second completion finds it.
    IoCallDriver(driver.device(), irp);
    CHECK(expected.Saw("completed to nobody"));
    CHECK(expected.Saw("completed twice"));
    IoFreeIrp(irp);
}

TEST_CASE("IRQL and locks must be as they were") {
    static KSPIN_LOCK lock;
    KeInitializeSpinLock(&lock);
    sim::ExpectViolations expected;
    auto machine = sim::Machine::Boot();
    KIRQL irql;
    SUBCASE("paged pool at DISPATCH_LEVEL") {
        KeRaiseIrql(DISPATCH_LEVEL, &irql);
        PVOID pool = ExAllocatePoolWithTag(PagedPool, 8, 1);
        KeLowerIrql(irql);
        ExFreePoolWithTag(pool, 1);
        CHECK(expected.Saw("IRQL too high"));
    }
    SUBCASE("a wait at DISPATCH_LEVEL") {
        KEVENT event;
        KeInitializeEvent(&event, NotificationEvent, TRUE);
        KeRaiseIrql(DISPATCH_LEVEL, &irql);
        KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, nullptr);
        KeLowerIrql(irql);
        CHECK(expected.Saw("IRQL too high"));
    }
    SUBCASE("lowered with a spin lock") {
        KeAcquireSpinLock(&lock, &irql);
        KeLowerIrql(irql);
        CHECK(expected.Saw("lowered with a spin lock"));
        KeRaiseIrql(DISPATCH_LEVEL, &irql);
        KeReleaseSpinLock(&lock, irql);
    }
    SUBCASE("a spin lock released by a stranger") {
        KeRaiseIrql(DISPATCH_LEVEL, &irql);
        KeReleaseSpinLockFromDpcLevel(&lock);
        KeAcquireSpinLockAtDpcLevel(&lock);  // balances the count
        KeReleaseSpinLock(&lock, irql);
        CHECK(expected.Saw("spin lock not held"));
    }
    SUBCASE("pool freed with another tag") {
        ExFreePoolWithTag(ExAllocatePoolWithTag(NonPagedPoolNx, 8, 1), 2);
        CHECK(expected.Saw("bad pool free"));
    }
}

TEST_CASE("a dispatch routine that comes back raised") {
    Offender offender([](PDEVICE_OBJECT, PIRP irp) {
        KIRQL irql;
        KeRaiseIrql(APC_LEVEL, &irql);
        return Complete(irp, STATUS_SUCCESS);
    });
    offender.Provoke();
    CHECK(offender.expected.Rules() == std::vector<std::string>{"IRQL changed"});
    KeLowerIrql(PASSIVE_LEVEL);
}

TEST_CASE("what is left behind is found") {
    sim::ExpectViolations expected;
    PVOID pool = nullptr;
    {
        auto machine = sim::Machine::Boot();
        pool = ExAllocatePoolWithTag(NonPagedPoolNx, 8, 1);
    }
    CHECK(expected.Rules() == std::vector<std::string>{"leak"});
    // Given back to the next machine, which misses nothing, but has one too many.
    auto machine = sim::Machine::Boot();
    ExFreePoolWithTag(pool, 1);
    machine.reset();
    CHECK(expected.Rules() == std::vector<std::string>{"leak", "leak"});
}

}  // namespace drivermon::test
