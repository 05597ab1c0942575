// rules_test.cpp: rules of the driver that only show when something unusual happens around it: handles that outlive
// their request, buffers that change hands, lengths that lie, another hook on top, memory that must not be written.
#include <doctest/doctest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "capture_session.h"
#include "scene.h"
#include "sim/driver_loader.h"
#include "targets/echo_protocol.h"

namespace drivermon::test {
namespace {

using Bytes = std::vector<uint8_t>;

// A request of a driver's own with a byte-for-byte copy of `location`, completion fields and all, on its way to
// `device` when Send is called. Its own top location frees nothing: the test does.
struct CopyOf {
    explicit CopyOf(const IO_STACK_LOCATION& location) : irp(IoAllocateIrp(2, FALSE)) {
        REQUIRE(irp);
        finished.SetOn(irp);
        IoSetNextIrpStackLocation(irp);
        *IoGetNextIrpStackLocation(irp) = location;
    }
    void SendTo(PDEVICE_OBJECT device) { CHECK(IoCallDriver(device, irp) == STATUS_SUCCESS); }
    ~CopyOf() { IoFreeIrp(irp); }

    Calls finished;
    PIRP irp;
};

HookedDriver TheListed(CaptureSession& session) {
    Bytes output(sizeof(ListReply) + sizeof(HookedDriver));
    REQUIRE(session.handle().Control(kControlList, nullptr, 0, output.data(), static_cast<uint32_t>(output.size()),
                                     nullptr) == STATUS_SUCCESS);
    ListReply reply;
    std::memcpy(&reply, output.data(), sizeof(reply));
    REQUIRE(reply.count == 1);
    REQUIRE(reply.total == 1);
    HookedDriver listed;
    std::memcpy(&listed, output.data() + sizeof(reply), sizeof(listed));
    return listed;
}

NTSTATUS SendOne(sim::Machine& machine, const ScriptedDriver& driver) {
    sim::Status status;
    auto handle = machine.Open(driver.path(), &status);
    REQUIRE(handle);
    char buffer[] = "abc";
    return handle->Control(kCode, buffer, 3, buffer, 3, nullptr);
}

}  // namespace

// ---- Handles that outlive their request ------------------------------------------------------------------------

TEST_CASE("a stale handle calls nobody: its context serves another request by now") {
    Scene scene;
    ScriptedDriver elsewhere(u"Elsewhere");
    std::unique_ptr<CopyOf> copy;
    PIRP kept = nullptr;
    scene.driver.onControl = [&](PDEVICE_OBJECT, PIRP irp) -> NTSTATUS {
        if (!copy) {
            copy = std::make_unique<CopyOf>(*IoGetCurrentIrpStackLocation(irp));
            return Complete(irp, STATUS_SUCCESS);
        }
        IoMarkIrpPending(irp);
        kept = irp;
        return STATUS_PENDING;
    };
    Calls first, second;
    PIRP over = MakeControl(scene.driver.device(), kCode, nullptr, 0, 0);
    first.SetOn(over);
    CHECK(IoCallDriver(scene.driver.device(), over) == STATUS_SUCCESS);
    CHECK(first.irps == std::vector{over});
    // On the same processor: the context that has just been given back is the next to be taken.
    PIRP current = MakeControl(scene.driver.device(), kCode, nullptr, 0, 0);
    second.SetOn(current);
    CHECK(IoCallDriver(scene.driver.device(), current) == STATUS_PENDING);
    REQUIRE(kept == current);

    copy->SendTo(elsewhere.device());
    CHECK(copy->finished.irps == std::vector{copy->irp});
    CHECK(second.irps.empty());
    CHECK(first.irps.size() == 1);
    CHECK(scene.session.Counters().reply.staleCompletions == 1);

    Complete(kept, STATUS_SUCCESS);
    CHECK(second.irps == std::vector{current});
    IoFreeIrp(over);
    IoFreeIrp(current);
    const std::vector<Request> requests = scene.Finish().WithCode(kCode);
    REQUIRE(requests.size() == 2);
    CHECK(requests[0].end);
    CHECK(requests[1].end);
}

TEST_CASE("a copy of the location that ends while the request is in flight is not the request's end") {
    Scene scene;
    ScriptedDriver elsewhere(u"Elsewhere");
    std::unique_ptr<CopyOf> copy;
    PIRP kept = nullptr;
    scene.driver.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
        copy = std::make_unique<CopyOf>(*IoGetCurrentIrpStackLocation(irp));
        IoMarkIrpPending(irp);
        kept = irp;
        return STATUS_PENDING;
    };
    Calls callers;
    PIRP irp = MakeControl(scene.driver.device(), kCode, nullptr, 0, 0);
    callers.SetOn(irp);
    CHECK(IoCallDriver(scene.driver.device(), irp) == STATUS_PENDING);
    REQUIRE(kept == irp);

