// control_test.cpp: the control surface, call by call: what must be there before a call is answered, what never gets
// through, what comes back, and how a session ends. Requests that no program can send are made as another driver may.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "protocol/layout.h"
#include "protocol/version.h"
#include "scene.h"
#include "sim/driver_loader.h"
#include "sim/memory.h"
#include "sim/process.h"
#include "sim/processor.h"
#include "sim/user_mode.h"

namespace drivermon::test {
namespace {

using Raw = std::vector<uint8_t>;

// How far the time of a Hello is behind the kernel's, in units of 100 ns.
int64_t Behind(const HelloReply& hello) {
    LARGE_INTEGER frequency, time;
    int64_t behind = 0;
    uint64_t best = ~0ull;
    // Of some readings the one that nobody came between.
    for (int attempt = 0; attempt < 16; attempt++) {
        const auto before = static_cast<uint64_t>(KeQueryPerformanceCounter(&frequency).QuadPart);
        KeQuerySystemTimePrecise(&time);
        const uint64_t took = static_cast<uint64_t>(KeQueryPerformanceCounter(nullptr).QuadPart) - before;
        if (took >= best) continue;
        best = took;
        const auto since = static_cast<int64_t>(before + took / 2 - hello.anchorTicks);
        REQUIRE(frequency.QuadPart == 10'000'000);
        behind = time.QuadPart - since - static_cast<int64_t>(hello.anchorSystemTime);
    }
    return behind;
}

template <typename T>
Raw RawOf(const T& value) {
    Raw bytes(sizeof(value));
    std::memcpy(bytes.data(), &value, sizeof(value));
    return bytes;
}

Raw NameCall(const std::u16string& name) {
    Raw bytes = RawOf(AddDriverRequest{0, static_cast<uint32_t>(2 * name.size())});
    bytes.resize(bytes.size() + 2 * name.size());
    std::memcpy(bytes.data() + sizeof(AddDriverRequest), name.data(), 2 * name.size());
    return bytes;
}

sim::Status Ask(CaptureSession& session, uint32_t code, const Raw& input, uint32_t outputBytes, Raw* output = nullptr) {
    Raw ignored;
    Raw& to = output ? *output : ignored;
    to.assign(outputBytes, 0xEE);
    uint32_t returned = 0;
    const sim::Status status = session.handle().Control(code, input.data(), static_cast<uint32_t>(input.size()),
                                                        to.data(), outputBytes, &returned);
    CHECK(returned <= outputBytes);
    if (status == STATUS_SUCCESS) to.resize(returned);
    return status;
}

template <typename T>
T Head(const Raw& bytes) {
    REQUIRE(bytes.size() >= sizeof(T));
    T value;
    std::memcpy(&value, bytes.data(), sizeof(value));
    return value;
}

// Our own device, as another driver finds it, and the file object through which the session speaks.
struct Insider {
    explicit Insider(CaptureSession& session)
        : driver(sim::ReferenceDriver(u"\\Driver\\" DRIVERMON_SERVICE_NAME)),
          owner(dynamic_cast<sim::FileHandle&>(session.handle()).FileObject()) {}

    // One request straight to the dispatch routine, through `file`.
    NTSTATUS Send(UCHAR major, PFILE_OBJECT file, uint32_t code = 0, uint32_t outputBytes = 0) {
        PDEVICE_OBJECT device = driver->DeviceObject;
        PIRP irp = IoAllocateIrp(device->StackSize, FALSE);
        REQUIRE(irp);
        Calls finished;
        finished.SetOn(irp);
        PIO_STACK_LOCATION location = IoGetNextIrpStackLocation(irp);
        location->MajorFunction = major;
        location->FileObject = file;
        location->Parameters.DeviceIoControl.IoControlCode = code;
        location->Parameters.DeviceIoControl.OutputBufferLength = outputBytes;
        const NTSTATUS status = IoCallDriver(device, irp);
        CHECK(finished.irps == std::vector{irp});
        IoFreeIrp(irp);
        return status;
    }

