// verifier_test.cpp: the simulated kernel catches drivers that break its rules. A rule that is not caught here proves
// nothing about the driver elsewhere.
#include "sim/verifier.h"

#include <doctest/doctest.h>

#include "capture_session.h"
#include "core/guarded_copy.h"
#include "scripted_driver.h"
#include "sim/driver_loader.h"
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
    SUBCASE("pool that is paged or executable") {
        for (POOL_TYPE type : {NonPagedPool, PagedPool}) ExFreePoolWithTag(ExAllocatePoolWithTag(type, 8, 1), 1);
        CHECK(expected.Rules() == std::vector<std::string>(2, "pool that is paged or executable"));
    }
    SUBCASE("pool freed with another tag") {
        ExFreePoolWithTag(ExAllocatePoolWithTag(NonPagedPoolNx, 8, 1), 2);
        CHECK(expected.Saw("bad pool free"));
    }
}

TEST_CASE("a call of the kernel's at a higher IRQL than it may have") {
    auto machine = sim::Machine::Boot();
    char memory[8];
    UNICODE_STRING name{};
    OBJECT_ATTRIBUTES attributes;
    InitializeObjectAttributes(&attributes, &name, OBJ_KERNEL_HANDLE, nullptr, nullptr);
    KEVENT event;
    KeInitializeEvent(&event, NotificationEvent, TRUE);
    KTIMER timer;
    KeInitializeTimer(&timer);
    PVOID found = nullptr;
    HANDLE key = nullptr;
    PDEVICE_OBJECT device = nullptr;
    struct Call {
        const char* name;
        KIRQL most;
        std::function<void()> make;
    };
    // What driver/core calls, but for what may be called at any. Some undo what those before them have done.
    const Call calls[] = {
        {"ObReferenceObjectByName", PASSIVE_LEVEL,
         [&] { ObReferenceObjectByName(&name, 0, nullptr, 0, *IoDriverObjectType, KernelMode, nullptr, &found); }},
        {"MmGetSystemRoutineAddress", PASSIVE_LEVEL, [&] { MmGetSystemRoutineAddress(&name); }},
        {"PsSetCreateProcessNotifyRoutineEx", PASSIVE_LEVEL,
         [] { PsSetCreateProcessNotifyRoutineEx([](PEPROCESS, HANDLE, PPS_CREATE_NOTIFY_INFO) {}, TRUE); }},
        {"PsSetCreateProcessNotifyRoutine", PASSIVE_LEVEL,
         [] { PsSetCreateProcessNotifyRoutine([](HANDLE, HANDLE, BOOLEAN) {}, TRUE); }},
        {"ZwOpenKey", PASSIVE_LEVEL, [&] { ZwOpenKey(&key, KEY_QUERY_VALUE, &attributes); }},
        {"ZwQueryValueKey", PASSIVE_LEVEL,
         [&] { ZwQueryValueKey(key, &name, KeyValuePartialInformation, nullptr, 0, nullptr); }},
        {"ZwClose", PASSIVE_LEVEL, [&] { ZwClose(key); }},
        {"KeFlushQueuedDpcs", PASSIVE_LEVEL, [] { KeFlushQueuedDpcs(); }},
        {"IoCreateSymbolicLink", PASSIVE_LEVEL, [&] { IoCreateSymbolicLink(&name, &name); }},
        {"IoDeleteSymbolicLink", PASSIVE_LEVEL, [&] { IoDeleteSymbolicLink(&name); }},
        {"IoCreateDevice", APC_LEVEL,
         [&] {
             auto driver = sim::ReferenceDriver(u"\\Driver\\AFD");
             IoCreateDevice(driver.get(), 0, nullptr, FILE_DEVICE_UNKNOWN, 0, FALSE, &device);
         }},
        {"IoDeleteDevice", APC_LEVEL, [&] { IoDeleteDevice(device); }},
        {"KeWaitForSingleObject", APC_LEVEL,
         [&] { KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, nullptr); }},
        {"KeEnterCriticalRegion", APC_LEVEL, [] { KeEnterCriticalRegion(); }},
        {"KeLeaveCriticalRegion", APC_LEVEL, [] { KeLeaveCriticalRegion(); }},
        {"a copy of user memory", APC_LEVEL, [&] { DrivermonGuardedCopy(memory, "1234567", 8); }},
        {"ExAllocatePoolWithTag", DISPATCH_LEVEL, [&] { found = ExAllocatePoolWithTag(NonPagedPoolNx, 8, 1); }},
        {"ExFreePoolWithTag", DISPATCH_LEVEL, [&] { ExFreePoolWithTag(found, 1); }},
        {"KeSetEvent", DISPATCH_LEVEL, [&] { KeSetEvent(&event, IO_NO_INCREMENT, FALSE); }},
        {"KeSetTimer", DISPATCH_LEVEL, [&] { KeSetTimer(&timer, LARGE_INTEGER{}, nullptr); }},
        {"KeCancelTimer", DISPATCH_LEVEL, [&] { KeCancelTimer(&timer); }},
    };
    for (const Call& call : calls) {
        CAPTURE(std::string(call.name));
        sim::ExpectViolations expected;
        KIRQL irql;
        KeRaiseIrql(static_cast<KIRQL>(call.most + 1), &irql);
        call.make();
        KeLowerIrql(irql);
        CHECK(expected.Saw("IRQL too high"));
    }
}

TEST_CASE("an MDL is mapped neither executable nor read-only") {
    auto machine = sim::Machine::Boot();
    char bytes[4];
    for (ULONG flags : {0u, MdlMappingNoExecute, MdlMappingNoExecute | MdlMappingNoWrite}) {
        CAPTURE(flags);
        PMDL mdl = IoAllocateMdl(bytes, sizeof(bytes), FALSE, FALSE, nullptr);
        MmProbeAndLockPages(mdl, KernelMode, IoWriteAccess);
        sim::ExpectViolations expected;
        CHECK(MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority | flags) == bytes);
        CHECK(expected.Saw("executable mapping") == !(flags & MdlMappingNoExecute));
        CHECK(expected.Saw("read-only mapping") == ((flags & MdlMappingNoWrite) != 0));
        MmUnlockPages(mdl);
        IoFreeMdl(mdl);
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
