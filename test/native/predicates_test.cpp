// predicates_test.cpp: which requests are recorded, and that each one that is not has been counted; counters see all.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "core/platform.h"
#include "scene.h"
#include "sim/memory.h"
#include "sim/process.h"
#include "targets/afd_protocol.h"
#include "targets/echo_protocol.h"

namespace drivermon::test {
namespace {

using namespace targets;

Predicates Everything() {
    Predicates predicates{};
    predicates.flags = kPredicateOwnProcesses;
    return predicates;
}

Predicates ErrorsOnly() {
    Predicates predicates = Everything();
    predicates.flags |= kPredicateErrorsOnly;
    return predicates;
}

// A hooked driver whose requests end as the test says.
struct Subject {
    explicit Subject(sim::Machine& machine) : driver(u"Subject"), session(machine) {
        REQUIRE(session.AddDriver(driver.name(), &added) == STATUS_SUCCESS);
        driver.onControl = [this](PDEVICE_OBJECT, PIRP irp) { return Complete(irp, ending, 0); };
        sim::Status status;
        handle = machine.Open(driver.path(), &status);
        REQUIRE(handle);
    }
    ~Subject() {
        handle.reset();
        session.Die();
    }
    void Send(NTSTATUS status = STATUS_SUCCESS, ULONG code = kCode, uint32_t bytes = 0) {
        ending = status;
        std::vector<uint8_t> input(bytes, 0xA5);
        CHECK(handle->Control(code, input.data(), bytes, nullptr, 0, nullptr) == status);
    }
    // Stops, and holds the sums to each other.
    Captured Finish(uint64_t arrivals) {
        REQUIRE(session.Stop() == STATUS_SUCCESS);
        const Totals totals = session.Counters();
        reply = totals.reply;
        Captured captured = session.Finish();
        uint64_t starts = 0;
        for (const auto& [id, request] : captured.requests) {
            starts += request.start.has_value();
            CHECK(request.start);  // none has but an end
        }
        CHECK(totals.Sum(&FunctionCounters::arrivals) == arrivals);
        CHECK(starts + reply.filteredStarts + reply.sampledOut == arrivals);
        return captured;
    }