    // The same routine, at the same location, as the hooked request has it: only the IRP tells.
    callers.answer = STATUS_CONTINUE_COMPLETION;
    copy->SendTo(elsewhere.device());
    CHECK(callers.irps == std::vector{copy->irp});
    CHECK(scene.session.InFlight().size() == 1);

    callers.answer = STATUS_MORE_PROCESSING_REQUIRED;
    Complete(kept, STATUS_ACCESS_DENIED);
    CHECK(callers.irps == std::vector{copy->irp, irp});
    IoFreeIrp(irp);
    CHECK(scene.TheOne().end->status == static_cast<uint32_t>(STATUS_ACCESS_DENIED));
    CHECK(scene.session.Counters().reply.staleCompletions == 0);
}

TEST_CASE("a context that holds a caller's routine is never given back: a copy of it may yet have to call it") {
    Scene scene;
    ScriptedDriver elsewhere(u"Elsewhere");
    std::unique_ptr<CopyOf> copy;
    Calls callers, replaced;
    callers.answer = STATUS_CONTINUE_COMPLETION;
    scene.driver.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
        copy = std::make_unique<CopyOf>(*IoGetCurrentIrpStackLocation(irp));
        // The location is given another routine, ours is overwritten, and the request ends unseen.
        IoSkipCurrentIrpStackLocation(irp);
        replaced.SetOn(irp);
        return IoCallDriver(elsewhere.device(), irp);
    };
    PIRP irp = MakeControl(scene.driver.device(), kCode, nullptr, 0, 0);
    callers.SetOn(irp);
    CHECK(IoCallDriver(scene.driver.device(), irp) == STATUS_SUCCESS);
    CHECK(replaced.irps == std::vector{irp});
    CHECK(TheListed(scene.session).outstanding == 1);
    CHECK(scene.session.InFlight().empty());  // it has ended

    // The copy calls the caller's routine, as it would have without us.
    copy->SendTo(elsewhere.device());
    CHECK(callers.irps == std::vector{copy->irp});
    CHECK(copy->finished.irps == std::vector{copy->irp});
    IoFreeIrp(irp);
    CHECK((scene.TheOne().end->flags & kRequestUnseen) != 0);
}

