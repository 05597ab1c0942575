// chain_test.cpp: tables of pointers in the hands of several: other hooks above and below ours, fast-I/O tables of other
// sizes, entries that were copied, drivers that are on their way out.
#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "core/pool.h"
#include "scene.h"
#include "sim/driver_loader.h"
#include "sim/memory.h"

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

// Somebody else's hook, put in as many do: with a plain store, on top of whatever is there. One of each kind at a time.
class ForeignMajor {
 public:
    explicit ForeignMajor(const ScriptedDriver& driver)
        : place_(driver.object()->MajorFunction[IRP_MJ_DEVICE_CONTROL]) {
        below_ = std::exchange(place_, Dispatch);
    }
    void Leave() { place_ = below_; }
    bool OnTop() const { return place_ == Dispatch; }

 private:
    static NTSTATUS Dispatch(PDEVICE_OBJECT device, PIRP irp) { return below_(device, irp); }
    static inline PDRIVER_DISPATCH below_;
    PDRIVER_DISPATCH& place_;
};

class ForeignUnload {
 public:
    explicit ForeignUnload(const ScriptedDriver& driver) : place_(driver.object()->DriverUnload) {
        below_ = std::exchange(place_, Unload);
        calls_ = 0;
    }
    void Leave() { place_ = below_; }
    bool OnTop() const { return place_ == Unload; }
    static int calls() { return calls_; }

 private:
    static void Unload(PDRIVER_OBJECT driver) {
        // Below us somebody calls us: there is no way out of that.
        if (++calls_ > 10) std::abort();
        below_(driver);
    }
    static inline PDRIVER_UNLOAD below_;
    static inline int calls_;
    PDRIVER_UNLOAD& place_;
};

