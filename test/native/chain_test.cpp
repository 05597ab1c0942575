// chain_test.cpp: tables of pointers in the hands of several: other hooks above and below ours, fast-I/O tables of other
// sizes, entries that were copied, drivers that are on their way out.
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "scene.h"
#include "sim/driver_loader.h"

namespace drivermon::test {
namespace {

BOOLEAN NTAPI Handle(PFILE_OBJECT, BOOLEAN, PVOID, ULONG, PVOID, ULONG, ULONG, PIO_STATUS_BLOCK result,
                     PDEVICE_OBJECT) {
    result->Status = STATUS_SUCCESS;
    result->Information = 0;
    return TRUE;
}
BOOLEAN NTAPI CheckIfPossible(PFILE_OBJECT, PLARGE_INTEGER, ULONG, BOOLEAN, ULONG, BOOLEAN, PIO_STATUS_BLOCK,
                              PDEVICE_OBJECT) {
    return TRUE;
}

HookedDriver Listed(CaptureSession& session) {
    std::vector<uint8_t> output(sizeof(ListReply) + sizeof(HookedDriver));
    REQUIRE(session.handle().Control(kControlList, nullptr, 0, output.data(), static_cast<uint32_t>(output.size()),
                                     nullptr) == STATUS_SUCCESS);
    HookedDriver listed;
    std::memcpy(&listed, output.data() + sizeof(ListReply), sizeof(listed));
    return listed;
}

void SendOne(sim::Machine& machine, const ScriptedDriver& driver) {
    sim::Status status;
    auto handle = machine.Open(driver.path(), &status);
    REQUIRE(handle);
    CHECK(handle->Control(kCode, nullptr, 0, nullptr, 0, nullptr) == STATUS_SUCCESS);
}

struct Freed {
    void operator()(FAST_IO_DISPATCH* table) const { std::free(table); }
};
using Table = std::unique_ptr<FAST_IO_DISPATCH, Freed>;

// A table of exactly `bytes`: who reads beyond it is seen.
Table TableOf(size_t bytes) {
    Table table(static_cast<FAST_IO_DISPATCH*>(std::calloc(1, bytes)));
    table->SizeOfFastIoDispatch = static_cast<ULONG>(bytes);
    table->FastIoCheckIfPossible = CheckIfPossible;
    return table;
}

}  // namespace

TEST_CASE("a fast-I/O table is cloned in its own size, at most ours, and what is absent stays absent") {
    struct Case {
        size_t bytes;
        bool handlesControls;
    };
    constexpr size_t kAll = sizeof(FAST_IO_DISPATCH);
    for (const Case& each : {Case{offsetof(FAST_IO_DISPATCH, FastIoWrite), false}, Case{kAll, true},
                             Case{kAll + 64, true}}) {
        CAPTURE(each.bytes);
        Table table = TableOf(each.bytes);
        if (each.handlesControls) table->FastIoDeviceControl = Handle;
        auto machine = sim::Machine::Boot();
        ScriptedDriver driver(u"Sized");
        driver.object()->FastIoDispatch = table.get();
        CaptureSession session(*machine);
        REQUIRE(session.Start() == STATUS_SUCCESS);
        AddDriverReply added{};
        REQUIRE(session.AddDriver(driver.name(), &added) == STATUS_SUCCESS);
        CHECK(added.fastIo == (1u << kFastIoCheckIfPossible | (each.handlesControls ? 1u << kFastIoDeviceControl : 0u)));
        const FAST_IO_DISPATCH& clone = *driver.object()->FastIoDispatch;
        CHECK(&clone != table.get());
        CHECK(clone.SizeOfFastIoDispatch == std::min(each.bytes, kAll));
        CHECK((clone.FastIoCheckIfPossible != nullptr));
        CHECK((clone.FastIoCheckIfPossible != CheckIfPossible));
        CHECK((clone.FastIoRead == nullptr));
        CHECK((clone.FastIoDeviceControl != nullptr) == each.handlesControls);
        CHECK((clone.FastIoQueryOpen == nullptr));
        SendOne(*machine, driver);
        session.Die();
        CHECK(driver.object()->FastIoDispatch == table.get());
        driver.object()->FastIoDispatch = nullptr;
    }
}

TEST_CASE("another fast-I/O table on top of ours stays, and ours is told to be in the chain") {
    Table table = TableOf(sizeof(FAST_IO_DISPATCH));
    table->FastIoDeviceControl = Handle;
    auto machine = sim::Machine::Boot();
    ScriptedDriver driver(u"Topped");
    driver.object()->FastIoDispatch = table.get();
    CaptureSession session(*machine);
    REQUIRE(session.Start() == STATUS_SUCCESS);
    AddDriverReply added{};
    REQUIRE(session.AddDriver(driver.name(), &added) == STATUS_SUCCESS);
    PFAST_IO_DISPATCH ours = driver.object()->FastIoDispatch;
    FAST_IO_DISPATCH theirs = *ours;
    driver.object()->FastIoDispatch = &theirs;
    SendOne(*machine, driver);
    RemoveDriverReply removed{};
    REQUIRE(session.RemoveDriver(added.driverId, &removed) == STATUS_SUCCESS);
    CHECK(removed.chainedFastIo == 1);
    CHECK(removed.chainedFunctions == 0);
    CHECK(driver.object()->FastIoDispatch == &theirs);
    CHECK(Listed(session).state == kHookPassThrough);
    SendOne(*machine, driver);  // through both, unseen
    // They go; then so do we.
    driver.object()->FastIoDispatch = ours;
    REQUIRE(session.RemoveDriver(added.driverId, &removed) == STATUS_SUCCESS);
    CHECK(removed.chainedFastIo == 0);
    CHECK(driver.object()->FastIoDispatch == table.get());
    REQUIRE(session.Stop() == STATUS_SUCCESS);
    CHECK(session.Finish().WithCode(kCode).size() == 1);
    driver.object()->FastIoDispatch = nullptr;
}

TEST_CASE("a thunk calls the original of its own function, whatever the request says it is") {
    auto machine = sim::Machine::Boot();
    ScriptedDriver driver(u"Copied");
    int answered = 0;
    driver.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
        answered++;
        return Complete(irp, STATUS_SUCCESS);
    };
    CaptureSession session(*machine);
    REQUIRE(session.Start() == STATUS_SUCCESS);
    REQUIRE(session.AddDriver(driver.name()) == STATUS_SUCCESS);
    // The driver copies an entry of its own table, which by now is our thunk, as many do in their set-up.
    PDRIVER_DISPATCH* majors = driver.object()->MajorFunction;
    const PDRIVER_DISPATCH absent = std::exchange(majors[IRP_MJ_PNP], majors[IRP_MJ_DEVICE_CONTROL]);
    OwnRequest request(driver, IRP_MJ_PNP);
    CHECK(request.Send() == STATUS_SUCCESS);
    CHECK(answered == 1);
    majors[IRP_MJ_PNP] = absent;
    REQUIRE(session.Stop() == STATUS_SUCCESS);
    CHECK(session.Finish().WithMajor(IRP_MJ_PNP).size() == 1);
}

