// scene.h: a machine that captures one scripted driver, and requests that the test makes itself, as a driver may: of
// any function, with a routine and any buffers.
#pragma once

#include <doctest/doctest.h>

#include <initializer_list>
#include <memory>
#include <vector>

#include "capture_session.h"
#include "scripted_driver.h"

namespace drivermon::test {

struct Scene {
    // `majors`: what the driver's script answers besides DEVICE_CONTROL.
    explicit Scene(const StartRequest& start = kDefaultStart, std::initializer_list<UCHAR> majors = {}) {
        for (UCHAR major : majors) driver.Serve(major);
        REQUIRE(session.Start(start) == STATUS_SUCCESS);
        REQUIRE(session.AddDriver(driver.name(), &added) == STATUS_SUCCESS);
    }
    // Everything captured, once nothing is on its way.
    Captured Finish() {
        REQUIRE(session.Stop() == STATUS_SUCCESS);
        return session.Finish();
    }
    Request TheOne() {
        const std::vector<Request> requests = Finish().WithCode(kCode);
        REQUIRE(requests.size() == 1);
        REQUIRE(requests[0].end);
        return requests[0];
    }

    std::unique_ptr<sim::Machine> machine = sim::Machine::Boot();
    ScriptedDriver driver{u"Watched"};
    CaptureSession session{*machine};
    AddDriverReply added{};
};

// A GetData that waits: what is there already, such as the hook's own record, has been fetched before.
class WaitingGetData {
 public:
    explicit WaitingGetData(CaptureSession& session) {
        REQUIRE(session.handle().Control(kControlGetData, nullptr, 0, data_.data(), kMinDataBytes, nullptr) ==
                STATUS_SUCCESS);
        request_ = session.handle().BeginControl(kControlGetData, nullptr, 0, data_.data(), kMinDataBytes);
        CHECK_FALSE(request_->Wait(0));
    }
    // Its status, once it has ended.
    NTSTATUS End() {
        constexpr uint32_t kForTheSlowestMachineMs = 30'000;
        REQUIRE(request_->Wait(kForTheSlowestMachineMs));
        return request_->Result(nullptr);
    }

 private:
    std::vector<uint8_t> data_ = std::vector<uint8_t>(kMinDataBytes);
    std::unique_ptr<sim::UserHandle::Pending> request_;
};

// A routine that counts, and either stops the completion (its request is the test's) or lets it go on.
struct Calls {
    std::vector<PIRP> irps;
    NTSTATUS answer = STATUS_MORE_PROCESSING_REQUIRED;

    static NTSTATUS Routine(PDEVICE_OBJECT, PIRP irp, PVOID context) {
        auto* calls = static_cast<Calls*>(context);
        calls->irps.push_back(irp);
        return calls->answer;
    }
    void SetOn(PIRP irp) { IoSetCompletionRoutine(irp, Routine, this, TRUE, TRUE, TRUE); }
};

// One request of the test's own, sent once. It stays the test's when it ends.
class OwnRequest {
 public:
    OwnRequest(const ScriptedDriver& driver, UCHAR major, UCHAR minor = 0)
        : irp(IoAllocateIrp(driver.device()->StackSize, FALSE)), device_(driver.device()) {
        REQUIRE(irp);
        location = IoGetNextIrpStackLocation(irp);
        location->MajorFunction = major;
        location->MinorFunction = minor;
        finished.SetOn(irp);
    }
    ~OwnRequest() { IoFreeIrp(irp); }
    // It is in this thread's list, as the I/O manager's requests are. Null: in nobody's.
    void BelongTo(PETHREAD thread) {
        irp->Tail.Overlay.Thread = thread;
        InitializeListHead(&threadsList_);
        if (thread) InsertTailList(&threadsList_, &irp->ThreadListEntry);
    }
    OwnRequest(const OwnRequest&) = delete;
    OwnRequest& operator=(const OwnRequest&) = delete;

    void SetControl(ULONG code, ULONG inputBytes, ULONG outputBytes) {
        location->Parameters.DeviceIoControl.IoControlCode = code;
        location->Parameters.DeviceIoControl.InputBufferLength = inputBytes;
        location->Parameters.DeviceIoControl.OutputBufferLength = outputBytes;
    }
    NTSTATUS Send() { return IoCallDriver(device_, irp); }

    Calls finished;
    PIRP irp;
    PIO_STACK_LOCATION location;

 private:
    PDEVICE_OBJECT device_;
    LIST_ENTRY threadsList_;
};

}  // namespace drivermon::test
