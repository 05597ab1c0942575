// fast_io_test.cpp: calls of fast-I/O routines: handled ones, those that fell through, and the IRPs that continue them.
#include <doctest/doctest.h>

#include <cstring>
#include <memory>
#include <optional>
#include <thread>

#include "capture_session.h"
#include "scripted_driver.h"
#include "sim/memory.h"
#include "sim/process.h"
#include "sim/user_mode.h"
#include "targets/afd_protocol.h"
#include "targets/echo_protocol.h"

namespace drivermon::test {
namespace {

using namespace targets;

// A hooked driver with a fast-I/O routine, and an open file of it.
struct FastDriver {
    explicit FastDriver(const StartRequest& start = kDefaultStart) {
        driver.HaveFastIo();
        for (UCHAR major : {IRP_MJ_READ, IRP_MJ_WRITE}) driver.Serve(major);
        REQUIRE(session.Start(start) == STATUS_SUCCESS);
        REQUIRE(session.AddDriver(driver.name(), &added) == STATUS_SUCCESS);
        file = Open();
    }
    std::unique_ptr<sim::FileHandle> Open(const sim::OpenOptions& options = {}) {
        sim::Status status;
        auto opened = sim::OpenFile(driver.path(), options, &status);
        REQUIRE(opened);
        return opened;
    }
    // A file whose reads and writes the I/O manager tries as fast I/O.
    std::unique_ptr<sim::FileHandle> OpenCached() {
        sim::OpenOptions options;
        options.synchronous = true;
        auto opened = Open(options);
        opened->FileObject()->PrivateCacheMap = this;
        return opened;
    }
    // One call of user mode's: fast I/O first, then an IRP. Told apart by its length.
    void Call(uint32_t bytes = 4, sim::UserHandle* handle = nullptr) {
        std::vector<uint8_t> buffer(bytes);
        CHECK((handle ? handle : file.get())->Control(kCode, buffer.data(), bytes, nullptr, 0, nullptr) == 0);
    }
    // What the I/O manager does first, alone. True: handled.
    bool CallFastOnly(uint32_t bytes = 4) { return CallFastOnly(bytes, file->FileObject()); }
    bool CallFastOnly(uint32_t bytes, PFILE_OBJECT of) {
        std::vector<uint8_t> buffer(bytes);
        IO_STATUS_BLOCK result{};
        return driver.object()->FastIoDispatch->FastIoDeviceControl(of, TRUE, buffer.data(), bytes, nullptr, 0, kCode,
                                                                    &result, driver.device());
    }
    // What it does then: an IRP as it would build it, but for what `change` makes of it.
    template <typename Change>
    void SendIrp(uint32_t bytes, Change change) {
        std::vector<uint8_t> buffer(bytes);
        PIRP irp = MakeControl(driver.device(), kCode, buffer.data(), bytes, 0);
        irp->Tail.Overlay.Thread = PsGetCurrentThread();
        irp->Tail.Overlay.OriginalFileObject = file->FileObject();
        IoGetNextIrpStackLocation(irp)->FileObject = file->FileObject();
        change(irp);
        IoSetCompletionRoutine(
            irp,
            [](PDEVICE_OBJECT, PIRP mine, PVOID) -> NTSTATUS {
                IoFreeIrp(mine);
                return STATUS_MORE_PROCESSING_REQUIRED;
            },
            nullptr, TRUE, TRUE, TRUE);
        CHECK(IoCallDriver(driver.device(), irp) == STATUS_SUCCESS);
    }
    void SendIrp(uint32_t bytes = 4) {
        SendIrp(bytes, [](PIRP) {});
    }
    Captured Finish() {
        file.reset();
        REQUIRE(session.Stop() == STATUS_SUCCESS);
        totals = session.Counters();
        return session.Finish();
    }