    ScriptedDriver driver;
    NTSTATUS ending = STATUS_SUCCESS;
    CaptureSession session;
    AddDriverReply added{};
    std::unique_ptr<sim::UserHandle> handle;
    CountersReply reply{};
};

constexpr ULONG kOther = CTL_CODE(FILE_DEVICE_UNKNOWN, 0xA01, METHOD_BUFFERED, FILE_ANY_ACCESS);
constexpr NTSTATUS kFailure = STATUS_INVALID_PARAMETER;

}  // namespace

TEST_CASE("predicates are refused as a whole when anything in them is out of range") {
    auto machine = sim::Machine::Boot();
    CaptureSession session(*machine);
    CHECK(session.SetPredicates(Everything()) == STATUS_SUCCESS);
    const auto refused = [&](auto change) {
        Predicates predicates = Everything();
        change(predicates);
        CHECK(session.SetPredicates(predicates) == STATUS_INVALID_PARAMETER);
    };
    refused([](Predicates& p) { p.flags = 4; });
    refused([](Predicates& p) { p.leftOutFunctions = 1ull << kFunctionCount; });
    refused([](Predicates& p) { p.driverMode = 3; });
    refused([](Predicates& p) { p.processMode = ~0u; });
    refused([](Predicates& p) { p.codeMode = 3; });
    refused([](Predicates& p) { p.driverCount = kMaxPredicateEntries + 1; });
    refused([](Predicates& p) { p.processCount = ~0u; });
    refused([](Predicates& p) { p.codeCount = kMaxPredicateEntries + 1; });
    const Predicates all = Everything();
    for (uint32_t bytes = 0; bytes < sizeof(all); bytes += 8) {
        CHECK(session.handle().Control(kControlSetPredicates, &all, bytes, nullptr, 0, nullptr) < 0);
    }
}

TEST_CASE("early predicates: functions, driver, process, code") {
    auto machine = sim::Machine::Boot();
    Subject subject(*machine);
    const uint32_t own = sim::CurrentThread()->process->id;
    struct Case {
        const char* what;
        void (*set)(Predicates&, uint32_t driver, uint32_t process);
        size_t recorded;  // of kCode and of kOther
        size_t recordedOther;
    };
    const Case cases[] = {
        {"all", [](Predicates&, uint32_t, uint32_t) {}, 1, 1},
        {"function left out",
         [](Predicates& p, uint32_t, uint32_t) { p.leftOutFunctions = 1ull << IRP_MJ_DEVICE_CONTROL; }, 0, 0},
        {"another function left out",
         [](Predicates& p, uint32_t, uint32_t) {
             p.leftOutFunctions = ((1ull << kFunctionCount) - 1) ^ 1ull << IRP_MJ_DEVICE_CONTROL;
         },
         1, 1},
        {"only this driver",
         [](Predicates& p, uint32_t driver, uint32_t) {
             p.driverMode = kPredicateOnly;
             p.driverCount = 2;
             p.drivers[1] = driver;
         },
         1, 1},
        {"all but this driver",
         [](Predicates& p, uint32_t driver, uint32_t) {
             p.driverMode = kPredicateAllBut;
             p.driverCount = 1;
             p.drivers[0] = driver;
         },
         0, 0},
        {"only another process",
         [](Predicates& p, uint32_t, uint32_t process) {
             p.processMode = kPredicateOnly;
             p.processCount = 1;
             p.processes[0] = process + 4;
         },
         0, 0},
        {"only this process",
         [](Predicates& p, uint32_t, uint32_t process) {
             p.processMode = kPredicateOnly;
             p.processCount = 1;
             p.processes[0] = process;
         },
         1, 1},
        {"all but this process",
         [](Predicates& p, uint32_t, uint32_t process) {
             p.processMode = kPredicateAllBut;
             p.processCount = 1;
             p.processes[0] = process;
         },
         0, 0},
        {"only this code",
         [](Predicates& p, uint32_t, uint32_t) {
             p.codeMode = kPredicateOnly;
             p.codeCount = 1;
             p.codes[0] = kCode;
         },
         1, 0},
        {"all but this code",
         [](Predicates& p, uint32_t, uint32_t) {
             p.codeMode = kPredicateAllBut;
             p.codeCount = 1;
             p.codes[0] = kCode;
         },
         0, 1},
        {"an entry beyond the count is none",
         [](Predicates& p, uint32_t, uint32_t) {
             p.codeMode = kPredicateAllBut;
             p.codes[0] = kCode;
         },
         1, 1},
    };
    for (const Case& each : cases) {
        CAPTURE(std::string(each.what));
        Predicates predicates = Everything();
        each.set(predicates, subject.added.driverId, own);
        REQUIRE(subject.session.SetPredicates(predicates) == STATUS_SUCCESS);
        REQUIRE(subject.session.Start() == STATUS_SUCCESS);
        subject.Send();
        subject.Send(STATUS_SUCCESS, kOther);
        const Captured captured = subject.Finish(2);
        CHECK(captured.WithCode(kCode).size() == each.recorded);
        CHECK(captured.WithCode(kOther).size() == each.recordedOther);
    }
}

TEST_CASE("predicates may change while requests are recorded") {
    auto machine = sim::Machine::Boot();
    Subject subject(*machine);
    REQUIRE(subject.session.Start() == STATUS_SUCCESS);
    Predicates none = Everything();
    none.leftOutFunctions = (1ull << kFunctionCount) - 1;
    for (int i = 0; i < 10; i++) {
        REQUIRE(subject.session.SetPredicates(i % 2 ? none : Everything()) == STATUS_SUCCESS);
        subject.Send();
    }
    CHECK(subject.Finish(10).WithCode(kCode).size() == 5);
    CHECK(subject.reply.filteredStarts == 5);
}

TEST_CASE("sampling records one request in so many, and counts the others") {
    auto machine = sim::Machine::Boot();
    Subject subject(*machine);
    Predicates predicates = Everything();
    predicates.sampleEvery = 10;
    REQUIRE(subject.session.SetPredicates(predicates) == STATUS_SUCCESS);
    REQUIRE(subject.session.Start() == STATUS_SUCCESS);
    for (int i = 0; i < 95; i++) subject.Send();  // of one thread, so on one processor
    const Captured captured = subject.Finish(95);
    CHECK(captured.requests.size() == 10);
    CHECK(subject.reply.sampledOut == 85);
    for (const auto& [id, request] : captured.requests) CHECK(request.end);
}

TEST_CASE("errors only: the start is held until its end, and both are written in order") {
    auto machine = sim::Machine::Boot();
    Subject subject(*machine);
    REQUIRE(subject.session.SetPredicates(ErrorsOnly()) == STATUS_SUCCESS);
    REQUIRE(subject.session.Start() == STATUS_SUCCESS);
    subject.Send(STATUS_SUCCESS, kCode, 100);
    subject.Send(kFailure, kOther, 100);
    subject.Send(kFailure, kOther, 1000);
    subject.Send(static_cast<NTSTATUS>(0x80000005), kCode, 10);  // a warning
    const Captured captured = subject.Finish(4);
    CHECK(captured.requests.size() == 2);
    CHECK(subject.reply.filteredStarts == 2);
    CHECK(subject.reply.heldInputTruncated == 1);
    const auto failed = captured.WithCode(kOther);
    REQUIRE(failed.size() == 2);
    for (const Request& request : failed) {
        REQUIRE(request.end);
        CHECK(request.end->status == static_cast<uint32_t>(kFailure));
        CHECK(request.end->header.sequence == request.start->header.sequence + 1);
    }
    CHECK(failed[0].input == std::vector<uint8_t>(100, 0xA5));
    CHECK((failed[0].start->flags & kRequestPayloadTruncated) == 0);
    CHECK(failed[1].input == std::vector<uint8_t>(kMaxHeldInput, 0xA5));
    CHECK(failed[1].start->payloadTotal == 1000);
    CHECK((failed[1].start->flags & kRequestPayloadTruncated) != 0);
}

TEST_CASE("minimum latency: what waited long enough is recorded, what is still waiting is only in flight") {
    auto machine = sim::Machine::Boot();
    Subject subject(*machine);
    Predicates predicates = Everything();
    predicates.minimumLatency = 1;
    REQUIRE(subject.session.SetPredicates(predicates) == STATUS_SUCCESS);
    REQUIRE(subject.session.Start() == STATUS_SUCCESS);
    PIRP pended = nullptr;
    subject.driver.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
        IoMarkIrpPending(irp);
        pended = irp;
        return STATUS_PENDING;
    };
    const auto tick = [] {
        const LONGLONG now = KeQueryPerformanceCounter(nullptr).QuadPart;
        while (KeQueryPerformanceCounter(nullptr).QuadPart == now) std::this_thread::yield();
    };
    auto slow = subject.handle->BeginControl(kCode, "input", 5, nullptr, 0);
    auto waiting = subject.session.InFlight();
    REQUIRE(waiting.size() == 1);
    CHECK(waiting[0].held == 1);
    tick();
    Complete(pended, STATUS_SUCCESS);
    REQUIRE(slow->Wait(sim::kForever));