TEST_CASE("beyond its quota a driver has arrivals without ends, counted, and no request fails") {
    constexpr uint64_t kQuota = 8, kBeyond = 5;
    sim::MachineOptions options;
    options.requestQuota = kQuota;
    auto machine = sim::Machine::Boot(options);
    ScriptedDriver driver(u"Holding");
    std::vector<PIRP> held;
    driver.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
        IoMarkIrpPending(irp);
        held.push_back(irp);
        return STATUS_PENDING;
    };
    CaptureSession session(*machine);
    REQUIRE(session.Start() == STATUS_SUCCESS);
    REQUIRE(session.AddDriver(driver.name()) == STATUS_SUCCESS);
    Calls callers;
    for (uint64_t i = 0; i < kQuota + kBeyond; i++) {
        PIRP irp = MakeControl(driver.device(), kCode, nullptr, 0, 0);
        callers.SetOn(irp);
        CHECK(IoCallDriver(driver.device(), irp) == STATUS_PENDING);
    }
    for (PIRP irp : held) Complete(irp, STATUS_SUCCESS);
    CHECK(callers.irps == held);
    // What was given back can be had again.
    driver.onControl = [](PDEVICE_OBJECT, PIRP irp) { return Complete(irp, STATUS_SUCCESS); };
    PIRP last = MakeControl(driver.device(), kCode, nullptr, 0, 0);
    callers.SetOn(last);
    CHECK(IoCallDriver(driver.device(), last) == STATUS_SUCCESS);
    for (PIRP irp : callers.irps) IoFreeIrp(irp);

    REQUIRE(session.Stop() == STATUS_SUCCESS);
    const Totals totals = session.Counters();
    CHECK(totals.Sum(&FunctionCounters::arrivals) == kQuota + kBeyond + 1);
    CHECK(totals.Sum(&FunctionCounters::completions) == kQuota + 1);
    CHECK(totals.Sum(&FunctionCounters::unseen) == kBeyond);
    CHECK(totals.reply.dropsEnd[kLossCompletionQuota] == kBeyond);
    CHECK(totals.reply.outstanding == 0);
    const std::vector<Request> requests = session.Finish().WithCode(kCode);
    REQUIRE(requests.size() == kQuota + kBeyond + 1);
    for (uint64_t i = 0; i < requests.size(); i++) {
        const bool beyond = i >= kQuota && i < kQuota + kBeyond;
        CHECK(requests[i].end.has_value() == !beyond);
        CHECK(((requests[i].start->flags & kRequestUncaptured) != 0) == beyond);
    }
}

TEST_CASE("a request of an earlier capture ends in none") {
    Scene scene;
    PIRP held = nullptr;
    scene.driver.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
        IoMarkIrpPending(irp);
        held = irp;
        return STATUS_PENDING;
    };
    Calls callers;
    PIRP irp = MakeControl(scene.driver.device(), kCode, nullptr, 0, 0);
    callers.SetOn(irp);
    CHECK(IoCallDriver(scene.driver.device(), irp) == STATUS_PENDING);
    REQUIRE(scene.session.Stop() == STATUS_SUCCESS);
    REQUIRE(scene.session.Start() == STATUS_SUCCESS);
    Complete(held, STATUS_SUCCESS);
    CHECK(callers.irps == std::vector{irp});
    IoFreeIrp(irp);
    const Captured captured = scene.Finish();
    CHECK(captured.requests.empty());
    CHECK(scene.session.Counters().functions.empty());
}

TEST_CASE("a request that is cancelled too late has succeeded all the same") {
    Scene scene;
    PIRP held = nullptr;
    scene.driver.onControl = [&](PDEVICE_OBJECT, PIRP irp) -> NTSTATUS {
        IoMarkIrpPending(irp);
        held = irp;
        return STATUS_PENDING;
    };
    OwnRequest request(scene.driver, IRP_MJ_DEVICE_CONTROL);
    request.SetControl(kCode, 0, 0);
    CHECK(request.Send() == STATUS_PENDING);
    CHECK_FALSE(IoCancelIrp(request.irp));  // the driver has no routine for it
    Complete(held, STATUS_SUCCESS);
    const Request ended = scene.TheOne();
    CHECK(ended.end->status == static_cast<uint32_t>(STATUS_SUCCESS));
    CHECK((ended.end->flags & kRequestCancelled) != 0);
    const Totals totals = scene.session.Counters();
    CHECK(totals.Sum(&FunctionCounters::success) == 1);
    CHECK(totals.Sum(&FunctionCounters::cancelled) == 0);
}

