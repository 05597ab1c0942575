// hook_test.cpp: which drivers can be hooked, how many, under which names, and what is left when a hook goes; and when
// our own driver may go.
#include <doctest/doctest.h>

#include <future>
#include <iterator>
#include <memory>
#include <thread>

#include "protocol/version.h"
#include "scene.h"
#include "sim/driver_loader.h"
#include "sim/processor.h"
#include "sim/registry.h"

namespace drivermon::test {
namespace {

const std::u16string kService = u"" DRIVERMON_SERVICE_NAME;
const std::u16string kOurs = u"\\Driver\\" + kService;

void Send(sim::Machine& machine, const ScriptedDriver& driver) {
    sim::Status status;
    auto handle = machine.Open(driver.path(), &status);
    REQUIRE(handle);
    CHECK(handle->Control(kCode, nullptr, 0, nullptr, 0, nullptr) == STATUS_SUCCESS);
}

constexpr uint32_t kRestMs = 10'000;

// Of registry values.
constexpr uint32_t kRegSz = 1, kRegBinary = 3, kRegQword = 11;

bool MayUnload() {
    return __atomic_load_n(&sim::ReferenceDriver(kOurs)->DriverUnload, __ATOMIC_ACQUIRE) != nullptr;
}

// Long enough for several looks at whether it may go.
void Rest() {
    sim::AdvanceTime(2 * kRestMs);
}

// The test machine's setting, for the life of a test.
struct AllowUnload {
    AllowUnload() { sim::SetServiceValue(kService, u"AllowUnload", 1); }
    explicit AllowUnload(const sim::RegistryValue& value) { sim::SetServiceValue(kService, u"AllowUnload", value); }
    ~AllowUnload() { sim::RemoveServiceValue(kService, u"AllowUnload"); }
};

// Where a thread waits inside a routine until it is told to go on.
class Gate {
 public:
    void Pass() {
        entered_.set_value();
        opened_.get_future().wait();
    }
    void AwaitSomebody() { entered_.get_future().wait(); }
    void Open() { opened_.set_value(); }