    // Longer than anything can take: filtered, each of them.
    predicates.minimumLatency = ~0ull;
    REQUIRE(subject.session.SetPredicates(predicates) == STATUS_SUCCESS);
    auto fast = subject.handle->BeginControl(kOther, nullptr, 0, nullptr, 0);
    Complete(pended, STATUS_SUCCESS);
    REQUIRE(fast->Wait(sim::kForever));

    // Judged by what it arrived under, and still there when the capture stops.
    auto stuck = subject.handle->BeginControl(kOther, nullptr, 0, nullptr, 0);
    REQUIRE(subject.session.Stop() == STATUS_SUCCESS);
    waiting = subject.session.InFlight();
    REQUIRE(waiting.size() == 1);
    CHECK(waiting[0].code == kOther);
    CHECK(waiting[0].held == 1);
    const Totals totals = subject.session.Counters();
    CHECK(totals.Sum(&FunctionCounters::arrivals) == 3);
    CHECK(totals.reply.filteredStarts == 1);
    CHECK(totals.reply.outstanding == 1);
    const Captured captured = subject.session.Finish();
    REQUIRE(captured.requests.size() == 1);
    REQUIRE(captured.WithCode(kCode).size() == 1);
    CHECK(captured.WithCode(kCode)[0].input == std::vector<uint8_t>{'i', 'n', 'p', 'u', 't'});
    Complete(pended, STATUS_SUCCESS);
    REQUIRE(stuck->Wait(sim::kForever));
}