// ---- Output that is not there, or not there any more -----------------------------------------------------------

TEST_CASE("an error has no output, and neither has STATUS_VERIFY_REQUIRED, whatever Information says") {
    for (const NTSTATUS status : {STATUS_ACCESS_DENIED, STATUS_VERIFY_REQUIRED}) {
        Scene scene;
        scene.driver.onControl = [&](PDEVICE_OBJECT, PIRP irp) { return Complete(irp, status, 3); };
        char buffer[] = "abc";
        Calls callers;
        PIRP irp = MakeControl(scene.driver.device(), kCode, buffer, 3, 3);
        callers.SetOn(irp);
        CHECK(IoCallDriver(scene.driver.device(), irp) == status);
        IoFreeIrp(irp);
        const Request request = scene.TheOne();
        CHECK(request.end->status == static_cast<uint32_t>(status));
        CHECK(request.output.empty());
    }
}

TEST_CASE("scratch memory is given back: no request in a long row goes without its bytes") {
    auto machine = sim::Machine::Boot();
    CaptureSession session(*machine);
    REQUIRE(session.Start() == STATUS_SUCCESS);
    REQUIRE(session.AddDriver(DRIVERMON_ECHO_DRIVER_NAME) == STATUS_SUCCESS);
    sim::Status status;
    auto echo = machine->Open(DRIVERMON_ECHO_USER_PATH, &status);
    constexpr size_t kMoreThanThereAreBlocks = 300;
    const Bytes input{'a', 'b', 'c'};
    for (size_t i = 0; i < kMoreThanThereAreBlocks; i++) {
        Bytes output(3);
        REQUIRE(echo->Control(targets::kEchoNeither, input.data(), 3, output.data(), 3, nullptr) == STATUS_SUCCESS);
    }
    echo.reset();
    REQUIRE(session.Stop() == STATUS_SUCCESS);
    const std::vector<Request> requests = session.Finish().WithCode(targets::kEchoNeither);
    REQUIRE(requests.size() == kMoreThanThereAreBlocks);
    for (const Request& request : requests) {
        CHECK(request.input == input);
        CHECK(request.output == input);
    }
}

TEST_CASE("an Information beyond the buffer is recorded, and not believed") {
    Scene scene;
    scene.driver.onControl = [](PDEVICE_OBJECT, PIRP irp) { return Complete(irp, STATUS_SUCCESS, 1000); };
    const auto buffer = std::make_unique<uint8_t[]>(4);
    std::memcpy(buffer.get(), "abcd", 4);
    Calls callers;
    PIRP irp = MakeControl(scene.driver.device(), kCode, buffer.get(), 4, 4);
    callers.SetOn(irp);
    CHECK(IoCallDriver(scene.driver.device(), irp) == STATUS_SUCCESS);
    IoFreeIrp(irp);
    const Request request = scene.TheOne();
    CHECK(request.end->information == 1000);
    CHECK(request.end->payloadTotal == 4);
    CHECK(request.output == Bytes{'a', 'b', 'c', 'd'});
}

TEST_CASE("a system buffer that the driver has exchanged is not read") {
    Scene scene;
    auto buffer = std::make_unique<uint8_t[]>(4);
    scene.driver.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
        irp->AssociatedIrp.SystemBuffer = nullptr;
        buffer.reset();
        return Complete(irp, STATUS_SUCCESS, 4);
    };
    Calls callers;
    PIRP irp = MakeControl(scene.driver.device(), kCode, buffer.get(), 0, 4);
    callers.SetOn(irp);
    CHECK(IoCallDriver(scene.driver.device(), irp) == STATUS_SUCCESS);
    IoFreeIrp(irp);
    const Request request = scene.TheOne();
    CHECK(request.output.empty());
    CHECK((request.end->flags & kRequestPayloadMissed) != 0);
}