 private:
    std::promise<void> entered_, opened_;
};

// Handles everything; in read-only memory, as such tables often are.
BOOLEAN NTAPI Handle(PFILE_OBJECT, BOOLEAN, PVOID, ULONG, PVOID, ULONG, ULONG, PIO_STATUS_BLOCK result,
                     PDEVICE_OBJECT) {
    result->Status = STATUS_SUCCESS;
    result->Information = 0;
    return TRUE;
}
constexpr FAST_IO_DISPATCH MakeTable() {
    FAST_IO_DISPATCH table{};
    table.SizeOfFastIoDispatch = sizeof(table);
    table.FastIoDeviceControl = Handle;
    return table;
}
constexpr FAST_IO_DISPATCH kConstantTable = MakeTable();

}  // namespace

TEST_CASE("as many drivers as there are slots, and not one more until one has gone and rested") {
    auto machine = sim::Machine::Boot();
    std::vector<std::unique_ptr<ScriptedDriver>> drivers;
    for (uint32_t i = 0; i <= kMaxHookedDrivers; i++) {
        const std::string number = std::to_string(i);
        drivers.push_back(std::make_unique<ScriptedDriver>(u"D" + std::u16string(number.begin(), number.end())));
    }
    CaptureSession session(*machine);
    REQUIRE(session.Start() == STATUS_SUCCESS);
    std::vector<AddDriverReply> added(kMaxHookedDrivers);
    for (uint32_t i = 0; i < kMaxHookedDrivers; i++) {
        REQUIRE(session.AddDriver(drivers[i]->name(), &added[i]) == STATUS_SUCCESS);
    }
    for (uint32_t i = 0; i < kMaxHookedDrivers; i++) {
        CHECK(session.AddDriver(drivers[i]->name()) == STATUS_OBJECT_NAME_COLLISION);
    }
    const std::u16string oneMore = drivers[kMaxHookedDrivers]->name();
    CHECK(session.AddDriver(oneMore) == STATUS_INSUFFICIENT_RESOURCES);
    for (const auto& driver : drivers) Send(*machine, *driver);
    REQUIRE(session.RemoveDriver(added[7].driverId) == STATUS_SUCCESS);
    // Late callers of the slot's thunks must find the originals they came for: a second before its time it still rests.
    sim::AdvanceTime(kRestMs - 1000);
    CHECK(session.AddDriver(oneMore) == STATUS_INSUFFICIENT_RESOURCES);
    AddDriverReply again{};
    CHECK(session.AddDriver(drivers[7]->name(), &again) == STATUS_SUCCESS);  // the same may be back at once
    REQUIRE(session.RemoveDriver(again.driverId) == STATUS_SUCCESS);
    sim::AdvanceTime(kRestMs);
    CHECK(session.AddDriver(oneMore) == STATUS_SUCCESS);
    REQUIRE(session.Stop() == STATUS_SUCCESS);
    const Captured captured = session.Finish();
    std::map<uint32_t, uint32_t> seen;
    for (const Request& request : captured.WithCode(kCode)) seen[request.start->header.driverId]++;
    CHECK(seen.size() == kMaxHookedDrivers);
    for (const AddDriverReply& reply : added) CHECK(seen[reply.driverId] == 1);
    session.Die();
}

TEST_CASE("names up to the limit, and what lies beyond it") {
    auto machine = sim::Machine::Boot();
    const std::u16string prefix = u"\\Driver\\";
    ScriptedDriver longest(std::u16string(kMaxDriverNameLength - prefix.size(), u'n'));
    CHECK(longest.name().size() == kMaxDriverNameLength);
    CaptureSession session(*machine);
    AddDriverReply added{};
    CHECK(session.AddDriver(longest.name(), &added) == STATUS_SUCCESS);
    CHECK(added.driverObject == reinterpret_cast<uint64_t>(longest.object()));
    CHECK(session.AddDriver(longest.name()) == STATUS_OBJECT_NAME_COLLISION);
    CHECK(session.AddDriver(prefix + std::u16string(kMaxDriverNameLength - prefix.size(), u'm')) ==
          STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(session.AddDriver(longest.name() + u"n") == STATUS_NAME_TOO_LONG);
    CHECK(session.AddDriver(u"\\Device\\" + std::u16string(8, u'n')) == STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(session.AddDriver(kOurs) == STATUS_ACCESS_DENIED);
    session.Die();
}

TEST_CASE("a copied dispatch pointer and a foreign device: the thunk knows whose it is") {
    auto machine = sim::Machine::Boot();
    ScriptedDriver hooked(u"Hooked"), copier(u"Copier");
    int hookedCalls = 0;
    hooked.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
        hookedCalls++;
        return Complete(irp, STATUS_SUCCESS);
    };
    copier.onControl = hooked.onControl;
    CaptureSession session(*machine);
    REQUIRE(session.Start() == STATUS_SUCCESS);
    AddDriverReply added{};
    REQUIRE(session.AddDriver(hooked.name(), &added) == STATUS_SUCCESS);
    // Another driver takes the routine that it finds in the table, which is our thunk, for its own devices.
    const PDRIVER_DISPATCH own = copier.object()->MajorFunction[IRP_MJ_DEVICE_CONTROL];
    copier.object()->MajorFunction[IRP_MJ_DEVICE_CONTROL] = hooked.object()->MajorFunction[IRP_MJ_DEVICE_CONTROL];
    CHECK((copier.object()->MajorFunction[IRP_MJ_DEVICE_CONTROL] != own));
    Send(*machine, copier);
    REQUIRE(session.RemoveDriver(added.driverId) == STATUS_SUCCESS);
    Send(*machine, copier);  // the thunk is in no table that we know of, and passes on
    CHECK(hookedCalls == 2);
    copier.object()->MajorFunction[IRP_MJ_DEVICE_CONTROL] = own;
    REQUIRE(session.Stop() == STATUS_SUCCESS);
    const auto recorded = session.Finish().WithCode(kCode);
    REQUIRE(recorded.size() == 1);
    CHECK(recorded[0].start->header.driverId == added.driverId);
    CHECK(recorded[0].start->deviceObject == reinterpret_cast<uint64_t>(copier.device()));
}

TEST_CASE("a driver that unloads while hooked, comes back and is hooked again: two lives, two ids") {
    auto machine = sim::Machine::Boot();
    CaptureSession session(*machine);
    REQUIRE(session.Start() == STATUS_SUCCESS);
    std::vector<uint32_t> ids;
    for (int life = 0; life < 3; life++) {
        ScriptedDriver driver(u"Returning");
        Send(*machine, driver);  // before the hook: nobody's
        AddDriverReply added{};
        REQUIRE(session.AddDriver(driver.name(), &added) == STATUS_SUCCESS);
        ids.push_back(added.driverId);
        Send(*machine, driver);
    }
    REQUIRE(session.Stop() == STATUS_SUCCESS);
    const auto recorded = session.Finish().WithCode(kCode);
    REQUIRE(recorded.size() == 3);
    for (size_t i = 0; i < 3; i++) CHECK(recorded[i].start->header.driverId == ids[i]);
    CHECK(ids[0] < ids[1]);
    CHECK(ids[1] < ids[2]);
}

TEST_CASE("a fast-I/O table in read-only memory is not written, and is back after the hook") {
    auto machine = sim::Machine::Boot();
    ScriptedDriver driver(u"Constant");
    auto* table = const_cast<PFAST_IO_DISPATCH>(&kConstantTable);
    driver.object()->FastIoDispatch = table;
    CaptureSession session(*machine);
    REQUIRE(session.Start() == STATUS_SUCCESS);
    AddDriverReply added{};
    REQUIRE(session.AddDriver(driver.name(), &added) == STATUS_SUCCESS);
    CHECK(added.fastIo == 1u << kFastIoDeviceControl);
    CHECK(driver.object()->FastIoDispatch != table);
    Send(*machine, driver);
    RemoveDriverReply removed{};
    REQUIRE(session.RemoveDriver(added.driverId, &removed) == STATUS_SUCCESS);
    CHECK(removed.chainedFastIo == 0);
    CHECK(driver.object()->FastIoDispatch == table);
    Send(*machine, driver);
    REQUIRE(session.Stop() == STATUS_SUCCESS);
    const auto recorded = session.Finish().WithCode(kCode);
    REQUIRE(recorded.size() == 1);
    CHECK((recorded[0].start->flags & kRequestFastIo) != 0);
}

TEST_CASE("our own driver stays once it has hooked something") {
    auto machine = sim::Machine::Boot();
    ScriptedDriver driver(u"Once");
    CHECK(MayUnload());
    {
        CaptureSession session(*machine);
        CHECK(MayUnload());
        REQUIRE(session.AddDriver(driver.name()) == STATUS_SUCCESS);
        CHECK_FALSE(MayUnload());
    }
    Rest();
    CHECK_FALSE(MayUnload());
    CHECK(sim::UnloadDriver(kOurs) == STATUS_INVALID_DEVICE_REQUEST);
}

TEST_CASE("AllowUnload: it may go after a rest, with nothing hooked, chained or in flight") {
    AllowUnload allowed;
    auto machine = sim::Machine::Boot();
    ScriptedDriver driver(u"Leaving");
    PIRP pended = nullptr;
    driver.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
        IoMarkIrpPending(irp);
        pended = irp;
        return STATUS_PENDING;
    };
    sim::Status status;
    auto handle = machine->Open(driver.path(), &status);
    REQUIRE(handle);
    std::unique_ptr<sim::UserHandle::Pending> waiting;
    {
        CaptureSession session(*machine);
        REQUIRE(session.Start() == STATUS_SUCCESS);
        REQUIRE(session.AddDriver(driver.name()) == STATUS_SUCCESS);
        Rest();
        CHECK_FALSE(MayUnload());  // hooked
        waiting = handle->BeginControl(kCode, nullptr, 0, nullptr, 0);
        session.Die();
    }
    Rest();
    CHECK_FALSE(MayUnload());  // in flight
    Complete(pended, STATUS_SUCCESS);
    REQUIRE(waiting->Wait(sim::kForever));
    Rest();
    CHECK(MayUnload());

    // One of two hooks gone is not enough, nor is the other while its driver's unload routine still runs in our thunk.
    {
        auto other = std::make_unique<ScriptedDriver>(u"Other");
        bool duringUnload = true;
        CaptureSession session(*machine);
        AddDriverReply added{};
        REQUIRE(session.AddDriver(driver.name(), &added) == STATUS_SUCCESS);
        REQUIRE(session.AddDriver(other->name()) == STATUS_SUCCESS);
        REQUIRE(session.RemoveDriver(added.driverId) == STATUS_SUCCESS);
        Rest();
        CHECK_FALSE(MayUnload());
        REQUIRE(session.AddDriver(driver.name(), &added) == STATUS_SUCCESS);
        other->onUnload = [&] {
            CHECK(session.RemoveDriver(added.driverId) == STATUS_SUCCESS);
            Rest();
            duringUnload = MayUnload();
        };
        other.reset();
        CHECK_FALSE(duringUnload);
    }
    Rest();
    CHECK(MayUnload());

    // Hooked again it stays again, while somebody is chained on top of it as well.
    {
        CaptureSession session(*machine);
        AddDriverReply added{};
        REQUIRE(session.AddDriver(driver.name(), &added) == STATUS_SUCCESS);
        CHECK_FALSE(MayUnload());
        PDRIVER_DISPATCH& entry = driver.object()->MajorFunction[IRP_MJ_DEVICE_CONTROL];
        const PDRIVER_DISPATCH thunk = entry;
        entry = driver.object()->MajorFunction[IRP_MJ_CREATE];
        RemoveDriverReply removed{};
        REQUIRE(session.RemoveDriver(added.driverId, &removed) == STATUS_SUCCESS);
        CHECK(removed.chainedFunctions == 1u << IRP_MJ_DEVICE_CONTROL);
        Rest();
        CHECK_FALSE(MayUnload());
        entry = thunk;
        REQUIRE(session.RemoveDriver(added.driverId, &removed) == STATUS_SUCCESS);
    }
    CHECK_FALSE(MayUnload());
    sim::AdvanceTime(kRestMs - 1000);
    CHECK_FALSE(MayUnload());  // not rested
    Rest();
    CHECK(MayUnload());
    CHECK(sim::UnloadDriver(kOurs) == STATUS_SUCCESS);
    CHECK_FALSE(machine->Open(DRIVERMON_USER_PATH, &status));
}

TEST_CASE("AllowUnload: not while an unload routine of ours is below somebody else's") {
    AllowUnload allowed;
    auto machine = sim::Machine::Boot();
    ScriptedDriver driver(u"Topped");
    PDRIVER_UNLOAD& unload = driver.object()->DriverUnload;
    CaptureSession session(*machine);
    AddDriverReply added{};
    REQUIRE(session.AddDriver(driver.name(), &added) == STATUS_SUCCESS);
    const PDRIVER_UNLOAD ours = std::exchange(unload, [](PDRIVER_OBJECT) {});
    REQUIRE(session.RemoveDriver(added.driverId) == STATUS_SUCCESS);
    Rest();
    CHECK_FALSE(MayUnload());
    unload = ours;
    REQUIRE(session.RemoveDriver(added.driverId) == STATUS_SUCCESS);
    Rest();
    CHECK(MayUnload());
}

TEST_CASE("AllowUnload: not while a thread will come back into our code, whether or not a request is in flight") {
    AllowUnload allowed;
    auto machine = sim::Machine::Boot();
    ScriptedDriver driver(u"Inside");
    driver.HaveFastIo();
    Gate gate;
    std::thread inside;
    CaptureSession session(*machine);
    const auto callFromOutside = [&] {
        inside = std::thread([&] { Send(*machine, driver); });
        gate.AwaitSomebody();
    };
    SUBCASE("from a dispatch routine, while nothing is captured") {
        driver.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
            gate.Pass();
            return Complete(irp, STATUS_SUCCESS);
        };
        REQUIRE(session.AddDriver(driver.name()) == STATUS_SUCCESS);
        callFromOutside();
    }
    SUBCASE("from a dispatch routine that has completed its request") {
        driver.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
            Complete(irp, STATUS_SUCCESS);
            gate.Pass();
            return STATUS_SUCCESS;
        };
        REQUIRE(session.Start() == STATUS_SUCCESS);
        REQUIRE(session.AddDriver(driver.name()) == STATUS_SUCCESS);
        callFromOutside();
    }
    SUBCASE("from a fast-I/O routine, while nothing is captured") {
        driver.onFastIo = [&](const FastCall& call) {
            gate.Pass();
            return call.Answer(STATUS_SUCCESS);
        };
        REQUIRE(session.AddDriver(driver.name()) == STATUS_SUCCESS);
        callFromOutside();
    }
    std::unique_ptr<OwnRequest> request;
    SUBCASE("from a caller's completion routine, which ours has called") {
        driver.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
            IoMarkIrpPending(irp);
            return STATUS_PENDING;
        };
        REQUIRE(session.Start() == STATUS_SUCCESS);
        REQUIRE(session.AddDriver(driver.name()) == STATUS_SUCCESS);
        request = std::make_unique<OwnRequest>(driver, UCHAR{IRP_MJ_DEVICE_CONTROL});
        const PIO_COMPLETION_ROUTINE waits = [](PDEVICE_OBJECT, PIRP, PVOID where) -> NTSTATUS {
            static_cast<Gate*>(where)->Pass();
            return STATUS_MORE_PROCESSING_REQUIRED;
        };
        IoSetCompletionRoutine(request->irp, waits, &gate, TRUE, TRUE, TRUE);
        CHECK(request->Send() == STATUS_PENDING);
        inside = std::thread([&] { Complete(request->irp, STATUS_SUCCESS); });
        gate.AwaitSomebody();
    }
    session.Die();
    Rest();
    CHECK_FALSE(MayUnload());
    gate.Open();
    inside.join();
    Rest();
    CHECK(MayUnload());
}