    std::unique_ptr<sim::Machine> machine = sim::Machine::Boot();
    ScriptedDriver driver{u"Fast"};
    CaptureSession session{*machine};
    AddDriverReply added{};
    std::unique_ptr<sim::FileHandle> file;
    Totals totals;
};

// The device-control IRPs, in their order; and the call that each continues, by the record's word for it.
std::vector<RequestStart> Irps(const Captured& captured) {
    std::vector<RequestStart> irps;
    for (const Request& request : captured.WithMajor(IRP_MJ_DEVICE_CONTROL)) irps.push_back(*request.start);
    return irps;
}

std::vector<RequestStart> FellThrough(const Captured& captured) {
    std::vector<RequestStart> calls;
    for (uint64_t id : captured.order) {
        const Request& request = captured.requests.at(id);
        if (request.FellThrough()) calls.push_back(*request.start);
    }
    return calls;
}

// The only fast-I/O call.
Request TheCall(const Captured& captured) {
    std::vector<Request> calls;
    for (const auto& [id, request] : captured.requests) {
        if (request.start && (request.start->flags & kRequestFastIo)) calls.push_back(request);
    }
    REQUIRE(calls.size() == 1);
    REQUIRE(calls[0].end);
    return calls[0];
}

// Of the one function that transferred bytes.
const FunctionCounters& CountersOf(const Totals& totals, uint32_t function) {
    for (const FunctionCounters& counters : totals.functions) {
        if (counters.function == function) return counters;
    }
    FAIL("no request of function " << function);
    return totals.functions[0];
}

uint32_t Link(const RequestStart& call) {
    return static_cast<uint32_t>(call.requestId);
}

uint64_t Sum(const uint64_t (&reasons)[kLossReasonCount]) {
    uint64_t sum = 0;
    for (uint64_t count : reasons) sum += count;
    return sum;
}

}  // namespace

TEST_CASE("fast I/O: handled calls are requests, fallen-through ones are not") {
    auto machine = sim::Machine::Boot();
    CaptureSession session(*machine);
    REQUIRE(session.Start() == STATUS_SUCCESS);
    AddDriverReply reply{};
    REQUIRE(session.AddDriver(DRIVERMON_AFD_DRIVER_NAME, &reply) == STATUS_SUCCESS);
    CHECK(reply.fastIo == 1u << kFastIoDeviceControl);
    machine->StartTraffic({7, 0, 64});
    while (machine->TrafficRunning()) std::this_thread::yield();
    machine->StopTraffic();
    REQUIRE(session.Stop() == STATUS_SUCCESS);
    const Totals totals = session.Counters();
    const Captured captured = session.Finish();

    uint64_t handled = 0, fellThrough = 0, irps = 0;
    for (const auto& [id, request] : captured.requests) {
        REQUIRE(request.start);
        REQUIRE(request.end);
        if (!(request.start->flags & kRequestFastIo)) {
            irps++;
            continue;
        }
        CHECK(request.start->irp == 0);
        CHECK(request.start->major == kFastIoDeviceControl);
        (request.FellThrough() ? fellThrough : handled)++;
    }
    CHECK(handled + irps == 64);
    CHECK(handled > 0);
    CHECK(fellThrough > 0);
    CHECK(captured.Arrivals() == machine->Issued()[DRIVERMON_AFD_DRIVER_NAME]);
    CHECK(totals.Sum(&FunctionCounters::fellThrough) == fellThrough);

    // A send's bytes are there: text that a person can read.
    bool sawRequestLine = false;
    for (const Request& send : captured.WithCode(kAfdSend)) {
        const std::string text(send.input.begin(), send.input.end());
        sawRequestLine |= text.find("HTTP/1.1\r\nHost: ") != std::string::npos;
    }
    CHECK(sawRequestLine);
}

TEST_CASE("an IRP that continues a fast-I/O call says which") {
    FastDriver fast;
    int calls = 0;
    fast.driver.onFastIo = [&](const FastCall&) { return ++calls % 3 == 0; };
    for (uint32_t i = 0; i < 30; i++) fast.Call(i);
    const Captured captured = fast.Finish();
    const auto fell = FellThrough(captured), irps = Irps(captured);
    REQUIRE(fell.size() == 20);
    REQUIRE(irps.size() == 20);
    for (size_t i = 0; i < irps.size(); i++) {
        CHECK(irps[i].inputLength == fell[i].inputLength);
        CHECK(irps[i].continues == Link(fell[i]));
        CHECK((irps[i].flags & kRequestContinues) != 0);
    }
    for (const auto& [id, request] : captured.requests) {
        if (request.start->flags & kRequestFastIo) CHECK(request.start->continues == 0);
        if (request.start->major == IRP_MJ_CREATE || request.start->major == IRP_MJ_CLOSE) {
            CHECK(request.start->continues == 0);
        }
    }
}

TEST_CASE("threads that fall through at the same time: each IRP continues the call of its own thread") {
    FastDriver fast;
    constexpr uint32_t kThreads = 4, kCalls = 400;
    fast.driver.onFastIo = [](const FastCall&) {
        std::this_thread::yield();
        return false;
    };
    std::vector<std::thread> threads;
    for (uint32_t i = 0; i < kThreads; i++) {
        threads.emplace_back([&fast, i] {
            for (uint32_t call = 0; call < kCalls; call++) fast.Call(i + call % 2);
        });
    }
    for (auto& thread : threads) thread.join();
    const Captured captured = fast.Finish();
    std::map<uint32_t, RequestStart> calls;
    for (const RequestStart& call : FellThrough(captured)) calls[Link(call)] = call;
    CHECK(calls.size() == kThreads * kCalls);
    uint32_t linked = 0, wrong = 0;
    for (const RequestStart& irp : Irps(captured)) {
        if (irp.continues == 0) continue;
        linked++;
        auto call = calls.extract(irp.continues);
        wrong += call.empty() || call.mapped().threadId != irp.threadId ||
                 call.mapped().inputLength != irp.inputLength || call.mapped().header.timestamp > irp.header.timestamp;
    }
    CHECK(linked == kThreads * kCalls);
    CHECK(wrong == 0);
}

TEST_CASE("another thread's IRP between a call and its own is not taken for it") {
    FastDriver fast;
    CHECK_FALSE(fast.CallFastOnly());
    std::thread([&] { fast.SendIrp(); }).join();
    fast.SendIrp();
    const Captured captured = fast.Finish();
    const auto fell = FellThrough(captured), irps = Irps(captured);
    REQUIRE(fell.size() == 1);
    REQUIRE(irps.size() == 2);
    CHECK(irps[0].continues == 0);
    CHECK(irps[1].continues == Link(fell[0]));
}

TEST_CASE("a call inside a routine, on the same file and just alike, is not taken for the outer one") {
    FastDriver fast;
    int depth = 0;
    fast.driver.onFastIo = [&](const FastCall&) {
        if (depth++ == 0) fast.Call();
        return false;
    };
    fast.Call();
    const Captured captured = fast.Finish();
    const auto fell = FellThrough(captured), irps = Irps(captured);
    REQUIRE(fell.size() == 2);
    REQUIRE(irps.size() == 2);
    // By arrival: the outer call, the inner one; the inner IRP, the outer one.
    CHECK(irps[0].continues == Link(fell[1]));
    CHECK(irps[1].continues == Link(fell[0]));
}

TEST_CASE("an IRP sent inside a routine does not continue the call that is still running") {
    FastDriver fast;
    fast.driver.onFastIo = [&](const FastCall&) {
        fast.SendIrp();
        return false;
    };
    fast.Call();
    const Captured captured = fast.Finish();
    const auto fell = FellThrough(captured), irps = Irps(captured);
    REQUIRE(irps.size() == 2);
    CHECK(irps[0].continues == 0);
    CHECK(irps[1].continues == Link(fell.at(0)));
}

TEST_CASE("a call whose IRP never comes is continued by nothing else") {
    FastDriver fast;
    CHECK_FALSE(fast.CallFastOnly());
    SUBCASE("another length") {
        fast.SendIrp(5);
        fast.SendIrp();  // too late: something came between
    }
    SUBCASE("a request that a driver has built in that thread") {
        fast.SendIrp(4, [](PIRP irp) { irp->Tail.Overlay.OriginalFileObject = nullptr; });
        fast.SendIrp();
    }
    SUBCASE("a request that belongs to no thread") {
        fast.SendIrp(4, [](PIRP irp) { irp->Tail.Overlay.Thread = nullptr; });
        CHECK_FALSE(fast.CallFastOnly(5));
        fast.SendIrp();
    }
    SUBCASE("another file") {
        auto other = fast.Open();
        fast.SendIrp(4, [&](PIRP irp) {
            irp->Tail.Overlay.OriginalFileObject = other->FileObject();
            IoGetNextIrpStackLocation(irp)->FileObject = other->FileObject();
        });
        other.reset();
        fast.SendIrp();
    }
    SUBCASE("a call that is handled") {
        fast.driver.onFastIo = [](const FastCall&) { return true; };
        CHECK(fast.CallFastOnly());
        fast.SendIrp();
    }
    SUBCASE("a call that is handled, after one inside it fell through") {
        fast.driver.onFastIo = [&](const FastCall&) {
            fast.driver.onFastIo = nullptr;
            CHECK_FALSE(fast.CallFastOnly());
            return true;
        };
        CHECK(fast.CallFastOnly());
        fast.SendIrp();
    }
    SUBCASE("another capture") {
        REQUIRE(fast.session.Stop() == STATUS_SUCCESS);
        fast.session.Finish();
        REQUIRE(fast.session.Start() == STATUS_SUCCESS);
        fast.SendIrp();
    }
    SUBCASE("the same driver, added again") {
        REQUIRE(fast.session.RemoveDriver(fast.added.driverId) == STATUS_SUCCESS);
        REQUIRE(fast.session.AddDriver(fast.driver.name()) == STATUS_SUCCESS);
        fast.SendIrp();
    }
    const auto irps = Irps(fast.Finish());
    CHECK(irps.size() > 0);
    for (const RequestStart& irp : irps) CHECK((irp.continues | (irp.flags & kRequestContinues)) == 0);
}

// ---- Payload ---------------------------------------------------------------------------------------------------

TEST_CASE("FastIoWrite: the bytes written, where, and what was answered") {
    FastDriver fast;
    fast.driver.onFastIo = [](const FastCall& call) { return call.Answer(STATUS_SUCCESS, call.inputBytes); };
    auto file = fast.OpenCached();
    const std::vector<uint8_t> written{1, 2, 3, 4, 5};
    uint32_t returned = 0;
    CHECK(file->Write(written.data(), 5, 0x1234, &returned) == STATUS_SUCCESS);
    CHECK(returned == 5);
    file.reset();
    const Request call = TheCall(fast.Finish());
    CHECK(call.start->major == kFastIoWrite);
    CHECK((call.start->flags & kRequestSynchronous) != 0);
    CHECK(call.start->byteOffset == 0x1234);
    CHECK(call.start->inputLength == 5);
    CHECK(call.start->outputLength == 0);
    CHECK(call.input == written);
    CHECK(call.end->status == STATUS_SUCCESS);
    CHECK(call.end->information == 5);
    CHECK(call.output.empty());
    CHECK(call.end->payloadTotal == 0);
    const FunctionCounters counted = CountersOf(fast.totals, kMajorFunctionCount + kFastIoWrite);
    CHECK(counted.bytesIn == 5);
    CHECK(counted.bytesOut == 0);
}

TEST_CASE("FastIoRead: as many bytes as were read, from where, and what was answered") {
    FastDriver fast;
    fast.driver.onFastIo = [](const FastCall& call) {
        std::memcpy(call.output, "abc", 3);
        return call.Answer(STATUS_SUCCESS, 3);
    };
    auto file = fast.OpenCached();
    std::vector<uint8_t> read(8);
    uint32_t returned = 0;
    CHECK(file->Read(read.data(), 8, 0x5678, &returned) == STATUS_SUCCESS);
    CHECK(returned == 3);
    file.reset();
    const Request call = TheCall(fast.Finish());
    CHECK(call.start->major == kFastIoRead);
    CHECK(call.start->byteOffset == 0x5678);
    CHECK(call.start->inputLength == 0);
    CHECK(call.start->outputLength == 8);
    CHECK(call.input.empty());
    CHECK(call.end->information == 3);
    CHECK(call.output == std::vector<uint8_t>{'a', 'b', 'c'});
    CHECK(call.end->payloadTotal == 3);
    const FunctionCounters counted = CountersOf(fast.totals, kMajorFunctionCount + kFastIoRead);
    CHECK(counted.bytesIn == 0);
    CHECK(counted.bytesOut == 3);
}

TEST_CASE("FastIoRead and FastIoWrite that fall through: the READ or WRITE says which it continues") {
    FastDriver fast;
    fast.driver.onControl = [](PDEVICE_OBJECT, PIRP irp) { return Complete(irp, STATUS_SUCCESS, 4); };
    auto file = fast.OpenCached();
    uint8_t bytes[] = {1, 2, 3, 4};
    // Twice alike but for the place.
    for (uint64_t offset : {0x1000, 0x2000}) {
        CHECK(file->Write(bytes, 4, offset, nullptr) == STATUS_SUCCESS);
        CHECK(file->Read(bytes, 4, offset, nullptr) == STATUS_SUCCESS);
    }
    // Without a cache it is none of fast I/O's business.
    file->FileObject()->PrivateCacheMap = nullptr;
    CHECK(file->Read(bytes, 4, 0x3000, nullptr) == STATUS_SUCCESS);
    file.reset();
    const Captured captured = fast.Finish();
    const auto fell = FellThrough(captured);
    const auto reads = captured.WithMajor(IRP_MJ_READ), writes = captured.WithMajor(IRP_MJ_WRITE);
    REQUIRE(fell.size() == 4);
    REQUIRE(writes.size() == 2);
    REQUIRE(reads.size() == 3);
    for (size_t i = 0; i < 2; i++) {
        CHECK(fell[2 * i].major == kFastIoWrite);
        CHECK(fell[2 * i + 1].major == kFastIoRead);
        CHECK(writes[i].start->continues == Link(fell[2 * i]));
        CHECK(reads[i].start->continues == Link(fell[2 * i + 1]));
        CHECK(captured.requests.at(fell[2 * i].requestId).input == std::vector<uint8_t>{1, 2, 3, 4});
        CHECK(captured.requests.at(fell[2 * i + 1].requestId).output.empty());
    }
    CHECK(reads[2].start->continues == 0);
}

TEST_CASE("FastIoRead and FastIoWrite: after an answer that is not taken an IRP follows, and only that is a request") {
    struct Answer {
        NTSTATUS status;
        bool readIsTaken, writeIsTaken;
    };
    constexpr Answer kAnswers[] = {
        {STATUS_SUCCESS, true, true},      {STATUS_BUFFER_OVERFLOW, true, false},
        {STATUS_END_OF_FILE, true, false}, {STATUS_PIPE_BROKEN, false, false},
        {STATUS_CANCELLED, false, false},  {STATUS_BUFFER_TOO_SMALL, false, false},
    };
    for (const Answer& answer : kAnswers) {
        for (bool reads : {true, false}) {
            CAPTURE(answer.status);
            CAPTURE(reads);
            const bool taken = reads ? answer.readIsTaken : answer.writeIsTaken;
            FastDriver fast;
            fast.driver.onFastIo = [&](const FastCall& call) { return call.Answer(answer.status, 3); };
            fast.driver.onControl = [](PDEVICE_OBJECT, PIRP irp) { return Complete(irp, STATUS_ACCESS_DENIED); };
            auto file = fast.OpenCached();
            uint8_t bytes[] = {1, 2, 3, 4};
            const sim::Status status = reads ? file->Read(bytes, 4, 0, nullptr) : file->Write(bytes, 4, 0, nullptr);
            CHECK(status == (taken ? answer.status : STATUS_ACCESS_DENIED));
            file.reset();
            const Captured captured = fast.Finish();

            const Request call = TheCall(captured);
            CHECK(call.FellThrough() == !taken);
            CHECK(call.end->status == static_cast<uint32_t>(answer.status));
            const auto irps = captured.WithMajor(reads ? IRP_MJ_READ : IRP_MJ_WRITE);
            REQUIRE(irps.size() == (taken ? 0 : 1));
            if (!taken) {
                CHECK(irps[0].start->continues == Link(*call.start));
                CHECK(call.output.empty());
            }
            const FunctionCounters counted =
                CountersOf(fast.totals, kMajorFunctionCount + (reads ? kFastIoRead : kFastIoWrite));
            CHECK(counted.completions == 1);
            CHECK(counted.fellThrough == (taken ? 0 : 1));
            // What was not taken failed nobody's request.
            if (!taken) CHECK(counted.success == 1);
        }
    }
}

TEST_CASE("the READ of another place continues no FastIoRead") {
    FastDriver fast;
    auto file = fast.OpenCached();
    LARGE_INTEGER offset;
    offset.QuadPart = 0x1000;
    IO_STATUS_BLOCK result{};
    uint8_t bytes[4];
    CHECK_FALSE(fast.driver.object()->FastIoDispatch->FastIoRead(file->FileObject(), &offset, 4, TRUE, 0, bytes,
                                                                 &result, fast.driver.device()));
    file->FileObject()->PrivateCacheMap = nullptr;
    CHECK(file->Read(bytes, 4, 0x2000, nullptr) == STATUS_SUCCESS);
    file.reset();
    const auto reads = fast.Finish().WithMajor(IRP_MJ_READ);
    REQUIRE(reads.size() == 1);
    CHECK(reads[0].start->continues == 0);
}

TEST_CASE("FastIoDeviceControl: its output is what was answered, if that can be read, and no more than was asked for") {
    FastDriver fast;
    NTSTATUS status = STATUS_SUCCESS;
    ULONG_PTR information = 3;
    const auto buffer = std::make_unique<uint8_t[]>(4);
    void* output = buffer.get();
    uint32_t outputBytes = 4, total = 3;
    bool unreadable = false;
    SUBCASE("as many bytes as Information says") {}
    SUBCASE("of a warning, too") {
        status = STATUS_BUFFER_OVERFLOW;
    }
    SUBCASE("an Information beyond the buffer is not believed") {
        information = ~ULONG_PTR{0};
        total = 4;
    }
    SUBCASE("an error has none") {
        status = STATUS_ACCESS_DENIED;
        total = 0;
    }
    SUBCASE("none was asked for") {
        output = nullptr;
        outputBytes = total = 0;
    }
    SUBCASE("the caller's memory cannot be read") {
        unreadable = true;
    }
    SUBCASE("a kernel address is none of a user's") {
        output = reinterpret_cast<void*>(0xFFFF800000001000);
        unreadable = true;
    }
    std::optional<sim::UnreadableUserMemory> gone;
    if (unreadable) gone.emplace(buffer.get(), 4);
    fast.driver.onFastIo = [&](const FastCall& call) {
        if (call.output == buffer.get()) std::memcpy(call.output, "wxyz", 4);
        return call.Answer(status, information);
    };
    CHECK(fast.file->Control(kCode, "in", 2, output, outputBytes, nullptr) == status);
    const Request call = TheCall(fast.Finish());
    CHECK(call.input == std::vector<uint8_t>{'i', 'n'});
    CHECK(call.start->outputLength == outputBytes);
    CHECK(call.end->status == static_cast<uint32_t>(status));
    CHECK(call.end->information == information);
    CHECK(call.end->payloadTotal == total);
    CHECK(((call.end->flags & kRequestPayloadMissed) != 0) == unreadable);
    CHECK(fast.totals.reply.dropsEnd[kLossPayloadFault] == (unreadable ? 1u : 0u));
    std::vector<uint8_t> expected{'w', 'x', 'y', 'z'};
    expected.resize(unreadable ? 0 : total);
    CHECK(call.output == expected);
    CHECK(CountersOf(fast.totals, kMajorFunctionCount + kFastIoDeviceControl).bytesOut ==
          (status == STATUS_SUCCESS ? information : 0));
}

TEST_CASE("fast I/O: a whole snap length goes in and out") {
    // The smallest rings that take such a record.
    FastDriver fast({4 * kMaxSnapLength, kMaxSnapLength, kMaxSnapLength, 0});
    fast.session.FetchBatchesOf(kMinDataBytes);
    fast.driver.onFastIo = [](const FastCall& call) {
        if (call.outputBytes != 0) FillPattern(call.output, call.outputBytes, 2);
        return call.Answer(STATUS_SUCCESS, call.input != nullptr ? call.inputBytes : call.outputBytes);
    };
    std::vector<uint8_t> input(kMaxSnapLength), output(kMaxSnapLength + 1);
    FillPattern(input.data(), input.size(), 1);
    bool writes = true, reads = true;
    auto file = fast.OpenCached();
    SUBCASE("FastIoWrite") {
        reads = false;
        CHECK(file->Write(input.data(), kMaxSnapLength, 0, nullptr) == STATUS_SUCCESS);
    }
    SUBCASE("FastIoRead, and of one byte more all but that") {
        writes = false;
        CHECK(file->Read(output.data(), kMaxSnapLength + 1, 0, nullptr) == STATUS_SUCCESS);
    }
    SUBCASE("FastIoDeviceControl") {
        CHECK(fast.file->Control(kCode, input.data(), kMaxSnapLength, output.data(), kMaxSnapLength, nullptr) ==
              STATUS_SUCCESS);
    }
    file.reset();
    const Request call = TheCall(fast.Finish());
    // Not CHECK: it would print both.
    CHECK((call.input == (writes ? Pattern(1) : std::vector<uint8_t>{})));
    CHECK((call.output == (reads ? Pattern(2) : std::vector<uint8_t>{})));
    CHECK(((call.end->flags & kRequestPayloadTruncated) != 0) == !writes);
}

TEST_CASE("beneath a filter nobody knows whether an IRP continues a call") {
    FastDriver fast;
    ScriptedDriver filter(u"Filter");
    filter.AttachTo(fast.driver);
    filter.HaveFastIo();
    bool passesOn = true, copies = false;
    filter.onFastIo = [&](const FastCall& call) { return passesOn && fast.CallFastOnly(4, call.file); };
    filter.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
        if (copies) {
            IoCopyCurrentIrpStackLocationToNext(irp);
        } else {
            IoSkipCurrentIrpStackLocation(irp);
        }
        return IoCallDriver(filter.lower(), irp);
    };
    auto file = fast.Open();
    fast.Call(4, file.get());
    copies = true;
    fast.Call(4, file.get());
    passesOn = false;
    fast.Call(4, file.get());
    file.reset();
    const auto irps = Irps(fast.Finish());
    REQUIRE(irps.size() == 3);
    for (const RequestStart& irp : irps) CHECK(irp.continues == 0);
}