TEST_CASE("a driver that unloads gets its table back before its own routine runs, and the stream says why") {
    auto machine = sim::Machine::Boot();
    CaptureSession session(*machine);
    REQUIRE(session.Start() == STATUS_SUCCESS);
    AddDriverReply added{};
    int asItWas = 0;
    {
        ScriptedDriver driver(u"Leaving");
        PDRIVER_OBJECT object = driver.object();
        const PDRIVER_DISPATCH control = object->MajorFunction[IRP_MJ_DEVICE_CONTROL];
        const PDRIVER_UNLOAD unload = object->DriverUnload;
        driver.onUnload = [&, object, control, unload] {
            asItWas = object->MajorFunction[IRP_MJ_DEVICE_CONTROL] == control && object->DriverUnload == unload ? 1 : -1;
        };
        REQUIRE(session.AddDriver(driver.name(), &added) == STATUS_SUCCESS);
        CHECK((object->DriverUnload != unload));
    }
    CHECK(asItWas == 1);
    CHECK(Listed(session).state == kHookDead);
    RemoveDriverReply removed{1, 1};
    CHECK(session.RemoveDriver(added.driverId, &removed) == STATUS_SUCCESS);
    CHECK(removed.chainedFunctions == 0);
    CHECK(removed.chainedFastIo == 0);
    CHECK(session.RemoveDriver(added.driverId) == STATUS_NOT_FOUND);
    REQUIRE(session.Stop() == STATUS_SUCCESS);
    const Captured captured = session.Finish();
    REQUIRE(captured.hooks.size() == 2);
    CHECK(captured.hooks[0].record.header.type == kRecordDriverHooked);
    CHECK(captured.hooks[0].name == u"\\Driver\\Leaving");
    CHECK(captured.hooks[1].record.header.type == kRecordDriverUnhooked);
    CHECK(captured.hooks[1].record.header.driverId == added.driverId);
    CHECK(captured.hooks[1].record.reason == kUnhookDriverUnloaded);
    CHECK(captured.hooks[1].record.functions == 0);
}