TEST_CASE("a held start is older than its neighbours, and still gets out") {
    auto machine = sim::Machine::Boot();
    Subject subject(*machine);
    REQUIRE(subject.session.SetPredicates(ErrorsOnly()) == STATUS_SUCCESS);
    REQUIRE(subject.session.Start() == STATUS_SUCCESS);
    std::vector<PIRP> pended;
    subject.driver.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
        IoMarkIrpPending(irp);
        pended.push_back(irp);
        return STATUS_PENDING;
    };
    std::vector<std::unique_ptr<sim::UserHandle::Pending>> waiting;
    for (int i = 0; i < 50; i++) waiting.push_back(subject.handle->BeginControl(kCode, nullptr, 0, nullptr, 0));
    REQUIRE(subject.session.SetPredicates(Everything()) == STATUS_SUCCESS);
    auto others = subject.handle->BeginControl(kOther, nullptr, 0, nullptr, 0);
    std::reverse(pended.begin(), pended.end());  // the youngest first
    for (PIRP irp : pended) Complete(irp, kFailure);
    for (auto& request : waiting) REQUIRE(request->Wait(sim::kForever));
    REQUIRE(others->Wait(sim::kForever));
    CHECK(subject.Finish(51).requests.size() == 51);
}

TEST_CASE("more held input than there are blocks: records without it, counted") {
    auto machine = sim::Machine::Boot();
    Subject subject(*machine);
    REQUIRE(subject.session.SetPredicates(ErrorsOnly()) == STATUS_SUCCESS);
    REQUIRE(subject.session.Start({1u << 22, 64, 64, 0}) == STATUS_SUCCESS);
    std::vector<PIRP> pended;
    subject.driver.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
        IoMarkIrpPending(irp);
        pended.push_back(irp);
        return STATUS_PENDING;
    };
    std::vector<std::unique_ptr<sim::UserHandle::Pending>> waiting;
    constexpr uint32_t kHeld = kNtPlatform.requestCapacity / 16 + 10;
    for (uint32_t i = 0; i < kHeld; i++) waiting.push_back(subject.handle->BeginControl(kCode, "abc", 3, nullptr, 0));
    for (PIRP irp : pended) Complete(irp, kFailure);
    for (auto& request : waiting) REQUIRE(request->Wait(sim::kForever));
    const Captured captured = subject.Finish(kHeld);
    CHECK(subject.reply.heldInputTruncated == 10);
    uint64_t without = 0;
    for (const auto& [id, request] : captured.requests) {
        without += request.input.empty();
        CHECK(request.start->payloadTotal == 3);
        CHECK(request.input.empty() == ((request.start->flags & kRequestPayloadTruncated) != 0));
    }
    CHECK(without == 10);
    CHECK(captured.requests.size() == kHeld);
}

TEST_CASE("held starts are given back: none in a long row goes without its input") {
    auto machine = sim::Machine::Boot();
    Subject subject(*machine);
    REQUIRE(subject.session.SetPredicates(ErrorsOnly()) == STATUS_SUCCESS);
    REQUIRE(subject.session.Start({1u << 22, 64, 64, 0}) == STATUS_SUCCESS);
    constexpr uint32_t kMoreThanThereAreBlocks = kNtPlatform.requestCapacity / 16 + 10;
    for (uint32_t i = 0; i < kMoreThanThereAreBlocks; i++) subject.Send(i % 2 ? kFailure : STATUS_SUCCESS, kCode, 3);
    const Captured captured = subject.Finish(kMoreThanThereAreBlocks);
    CHECK(subject.reply.heldInputTruncated == 0);
    CHECK(captured.requests.size() == kMoreThanThereAreBlocks / 2);
    for (const auto& [id, request] : captured.requests) CHECK(request.input.size() == 3);
}

