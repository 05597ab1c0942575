// layers_test.cpp: what drivers do with stack locations and completion routines, seen through hooks on one layer or
// two. Each case must end for the caller exactly as it does without a hook.
#include <doctest/doctest.h>

#include <cstring>
#include <thread>

#include "capture_session.h"
#include "scripted_driver.h"
#include "targets/echo_protocol.h"

namespace drivermon::test {
namespace {

// An upper driver attached to a lower one, both hooked.
struct Layers {
    Layers() {
        upper.AttachTo(lower);
        REQUIRE(session.Start() == STATUS_SUCCESS);
        REQUIRE(session.AddDriver(upper.name(), &upperReply) == STATUS_SUCCESS);
        REQUIRE(session.AddDriver(lower.name(), &lowerReply) == STATUS_SUCCESS);
    }
    // Sends a request with three bytes each way through both.
    NTSTATUS Control() {
        sim::Status status;
        // The handle is opened through the upper device, which succeeds without asking the lower.
        auto handle = machine->Open(lower.path(), &status);
        REQUIRE(handle);
        char buffer[] = "abc";
        return handle->Control(kCode, buffer, 3, buffer, 3, nullptr);
    }
    void Finish() {
        REQUIRE(session.Stop() == STATUS_SUCCESS);
        totals = session.Counters();
        const Captured captured = session.Finish();
        for (const Request& request : captured.WithCode(kCode)) {
            REQUIRE(request.start);
            auto& layer = request.start->header.driverId == upperReply.driverId ? above : below;
            CHECK_FALSE(layer);  // once
            layer = request;
        }
    }

    std::unique_ptr<sim::Machine> machine = sim::Machine::Boot();
    ScriptedDriver lower{u"Lower"}, upper{u"Upper"};
    CaptureSession session{*machine};
    AddDriverReply upperReply{}, lowerReply{};
    Totals totals;
    std::optional<Request> above, below;
};

NTSTATUS SkipDown(PDEVICE_OBJECT lower, PIRP irp) {
    IoSkipCurrentIrpStackLocation(irp);
    return IoCallDriver(lower, irp);
}

NTSTATUS CompleteFromThread(PDEVICE_OBJECT, PIRP irp) {
    IoMarkIrpPending(irp);
    std::thread([irp] { Complete(irp, STATUS_SUCCESS, 2); }).detach();
    return STATUS_PENDING;
}

}  // namespace

TEST_CASE("skip to the lower driver: it inherits the location") {
    Layers layers;
    layers.upper.onControl = [&](PDEVICE_OBJECT, PIRP irp) { return SkipDown(layers.upper.lower(), irp); };
    SUBCASE("completed at once") {
        layers.lower.onControl = [](PDEVICE_OBJECT, PIRP irp) { return Complete(irp, STATUS_SUCCESS, 2); };
    }
    SUBCASE("pended") {
        layers.lower.onControl = CompleteFromThread;
    }
    CHECK(layers.Control() == STATUS_SUCCESS);
    layers.Finish();
    REQUIRE(layers.above);
    REQUIRE(layers.below);
    CHECK(layers.above->start->stackLocation == layers.below->start->stackLocation);
    for (const auto& layer : {*layers.above, *layers.below}) {
        REQUIRE(layer.end);
        CHECK(layer.end->status == STATUS_SUCCESS);
        CHECK(layer.end->information == 2);
    }
}

TEST_CASE("copy to the lower driver without a routine: pending goes up through the hook") {
    Layers layers;
    layers.upper.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
        IoCopyCurrentIrpStackLocationToNext(irp);
        return IoCallDriver(layers.upper.lower(), irp);
    };
    // Without PendingReturned passed on, the simulated kernel ends the program: the upper driver returns
    // STATUS_PENDING and never marks anything itself.
    layers.lower.onControl = CompleteFromThread;
    CHECK(layers.Control() == STATUS_SUCCESS);
    layers.Finish();
    REQUIRE(layers.above);
    REQUIRE(layers.below);
    CHECK(layers.above->start->stackLocation == layers.below->start->stackLocation + 1);
    REQUIRE(layers.above->end);
    REQUIRE(layers.below->end);
    CHECK((layers.above->end->flags & kRequestPended) != 0);
    CHECK((layers.below->end->flags & kRequestPended) != 0);
    CHECK(layers.below->end->header.timestamp <= layers.above->end->header.timestamp);
}