TEST_CASE("AllowUnload: not before the rest has passed") {
    AllowUnload allowed;
    sim::MachineOptions options;
    options.slotRestMs = 3'600'000;
    auto machine = sim::Machine::Boot(options);
    ScriptedDriver driver(u"Resting");
    {
        CaptureSession session(*machine);
        REQUIRE(session.AddDriver(driver.name()) == STATUS_SUCCESS);
    }
    Rest();
    CHECK_FALSE(MayUnload());
}

TEST_CASE("AllowUnload: nothing but a REG_DWORD of 1 allows it") {
    const sim::RegistryValue values[] = {
        {REG_DWORD, {0, 0, 0, 0}},
        {REG_DWORD, {2, 0, 0, 0}},
        {REG_DWORD, {1, 0, 0, 1}},
        {REG_DWORD, {1}},
        {REG_DWORD, {}},
        {kRegSz, {'1', 0, 0, 0}},
        {kRegBinary, {1, 0, 0, 0}},
        {kRegQword, {1, 0, 0, 0, 0, 0, 0, 0}},
    };
    for (size_t i = 0; i < std::size(values); i++) {
        CAPTURE(i);
        const AllowUnload allowed(values[i]);
        auto machine = sim::Machine::Boot();
        ScriptedDriver driver(u"Staying");
        {
            CaptureSession session(*machine);
            REQUIRE(session.AddDriver(driver.name()) == STATUS_SUCCESS);
        }
        Rest();
        CHECK_FALSE(MayUnload());
    }
}