// A page that nobody may read: who does ends the test.
class Untouchable {
 public:
    Untouchable() : page_(mmap(nullptr, kBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
        REQUIRE(page_ != MAP_FAILED);
    }
    ~Untouchable() { munmap(page_, kBytes); }
    Untouchable(const Untouchable&) = delete;
    Untouchable& operator=(const Untouchable&) = delete;
    void* page() const { return page_; }

 private:
    static constexpr size_t kBytes = 4096;
    void* const page_;
};

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
    constexpr size_t kLeast = offsetof(FAST_IO_DISPATCH, AcquireFileForNtCreateSection);
    for (const Case& each : {Case{kLeast, false}, Case{kLeast, true}, Case{kAll, true}, Case{kAll + 64, true}}) {
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
        if (each.bytes >= kAll) CHECK((clone.FastIoQueryOpen == nullptr));
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

TEST_CASE("a fast-I/O table whose size cannot be right is left alone, and its fast path with it") {
    constexpr size_t kEntries = sizeof(FAST_IO_DISPATCH) / sizeof(void*);
    for (const size_t size : {size_t{0}, kEntries, offsetof(FAST_IO_DISPATCH, FastIoDeviceControl)}) {
        CAPTURE(size);
        Table table = TableOf(sizeof(FAST_IO_DISPATCH));
        table->SizeOfFastIoDispatch = static_cast<ULONG>(size);
        table->FastIoDeviceControl = Handle;
        auto machine = sim::Machine::Boot();
        ScriptedDriver driver(u"Missized");
        int requests = 0;
        driver.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
            requests++;
            return Complete(irp, STATUS_SUCCESS);
        };
        driver.object()->FastIoDispatch = table.get();
        CaptureSession session(*machine);
        REQUIRE(session.Start() == STATUS_SUCCESS);
        AddDriverReply added{};
        REQUIRE(session.AddDriver(driver.name(), &added) == STATUS_SUCCESS);
        CHECK(added.functions != 0);
        CHECK(added.fastIo == 0);
        CHECK(driver.object()->FastIoDispatch == table.get());
        SendOne(*machine, driver);
        CHECK(requests == 0);
        session.Die();
        CHECK(driver.object()->FastIoDispatch == table.get());
        driver.object()->FastIoDispatch = nullptr;
    }
}

TEST_CASE("who hooks in our clone of a fast-I/O table is on top of us; a driver that leaves finds its own table") {
    static PFAST_IO_DEVICE_CONTROL below;
    static int passed;
    passed = 0;
    Table table = TableOf(sizeof(FAST_IO_DISPATCH));
    table->FastIoDeviceControl = Handle;
    auto machine = sim::Machine::Boot();
    auto driver = std::make_unique<ScriptedDriver>(u"Edited");
    PDRIVER_OBJECT object = driver->object();
    object->FastIoDispatch = table.get();
    CaptureSession session(*machine);
    REQUIRE(session.Start() == STATUS_SUCCESS);
    AddDriverReply added{};
    REQUIRE(session.AddDriver(driver->name(), &added) == STATUS_SUCCESS);
    PFAST_IO_DISPATCH ours = object->FastIoDispatch;
    const PFAST_IO_DEVICE_CONTROL theirs = [](auto... arguments) -> BOOLEAN {
        passed++;
        return below(arguments...);
    };
    below = std::exchange(ours->FastIoDeviceControl, theirs);
    RemoveDriverReply removed{};
    REQUIRE(session.RemoveDriver(added.driverId, &removed) == STATUS_SUCCESS);
    CHECK(removed.chainedFastIo == 1);
    CHECK(object->FastIoDispatch == ours);
    SendOne(*machine, *driver);
    CHECK(passed == 1);
    // They go; then so do we.
    ours->FastIoDeviceControl = below;
    REQUIRE(session.RemoveDriver(added.driverId, &removed) == STATUS_SUCCESS);
    CHECK(removed.chainedFastIo == 0);
    CHECK(object->FastIoDispatch == table.get());

    REQUIRE(session.AddDriver(driver->name(), &added) == STATUS_SUCCESS);
    REQUIRE(object->FastIoDispatch == ours);
    below = std::exchange(ours->FastIoDeviceControl, theirs);
    bool found = false;
    // It may free what it finds.
    driver->onUnload = [&, object] { found = object->FastIoDispatch == table.get(); };
    driver.reset();
    CHECK(found);
    REQUIRE(session.Stop() == STATUS_SUCCESS);
}

TEST_CASE("a hook that was removed does not even look at what passes through it") {
    constexpr ULONG kNeither = CTL_CODE(FILE_DEVICE_UNKNOWN, 0xA01, METHOD_NEITHER, FILE_ANY_ACCESS);
    Table table = TableOf(sizeof(FAST_IO_DISPATCH));
    auto machine = sim::Machine::Boot();
    ScriptedDriver driver(u"Passed");
    SUBCASE("as a request") {
        table->FastIoDeviceControl = nullptr;
    }
    SUBCASE("as fast I/O") {
        table->FastIoDeviceControl = Handle;
    }
    driver.object()->FastIoDispatch = table.get();
    CaptureSession session(*machine);
    REQUIRE(session.Start() == STATUS_SUCCESS);
    AddDriverReply added{};
    REQUIRE(session.AddDriver(driver.name(), &added) == STATUS_SUCCESS);
    ForeignMajor other(driver);
    PFAST_IO_DISPATCH ours = driver.object()->FastIoDispatch;
    FAST_IO_DISPATCH theirs = *ours;
    driver.object()->FastIoDispatch = &theirs;
    REQUIRE(session.RemoveDriver(added.driverId) == STATUS_SUCCESS);
    sim::Status status;
    auto handle = machine->Open(driver.path(), &status);
    const Untouchable input;
    CHECK(handle->Control(kNeither, input.page(), 16, nullptr, 0, nullptr) == STATUS_SUCCESS);
    handle.reset();
    other.Leave();
    driver.object()->FastIoDispatch = ours;
    session.Die();
    driver.object()->FastIoDispatch = nullptr;
}

TEST_CASE("another hook on our unload routine: ours stays below it, once, and does its duty when the driver leaves") {
    auto machine = sim::Machine::Boot();
    CaptureSession session(*machine);
    REQUIRE(session.Start() == STATUS_SUCCESS);
    for (const bool majorsToo : {false, true}) {
        CAPTURE(majorsToo);
        AddDriverReply added{};
        int own = 0;
        {
            ScriptedDriver driver(majorsToo ? u"Capped" : u"CappedBelow");
            driver.onUnload = [&] { own++; };
            REQUIRE(session.AddDriver(driver.name(), &added) == STATUS_SUCCESS);
            ForeignUnload other(driver);
            std::optional<ForeignMajor> another;
            if (majorsToo) another.emplace(driver);
            RemoveDriverReply removed{};
            REQUIRE(session.RemoveDriver(added.driverId, &removed) == STATUS_SUCCESS);
            CHECK(removed.chainedUnload == 1);
            CHECK(removed.chainedFunctions == (majorsToo ? 1u << IRP_MJ_DEVICE_CONTROL : 0u));
            CHECK(other.OnTop());
            CHECK(Listed(session).state == kHookPassThrough);
            // Hooked again, the thunk that is in the chain already is enough.
            REQUIRE(session.AddDriver(driver.name(), &added) == STATUS_SUCCESS);
            CHECK(other.OnTop());
        }
        CHECK(ForeignUnload::calls() == 1);
        CHECK(own == 1);
        CHECK(Listed(session).state == kHookDead);
        REQUIRE(session.RemoveDriver(added.driverId) == STATUS_SUCCESS);
    }
    REQUIRE(session.Stop() == STATUS_SUCCESS);
}

TEST_CASE("another hook on our unload routine that goes lets ours go, too") {
    auto machine = sim::Machine::Boot();
    ScriptedDriver driver(u"Uncapped");
    const PDRIVER_UNLOAD own = driver.object()->DriverUnload;
    CaptureSession session(*machine);
    AddDriverReply added{};
    REQUIRE(session.AddDriver(driver.name(), &added) == STATUS_SUCCESS);
    ForeignUnload other(driver);
    RemoveDriverReply removed{};
    REQUIRE(session.RemoveDriver(added.driverId, &removed) == STATUS_SUCCESS);
    CHECK(removed.chainedUnload == 1);
    other.Leave();
    REQUIRE(session.RemoveDriver(added.driverId, &removed) == STATUS_SUCCESS);
    CHECK(removed.chainedUnload == 0);
    CHECK((driver.object()->DriverUnload == own));
    CHECK(session.RemoveDriver(added.driverId) == STATUS_NOT_FOUND);
}

TEST_CASE("a driver that unloads beneath another hook is let go, though we are in its chain") {
    auto machine = sim::Machine::Boot();
    CaptureSession session(*machine);
    REQUIRE(session.Start() == STATUS_SUCCESS);
    AddDriverReply added{};
    Table table = TableOf(sizeof(FAST_IO_DISPATCH));
    table->FastIoDeviceControl = Handle;
    {
        ScriptedDriver driver(u"Beneath");
        driver.object()->FastIoDispatch = table.get();
        REQUIRE(session.AddDriver(driver.name(), &added) == STATUS_SUCCESS);
        std::optional<ForeignMajor> other;
        FAST_IO_DISPATCH theirs;
        SUBCASE("a routine of its own on top") {
            other.emplace(driver);
        }
        SUBCASE("a fast-I/O table of its own on top") {
            theirs = *driver.object()->FastIoDispatch;
            driver.object()->FastIoDispatch = &theirs;
        }
        RemoveDriverReply removed{};
        REQUIRE(session.RemoveDriver(added.driverId, &removed) == STATUS_SUCCESS);
        CHECK((removed.chainedFunctions != 0 || removed.chainedFastIo != 0));
        // It would leave us its object for good if we did not see it go.
        CHECK(removed.chainedUnload == 1);
    }
    CHECK(Listed(session).state == kHookDead);
    CHECK(session.RemoveDriver(added.driverId) == STATUS_SUCCESS);
    CHECK(session.RemoveDriver(added.driverId) == STATUS_NOT_FOUND);
    REQUIRE(session.Stop() == STATUS_SUCCESS);
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
    RemoveDriverReply removed{1, 1, 1};
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
    // Nor is anything of ours: what takes our own unload routine away is the first hook.
    CHECK((sim::ReferenceDriver(u"\\Driver\\" DRIVERMON_SERVICE_NAME)->DriverUnload != nullptr));
    driver.object()->Flags &= ~DRVO_UNLOAD_INVOKED;
    CHECK(session.AddDriver(driver.name()) == STATUS_SUCCESS);
    session.Die();
}

TEST_CASE("a driver that begins to unload while it is being hooked is let go again") {
    auto machine = sim::Machine::Boot();
    ScriptedDriver driver(u"Overtaken");
    PDRIVER_OBJECT object = driver.object();
    const PDRIVER_DISPATCH control = object->MajorFunction[IRP_MJ_DEVICE_CONTROL];
    const PDRIVER_UNLOAD unload = object->DriverUnload;
    CaptureSession session(*machine);
    {
        // Once its flags have been looked at; the memory for the hook comes after that.
        sim::DuringAllocation begin(kPoolTag, [object] { object->Flags |= DRVO_UNLOAD_INVOKED; });
        CHECK(session.AddDriver(driver.name()) == STATUS_DELETE_PENDING);
    }
    CHECK((object->Flags & DRVO_UNLOAD_INVOKED) != 0);
    CHECK((object->MajorFunction[IRP_MJ_DEVICE_CONTROL] == control));
    CHECK((object->DriverUnload == unload));
    object->Flags &= ~DRVO_UNLOAD_INVOKED;
}

TEST_CASE("a hook that was given up half-way beneath another one stays listed, and goes with its session") {
    auto machine = sim::Machine::Boot();
    ScriptedDriver driver(u"HalfWay");
    PDRIVER_OBJECT object = driver.object();
    const PDRIVER_DISPATCH control = object->MajorFunction[IRP_MJ_DEVICE_CONTROL];
    CaptureSession session(*machine);
    AddDriverReply added{};
    REQUIRE(session.AddDriver(driver.name(), &added) == STATUS_SUCCESS);
    ForeignMajor other(driver);
    REQUIRE(session.RemoveDriver(added.driverId) == STATUS_SUCCESS);
    {
        sim::DuringAllocation begin(kPoolTag, [object] { object->Flags |= DRVO_UNLOAD_INVOKED; });
        CHECK(session.AddDriver(driver.name()) == STATUS_DELETE_PENDING);
    }
    object->Flags &= ~DRVO_UNLOAD_INVOKED;
    CHECK(Listed(session).state == kHookPassThrough);
    other.Leave();
    session.Die();
    CHECK((object->MajorFunction[IRP_MJ_DEVICE_CONTROL] == control));
}

TEST_CASE("a driver whose routines have changed gets its slot back only after the rest") {
    auto machine = sim::Machine::Boot();
    std::vector<std::unique_ptr<ScriptedDriver>> drivers;
    CaptureSession session(*machine);
    std::vector<AddDriverReply> added(kMaxHookedDrivers);
    for (uint32_t i = 0; i < kMaxHookedDrivers; i++) {
        const std::string number = std::to_string(i);
        drivers.push_back(std::make_unique<ScriptedDriver>(u"C" + std::u16string(number.begin(), number.end())));
        drivers[i]->HaveFastIo();
        REQUIRE(session.AddDriver(drivers[i]->name(), &added[i]) == STATUS_SUCCESS);
    }
    ScriptedDriver& changing = *drivers[5];
    REQUIRE(session.RemoveDriver(added[5].driverId) == STATUS_SUCCESS);
    // A late caller of the slot's thunk must still reach the routine it came for.
    SUBCASE("those of its functions") {
        PDRIVER_DISPATCH& entry = changing.object()->MajorFunction[IRP_MJ_DEVICE_CONTROL];
        const PDRIVER_DISPATCH before = std::exchange(entry, changing.object()->MajorFunction[IRP_MJ_CLOSE]);
        CHECK(session.AddDriver(changing.name()) == STATUS_INSUFFICIENT_RESOURCES);
        entry = before;
    }
    SUBCASE("those of its fast-I/O table") {
        PFAST_IO_DEVICE_CONTROL& entry = changing.object()->FastIoDispatch->FastIoDeviceControl;
        const PFAST_IO_DEVICE_CONTROL before = std::exchange(entry, Handle);
        CHECK(session.AddDriver(changing.name()) == STATUS_INSUFFICIENT_RESOURCES);
        entry = before;
    }
    CHECK(session.AddDriver(changing.name()) == STATUS_SUCCESS);
    session.Die();
}

TEST_CASE("a fast-I/O table that has changed while we are in its driver's chain is left alone") {
    auto machine = sim::Machine::Boot();
    ScriptedDriver driver(u"Exchanging");
    driver.HaveFastIo();
    CaptureSession session(*machine);
    AddDriverReply added{};
    REQUIRE(session.AddDriver(driver.name(), &added) == STATUS_SUCCESS);
    CHECK(added.fastIo != 0);
    ForeignMajor other(driver);
    REQUIRE(session.RemoveDriver(added.driverId) == STATUS_SUCCESS);
    PFAST_IO_DISPATCH table = driver.object()->FastIoDispatch;
    const PFAST_IO_DEVICE_CONTROL before = std::exchange(table->FastIoDeviceControl, Handle);
    // The slot is the one whose thunks are in the chain; its late callers still read the table as it was.
    REQUIRE(session.AddDriver(driver.name(), &added) == STATUS_SUCCESS);
    CHECK(added.fastIo == 0);
    CHECK(driver.object()->FastIoDispatch == table);
    REQUIRE(session.RemoveDriver(added.driverId) == STATUS_SUCCESS);
    table->FastIoDeviceControl = before;
    REQUIRE(session.AddDriver(driver.name(), &added) == STATUS_SUCCESS);
    CHECK(added.fastIo != 0);
    other.Leave();
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