TEST_CASE("a routine that stops the completion, and a driver that completes again") {
    Layers layers;
    static KEVENT lowerDone;
    KeInitializeEvent(&lowerDone, NotificationEvent, FALSE);
    layers.upper.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
        IoCopyCurrentIrpStackLocationToNext(irp);
        IoSetCompletionRoutine(
            irp,
            [](PDEVICE_OBJECT, PIRP, PVOID event) -> NTSTATUS {
                KeSetEvent(static_cast<PKEVENT>(event), IO_NO_INCREMENT, FALSE);
                return STATUS_MORE_PROCESSING_REQUIRED;
            },
            &lowerDone, TRUE, TRUE, TRUE);
        if (IoCallDriver(layers.upper.lower(), irp) == STATUS_PENDING) {
            KeWaitForSingleObject(&lowerDone, Executive, KernelMode, FALSE, nullptr);
        }
        return Complete(irp, STATUS_ACCESS_DENIED);
    };
    SUBCASE("lower completes at once") {
        layers.lower.onControl = [](PDEVICE_OBJECT, PIRP irp) { return Complete(irp, STATUS_SUCCESS, 2); };
    }
    SUBCASE("lower pends") {
        layers.lower.onControl = CompleteFromThread;
    }
    CHECK(layers.Control() == STATUS_ACCESS_DENIED);
    layers.Finish();
    REQUIRE(layers.above);
    REQUIRE(layers.below);
    REQUIRE(layers.above->end);
    REQUIRE(layers.below->end);
    CHECK(layers.below->end->status == STATUS_SUCCESS);
    CHECK(layers.above->end->status == static_cast<uint32_t>(STATUS_ACCESS_DENIED));
    CHECK((layers.above->end->flags & kRequestPended) == 0);
}

TEST_CASE("a driver that copies the whole location, completion fields and all") {
    Layers layers;
    layers.upper.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
        *IoGetNextIrpStackLocation(irp) = *IoGetCurrentIrpStackLocation(irp);
        return IoCallDriver(layers.upper.lower(), irp);
    };
    SUBCASE("completed at once") {
        layers.lower.onControl = [](PDEVICE_OBJECT, PIRP irp) { return Complete(irp, STATUS_SUCCESS, 2); };
    }
    SUBCASE("pended") {
        layers.lower.onControl = CompleteFromThread;
    }
    CHECK(layers.Control() == STATUS_SUCCESS);
    layers.Finish();
    REQUIRE(layers.above);
    REQUIRE(layers.below);
    REQUIRE(layers.above->end);
    REQUIRE(layers.below->end);
    CHECK(layers.above->end->information == 2);
    CHECK(layers.totals.reply.outstanding == 0);
}