TEST_CASE("a driver is hooked when its DriverEntry has returned, which writes over whatever was there before") {
    auto machine = sim::Machine::Boot();
    static CaptureSession* session;
    const auto theSession = std::make_unique<CaptureSession>(*machine);
    session = theSession.get();
    static const std::u16string kName = u"\\Driver\\Starting";
    const PDRIVER_INITIALIZE entry = [](PDRIVER_OBJECT driver, PUNICODE_STRING) -> NTSTATUS {
        CHECK(session->AddDriver(kName) == STATUS_DEVICE_NOT_READY);
        for (PDRIVER_DISPATCH& dispatch : driver->MajorFunction) {
            dispatch = [](PDEVICE_OBJECT, PIRP irp) { return Complete(irp, STATUS_SUCCESS); };
        }
        driver->DriverUnload = [](PDRIVER_OBJECT) {};
        return STATUS_SUCCESS;
    };
    REQUIRE(sim::LoadDriver(kName, u"", entry) == STATUS_SUCCESS);
    AddDriverReply added{};
    REQUIRE(session->AddDriver(kName, &added) == STATUS_SUCCESS);
    RemoveDriverReply removed{};
    REQUIRE(session->RemoveDriver(added.driverId, &removed) == STATUS_SUCCESS);
    CHECK((removed.chainedFunctions | removed.chainedUnload) == 0);
    // What the kernel has made itself was never loaded.
    {
        auto driver = sim::ReferenceDriver(kName);
        driver->Flags = DRVO_BUILTIN_DRIVER;
        CHECK(session->AddDriver(kName, &added) == STATUS_SUCCESS);
        REQUIRE(session->RemoveDriver(added.driverId) == STATUS_SUCCESS);
    }
    CHECK(sim::UnloadDriver(kName) == STATUS_SUCCESS);
}

TEST_CASE("who is about to be unloaded hooks nothing more, and keeps its unload routine") {
    auto machine = sim::Machine::Boot();
    ScriptedDriver driver(u"TooLate");
    CaptureSession session(*machine);
    auto ours = sim::ReferenceDriver(kOurs);
    // What the I/O manager notes when it is asked to unload a driver whose device is still open: it calls the routine
    // when the handle is closed.
    ours->Flags |= DRVO_UNLOAD_INVOKED;
    CHECK(session.AddDriver(driver.name()) == STATUS_DELETE_PENDING);
    CHECK(MayUnload());
    ours->Flags &= ~DRVO_UNLOAD_INVOKED;
    CHECK(session.AddDriver(driver.name()) == STATUS_SUCCESS);
    CHECK_FALSE(MayUnload());
}

}  // namespace drivermon::test