TEST_CASE("the call that an IRP continues may be kept out of the records, and is counted as what it was") {
    FastDriver fast;
    Predicates predicates{};
    predicates.flags = kPredicateOwnProcesses;
    uint64_t filtered = 0, sampledOut = 0;
    SUBCASE("by its function") {
        predicates.leftOutFunctions = 1ull << (kMajorFunctionCount + kFastIoDeviceControl);
        filtered = 10;
    }
    SUBCASE("because it ended without an error") {
        predicates.flags |= kPredicateErrorsOnly;
        filtered = 10;
    }
    SUBCASE("by sampling") {
        predicates.sampleEvery = 2;
        sampledOut = 10;
    }
    REQUIRE(fast.session.SetPredicates(predicates) == STATUS_SUCCESS);
    fast.driver.onControl = [](PDEVICE_OBJECT, PIRP irp) { return Complete(irp, STATUS_ACCESS_DENIED); };
    // Opening and closing takes three turns: so the calls come at those that are sampled out.
    if (sampledOut != 0) {
        std::unique_ptr<sim::FileHandle> other = fast.Open();
        CHECK(other);
    }
    for (int i = 0; i < 10; i++) CHECK(fast.file->Control(kCode, nullptr, 0, nullptr, 0, nullptr) < 0);
    const Captured captured = fast.Finish();
    CHECK(fast.totals.reply.filteredFellThrough == filtered);
    CHECK(fast.totals.reply.sampledOutFellThrough == sampledOut);
    uint64_t starts = 0;
    for (const auto& [id, request] : captured.requests) starts += request.start.has_value();
    CHECK(starts + fast.totals.reply.filteredStarts + fast.totals.reply.sampledOut ==
          fast.totals.Sum(&FunctionCounters::arrivals));
    CHECK(Irps(captured).size() == 10);
    for (const RequestStart& irp : Irps(captured)) CHECK(irp.continues != 0);
}