TEST_CASE("a copied routine fires once for each copy, hook or no hook") {
    static int fired;
    static uint8_t locations[2];
    for (int hooks : {0, 1, 2}) {
        CAPTURE(hooks);
        auto machine = sim::Machine::Boot();
        ScriptedDriver lower(u"Lower"), upper(u"Upper");
        upper.AttachTo(lower);
        upper.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
            *IoGetNextIrpStackLocation(irp) = *IoGetCurrentIrpStackLocation(irp);
            return IoCallDriver(upper.lower(), irp);
        };
        CaptureSession session(*machine);
        REQUIRE(session.Start() == STATUS_SUCCESS);
        if (hooks >= 1) REQUIRE(session.AddDriver(upper.name()) == STATUS_SUCCESS);
        if (hooks >= 2) REQUIRE(session.AddDriver(lower.name()) == STATUS_SUCCESS);
        fired = 0;
        PIRP irp = MakeControl(upper.device(), kCode, nullptr, 0, 0);
        IoSetCompletionRoutine(
            irp,
            [](PDEVICE_OBJECT, PIRP mine, PVOID) -> NTSTATUS {
                REQUIRE(fired < 2);
                locations[fired++] = static_cast<uint8_t>(mine->CurrentLocation);
                if (mine->CurrentLocation <= mine->StackCount) return STATUS_CONTINUE_COMPLETION;
                IoFreeIrp(mine);
                return STATUS_MORE_PROCESSING_REQUIRED;
            },
            nullptr, TRUE, TRUE, TRUE);
        CHECK(IoCallDriver(upper.device(), irp) == STATUS_SUCCESS);
        CHECK(fired == 2);
        CHECK(locations[0] == 2);
        CHECK(locations[1] == 3);
        REQUIRE(session.Stop() == STATUS_SUCCESS);
        const Captured captured = session.Finish();
        CHECK(captured.WithCode(kCode).size() == static_cast<size_t>(hooks));
        for (const Request& request : captured.WithCode(kCode)) CHECK(request.end);
    }
}

TEST_CASE("skip, then set a routine: the upper hook loses sight, and says so") {
    Layers layers;
    static int called;
    called = 0;
    layers.upper.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
        IoSkipCurrentIrpStackLocation(irp);
        // This overwrites what was in the driver's own location: our routine.
        IoSetCompletionRoutine(
            irp,
            [](PDEVICE_OBJECT, PIRP, PVOID) -> NTSTATUS {
                called++;
                return STATUS_CONTINUE_COMPLETION;
            },
            nullptr, TRUE, TRUE, TRUE);
        return IoCallDriver(layers.upper.lower(), irp);
    };
    layers.lower.onControl = [](PDEVICE_OBJECT, PIRP irp) { return Complete(irp, STATUS_SUCCESS, 2); };
    CHECK(layers.Control() == STATUS_SUCCESS);
    CHECK(called == 1);
    layers.Finish();
    REQUIRE(layers.above);
    REQUIRE(layers.above->end);
    CHECK((layers.above->end->flags & kRequestUnseen) != 0);
    CHECK(layers.above->end->status == STATUS_SUCCESS);
    REQUIRE(layers.below);
    CHECK((layers.below->end->flags & kRequestUnseen) == 0);
    CHECK(layers.totals.Sum(&FunctionCounters::unseen) == 1);
}

