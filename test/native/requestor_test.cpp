// requestor_test.cpp: who asked, as far as it is certain, and whose memory is mapped: what of a request may be touched
// when it has come from, or through, another driver.
#include <vector>

#include "scene.h"
#include "sim/memory.h"
#include "sim/process.h"
#include "sim/user_mode.h"

namespace drivermon::test {
namespace {

constexpr ULONG kNeither = CTL_CODE(FILE_DEVICE_UNKNOWN, 0xA02, METHOD_NEITHER, FILE_ANY_ACCESS);
constexpr uint32_t kBeyondReach = kRequestPayloadMissed | kRequestPayloadBeyondReach;

}  // namespace

TEST_CASE("a request may name a thread that is gone: it is asked only while it runs, or has the request in its list") {
    Scene scene;
    auto other = sim::CreateProcess(u"other.exe", 4);
    auto thread = sim::CreateThread(other.get(), 0);
    OwnRequest request(scene.driver, IRP_MJ_DEVICE_CONTROL);
    request.SetControl(kCode, 0, 0);
    request.irp->Tail.Overlay.Thread = thread.get();
    uint32_t expected = other->id;
    SUBCASE("gone") {
        expected = 0;
        thread = {};  // AddressSanitizer sees who looks at it
        CHECK(request.Send() == STATUS_SUCCESS);
    }
    SUBCASE("in its list") {
        request.BelongTo(thread.get());
        CHECK(request.Send() == STATUS_SUCCESS);
    }
    SUBCASE("running") {
        const sim::ActAs as(thread.get());
        CHECK(request.Send() == STATUS_SUCCESS);
    }
    CHECK(scene.TheOne().start->requestorProcessId == expected);
    sim::ExitProcess(other.get());
}

TEST_CASE("a thread that is attached to another process has that one's memory before it: no user address is read") {
    Scene scene;
    auto other = sim::CreateProcess(u"other.exe", 4);
    uint8_t bytes[] = {1, 2, 3, 4};
    for (bool attached : {false, true}) {
        CAPTURE(attached);
        OwnRequest request(scene.driver, IRP_MJ_DEVICE_CONTROL);
        request.SetControl(kNeither, sizeof(bytes), 0);
        request.location->Parameters.DeviceIoControl.Type3InputBuffer = bytes;
        request.irp->RequestorMode = UserMode;
        request.irp->Tail.Overlay.Thread = PsGetCurrentThread();
        KAPC_STATE state;
        if (attached) KeStackAttachProcess(other.get(), &state);
        CHECK(request.Send() == STATUS_SUCCESS);
        if (attached) KeUnstackDetachProcess(&state);
    }
    const std::vector<Request> requests = scene.Finish().WithCode(kNeither);
    REQUIRE(requests.size() == 2);
    CHECK(requests[0].input == std::vector<uint8_t>{1, 2, 3, 4});
    CHECK(requests[1].input.empty());
    CHECK((requests[1].start->flags & kBeyondReach) == kBeyondReach);
    CHECK(requests[1].start->requestorProcessId == requests[1].start->processId);
    sim::ExitProcess(other.get());
}

TEST_CASE("a system buffer from anywhere is not touched where it could not be paged in") {
    for (bool fromIoManager : {true, false}) {
        CAPTURE(fromIoManager);
        Scene scene;
        scene.driver.onControl = [](PDEVICE_OBJECT, PIRP irp) { return Complete(irp, STATUS_SUCCESS, 4); };
        uint8_t buffer[] = {1, 2, 3, 4};
        OwnRequest request(scene.driver, IRP_MJ_DEVICE_CONTROL);
        request.SetControl(kCode, 4, 4);
        request.irp->AssociatedIrp.SystemBuffer = buffer;
        if (fromIoManager) request.irp->Flags |= IRP_BUFFERED_IO | IRP_DEALLOCATE_BUFFER;
        KIRQL before;
        KeRaiseIrql(DISPATCH_LEVEL, &before);
        const NTSTATUS status = request.Send();
        KeLowerIrql(before);
        CHECK(status == STATUS_SUCCESS);
        const Request seen = scene.TheOne();
        const std::vector<uint8_t> expected = fromIoManager ? std::vector<uint8_t>{1, 2, 3, 4} : std::vector<uint8_t>{};
        CHECK(seen.input == expected);
        CHECK(seen.output == expected);
        CHECK((seen.start->flags & kBeyondReach) == (fromIoManager ? 0 : kBeyondReach));
        CHECK((seen.end->flags & kBeyondReach) == (fromIoManager ? 0 : kBeyondReach));
    }
}

TEST_CASE("a driver above may have put another buffer in the I/O manager's place: it is copied where it can be paged in") {
    Scene scene;
    ScriptedDriver upper(u"Upper");
    upper.AttachTo(scene.driver);
    // What the handler says is the user's address, and gone by now: a buffer known to be resident would be read without.
    uint8_t exchanged[] = {1, 2, 3, 4};
    const sim::UnreadableUserMemory unreadable(exchanged, sizeof(exchanged));
    scene.driver.onControl = [](PDEVICE_OBJECT, PIRP irp) { return Complete(irp, STATUS_SUCCESS, 4); };
    upper.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
        void* const own = irp->AssociatedIrp.SystemBuffer;
        static void* toPutBack;
        toPutBack = own;
        irp->AssociatedIrp.SystemBuffer = exchanged;
        IoCopyCurrentIrpStackLocationToNext(irp);
        IoSetCompletionRoutine(
            irp,
            [](PDEVICE_OBJECT, PIRP mine, PVOID) -> NTSTATUS {
                mine->AssociatedIrp.SystemBuffer = toPutBack;
                return STATUS_CONTINUE_COMPLETION;
            },
            nullptr, TRUE, TRUE, TRUE);
        return IoCallDriver(upper.lower(), irp);
    };
    sim::Status status;
    auto handle = scene.machine->Open(scene.driver.path(), &status);
    char buffer[] = "abcd";
    CHECK(handle->Control(kCode, buffer, 4, buffer, 4, nullptr) == STATUS_SUCCESS);
    handle.reset();
    const Request seen = scene.TheOne();
    CHECK(seen.input.empty());
    CHECK(seen.output.empty());
    CHECK((seen.start->flags & kBeyondReach) == kRequestPayloadMissed);
    CHECK(scene.session.Counters().reply.dropsStart[kLossPayloadFault] == 1);
    CHECK(scene.session.Counters().reply.dropsEnd[kLossPayloadFault] == 1);
}