TEST_CASE("no memory for held starts: the predicates stay as they were") {
    auto machine = sim::Machine::Boot();
    Subject subject(*machine);
    for (int64_t n = 1;; n++) {
        REQUIRE(n < 20);
        sim::FailAllocation fail(n);
        const sim::Status status = subject.session.SetPredicates(ErrorsOnly());
        if (!fail.Happened()) break;
        CHECK(status == STATUS_INSUFFICIENT_RESOURCES);
    }
    REQUIRE(subject.session.Start() == STATUS_SUCCESS);
    subject.Send(STATUS_SUCCESS);
    subject.Send(kFailure);
    CHECK(subject.Finish(2).requests.size() == 1);
}

TEST_CASE("the client's own requests are counted, and left out of the records unless asked for") {
    auto machine = sim::Machine::Boot();
    Subject subject(*machine);
    auto other = sim::CreateProcess(u"other.exe", 4);
    for (bool ownToo : {false, true}) {
        CAPTURE(ownToo);
        REQUIRE(subject.session.SetPredicates(ownToo ? Everything() : Predicates{}) == STATUS_SUCCESS);
        REQUIRE(subject.session.Start() == STATUS_SUCCESS);
        subject.Send();
        {
            sim::RunAs another(other.get(), 0);
            subject.Send(STATUS_SUCCESS, kOther);
        }
        const Captured captured = subject.Finish(2);
        CHECK(captured.WithCode(kOther).size() == 1);
        CHECK(captured.WithCode(kCode).size() == (ownToo ? 1 : 0));
    }
    sim::ExitProcess(other.get());
}

TEST_CASE("a request belongs to its requestor, where one is known: a lower layer may run in anybody's process") {
    auto machine = sim::Machine::Boot();
    Subject subject(*machine);
    auto other = sim::CreateProcess(u"other.exe", 4);
    PETHREAD ours = sim::CurrentThread();
    const uint32_t own = ours->process->id;
    sim::RunAs as(other.get(), 0);
    PETHREAD others = sim::CurrentThread();
    struct Case {
        const char* what;
        void (*set)(Predicates&, uint32_t own);
        bool oursIsRecorded, othersIsRecorded, nobodysIsRecorded;
    };
    const Case cases[] = {
        {"own requests left out", [](Predicates& p, uint32_t) { p.flags = 0; }, false, true, true},
        {"own requests left out beside another predicate",
         [](Predicates& p, uint32_t) {
             p.flags = 0;
             p.sampleEvery = 1;
         },
         false, true, true},
        {"only the client's process",
         [](Predicates& p, uint32_t id) {
             p.processMode = kPredicateOnly;
             p.processCount = 1;
             p.processes[0] = id;
         },
         true, false, false},
    };
    for (const Case& each : cases) {
        CAPTURE(std::string(each.what));
        Predicates predicates = Everything();
        each.set(predicates, own);
        REQUIRE(subject.session.SetPredicates(predicates) == STATUS_SUCCESS);
        REQUIRE(subject.session.Start() == STATUS_SUCCESS);
        // All three arrive in the other's process, as if a worker of its had sent them on.
        ULONG code = kCode;
        for (PETHREAD requestor : {ours, others, PETHREAD{}}) {
            OwnRequest request(subject.driver, IRP_MJ_DEVICE_CONTROL);
            request.SetControl(code++, 0, 0);
            request.BelongTo(requestor);
            CHECK(request.Send() == STATUS_SUCCESS);
        }
        const Captured captured = subject.Finish(3);
        CHECK(captured.WithCode(kCode).size() == (each.oursIsRecorded ? 1 : 0));
        CHECK(captured.WithCode(kCode + 1).size() == (each.othersIsRecorded ? 1 : 0));
        CHECK(captured.WithCode(kCode + 2).size() == (each.nobodysIsRecorded ? 1 : 0));
    }
    sim::ExitProcess(other.get());
}