TEST_CASE("an MDL that the driver has exchanged is not read") {
    constexpr ULONG kDirect = CTL_CODE(FILE_DEVICE_UNKNOWN, 0xA01, METHOD_OUT_DIRECT, FILE_ANY_ACCESS);
    Scene scene;
    auto buffer = std::make_unique<uint8_t[]>(4);
    PMDL mdl = IoAllocateMdl(buffer.get(), 4, FALSE, FALSE, nullptr);
    MmBuildMdlForNonPagedPool(mdl);
    scene.driver.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
        irp->MdlAddress = nullptr;
        IoFreeMdl(mdl);
        buffer.reset();
        return Complete(irp, STATUS_SUCCESS, 4);
    };
    Calls callers;
    PIRP irp = MakeControl(scene.driver.device(), kDirect, nullptr, 0, 4);
    irp->MdlAddress = mdl;
    callers.SetOn(irp);
    CHECK(IoCallDriver(scene.driver.device(), irp) == STATUS_SUCCESS);
    IoFreeIrp(irp);
    const std::vector<Request> requests = scene.Finish().WithCode(kDirect);
    REQUIRE(requests.size() == 1);
    CHECK(requests[0].output.empty());
    CHECK((requests[0].end->flags & kRequestPayloadMissed) != 0);
}

// ---- Lengths ---------------------------------------------------------------------------------------------------

TEST_CASE("METHOD_NEITHER beyond its caller's reach: no bytes, by rule, and no loss") {
    constexpr ULONG kNeither = CTL_CODE(FILE_DEVICE_UNKNOWN, 0xA01, METHOD_NEITHER, FILE_ANY_ACCESS);
    Scene scene;
    char input[] = "in", output[] = "out!";
    bool inputToo = false;
    std::thread completer;
    SUBCASE("output, once the request has pended") {
        sim::Status status;
        auto handle = scene.machine->Open(scene.driver.path(), &status);
        scene.driver.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
            IoMarkIrpPending(irp);
            completer = std::thread([irp] { Complete(irp, STATUS_SUCCESS, 4); });
            return STATUS_PENDING;
        };
        CHECK(handle->Control(kNeither, input, 2, output, 4, nullptr) == STATUS_SUCCESS);
        completer.join();
    }
    SUBCASE("all of it, where a driver asks: its addresses are not looked at") {
        inputToo = true;
        Calls callers;
        PIRP irp = MakeControl(scene.driver.device(), kNeither, nullptr, 2, 4);
        IoGetNextIrpStackLocation(irp)->Parameters.DeviceIoControl.Type3InputBuffer = input;
        irp->UserBuffer = output;
        callers.SetOn(irp);
        scene.driver.onControl = [](PDEVICE_OBJECT, PIRP mine) { return Complete(mine, STATUS_SUCCESS, 4); };
        CHECK(IoCallDriver(scene.driver.device(), irp) == STATUS_SUCCESS);
        IoFreeIrp(irp);
    }
    const std::vector<Request> requests = scene.Finish().WithCode(kNeither);
    REQUIRE(requests.size() == 1);
    constexpr uint32_t kBoth = kRequestPayloadMissed | kRequestPayloadBeyondReach;
    CHECK((requests[0].start->flags & kBoth) == (inputToo ? kBoth : 0u));
    CHECK((requests[0].end->flags & kBoth) == kBoth);
    CHECK(requests[0].output.empty());
    CHECK(requests[0].end->payloadTotal == 4);
    const CountersReply reply = scene.session.Counters().reply;
    CHECK(reply.payloadsBeyondReach == (inputToo ? 2u : 1u));
    CHECK(reply.dropsStart[kLossPayloadFault] + reply.dropsEnd[kLossPayloadFault] == 0);
}