TEST_CASE("a dropped start whose call fell through was no arrival, and is counted as such") {
    FastDriver fast;
    REQUIRE(fast.session.Stop() == STATUS_SUCCESS);
    fast.session.Finish();
    REQUIRE(fast.session.Start({kMinRingBytes, 64, 64, 0}) == STATUS_SUCCESS);
    constexpr uint64_t kCalls = 500;
    for (uint64_t i = 0; i < kCalls; i++) fast.Call();
    const Captured captured = fast.Finish();
    const CountersReply& reply = fast.totals.reply;
    uint64_t calls = 0, irps = 0;
    for (const auto& [id, request] : captured.requests) {
        if (!request.start) continue;
        (request.start->flags & kRequestFastIo ? calls : irps)++;
    }
    CHECK(fast.totals.Sum(&FunctionCounters::fellThrough) == kCalls);
    CHECK(Sum(reply.dropsFellThrough) == kCalls - calls);
    CHECK(reply.dropsFellThrough[kLossRingFull] > 0);
    // Cleanup and close came, too.
    CHECK(reply.dropsStart[kLossRingFull] - reply.dropsFellThrough[kLossRingFull] == kCalls + 2 - irps);
}

TEST_CASE("whatever is dropped, filtered or sampled out: requests are what was issued, to the last one") {
    for (uint32_t ringBytes : {kMinRingBytes, 1u << 20}) {
        CAPTURE(ringBytes);
        auto machine = sim::Machine::Boot();
        CaptureSession session(*machine);
        Predicates predicates{};
        predicates.sampleEvery = 2;
        predicates.leftOutFunctions = 1ull << IRP_MJ_READ;
        SUBCASE("each judged at its arrival") {}
        SUBCASE("each judged at its end") {
            predicates.minimumLatency = 5;
        }
        REQUIRE(session.SetPredicates(predicates) == STATUS_SUCCESS);
        REQUIRE(session.Start({ringBytes, 256, 256, 0}) == STATUS_SUCCESS);
        REQUIRE(session.AddDriver(DRIVERMON_AFD_DRIVER_NAME) == STATUS_SUCCESS);
        REQUIRE(session.AddDriver(DRIVERMON_ECHO_DRIVER_NAME) == STATUS_SUCCESS);
        session.Follow();
        machine->StartTraffic({21, 0, 20'000});
        while (machine->TrafficRunning()) std::this_thread::yield();
        machine->StopTraffic();
        REQUIRE(session.Stop() == STATUS_SUCCESS);
        const Totals totals = session.Counters();
        const CountersReply& reply = totals.reply;
        const Captured captured = session.Finish();
        uint64_t starts = 0, toldFellThrough = 0;
        for (const auto& [id, request] : captured.requests) {
            starts += request.start.has_value();
            toldFellThrough += request.start && request.FellThrough();
        }
        // A start whose end was dropped does not tell that its call fell through; the counters do.
        const uint64_t recordedFellThrough = totals.Sum(&FunctionCounters::fellThrough) -
                                             Sum(reply.dropsFellThrough) - reply.filteredFellThrough -
                                             reply.sampledOutFellThrough;
        CHECK(toldFellThrough <= recordedFellThrough);
        CHECK(reply.sampledOutFellThrough > 0);
        const uint64_t dropped = reply.dropsStart[kLossRingFull] + reply.dropsStart[kLossRecordTooLarge];
        CHECK(starts - recordedFellThrough + dropped - Sum(reply.dropsFellThrough) + reply.filteredStarts -
                  reply.filteredFellThrough + reply.sampledOut - reply.sampledOutFellThrough ==
              20'000);
    }
}

}  // namespace drivermon::test