TEST_CASE("a request without a requestor that is sent in a DPC is nobody's, whatever thread it interrupted") {
    auto machine = sim::Machine::Boot();
    Subject subject(*machine);
    for (bool besideAnother : {false, true}) {
        CAPTURE(besideAnother);
        Predicates predicates{};
        if (besideAnother) predicates.sampleEvery = 1;
        REQUIRE(subject.session.SetPredicates(predicates) == STATUS_SUCCESS);
        REQUIRE(subject.session.Start() == STATUS_SUCCESS);
        OwnRequest direct(subject.driver, IRP_MJ_DEVICE_CONTROL), deferred(subject.driver, IRP_MJ_DEVICE_CONTROL);
        direct.SetControl(kCode, 0, 0);
        deferred.SetControl(kOther, 0, 0);
        CHECK(direct.Send() == STATUS_SUCCESS);
        // Taken at once, by this thread: it is the client's.
        KDPC dpc;
        KeInitializeDpc(
            &dpc,
            [](PKDPC, PVOID context, PVOID, PVOID) {
                CHECK(static_cast<OwnRequest*>(context)->Send() == STATUS_SUCCESS);
            },
            &deferred);
        KeInsertQueueDpc(&dpc, nullptr, nullptr);
        const Captured captured = subject.Finish(2);
        CHECK(captured.WithCode(kCode).empty());
        const std::vector<Request> requests = captured.WithCode(kOther);
        REQUIRE(requests.size() == 1);
        CHECK(requests[0].start->header.irql == DISPATCH_LEVEL);
        CHECK(requests[0].start->requestorProcessId == 0);
        CHECK(requests[0].start->processId == sim::CurrentThread()->process->id);
    }
}

TEST_CASE("a request without a control code passes a predicate about codes") {
    auto machine = sim::Machine::Boot();
    Subject subject(*machine);
    Predicates predicates = Everything();
    predicates.codeMode = kPredicateOnly;
    predicates.codeCount = 1;
    predicates.codes[0] = kOther;
    REQUIRE(subject.session.SetPredicates(predicates) == STATUS_SUCCESS);
    REQUIRE(subject.session.Start() == STATUS_SUCCESS);
    subject.Send();
    sim::Status status;
    REQUIRE(machine->Open(subject.driver.path(), &status));
    const Captured captured = subject.Finish(4);
    CHECK(captured.WithCode(kCode).empty());
    CHECK(captured.WithMajor(IRP_MJ_CREATE).size() == 1);
    CHECK(captured.WithMajor(IRP_MJ_CLOSE).size() == 1);
}

TEST_CASE("fast-I/O routines have predicates of their own, and their codes are codes") {
    auto machine = sim::Machine::Boot();
    ScriptedDriver driver(u"Fast");
    FAST_IO_DISPATCH table{};
    table.SizeOfFastIoDispatch = sizeof(table);
    table.FastIoDeviceControl = [](PFILE_OBJECT, BOOLEAN, PVOID, ULONG, PVOID, ULONG, ULONG, PIO_STATUS_BLOCK result,
                                   PDEVICE_OBJECT) -> BOOLEAN {
        *result = {{STATUS_SUCCESS}, 0};
        return TRUE;
    };
    driver.object()->FastIoDispatch = &table;
    CaptureSession session(*machine);
    REQUIRE(session.AddDriver(driver.name()) == STATUS_SUCCESS);
    sim::Status status;
    auto handle = machine->Open(driver.path(), &status);
    REQUIRE(handle);
    const auto recorded = [&](Predicates predicates) {
        predicates.flags |= kPredicateOwnProcesses;
        REQUIRE(session.SetPredicates(predicates) == STATUS_SUCCESS);
        REQUIRE(session.Start() == STATUS_SUCCESS);
        CHECK(handle->Control(kCode, nullptr, 0, nullptr, 0, nullptr) == STATUS_SUCCESS);
        REQUIRE(session.Stop() == STATUS_SUCCESS);
        CHECK(session.Counters().Sum(&FunctionCounters::arrivals) == 1);
        return session.Finish().requests.size();
    };
    Predicates predicates{};
    CHECK(recorded(predicates) == 1);
    predicates.leftOutFunctions = 1ull << IRP_MJ_DEVICE_CONTROL;
    CHECK(recorded(predicates) == 1);
    predicates.leftOutFunctions = 1ull << (kMajorFunctionCount + kFastIoDeviceControl);
    CHECK(recorded(predicates) == 0);
    predicates.leftOutFunctions = 0;
    predicates.codeMode = kPredicateAllBut;
    predicates.codeCount = 1;
    predicates.codes[0] = kCode;
    CHECK(recorded(predicates) == 0);
    handle.reset();
    session.Die();
    driver.object()->FastIoDispatch = nullptr;
}