TEST_CASE("an output length of 2 GiB and more is a length like any other") {
    auto machine = sim::Machine::Boot();
    CaptureSession session(*machine);
    REQUIRE(session.Start() == STATUS_SUCCESS);
    REQUIRE(session.AddDriver(DRIVERMON_ECHO_DRIVER_NAME) == STATUS_SUCCESS);
    sim::Status status;
    auto echo = machine->Open(DRIVERMON_ECHO_USER_PATH, &status);
    const Bytes input{'a', 'b', 'c'};
    Bytes output(8);
    uint32_t returned = 0;
    REQUIRE(echo->Control(targets::kEchoNeither, input.data(), 3, output.data(), 0x80000001u, &returned) ==
            STATUS_SUCCESS);
    CHECK(returned == 3);
    echo.reset();
    REQUIRE(session.Stop() == STATUS_SUCCESS);
    const std::vector<Request> requests = session.Finish().WithCode(targets::kEchoNeither);
    REQUIRE(requests.size() == 1);
    CHECK(requests[0].start->outputLength == 0x80000001u);
    CHECK(requests[0].end->payloadTotal == 3);
    CHECK(requests[0].output == input);
}

TEST_CASE("the parameters of an internal device control are not lengths") {
    Scene scene;
    scene.driver.onControl = [](PDEVICE_OBJECT, PIRP irp) { return Complete(irp, STATUS_SUCCESS, ~ULONG_PTR{0}); };
    // As a URB would have it: its first fields lie where the lengths would be.
    const auto buffer = std::make_unique<uint8_t[]>(4);
    Calls callers;
    PIRP irp = MakeControl(scene.driver.device(), kCode, buffer.get(), 0x40000000, 0x40000000);
    IoGetNextIrpStackLocation(irp)->MajorFunction = IRP_MJ_INTERNAL_DEVICE_CONTROL;
    // The same routine serves both, as in many drivers; it is hooked as an internal control.
    REQUIRE(scene.session.RemoveDriver(scene.added.driverId) == STATUS_SUCCESS);
    scene.driver.object()->MajorFunction[IRP_MJ_INTERNAL_DEVICE_CONTROL] =
        scene.driver.object()->MajorFunction[IRP_MJ_DEVICE_CONTROL];
    REQUIRE(scene.session.AddDriver(scene.driver.name()) == STATUS_SUCCESS);
    callers.SetOn(irp);
    CHECK(IoCallDriver(scene.driver.device(), irp) == STATUS_SUCCESS);
    IoFreeIrp(irp);
    const Request request = scene.TheOne();
    CHECK(request.start->major == IRP_MJ_INTERNAL_DEVICE_CONTROL);
    CHECK(request.start->inputLength == 0);
    CHECK(request.start->outputLength == 0);
    CHECK(request.input.empty());
    CHECK(request.output.empty());
}

TEST_CASE("a record that no ring could hold is counted, and stalls nothing") {
    Scene scene({kMinRingBytes, kMaxSnapLength, 0, 0});
    sim::Status status;
    auto handle = scene.machine->Open(scene.driver.path(), &status);
    REQUIRE(handle);
    Bytes large(16 * kMinRingBytes, 0xA5);
    CHECK(handle->Control(kCode, large.data(), static_cast<uint32_t>(large.size()), nullptr, 0, nullptr) == 0);
    char small[] = "abc";
    CHECK(handle->Control(kCode, small, 3, nullptr, 0, nullptr) == 0);
    handle.reset();
    const Captured captured = scene.Finish();
    CHECK(captured.lostStarts == 1);
    const std::vector<Request> requests = captured.WithCode(kCode);
    REQUIRE(requests.size() == 1);
    CHECK(requests[0].input == Bytes{'a', 'b', 'c'});
    CHECK(scene.session.Counters().reply.dropsStart[kLossRecordTooLarge] == 1);
}

// ---- Control ---------------------------------------------------------------------------------------------------