TEST_CASE("a request that a driver made itself, freed in its routine") {
    auto machine = sim::Machine::Boot();
    CaptureSession session(*machine);
    REQUIRE(session.Start() == STATUS_SUCCESS);
    REQUIRE(session.AddDriver(DRIVERMON_ECHO_DRIVER_NAME) == STATUS_SUCCESS);
    NTSTATUS found;
    sim::Status status;
    auto keepsOpen = machine->Open(DRIVERMON_ECHO_USER_PATH, &status);
    UNICODE_STRING name;
    RtlInitUnicodeString(&name, DRIVERMON_ECHO_DRIVER_NAME);
    PVOID object = nullptr;
    found = ObReferenceObjectByName(&name, OBJ_CASE_INSENSITIVE, nullptr, 0, *IoDriverObjectType, KernelMode, nullptr,
                                    &object);
    REQUIRE(found == STATUS_SUCCESS);
    PDEVICE_OBJECT echo = static_cast<PDRIVER_OBJECT>(object)->DeviceObject;

    static KEVENT done;
    KeInitializeEvent(&done, NotificationEvent, FALSE);
    alignas(8) char buffer[sizeof(targets::EchoPendRequest) + 4] = {};
    uint32_t code = targets::kEchoBuffered;
    SUBCASE("at once") {}
    SUBCASE("from a DPC") {
        code = targets::kEchoPend;
        const targets::EchoPendRequest request{100, STATUS_SUCCESS};
        std::memcpy(buffer, &request, sizeof(request));
    }
    PIRP irp = MakeControl(echo, code, buffer, sizeof(buffer), sizeof(buffer));
    IoSetCompletionRoutine(
        irp,
        [](PDEVICE_OBJECT device, PIRP mine, PVOID event) -> NTSTATUS {
            CHECK(device == nullptr);  // nobody above the top
            CHECK(mine->CurrentLocation == mine->StackCount + 1);
            IoFreeIrp(mine);
            KeSetEvent(static_cast<PKEVENT>(event), IO_NO_INCREMENT, FALSE);
            return STATUS_MORE_PROCESSING_REQUIRED;
        },
        &done, TRUE, TRUE, TRUE);
    const NTSTATUS returned = IoCallDriver(echo, irp);
    CHECK(returned == (code == targets::kEchoPend ? STATUS_PENDING : STATUS_SUCCESS));
    KeWaitForSingleObject(&done, Executive, KernelMode, FALSE, nullptr);
    ObDereferenceObject(object);
    keepsOpen.reset();

    REQUIRE(session.Stop() == STATUS_SUCCESS);
    const std::vector<Request> requests = session.Finish().WithCode(code);
    REQUIRE(requests.size() == 1);
    REQUIRE(requests[0].end);
    CHECK(requests[0].end->status == STATUS_SUCCESS);
    CHECK(requests[0].start->requestorMode == kModeKernel);
    CHECK(requests[0].start->requestorProcessId == 0);
}

TEST_CASE("the hook adds its bits to a location, and leaves the others alone") {
    auto machine = sim::Machine::Boot();
    ScriptedDriver driver(u"Scripted");
    static UCHAR control;
    driver.onControl = [](PDEVICE_OBJECT, PIRP irp) {
        control = IoGetCurrentIrpStackLocation(irp)->Control;
        return Complete(irp, STATUS_SUCCESS);
    };
    CaptureSession session(*machine);
    REQUIRE(session.Start() == STATUS_SUCCESS);
    REQUIRE(session.AddDriver(driver.name()) == STATUS_SUCCESS);
    PIRP irp = MakeControl(driver.device(), kCode, nullptr, 0, 0);
    static int called;
    called = 0;
    IoSetCompletionRoutine(
        irp,
        [](PDEVICE_OBJECT, PIRP mine, PVOID) -> NTSTATUS {
            called++;
            IoFreeIrp(mine);
            return STATUS_MORE_PROCESSING_REQUIRED;
        },
        nullptr, TRUE, FALSE, FALSE);
    IoGetNextIrpStackLocation(irp)->Control |= SL_ERROR_RETURNED;
    CHECK(IoCallDriver(driver.device(), irp) == STATUS_SUCCESS);
    CHECK(called == 1);
    CHECK((control & SL_ERROR_RETURNED) != 0);
}

