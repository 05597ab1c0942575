// request_test.cpp: each way in which one request can go through one hooked driver, and what the capture says of it.
#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <thread>

#include "capture_session.h"
#include "scripted_driver.h"
#include "sim/memory.h"
#include "targets/afd_protocol.h"
#include "targets/echo_protocol.h"

namespace drivermon::test {
namespace {

using namespace targets;

using Bytes = std::vector<uint8_t>;

// A machine that captures the echo driver, with a caller's handle to it.
struct EchoCapture {
    EchoCapture() {
        REQUIRE(session.Start() == STATUS_SUCCESS);
        REQUIRE(session.AddDriver(DRIVERMON_ECHO_DRIVER_NAME) == STATUS_SUCCESS);
        sim::Status status;
        echo = machine->Open(DRIVERMON_ECHO_USER_PATH, &status);
        REQUIRE(echo);
    }
    Captured Finish() {
        echo.reset();
        REQUIRE(session.Stop() == STATUS_SUCCESS);
        return session.Finish();
    }

    std::unique_ptr<sim::Machine> machine = sim::Machine::Boot();
    CaptureSession session{*machine};
    std::unique_ptr<sim::UserHandle> echo;
};

Bytes BytesOf(const std::string& text) {
    return {text.begin(), text.end()};
}

template <typename Header>
Bytes WithHeader(const Header& header, const std::string& text) {
    Bytes bytes(sizeof(header) + text.size());
    std::memcpy(bytes.data(), &header, sizeof(header));
    std::memcpy(bytes.data() + sizeof(header), text.data(), text.size());
    return bytes;
}

uint32_t Size(const Bytes& bytes) {
    return static_cast<uint32_t>(bytes.size());
}

// The one request of that code.
Request TheOne(const Captured& captured, uint32_t code) {
    const std::vector<Request> requests = captured.WithCode(code);
    REQUIRE(requests.size() == 1);
    REQUIRE(requests[0].start);
    REQUIRE(requests[0].end);
    return requests[0];
}

// One request to a scripted driver, which succeeds, as the capture has it.
Request SendOne(sim::Machine& machine, const ScriptedDriver& driver) {
    CaptureSession session(machine);
    REQUIRE(session.Start() == STATUS_SUCCESS);
    REQUIRE(session.AddDriver(driver.name()) == STATUS_SUCCESS);
    sim::Status status;
    auto handle = machine.Open(driver.path(), &status);
    char buffer[] = "abc";
    CHECK(handle->Control(kCode, buffer, 3, buffer, 3, nullptr) == STATUS_SUCCESS);
    handle.reset();
    REQUIRE(session.Stop() == STATUS_SUCCESS);
    CHECK(session.Counters().reply.outstanding == 0);
    return TheOne(session.Finish(), kCode);
}

}  // namespace

TEST_CASE("a request that completes at once has its bytes both ways") {
    EchoCapture capture;
    const Bytes input = BytesOf("completes at once");
    Bytes output(64);
    uint32_t returned = 0;
    REQUIRE(capture.echo->Control(kEchoBuffered, input.data(), Size(input), output.data(), Size(output), &returned) ==
            STATUS_SUCCESS);
    CHECK(returned == input.size());
    const Captured captured = capture.Finish();

    const Request request = TheOne(captured, kEchoBuffered);
    CHECK(request.start->major == IRP_MJ_DEVICE_CONTROL);
    CHECK(request.start->inputLength == input.size());
    CHECK(request.start->outputLength == output.size());
    CHECK(request.start->requestorMode == kModeUser);
    CHECK(request.start->requestorProcessId == request.start->processId);
    CHECK(request.start->stackLocation == 1);
    CHECK(request.input == input);
    CHECK(request.end->status == STATUS_SUCCESS);
    CHECK(request.end->information == input.size());
    CHECK((request.end->flags & (kRequestPended | kRequestUnseen | kRequestCancelled)) == 0);
    CHECK(request.output == input);
    // Open and close were seen as well.
    CHECK(captured.WithMajor(IRP_MJ_CREATE).size() == 1);
    CHECK(captured.WithMajor(IRP_MJ_CLEANUP).size() == 1);
    CHECK(captured.WithMajor(IRP_MJ_CLOSE).size() == 1);
    CHECK(captured.Arrivals() == 4);
}

TEST_CASE("a request that pends is completed from a DPC") {
    EchoCapture capture;
    const Bytes input = WithHeader(EchoPendRequest{500, STATUS_SUCCESS}, "pended");
    Bytes output(32);
    REQUIRE(capture.echo->Control(kEchoPend, input.data(), Size(input), output.data(), Size(output), nullptr) ==
            STATUS_SUCCESS);
    const Request request = TheOne(capture.Finish(), kEchoPend);
    CHECK((request.end->flags & kRequestPended) != 0);
    CHECK(request.end->header.irql == DISPATCH_LEVEL);
    CHECK(request.input == input);
    CHECK(request.output == BytesOf("pended"));
}

TEST_CASE("a pended request may fail") {
    EchoCapture capture;
    const Bytes input = WithHeader(EchoPendRequest{100, STATUS_CONNECTION_REFUSED}, "no output then");
    Bytes output(32);
    CHECK(capture.echo->Control(kEchoPend, input.data(), Size(input), output.data(), Size(output), nullptr) ==
          STATUS_CONNECTION_REFUSED);
    const Request request = TheOne(capture.Finish(), kEchoPend);
    CHECK(request.end->status == static_cast<uint32_t>(STATUS_CONNECTION_REFUSED));
    CHECK((request.end->flags & kRequestPended) != 0);
    CHECK(request.output.empty());
}

TEST_CASE("an error has no output, a warning has") {
    EchoCapture capture;
    Bytes output(32);
    const Bytes denied = WithHeader(EchoFailRequest{STATUS_ACCESS_DENIED, 0}, "denied");
    CHECK(capture.echo->Control(kEchoFail, denied.data(), Size(denied), output.data(), Size(output), nullptr) ==
          STATUS_ACCESS_DENIED);
    const Bytes overflow = WithHeader(EchoFailRequest{STATUS_BUFFER_OVERFLOW, 0}, "partly");
    CHECK(capture.echo->Control(kEchoFail, overflow.data(), Size(overflow), output.data(), Size(output), nullptr) ==
          STATUS_BUFFER_OVERFLOW);
    const std::vector<Request> requests = capture.Finish().WithCode(kEchoFail);
    REQUIRE(requests.size() == 2);
    CHECK(requests[0].end->status == static_cast<uint32_t>(STATUS_ACCESS_DENIED));
    CHECK(requests[0].output.empty());
    CHECK(requests[1].end->status == static_cast<uint32_t>(STATUS_BUFFER_OVERFLOW));
    CHECK(requests[1].output == BytesOf("partly"));
}

TEST_CASE("a request that is cancelled says so") {
    EchoCapture capture;
    auto held = capture.echo->BeginControl(kEchoHold, nullptr, 0, nullptr, 0);
    CHECK_FALSE(held->Wait(0));
    held->Cancel();
    REQUIRE(held->Wait(sim::kForever));
    CHECK(held->Result(nullptr) == STATUS_CANCELLED);
    const Request request = TheOne(capture.Finish(), kEchoHold);
    CHECK(request.end->status == static_cast<uint32_t>(STATUS_CANCELLED));
    CHECK((request.end->flags & (kRequestPended | kRequestCancelled)) == (kRequestPended | kRequestCancelled));
}

TEST_CASE("the cleanup of a handle ends what it has pending, before its close") {
    EchoCapture capture;
    auto held = capture.echo->BeginControl(kEchoHold, nullptr, 0, nullptr, 0);
    capture.echo.reset();
    REQUIRE(held->Wait(sim::kForever));
    const Captured captured = capture.Finish();
    const Request request = TheOne(captured, kEchoHold);
    CHECK(request.end->status == static_cast<uint32_t>(STATUS_CANCELLED));
    CHECK((request.end->flags & kRequestCancelled) == 0);  // nobody called IoCancelIrp
    CHECK(captured.WithMajor(IRP_MJ_CLOSE).at(0).start->header.timestamp >= request.end->header.timestamp);
}

TEST_CASE("the bytes of every transfer method") {
    EchoCapture capture;
    const Bytes input = BytesOf("0123456789abcdef");
    uint32_t returned = 0;

    SUBCASE("IN_DIRECT: both buffers are input") {
        Bytes second = BytesOf("0123456789abcdef and more");
        REQUIRE(capture.echo->Control(kEchoInDirect, input.data(), Size(input), second.data(), Size(second),
                                      &returned) == STATUS_SUCCESS);
        CHECK(returned == input.size() + second.size());
        const Request request = TheOne(capture.Finish(), kEchoInDirect);
        Bytes both = input;
        both.insert(both.end(), second.begin(), second.end());
        CHECK(request.input == both);
        CHECK(request.output.empty());
        CHECK(request.end->payloadTotal == 0);
    }
    SUBCASE("OUT_DIRECT: the output lies behind an MDL") {
        Bytes output(10);
        REQUIRE(capture.echo->Control(kEchoOutDirect, input.data(), Size(input), output.data(), Size(output),
                                      &returned) == STATUS_SUCCESS);
        const Request request = TheOne(capture.Finish(), kEchoOutDirect);
        CHECK(request.input == input);
        CHECK(request.output == BytesOf("0123456789"));
    }
    SUBCASE("NEITHER: the caller's own memory") {
        Bytes output(64);
        REQUIRE(capture.echo->Control(kEchoNeither, input.data(), Size(input), output.data(), Size(output),
                                      &returned) == STATUS_SUCCESS);
        const Request request = TheOne(capture.Finish(), kEchoNeither);
        CHECK(request.input == input);
        CHECK(request.output == input);
    }
    SUBCASE("NEITHER, unreadable: no bytes, and that is said") {
        Bytes output(64);
        sim::UnreadableUserMemory gone(input.data(), input.size());
        REQUIRE(capture.echo->Control(kEchoNeither, input.data(), Size(input), output.data(), Size(output),
                                      &returned) == STATUS_SUCCESS);
        const Request request = TheOne(capture.Finish(), kEchoNeither);
        CHECK(request.input.empty());
        CHECK((request.start->flags & kRequestPayloadMissed) != 0);
    }
    SUBCASE("WRITE and READ") {
        Bytes output(64);
        REQUIRE(capture.echo->Write(input.data(), Size(input), 0x1234, &returned) == STATUS_SUCCESS);
        REQUIRE(capture.echo->Read(output.data(), Size(output), 0x5678, &returned) == STATUS_SUCCESS);
        CHECK(returned == input.size());
        const Captured captured = capture.Finish();
        const Request write = captured.WithMajor(IRP_MJ_WRITE).at(0), read = captured.WithMajor(IRP_MJ_READ).at(0);
        CHECK(write.input == input);
        CHECK(write.start->byteOffset == 0x1234);
        CHECK(write.end->information == input.size());
        CHECK(read.start->outputLength == output.size());
        CHECK(read.output == input);
    }
    SUBCASE("nothing at all") {
        REQUIRE(capture.echo->Control(kEchoOutDirect, nullptr, 0, nullptr, 0, &returned) == STATUS_SUCCESS);
        const Request request = TheOne(capture.Finish(), kEchoOutDirect);
        CHECK(request.input.empty());
        CHECK(request.output.empty());
        CHECK((request.start->flags & kRequestPayloadMissed) == 0);
    }
}

TEST_CASE("payload is cut at the snap length, and says how much there was") {
    auto machine = sim::Machine::Boot();
    CaptureSession session(*machine);
    REQUIRE(session.Start({1u << 16, 8, 5, 0}) == STATUS_SUCCESS);
    REQUIRE(session.AddDriver(DRIVERMON_ECHO_DRIVER_NAME) == STATUS_SUCCESS);
    sim::Status status;
    auto echo = machine->Open(DRIVERMON_ECHO_USER_PATH, &status);
    const Bytes input = BytesOf("0123456789");
    Bytes output(10);
    REQUIRE(echo->Control(kEchoBuffered, input.data(), 10, output.data(), 10, nullptr) == STATUS_SUCCESS);
    echo.reset();
    REQUIRE(session.Stop() == STATUS_SUCCESS);
    const Request request = TheOne(session.Finish(), kEchoBuffered);
    CHECK(request.input == BytesOf("01234567"));
    CHECK(request.start->payloadTotal == 10);
    CHECK((request.start->flags & kRequestPayloadTruncated) != 0);
    CHECK(request.output == BytesOf("01234"));
    CHECK(request.end->payloadTotal == 10);
}

TEST_CASE("completed on another thread before the dispatch routine has returned") {
    auto machine = sim::Machine::Boot();
    ScriptedDriver driver(u"Scripted");
    driver.onControl = [](PDEVICE_OBJECT, PIRP irp) {
        IoMarkIrpPending(irp);
        std::thread([irp] { Complete(irp, STATUS_SUCCESS, 3); }).join();
        return STATUS_PENDING;
    };
    const Request request = SendOne(*machine, driver);
    CHECK(request.end->information == 3);
    CHECK(request.output == BytesOf("abc"));
    CHECK(request.end->threadId != request.start->threadId);
}

TEST_CASE("completed by a DPC before the dispatch routine has returned") {
    auto machine = sim::Machine::Boot();
    ScriptedDriver driver(u"Scripted");
    struct Deferred {
        KDPC dpc;
        KEVENT done;
        PIRP irp;
    };
    static Deferred deferred;
    driver.onControl = [](PDEVICE_OBJECT, PIRP irp) {
        IoMarkIrpPending(irp);
        deferred.irp = irp;
        KeInitializeEvent(&deferred.done, NotificationEvent, FALSE);
        KeInitializeDpc(
            &deferred.dpc,
            [](PKDPC, PVOID, PVOID, PVOID) {
                Complete(deferred.irp, STATUS_SUCCESS, 3);
                KeSetEvent(&deferred.done, IO_NO_INCREMENT, FALSE);
            },
            nullptr);
        KeInsertQueueDpc(&deferred.dpc, nullptr, nullptr);
        KeWaitForSingleObject(&deferred.done, Executive, KernelMode, FALSE, nullptr);
        return STATUS_PENDING;
    };
    const Request request = SendOne(*machine, driver);
    CHECK((request.end->flags & kRequestPended) != 0);
    CHECK(request.end->header.irql == DISPATCH_LEVEL);
    CHECK(request.output == BytesOf("abc"));
}

}  // namespace drivermon::test