TEST_CASE("a waiting GetData is woken by a record, without any other call") {
    Scene scene;
    WaitingGetData waiting(scene.session);
    CHECK(SendOne(*scene.machine, scene.driver) == STATUS_SUCCESS);
    CHECK(waiting.End() == STATUS_SUCCESS);
    REQUIRE(scene.session.Stop() == STATUS_SUCCESS);
}

// ---- Hooking ---------------------------------------------------------------------------------------------------

TEST_CASE("another hook on top of ours stays, and so do we below it, passing through") {
    static PDRIVER_DISPATCH below;
    static int passed;
    passed = 0;
    Scene scene;
    PDRIVER_DISPATCH* place = &scene.driver.object()->MajorFunction[IRP_MJ_DEVICE_CONTROL];
    const PDRIVER_DISPATCH theirs = [](PDEVICE_OBJECT device, PIRP irp) -> NTSTATUS {
        passed++;
        return below(device, irp);
    };
    below = std::exchange(*place, theirs);
    CHECK(SendOne(*scene.machine, scene.driver) == STATUS_SUCCESS);

    RemoveDriverReply removed{};
    REQUIRE(scene.session.RemoveDriver(scene.added.driverId, &removed) == STATUS_SUCCESS);
    CHECK(removed.chainedFunctions == 1u << IRP_MJ_DEVICE_CONTROL);
    CHECK((*place == theirs));
    CHECK(TheListed(scene.session).state == kHookPassThrough);
    CHECK(SendOne(*scene.machine, scene.driver) == STATUS_SUCCESS);
    CHECK(passed == 2);

    // Hooked again, the thunk that is in the chain already is enough.
    AddDriverReply again{};
    REQUIRE(scene.session.AddDriver(scene.driver.name(), &again) == STATUS_SUCCESS);
    CHECK((*place == theirs));
    CHECK(SendOne(*scene.machine, scene.driver) == STATUS_SUCCESS);
    CHECK(passed == 3);
    // They go first this time: then nothing is left of us either.
    *place = below;
    REQUIRE(scene.session.RemoveDriver(again.driverId, &removed) == STATUS_SUCCESS);
    CHECK(removed.chainedFunctions == 0);
    CHECK((*place != below));
    CHECK(scene.Finish().WithCode(kCode).size() == 2);
}

TEST_CASE("the first hook takes our own unload routine away, and an absent one of the driver's is left absent") {
    auto machine = sim::Machine::Boot();
    CaptureSession session(*machine);
    ScriptedDriver driver(u"Stays");
    const PDRIVER_UNLOAD unload = std::exchange(driver.object()->DriverUnload, nullptr);
    const auto ours = sim::ReferenceDriver(u"\\Driver\\" DRIVERMON_SERVICE_NAME);
    CHECK((ours->DriverUnload != nullptr));
    AddDriverReply added{};
    REQUIRE(session.AddDriver(driver.name(), &added) == STATUS_SUCCESS);
    CHECK((ours->DriverUnload == nullptr));
    CHECK((driver.object()->DriverUnload == nullptr));
    REQUIRE(session.RemoveDriver(added.driverId) == STATUS_SUCCESS);
    CHECK((driver.object()->DriverUnload == nullptr));
    CHECK((ours->DriverUnload == nullptr));
    driver.object()->DriverUnload = unload;
}

TEST_CASE("names are not cut: two drivers that differ in their last letter are two") {
    const std::u16string stem(200, u'n');
    auto machine = sim::Machine::Boot();
    CaptureSession session(*machine);
    ScriptedDriver one(stem + u'1'), two(stem + u'2');
    AddDriverReply first{}, second{};
    REQUIRE(session.AddDriver(one.name(), &first) == STATUS_SUCCESS);
    REQUIRE(session.AddDriver(two.name(), &second) == STATUS_SUCCESS);
    CHECK(first.driverObject == reinterpret_cast<uint64_t>(one.object()));
    CHECK(second.driverObject == reinterpret_cast<uint64_t>(two.object()));
}

}  // namespace drivermon::test