TEST_CASE("a routine that is not wanted for this outcome is not called") {
    auto machine = sim::Machine::Boot();
    ScriptedDriver lower(u"Lower"), upper(u"Upper");
    upper.AttachTo(lower);
    static int called;
    called = 0;
    upper.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
        IoCopyCurrentIrpStackLocationToNext(irp);
        IoSetCompletionRoutine(
            irp,
            [](PDEVICE_OBJECT, PIRP, PVOID) -> NTSTATUS {
                called++;
                return STATUS_CONTINUE_COMPLETION;
            },
            nullptr, FALSE, TRUE, FALSE);
        return IoCallDriver(upper.lower(), irp);
    };
    NTSTATUS outcome = STATUS_SUCCESS;
    lower.onControl = [&](PDEVICE_OBJECT, PIRP irp) { return Complete(irp, outcome); };
    CaptureSession session(*machine);
    REQUIRE(session.Start() == STATUS_SUCCESS);
    REQUIRE(session.AddDriver(lower.name()) == STATUS_SUCCESS);
    sim::Status status;
    auto handle = machine->Open(lower.path(), &status);
    CHECK(handle->Control(kCode, nullptr, 0, nullptr, 0, nullptr) == STATUS_SUCCESS);
    CHECK(called == 0);
    outcome = STATUS_ACCESS_DENIED;
    CHECK(handle->Control(kCode, nullptr, 0, nullptr, 0, nullptr) == STATUS_ACCESS_DENIED);
    CHECK(called == 1);
    handle.reset();
    REQUIRE(session.Stop() == STATUS_SUCCESS);
    CHECK(session.Finish().WithCode(kCode).size() == 2);
}

TEST_CASE("a routine that is wanted for cancelled requests only") {
    Layers layers;
    static int called;
    called = 0;
    layers.upper.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
        IoCopyCurrentIrpStackLocationToNext(irp);
        IoSetCompletionRoutine(
            irp,
            [](PDEVICE_OBJECT, PIRP mine, PVOID) -> NTSTATUS {
                called++;
                if (mine->PendingReturned) IoMarkIrpPending(mine);
                return STATUS_CONTINUE_COMPLETION;
            },
            nullptr, FALSE, FALSE, TRUE);
        return IoCallDriver(layers.upper.lower(), irp);
    };
    int expected = 0;
    SUBCASE("completed") {
        layers.lower.onControl = [](PDEVICE_OBJECT, PIRP irp) { return Complete(irp, STATUS_SUCCESS); };
    }
    SUBCASE("pended: the mark goes up without it") {
        layers.lower.onControl = CompleteFromThread;
    }
    SUBCASE("cancelled") {
        expected = 1;
        layers.lower.onControl = [](PDEVICE_OBJECT, PIRP irp) {
            IoMarkIrpPending(irp);
            IoSetCancelRoutine(irp, [](PDEVICE_OBJECT, PIRP mine) {
                IoReleaseCancelSpinLock(mine->CancelIrql);
                Complete(mine, STATUS_CANCELLED);
            });
            IoCancelIrp(irp);
            return STATUS_PENDING;
        };
    }
    CHECK(layers.Control() == (expected ? STATUS_CANCELLED : STATUS_SUCCESS));
    CHECK(called == expected);
    layers.Finish();
    for (const auto& layer : {layers.above, layers.below}) {
        REQUIRE(layer);
        REQUIRE(layer->end);
        CHECK(((layer->end->flags & kRequestCancelled) != 0) == (expected != 0));
    }
}