TEST_CASE("predicates end with their session") {
    auto machine = sim::Machine::Boot();
    ScriptedDriver driver(u"Twice");
    auto other = sim::CreateProcess(u"other.exe", 4);
    {
        CaptureSession session(*machine);
        Predicates none{};
        none.leftOutFunctions = (1ull << kFunctionCount) - 1;
        REQUIRE(session.SetPredicates(none) == STATUS_SUCCESS);
        REQUIRE(session.AddDriver(driver.name()) == STATUS_SUCCESS);
        session.Die();
    }
    // The next client sets none of its own: it gets every request but those of its own process.
    CaptureSession session(*machine, CaptureSession::OwnRequests::kAsTheDriverHasIt);
    REQUIRE(session.Start() == STATUS_SUCCESS);
    REQUIRE(session.AddDriver(driver.name()) == STATUS_SUCCESS);
    {
        sim::RunAs as(other.get(), 0);
        OwnRequest request(driver, IRP_MJ_DEVICE_CONTROL);
        request.SetControl(kCode, 0, 0);
        CHECK(request.Send() == STATUS_SUCCESS);
    }
    REQUIRE(session.Stop() == STATUS_SUCCESS);
    CHECK(session.Counters().reply.filteredStarts == 0);
    CHECK(session.Finish().WithCode(kCode).size() == 1);
    session.Die();
    sim::ExitProcess(other.get());
}

TEST_CASE("predicates change under load: recorded, filtered, sampled out and dropped add up to what arrived") {
    for (bool sections : {true, false}) {
        CAPTURE(sections);
        sim::MachineOptions options;
        options.sections = sections;
        auto machine = sim::Machine::Boot(options);
        CaptureSession session(*machine);
        REQUIRE(session.Start({1u << 14, 64, 64, 0}) == STATUS_SUCCESS);
        REQUIRE(session.AddDriver(DRIVERMON_AFD_DRIVER_NAME) == STATUS_SUCCESS);
        REQUIRE(session.AddDriver(DRIVERMON_ECHO_DRIVER_NAME) == STATUS_SUCCESS);
        session.Follow();
        machine->StartTraffic({31, 0, 30'000});
        for (uint32_t turn = 0; machine->TrafficRunning(); turn++) {
            Predicates predicates{};
            predicates.sampleEvery = turn % 3;
            if (turn % 4 == 1) predicates.flags = kPredicateErrorsOnly;
            if (turn % 4 == 2) predicates.minimumLatency = 100 * (turn % 7);
            if (turn % 5 == 0) predicates.leftOutFunctions = 1ull << IRP_MJ_DEVICE_CONTROL;
            REQUIRE(session.SetPredicates(predicates) == STATUS_SUCCESS);
        }
        machine->StopTraffic();
        REQUIRE(session.Stop() == STATUS_SUCCESS);
        const Totals totals = session.Counters();
        const CountersReply& reply = totals.reply;
        const Captured captured = session.Finish();
        uint64_t starts = 0;
        for (const auto& [id, request] : captured.requests) starts += request.start.has_value();
        const uint64_t arrivals = totals.Sum(&FunctionCounters::arrivals);
        CHECK(arrivals - totals.Sum(&FunctionCounters::fellThrough) == 30'000);
        CHECK(starts + reply.filteredStarts + reply.sampledOut + reply.dropsStart[kLossRingFull] +
                  reply.dropsStart[kLossRecordTooLarge] ==
              arrivals);
        CHECK(reply.outstanding == 0);
    }
}

}  // namespace drivermon::test