    sim::Ref<DRIVER_OBJECT> driver;
    PFILE_OBJECT owner;
};

}  // namespace

// ---- Lengths and values ----------------------------------------------------------------------------------------

TEST_CASE("a call whose input or output lacks one byte is refused for that, and changes nothing") {
    auto machine = sim::Machine::Boot();
    ScriptedDriver driver(u"Asked");
    CaptureSession session(*machine);
    AddDriverReply added{};
    REQUIRE(session.AddDriver(driver.name(), &added) == STATUS_SUCCESS);
    Predicates predicates{};
    predicates.flags = kPredicateOwnProcesses;
    ScriptedDriver another(u"Another");
    struct Call {
        const char* name;
        uint32_t code;
        Raw input;
        uint32_t leastOutput;
    };
    const Call calls[] = {
        {"Hello", kControlHello, RawOf(HelloRequest{kAbiVersion, kLayoutHash}), sizeof(HelloReply)},
        {"SetPredicates", kControlSetPredicates, RawOf(predicates), 0},
        {"Start", kControlStart, RawOf(kDefaultStart), 0},
        {"List", kControlList, {}, sizeof(ListReply)},
        {"GetInFlight", kControlGetInFlight, {}, sizeof(InFlightReply)},
        {"GetCounters", kControlGetCounters, {}, sizeof(CountersReply)},
        {"GetData", kControlGetData, {}, kMinDataBytes},
        {"AddDriver", kControlAddDriver, NameCall(another.name()), sizeof(AddDriverReply)},
        {"RemoveDriver", kControlRemoveDriver, RawOf(RemoveDriverRequest{added.driverId, 0}),
         sizeof(RemoveDriverReply)},
    };
    for (const Call& call : calls) {
        CAPTURE(std::string(call.name));
        // AddDriver's own struct, not the name behind it, is the least; a name that is cut has a case of its own.
        const size_t least = call.code == kControlAddDriver ? sizeof(AddDriverRequest) : call.input.size();
        if (least != 0) {
            Raw cut(call.input.begin(), call.input.begin() + static_cast<ptrdiff_t>(least) - 1);
            CHECK(Ask(session, call.code, cut, call.leastOutput) == STATUS_INFO_LENGTH_MISMATCH);
        }
        if (call.leastOutput != 0) {
            CHECK(Ask(session, call.code, call.input, call.leastOutput - 1) == STATUS_BUFFER_TOO_SMALL);
        }
        CHECK(Ask(session, call.code, call.input, call.leastOutput) == STATUS_SUCCESS);
    }
    session.Die();
}

TEST_CASE("a name must be as long as it says, even, there, and without flags") {
    auto machine = sim::Machine::Boot();
    ScriptedDriver driver(u"Named");
    CaptureSession session(*machine);
    const Raw proper = NameCall(driver.name());
    const auto with = [&](AddDriverRequest request) {
        Raw bytes = proper;
        std::memcpy(bytes.data(), &request, sizeof(request));
        return Ask(session, kControlAddDriver, bytes, sizeof(AddDriverReply));
    };
    const auto length = static_cast<uint32_t>(2 * driver.name().size());
    CHECK(with({0, length + 2}) == STATUS_INVALID_PARAMETER);  // longer than its buffer
    CHECK(with({0, length - 1}) == STATUS_INVALID_PARAMETER);
    CHECK(with({0, 0}) == STATUS_INVALID_PARAMETER);
    CHECK(with({1, length}) == STATUS_INVALID_PARAMETER);
    CHECK(with({0, 2 * kMaxDriverNameLength + 2}) == STATUS_NAME_TOO_LONG);
    CHECK(with({0, ~0u}) == STATUS_NAME_TOO_LONG);
    CHECK(with({0, length - 2}) == STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(with({0, length}) == STATUS_SUCCESS);
    session.Die();
}

TEST_CASE("a layout that differs is told from a version that differs, and neither is served") {
    for (const HelloRequest hello :
         {HelloRequest{kAbiVersion + 1, kLayoutHash}, HelloRequest{kAbiVersion, kLayoutHash ^ 1}}) {
        auto machine = sim::Machine::Boot();
        sim::Status status;
        auto handle = machine->Open(DRIVERMON_USER_PATH, &status);
        REQUIRE(handle);
        HelloReply reply{};
        REQUIRE(handle->Control(kControlHello, &hello, sizeof(hello), &reply, sizeof(reply), nullptr) == STATUS_SUCCESS);
        CHECK(reply.accepted == 0);
        CHECK(reply.abiVersion == kAbiVersion);
        CHECK(reply.layoutHash == kLayoutHash);
        for (uint32_t code : {kControlStart, kControlStop, kControlAddDriver, kControlRemoveDriver, kControlRemoveAll,
                              kControlGetData, kControlGetCounters, kControlList, kControlSetPredicates,
                              kControlGetInFlight}) {
            CAPTURE(code);
            Raw in(1024), out(kMinDataBytes);
            CHECK(handle->Control(code, in.data(), static_cast<uint32_t>(in.size()), out.data(), kMinDataBytes,
                                  nullptr) == STATUS_INVALID_DEVICE_STATE);
        }
    }
}

TEST_CASE("Hello tells what time it is now; of an older kernel what it was at the last clock interrupt") {
    struct Restore {
        ~Restore() { sim::hasPreciseTime = true; }
    } restore;
    constexpr int64_t kMillisecond = 10'000, kBetweenInterrupts = 156'250;
    for (bool precise : {true, false}) {
        CAPTURE(precise);
        sim::hasPreciseTime = precise;
        Scene scene;
        int64_t most = 0;
        for (int i = 0; i < 16; i++) {
            sim::AdvanceTime(3);  // past several interrupts, and not in step with them
            Raw output;
            REQUIRE(Ask(scene.session, kControlHello, RawOf(HelloRequest{kAbiVersion, kLayoutHash}), sizeof(HelloReply),
                        &output) == STATUS_SUCCESS);
            const int64_t behind = Behind(Head<HelloReply>(output));
            CHECK(behind > -kMillisecond);
            CHECK(behind < kMillisecond + (precise ? 0 : kBetweenInterrupts));
            most = std::max(most, behind);
        }
        CHECK((most > kMillisecond) == !precise);
    }
}

TEST_CASE("replies hold what they say and nothing else of the kernel's memory") {
    Scene scene;
    Raw output;
    REQUIRE(Ask(scene.session, kControlHello, RawOf(HelloRequest{kAbiVersion, kLayoutHash}), sizeof(HelloReply),
                &output) == STATUS_SUCCESS);
    CHECK(Head<HelloReply>(output).reserved == 0);

    PIRP waiting = nullptr;
    scene.driver.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
        IoMarkIrpPending(irp);
        waiting = irp;
        return STATUS_PENDING;
    };
    OwnRequest request(scene.driver, IRP_MJ_DEVICE_CONTROL);
    CHECK(request.Send() == STATUS_PENDING);
    const auto inFlight = scene.session.InFlight();
    REQUIRE(inFlight.size() == 1);
    CHECK(inFlight[0].reserved == 0);
    Complete(waiting, STATUS_SUCCESS);

    REQUIRE(Ask(scene.session, kControlList, {}, sizeof(ListReply) + sizeof(HookedDriver), &output) == STATUS_SUCCESS);
    HookedDriver listed;
    REQUIRE(output.size() == sizeof(ListReply) + sizeof(listed));
    std::memcpy(&listed, output.data() + sizeof(ListReply), sizeof(listed));
    const std::u16string name = scene.driver.name();
    CHECK(std::u16string(reinterpret_cast<const char16_t*>(listed.name), listed.nameLength / 2) == name);
    CHECK(std::all_of(listed.name + name.size(), listed.name + kMaxDriverNameLength,
                      [](uint16_t unit) { return unit == 0; }));

    AddDriverReply added{};
    ScriptedDriver another(u"Another");
    REQUIRE(scene.session.AddDriver(another.name(), &added) == STATUS_SUCCESS);
    CHECK(added.reserved == 0);
    REQUIRE(scene.session.RemoveDriver(added.driverId) == STATUS_SUCCESS);
    scene.Finish();
}

TEST_CASE("lists are cut at whole entries, and say how many there are") {
    Scene scene;
    ScriptedDriver another(u"Another");
    REQUIRE(scene.session.AddDriver(another.name()) == STATUS_SUCCESS);
    std::vector<PIRP> waiting;
    const auto hold = [&](PDEVICE_OBJECT, PIRP irp) {
        IoMarkIrpPending(irp);
        waiting.push_back(irp);
        return STATUS_PENDING;
    };
    scene.driver.onControl = another.onControl = hold;
    OwnRequest one(scene.driver, IRP_MJ_DEVICE_CONTROL), two(another, IRP_MJ_DEVICE_CONTROL);
    CHECK(one.Send() == STATUS_PENDING);
    CHECK(two.Send() == STATUS_PENDING);

    struct List {
        uint32_t code, head, entry;
        uint32_t (*told)(const Raw&);
        uint32_t (*total)(const Raw&);
    };
    const List lists[] = {
        {kControlList, sizeof(ListReply), sizeof(HookedDriver), [](const Raw& raw) { return Head<ListReply>(raw).count; },
         [](const Raw& raw) { return Head<ListReply>(raw).total; }},
        {kControlGetInFlight, sizeof(InFlightReply), sizeof(InFlightRequest),
         [](const Raw& raw) { return Head<InFlightReply>(raw).count; },
         [](const Raw& raw) { return Head<InFlightReply>(raw).total; }},
        {kControlGetCounters, sizeof(CountersReply), sizeof(FunctionCounters),
         [](const Raw& raw) { return Head<CountersReply>(raw).entries; },
         [](const Raw& raw) { return Head<CountersReply>(raw).entriesTotal; }},
    };
    for (const List& list : lists) {
        CAPTURE(list.code);
        for (uint32_t fit = 0; fit <= 3; fit++) {
            // One byte short of one more.
            Raw output;
            REQUIRE(Ask(scene.session, list.code, {}, list.head + (fit + 1) * list.entry - 1, &output) ==
                    STATUS_SUCCESS);
            CHECK(list.told(output) == std::min(fit, 2u));
            CHECK(list.total(output) == 2);
            CHECK(output.size() == list.head + std::min(fit, 2u) * list.entry);
        }
    }
    for (PIRP irp : waiting) Complete(irp, STATUS_SUCCESS);
    scene.session.Die();
}

// ---- Who may speak ---------------------------------------------------------------------------------------------

TEST_CASE("what does not come through the owner's file object is refused, and ends nothing") {
    Scene scene;
    Insider insider(scene.session);
    CHECK(insider.Send(IRP_MJ_DEVICE_CONTROL, nullptr, kControlRemoveAll) == STATUS_ACCESS_DENIED);
    sim::Status status;
    auto strangers = sim::OpenFile(scene.driver.path(), {}, &status);
    REQUIRE(strangers);
    CHECK(insider.Send(IRP_MJ_DEVICE_CONTROL, strangers->FileObject(), kControlRemoveAll) == STATUS_ACCESS_DENIED);
    CHECK(insider.Send(IRP_MJ_DEVICE_CONTROL, insider.owner, ControlCode(11, kMethodBuffered)) ==
          STATUS_INVALID_DEVICE_REQUEST);
    // The end of another file is not the end of the session.
    for (UCHAR major : {IRP_MJ_CLEANUP, IRP_MJ_CLOSE}) {
        CHECK(insider.Send(major, strangers->FileObject()) == STATUS_SUCCESS);
        CHECK(insider.Send(major, nullptr) == STATUS_SUCCESS);
    }
    OwnRequest request(scene.driver, IRP_MJ_DEVICE_CONTROL);
    request.SetControl(kCode, 0, 0);
    CHECK(request.Send() == STATUS_SUCCESS);
    CHECK(scene.Finish().WithCode(kCode).size() == 1);
}

TEST_CASE("direct output without an MDL is refused, whatever length it claims") {
    Scene scene;
    Insider insider(scene.session);
    for (uint32_t code : {kControlGetData, kControlGetCounters, kControlGetInFlight}) {
        CHECK(insider.Send(IRP_MJ_DEVICE_CONTROL, insider.owner, code, kMinDataBytes) == STATUS_INVALID_USER_BUFFER);
    }
    scene.Finish();
}

// ---- The end of a session --------------------------------------------------------------------------------------

TEST_CASE("a session ends with the first of CLEANUP and CLOSE, and the other changes nothing") {
    for (const std::vector<UCHAR>& order : {std::vector<UCHAR>{IRP_MJ_CLEANUP}, std::vector<UCHAR>{IRP_MJ_CLOSE},
                                            std::vector<UCHAR>{IRP_MJ_CLOSE, IRP_MJ_CLEANUP, IRP_MJ_CLOSE}}) {
        CAPTURE(order.size());
        CAPTURE(int{order[0]});
        auto machine = sim::Machine::Boot();
        ScriptedDriver driver(u"Ending");
        const PDRIVER_DISPATCH original = driver.object()->MajorFunction[IRP_MJ_DEVICE_CONTROL];
        CaptureSession session(*machine);
        REQUIRE(session.Start() == STATUS_SUCCESS);
        REQUIRE(session.AddDriver(driver.name()) == STATUS_SUCCESS);
        Insider insider(session);
        for (UCHAR major : order) CHECK(insider.Send(major, insider.owner) == STATUS_SUCCESS);
        CHECK((driver.object()->MajorFunction[IRP_MJ_DEVICE_CONTROL] == original));
        // The next client is there before the last of the old one's requests has come.
        CaptureSession next(*machine);
        REQUIRE(next.Start() == STATUS_SUCCESS);
        REQUIRE(next.AddDriver(driver.name()) == STATUS_SUCCESS);
        session.Die();
        CHECK((driver.object()->MajorFunction[IRP_MJ_DEVICE_CONTROL] != original));
        CHECK(next.Stop() == STATUS_SUCCESS);
    }
}

TEST_CASE("a handle that closes with a GetData waiting: the cleanup ends it") {
    Scene scene;
    WaitingGetData waiting(scene.session);
    Insider insider(scene.session);
    CHECK(insider.Send(IRP_MJ_CLEANUP, insider.owner) == STATUS_SUCCESS);
    waiting.End();
    scene.session.Die();
}

TEST_CASE("Stop ends a waiting GetData") {
    Scene scene;
    WaitingGetData waiting(scene.session);
    REQUIRE(scene.session.Stop() == STATUS_SUCCESS);
    CHECK(waiting.End() == STATUS_SUCCESS);
}

TEST_CASE("the next owner gets nothing of the last one's records, and no rings are kept for it") {
    auto machine = sim::Machine::Boot();
    ScriptedDriver driver(u"Secret");
    // What hooks need stays from the first hook on.
    {
        CaptureSession session(*machine);
        REQUIRE(session.AddDriver(driver.name()) == STATUS_SUCCESS);
        session.Die();
    }
    const int64_t before = sim::OutstandingAllocations();
    {
        CaptureSession session(*machine);
        REQUIRE(session.Start() == STATUS_SUCCESS);
        REQUIRE(session.AddDriver(driver.name()) == STATUS_SUCCESS);
        OwnRequest request(driver, IRP_MJ_DEVICE_CONTROL);
        CHECK(request.Send() == STATUS_SUCCESS);
        session.Die();
    }
    CHECK(sim::OutstandingAllocations() == before);
    CaptureSession next(*machine);
    Raw data;
    constexpr sim::Status kEndOfFile = static_cast<sim::Status>(0xC0000011);
    CHECK(Ask(next, kControlGetData, {}, kMinDataBytes, &data) == kEndOfFile);
    CHECK(next.Counters().reply.ringSize == 0);
}

}  // namespace drivermon::test