TEST_CASE("three hooked layers: one skips, one stops the completion and completes again later, one pends") {
    auto machine = sim::Machine::Boot();
    ScriptedDriver bottom(u"Bottom"), middle(u"Middle"), top(u"Top");
    middle.AttachTo(bottom);
    top.AttachTo(middle);
    CaptureSession session(*machine);
    REQUIRE(session.Start() == STATUS_SUCCESS);
    std::vector<uint32_t> ids;
    for (const ScriptedDriver* driver : {&top, &middle, &bottom}) {
        AddDriverReply reply;
        REQUIRE(session.AddDriver(driver->name(), &reply) == STATUS_SUCCESS);
        ids.push_back(reply.driverId);
    }
    std::thread again;
    top.onControl = [&](PDEVICE_OBJECT, PIRP irp) { return SkipDown(top.lower(), irp); };
    middle.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
        IoMarkIrpPending(irp);
        IoCopyCurrentIrpStackLocationToNext(irp);
        IoSetCompletionRoutine(
            irp,
            [](PDEVICE_OBJECT, PIRP mine, PVOID thread) -> NTSTATUS {
                *static_cast<std::thread*>(thread) = std::thread([mine] { Complete(mine, STATUS_ACCESS_DENIED); });
                return STATUS_MORE_PROCESSING_REQUIRED;
            },
            &again, TRUE, TRUE, TRUE);
        IoCallDriver(middle.lower(), irp);
        return STATUS_PENDING;
    };
    SUBCASE("the lowest completes at once") {
        bottom.onControl = [](PDEVICE_OBJECT, PIRP irp) { return Complete(irp, STATUS_SUCCESS, 2); };
    }
    SUBCASE("the lowest pends") {
        bottom.onControl = CompleteFromThread;
    }
    sim::Status status;
    auto handle = machine->Open(bottom.path(), &status);
    REQUIRE(handle);
    char buffer[] = "abc";
    CHECK(handle->Control(kCode, buffer, 3, buffer, 3, nullptr) == STATUS_ACCESS_DENIED);
    again.join();
    handle.reset();
    REQUIRE(session.Stop() == STATUS_SUCCESS);
    CHECK(session.Counters().reply.outstanding == 0);
    const std::vector<Request> requests = session.Finish().WithCode(kCode);
    REQUIRE(requests.size() == 3);
    for (size_t layer = 0; layer < requests.size(); layer++) {
        CAPTURE(layer);
        CHECK(requests[layer].start->header.driverId == ids[layer]);
        CHECK(requests[layer].start->irp == requests[0].start->irp);
        REQUIRE(requests[layer].end);
        CHECK((requests[layer].end->flags & kRequestUnseen) == 0);
        const NTSTATUS expected = layer == 2 ? STATUS_SUCCESS : STATUS_ACCESS_DENIED;
        CHECK(requests[layer].end->status == static_cast<uint32_t>(expected));
    }
    CHECK(requests[2].end->header.timestamp <= requests[1].end->header.timestamp);
}

TEST_CASE("the system buffer of an associated request is its master's business") {
    auto machine = sim::Machine::Boot();
    ScriptedDriver lower(u"Lower"), upper(u"Upper");
    upper.AttachTo(lower);
    upper.onControl = [&](PDEVICE_OBJECT, PIRP master) {
        PIRP part = IoMakeAssociatedIrp(master, lower.device()->StackSize);
        REQUIRE(part);
        master->AssociatedIrp.IrpCount = 1;
        master->IoStatus = {{STATUS_SUCCESS}, 0};
        PIO_STACK_LOCATION location = IoGetNextIrpStackLocation(part);
        location->MajorFunction = IRP_MJ_DEVICE_CONTROL;
        location->Parameters.DeviceIoControl.IoControlCode = kCode;
        location->Parameters.DeviceIoControl.InputBufferLength = 3;
        location->Parameters.DeviceIoControl.OutputBufferLength = 3;
        IoMarkIrpPending(master);
        IoCallDriver(lower.device(), part);
        return STATUS_PENDING;
    };
    lower.onControl = [](PDEVICE_OBJECT, PIRP irp) { return Complete(irp, STATUS_SUCCESS, 3); };
    CaptureSession session(*machine);
    REQUIRE(session.Start() == STATUS_SUCCESS);
    REQUIRE(session.AddDriver(lower.name()) == STATUS_SUCCESS);
    sim::Status status;
    auto handle = machine->Open(lower.path(), &status);
    // The count of associated requests took the place of the buffer's address: no buffer for the master.
    CHECK(handle->Control(kCode, nullptr, 0, nullptr, 0, nullptr) == STATUS_SUCCESS);
    handle.reset();
    REQUIRE(session.Stop() == STATUS_SUCCESS);
    const std::vector<Request> requests = session.Finish().WithCode(kCode);
    REQUIRE(requests.size() == 1);
    CHECK((requests[0].start->flags & kRequestAssociated) != 0);
    CHECK(requests[0].input.empty());
    CHECK(requests[0].output.empty());
}

}  // namespace drivermon::test