TEST_CASE("a driver that is unloading is not hooked, and nothing of it is touched") {
    auto machine = sim::Machine::Boot();
    ScriptedDriver driver(u"Going");
    CaptureSession session(*machine);
    const PDRIVER_DISPATCH control = driver.object()->MajorFunction[IRP_MJ_DEVICE_CONTROL];
    driver.object()->Flags |= DRVO_UNLOAD_INVOKED;
    CHECK(session.AddDriver(driver.name()) == STATUS_DELETE_PENDING);
    CHECK((driver.object()->MajorFunction[IRP_MJ_DEVICE_CONTROL] == control));
    driver.object()->Flags &= ~DRVO_UNLOAD_INVOKED;
    CHECK(session.AddDriver(driver.name()) == STATUS_SUCCESS);
    session.Die();
}

TEST_CASE("a driver whose routines have changed gets its slot back only after the rest") {
    auto machine = sim::Machine::Boot();
    std::vector<std::unique_ptr<ScriptedDriver>> drivers;
    CaptureSession session(*machine);
    std::vector<AddDriverReply> added(kMaxHookedDrivers);
    for (uint32_t i = 0; i < kMaxHookedDrivers; i++) {
        const std::string number = std::to_string(i);
        drivers.push_back(std::make_unique<ScriptedDriver>(u"C" + std::u16string(number.begin(), number.end())));
        REQUIRE(session.AddDriver(drivers[i]->name(), &added[i]) == STATUS_SUCCESS);
    }
    ScriptedDriver& changing = *drivers[5];
    REQUIRE(session.RemoveDriver(added[5].driverId) == STATUS_SUCCESS);
    PDRIVER_DISPATCH& entry = changing.object()->MajorFunction[IRP_MJ_DEVICE_CONTROL];
    const PDRIVER_DISPATCH before = std::exchange(entry, changing.object()->MajorFunction[IRP_MJ_CLOSE]);
    // A late caller of the slot's thunk must still reach the routine it came for.
    CHECK(session.AddDriver(changing.name()) == STATUS_INSUFFICIENT_RESOURCES);
    entry = before;
    CHECK(session.AddDriver(changing.name()) == STATUS_SUCCESS);
    session.Die();
}

TEST_CASE("drivers that were hooked before Start are told at the head of the stream, again at each Start") {
    Scene scene;  // started, then hooked
    REQUIRE(scene.session.Stop() == STATUS_SUCCESS);
    REQUIRE(scene.session.Start() == STATUS_SUCCESS);
    REQUIRE(scene.session.RemoveDriver(scene.added.driverId) == STATUS_SUCCESS);
    const Captured captured = scene.Finish();
    REQUIRE(captured.hooks.size() == 2);
    for (const HookSeen& hook : captured.hooks) {
        CHECK(hook.record.header.driverId == scene.added.driverId);
        CHECK(hook.name == scene.driver.name());
    }
    CHECK(captured.hooks[0].record.header.type == kRecordDriverHooked);
    CHECK(captured.hooks[0].record.functions == scene.added.functions);
    CHECK(captured.hooks[1].record.header.type == kRecordDriverUnhooked);
    CHECK(captured.hooks[1].record.reason == kUnhookRequested);
}

}  // namespace drivermon::test