TEST_CASE("fast I/O from the kernel: its buffers are not looked at, and that is no loss") {
    Scene scene({1u << 16, 64, 64, 0});
    scene.session.Stop();
    scene.driver.HaveFastIo();
    scene.driver.onFastIo = [](const FastCall& call) { return call.Answer(STATUS_SUCCESS); };
    REQUIRE(scene.session.RemoveDriver(scene.added.driverId) == STATUS_SUCCESS);
    REQUIRE(scene.session.Start() == STATUS_SUCCESS);
    REQUIRE(scene.session.AddDriver(scene.driver.name()) == STATUS_SUCCESS);
    sim::Status status;
    auto file = sim::OpenFile(scene.driver.path(), {}, &status);
    REQUIRE(file);
    char input[] = "abc";
    const auto call = [&] {
        IO_STATUS_BLOCK result{};
        CHECK(scene.driver.object()->FastIoDispatch->FastIoDeviceControl(file->FileObject(), TRUE, input, 3, nullptr, 0,
                                                                         kCode, &result, scene.driver.device()) == TRUE);
    };
    call();
    {
        const sim::RunAs kernel(sim::SystemProcess(), 0);
        call();
    }
    file.reset();
    const std::vector<Request> requests = scene.Finish().WithCode(kCode);
    REQUIRE(requests.size() == 2);
    CHECK(requests[0].start->requestorMode == kModeUser);
    CHECK(requests[0].input == std::vector<uint8_t>{'a', 'b', 'c'});
    CHECK(requests[1].start->requestorMode == kModeKernel);
    CHECK(requests[1].input.empty());
    CHECK((requests[1].start->flags & kBeyondReach) == kBeyondReach);
    CHECK(scene.session.Counters().reply.dropsStart[kLossPayloadFault] == 0);
}

}  // namespace drivermon::test
