// payload_test.cpp: whose bytes are read, and when. What a field of an IRP means depends on the rest of it; where it
// means something else, or the memory is not for us to touch here and now, a request goes without its payload.
#include "core/payload.h"

#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "core/mdl.h"
#include "scene.h"
#include "sim/memory.h"
#include "sim/process.h"
#include "sim/user_mode.h"

namespace drivermon::test {
namespace {

constexpr ULONG kNeither = CTL_CODE(FILE_DEVICE_UNKNOWN, 0xA02, METHOD_NEITHER, FILE_ANY_ACCESS);
constexpr ULONG kOutDirect = CTL_CODE(FILE_DEVICE_UNKNOWN, 0xA03, METHOD_OUT_DIRECT, FILE_ANY_ACCESS);
constexpr ULONG kInDirect = CTL_CODE(FILE_DEVICE_UNKNOWN, 0xA04, METHOD_IN_DIRECT, FILE_ANY_ACCESS);

using Bytes = std::vector<uint8_t>;

// An address at which there is nothing: whoever reads it is seen.
void* Gone() {
    return reinterpret_cast<void*>(uintptr_t{0x1000});
}

Request TheOnly(const std::vector<Request>& requests) {
    REQUIRE(requests.size() == 1);
    REQUIRE(requests[0].end);
    return requests[0];
}

bool Missed(const RequestStart& start) {
    return (start.flags & kRequestPayloadMissed) != 0;
}
bool Missed(const RequestEnd& end) {
    return (end.flags & kRequestPayloadMissed) != 0;
}

// A buffer of exactly its size, as a driver hands it down.
struct Described {
    explicit Described(std::vector<uint8_t> bytes)
        : memory(std::make_unique<uint8_t[]>(bytes.size())),
          mdl(IoAllocateMdl(memory.get(), static_cast<ULONG>(bytes.size()), FALSE, FALSE, nullptr)) {
        std::memcpy(memory.get(), bytes.data(), bytes.size());
    }
    ~Described() {
        if (mdl->MdlFlags & MDL_PAGES_LOCKED) MmUnlockPages(mdl);
        IoFreeMdl(mdl);
    }
    std::unique_ptr<uint8_t[]> memory;
    PMDL mdl;
};

}  // namespace

TEST_CASE("a READ or WRITE with a minor function has other parameters: no bytes, and none counted") {
    constexpr UCHAR kMinorMdl = 2;  // IRP_MN_MDL
    Scene scene(kDefaultStart, {IRP_MJ_READ, IRP_MJ_WRITE});
    scene.driver.onControl = [](PDEVICE_OBJECT, PIRP irp) { return Complete(irp, STATUS_SUCCESS, 4096); };
    for (UCHAR major : {IRP_MJ_READ, IRP_MJ_WRITE}) {
        OwnRequest request(scene.driver, major, kMinorMdl);
        request.location->Parameters.Write.Length = 4096;
        request.irp->UserBuffer = Gone();
        request.irp->AssociatedIrp.SystemBuffer = Gone();
        CHECK(request.Send() == STATUS_SUCCESS);
    }
    const Captured captured = scene.Finish();
    for (UCHAR major : {IRP_MJ_READ, IRP_MJ_WRITE}) {
        const Request request = TheOnly(captured.WithMajor(major));
        CHECK(request.start->minor == kMinorMdl);
        CHECK(request.start->payloadTotal == 0);
        CHECK_FALSE(Missed(*request.start));
        CHECK(request.end->payloadTotal == 0);
        CHECK_FALSE(Missed(*request.end));
    }
    CHECK(scene.session.Counters().Sum(&FunctionCounters::bytesIn) == 0);
    CHECK(scene.session.Counters().Sum(&FunctionCounters::bytesOut) == 0);
}

TEST_CASE("Information is a number of bytes for READ and controls only; elsewhere it may be a pointer") {
    Scene scene(kDefaultStart, {IRP_MJ_PNP, IRP_MJ_WRITE, IRP_MJ_READ});
    constexpr ULONG_PTR kPointer = 0xFFFF80001234;
    scene.driver.onControl = [](PDEVICE_OBJECT, PIRP irp) { return Complete(irp, STATUS_SUCCESS, kPointer); };
    for (UCHAR major : {IRP_MJ_PNP, IRP_MJ_WRITE}) {
        OwnRequest request(scene.driver, major);
        CHECK(request.Send() == STATUS_SUCCESS);
    }
    scene.driver.onControl = [](PDEVICE_OBJECT, PIRP irp) { return Complete(irp, STATUS_SUCCESS, 7); };
    OwnRequest read(scene.driver, IRP_MJ_READ);
    CHECK(read.Send() == STATUS_SUCCESS);
    const Captured captured = scene.Finish();
    CHECK(TheOnly(captured.WithMajor(IRP_MJ_PNP)).end->information == kPointer);
    CHECK(scene.session.Counters().Sum(&FunctionCounters::bytesOut) == 7);
}

TEST_CASE("paging requests carry no payload either way: our own capture file's pages would feed themselves") {
    Scene scene(kDefaultStart, {IRP_MJ_READ, IRP_MJ_WRITE});
    scene.driver.onControl = [](PDEVICE_OBJECT, PIRP irp) { return Complete(irp, STATUS_SUCCESS, 4); };
    for (UCHAR major : {IRP_MJ_READ, IRP_MJ_WRITE}) {
        Described buffer({1, 2, 3, 4});
        MmBuildMdlForNonPagedPool(buffer.mdl);
        OwnRequest request(scene.driver, major);
        request.location->Parameters.Write.Length = 4;
        request.irp->MdlAddress = buffer.mdl;
        request.irp->Flags |= IRP_PAGING_IO;
        CHECK(request.Send() == STATUS_SUCCESS);
        request.irp->MdlAddress = nullptr;
    }
    const Captured captured = scene.Finish();
    for (UCHAR major : {IRP_MJ_READ, IRP_MJ_WRITE}) {
        const Request request = TheOnly(captured.WithMajor(major));
        CHECK((request.start->flags & kRequestPaging) != 0);
        CHECK(request.input.empty());
        CHECK(request.output.empty());
        CHECK_FALSE(Missed(*request.start));
        CHECK_FALSE(Missed(*request.end));
    }
    CHECK(scene.session.Counters().Sum(&FunctionCounters::bytesIn) == 4);
    CHECK(scene.session.Counters().Sum(&FunctionCounters::bytesOut) == 4);
}

TEST_CASE("the bytes of a WRITE lie where its device says: in the system buffer, or with the requestor") {
    for (bool buffered : {true, false}) {
        CAPTURE(buffered);
        Scene scene(kDefaultStart, {IRP_MJ_WRITE});
        if (buffered) scene.driver.device()->Flags |= DO_BUFFERED_IO;
        uint8_t systems[] = {1, 2, 3, 4}, users[] = {5, 6, 7, 8};
        OwnRequest request(scene.driver, IRP_MJ_WRITE);
        request.location->Parameters.Write.Length = 4;
        request.irp->AssociatedIrp.SystemBuffer = systems;
        request.irp->UserBuffer = users;
        request.irp->RequestorMode = UserMode;
        request.irp->Tail.Overlay.Thread = sim::CurrentThread();
        CHECK(request.Send() == STATUS_SUCCESS);
        const uint8_t first = buffered ? 1 : 5;
        const std::vector<uint8_t> input = TheOnly(scene.Finish().WithMajor(IRP_MJ_WRITE)).input;
        CHECK(input == std::vector<uint8_t>{first, static_cast<uint8_t>(first + 1), static_cast<uint8_t>(first + 2),
                                            static_cast<uint8_t>(first + 3)});
    }
}

// ---- MDLs ------------------------------------------------------------------------------------------------------

TEST_CASE("an MDL is read only if its pages cannot go away, and are memory") {
    struct Case {
        CSHORT flags;
        bool readable;
    };
    constexpr Case kCases[] = {
        {0, false},
        {MDL_SOURCE_IS_NONPAGED_POOL, true},
        {MDL_MAPPED_TO_SYSTEM_VA, true},
        {MDL_PAGES_LOCKED, true},
        {MDL_MAPPED_TO_SYSTEM_VA | MDL_IO_SPACE, false},
        {MDL_PAGES_LOCKED | MDL_IO_SPACE, false},
        // What IoBuildPartialMdl makes: the pages are locked by the whole.
        {MDL_PARTIAL, true},
        {MDL_PARTIAL | MDL_PARTIAL_HAS_BEEN_MAPPED | MDL_MAPPED_TO_SYSTEM_VA, true},
        {MDL_PARTIAL | MDL_PARTIAL_HAS_BEEN_MAPPED, false},
        {MDL_PARTIAL | MDL_SOURCE_IS_NONPAGED_POOL, true},
        {MDL_PARTIAL | MDL_IO_SPACE, false},
    };
    for (const Case& each : kCases) {
        CAPTURE(each.flags);
        Scene scene(kDefaultStart, {IRP_MJ_WRITE});
        Described buffer({1, 2, 3, 4});
        buffer.mdl->MdlFlags = each.flags;
        buffer.mdl->MappedSystemVa = each.readable ? buffer.memory.get() : Gone();
        for (UCHAR major : {IRP_MJ_WRITE, IRP_MJ_DEVICE_CONTROL}) {
            scene.driver.onControl = [](PDEVICE_OBJECT, PIRP irp) { return Complete(irp, STATUS_SUCCESS, 4); };
            OwnRequest request(scene.driver, major);
            if (major == IRP_MJ_WRITE) {
                request.location->Parameters.Write.Length = 4;
            } else {
                request.SetControl(kOutDirect, 0, 4);
            }
            request.irp->MdlAddress = buffer.mdl;
            CHECK(request.Send() == STATUS_SUCCESS);
            request.irp->MdlAddress = nullptr;
        }
        buffer.mdl->MdlFlags &= ~MDL_PAGES_LOCKED;
        const Captured captured = scene.Finish();
        const Request write = TheOnly(captured.WithMajor(IRP_MJ_WRITE));
        const Request control = TheOnly(captured.WithCode(kOutDirect));
        const std::vector<uint8_t> expected = each.readable ? std::vector<uint8_t>{1, 2, 3, 4} : std::vector<uint8_t>{};
        CHECK(write.input == expected);
        CHECK(Missed(*write.start) == !each.readable);
        CHECK(control.output == expected);
        CHECK(Missed(*control.end) == !each.readable);
    }
}

TEST_CASE("an MDL is mapped only where something of it is kept: its driver inherits the mapping") {
    for (uint32_t snapLength : {0u, 2u}) {
        CAPTURE(snapLength);
        Scene scene({1u << 16, snapLength, 0, 0}, {IRP_MJ_WRITE});
        bool mapped = false;
        scene.driver.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
            mapped = (irp->MdlAddress->MdlFlags & MDL_MAPPED_TO_SYSTEM_VA) != 0;
            return Complete(irp, STATUS_SUCCESS, 4);
        };
        Described buffer({1, 2, 3, 4});
        MmProbeAndLockPages(buffer.mdl, KernelMode, IoReadAccess);
        OwnRequest request(scene.driver, IRP_MJ_WRITE);
        request.location->Parameters.Write.Length = 4;
        request.irp->MdlAddress = buffer.mdl;
        CHECK(request.Send() == STATUS_SUCCESS);
        request.irp->MdlAddress = nullptr;
        CHECK(mapped == (snapLength != 0));
        CHECK(TheOnly(scene.Finish().WithMajor(IRP_MJ_WRITE)).start->payloadTotal == 4);
    }
}

TEST_CASE("no more is read of an MDL than it describes, whatever the length says") {
    Scene scene(kDefaultStart, {IRP_MJ_WRITE});
    Described buffer({1, 2, 3, 4});
    MmBuildMdlForNonPagedPool(buffer.mdl);
    OwnRequest request(scene.driver, IRP_MJ_WRITE);
    request.location->Parameters.Write.Length = 4000;
    request.irp->MdlAddress = buffer.mdl;
    CHECK(request.Send() == STATUS_SUCCESS);
    request.irp->MdlAddress = nullptr;
    const Request write = TheOnly(scene.Finish().WithMajor(IRP_MJ_WRITE));
    CHECK(write.input == std::vector<uint8_t>{1, 2, 3, 4});
    CHECK(write.start->payloadTotal == 4000);
}

TEST_CASE("of a chain of MDLs the first is read") {
    Scene scene(kDefaultStart, {IRP_MJ_WRITE});
    Described first({1, 2, 3, 4}), second({5, 6, 7, 8});
    for (Described* each : {&first, &second}) MmBuildMdlForNonPagedPool(each->mdl);
    first.mdl->Next = second.mdl;
    OwnRequest request(scene.driver, IRP_MJ_WRITE);
    request.location->Parameters.Write.Length = 8;
    request.irp->MdlAddress = first.mdl;
    CHECK(request.Send() == STATUS_SUCCESS);
    request.irp->MdlAddress = nullptr;
    const Request write = TheOnly(scene.Finish().WithMajor(IRP_MJ_WRITE));
    CHECK(write.input == Bytes{1, 2, 3, 4});
    CHECK(write.start->payloadTotal == 8);
    CHECK((write.start->flags & kRequestPayloadTruncated) != 0);
}

TEST_CASE("mappings are the driver's to inherit: never executable, never read-only") {
    // The simulated kernel sees to both; here is each place that maps.
    Scene scene(kDefaultStart, {IRP_MJ_WRITE});
    scene.driver.onControl = [](PDEVICE_OBJECT, PIRP irp) { return Complete(irp, STATUS_SUCCESS, 4); };
    for (UCHAR major : {IRP_MJ_WRITE, IRP_MJ_DEVICE_CONTROL}) {
        Described buffer({1, 2, 3, 4});
        MmProbeAndLockPages(buffer.mdl, KernelMode, IoWriteAccess);
        OwnRequest request(scene.driver, major);
        if (major == IRP_MJ_WRITE) {
            request.location->Parameters.Write.Length = 4;
        } else {
            request.SetControl(kOutDirect, 0, 4);
        }
        request.irp->MdlAddress = buffer.mdl;
        CHECK(request.Send() == STATUS_SUCCESS);
        request.irp->MdlAddress = nullptr;
        CHECK((buffer.mdl->MdlFlags & MDL_MAPPED_TO_SYSTEM_VA) != 0);
    }
    const Captured captured = scene.Finish();
    CHECK(TheOnly(captured.WithMajor(IRP_MJ_WRITE)).input == Bytes{1, 2, 3, 4});
    CHECK(TheOnly(captured.WithCode(kOutDirect)).output == Bytes{1, 2, 3, 4});
}

// ---- User memory -----------------------------------------------------------------------------------------------

// A METHOD_NEITHER request as its requestor would have it; what is asked is who reads it where.
struct Neither {
    explicit Neither(Scene& scene, void* address) : request(scene.driver, IRP_MJ_DEVICE_CONTROL) {
        request.SetControl(kNeither, 4, 0);
        request.location->Parameters.DeviceIoControl.Type3InputBuffer = address;
        request.irp->RequestorMode = UserMode;
        request.BelongTo(sim::CurrentThread());
    }
    OwnRequest request;
};

TEST_CASE("a user address is read in its owner's process, below DISPATCH_LEVEL, and only if a user sent it") {
    Scene scene;
    uint8_t bytes[] = {1, 2, 3, 4};
    const uint32_t own = sim::CurrentThread()->process->id;

    SUBCASE("so it is read") {
        Neither neither(scene, bytes);
        CHECK(neither.request.Send() == STATUS_SUCCESS);
        CHECK(TheOnly(scene.Finish().WithCode(kNeither)).input == std::vector<uint8_t>{1, 2, 3, 4});
    }
    SUBCASE("a driver's own address may be any") {
        Neither neither(scene, bytes);
        neither.request.irp->RequestorMode = KernelMode;
        CHECK(neither.request.Send() == STATUS_SUCCESS);
        const Request request = TheOnly(scene.Finish().WithCode(kNeither));
        CHECK(request.start->requestorMode == kModeKernel);
        CHECK(request.input.empty());
        CHECK(Missed(*request.start));
    }
    SUBCASE("in another process the address is somebody else's; both are recorded") {
        auto other = sim::CreateProcess(u"other.exe", 4);
        Neither neither(scene, bytes);
        {
            sim::RunAs as(other.get(), 0);
            CHECK(neither.request.Send() == STATUS_SUCCESS);
        }
        const Request request = TheOnly(scene.Finish().WithCode(kNeither));
        CHECK(request.start->processId == other->id);
        CHECK(request.start->requestorProcessId == own);
        CHECK(request.input.empty());
        CHECK(Missed(*request.start));
        sim::ExitProcess(other.get());
    }
    SUBCASE("raised, it could not be paged in") {
        Neither neither(scene, bytes);
        KIRQL before;
        KeRaiseIrql(DISPATCH_LEVEL, &before);
        const NTSTATUS status = neither.request.Send();
        KeLowerIrql(before);
        CHECK(status == STATUS_SUCCESS);
        const Request request = TheOnly(scene.Finish().WithCode(kNeither));
        CHECK(request.start->header.irql == DISPATCH_LEVEL);
        CHECK(request.input.empty());
        CHECK(Missed(*request.start));
    }
}

TEST_CASE("where output lies with the requestor it is read as input is: a user's address only, under a handler") {
    for (UCHAR major : {IRP_MJ_DEVICE_CONTROL, IRP_MJ_READ}) {
        CAPTURE(major);
        Scene scene(kDefaultStart, {IRP_MJ_READ});
        scene.driver.onControl = [](PDEVICE_OBJECT, PIRP irp) { return Complete(irp, STATUS_SUCCESS, 4); };
        uint8_t bytes[] = {1, 2, 3, 4};
        void* address = bytes;
        bool readable = true;
        std::optional<sim::UnreadableUserMemory> gone;
        SUBCASE("so it is read") {}
        SUBCASE("it cannot be read") {
            gone.emplace(bytes, sizeof(bytes));
            readable = false;
        }
        SUBCASE("it is a kernel address") {
            address = reinterpret_cast<void*>(0xFFFF800000001000);
            readable = false;
        }
        SUBCASE("it wraps round") {
            address = reinterpret_cast<void*>(~uintptr_t{0} - 2);
            readable = false;
        }
        OwnRequest request(scene.driver, major);
        if (major == IRP_MJ_READ) {
            request.location->Parameters.Read.Length = 4;
        } else {
            request.SetControl(kNeither, 0, 4);
        }
        request.irp->UserBuffer = address;
        request.irp->RequestorMode = UserMode;
        request.irp->Tail.Overlay.Thread = sim::CurrentThread();
        CHECK(request.Send() == STATUS_SUCCESS);
        const Request ended = TheOnly(scene.Finish().WithMajor(major));
        CHECK(ended.output == (readable ? Bytes{1, 2, 3, 4} : Bytes{}));
        CHECK(ended.end->payloadTotal == 4);
        CHECK(Missed(*ended.end) == !readable);
        CHECK((ended.end->flags & kRequestPayloadBeyondReach) == 0);
        CHECK(scene.session.Counters().reply.dropsEnd[kLossPayloadFault] == (readable ? 0u : 1u));
    }
}

TEST_CASE("a user that gives a kernel address, or one that wraps round, gives nothing") {
    for (const uint64_t address : {0xFFFF800000001000ull, 0x7FFFFFFEFFFEull, ~0ull - 2}) {
        CAPTURE(address);
        Scene scene;
        Neither neither(scene, reinterpret_cast<void*>(address));
        CHECK(neither.request.Send() == STATUS_SUCCESS);
        const Request request = TheOnly(scene.Finish().WithCode(kNeither));
        CHECK(request.input.empty());
        CHECK(Missed(*request.start));
        CHECK(scene.session.Counters().reply.dropsStart[kLossPayloadFault] == 1);
    }
}

// ---- CREATE ----------------------------------------------------------------------------------------------------

std::u16string NameIn(const Request& request) {
    std::u16string name(request.input.size() / 2, u'\0');
    if (!name.empty()) std::memcpy(name.data(), request.input.data(), request.input.size());
    return name;
}

// A CREATE of the test's own, for a file of that name.
struct OwnCreate {
    OwnCreate(Scene& scene, void* name, size_t bytes) : request(scene.driver, IRP_MJ_CREATE) {
        file.FileName = {static_cast<USHORT>(bytes), static_cast<USHORT>(bytes), static_cast<PWSTR>(name)};
        request.location->FileObject = &file;
    }
    FILE_OBJECT file{};
    OwnRequest request;
};

TEST_CASE("CREATE: the name as it was before the driver saw it, what for, and how") {
    Scene scene(kDefaultStart, {IRP_MJ_CREATE});
    scene.driver.onControl = [](PDEVICE_OBJECT, PIRP irp) {
        // A file system may write into it.
        if (auto& name = IoGetCurrentIrpStackLocation(irp)->FileObject->FileName; name.Length != 0) {
            name.Buffer[1] = u'#';
        }
        return Complete(irp, STATUS_SUCCESS, FILE_OPENED);
    };
    sim::OpenOptions options;
    options.synchronous = true;
    options.desiredAccess = GENERIC_READ;
    for (const std::u16string name : {u"\\some\\file.txt", u""}) {
        sim::Status status;
        const auto opened = sim::OpenFile(scene.driver.path() + name, options, &status);
        CHECK(opened);
    }
    const std::vector<Request> creates = scene.Finish().WithMajor(IRP_MJ_CREATE);
    REQUIRE(creates.size() == 2);
    CHECK(NameIn(creates[0]) == u"\\some\\file.txt");
    CHECK((creates[0].start->flags & kRequestPayloadIsName) != 0);
    CHECK(creates[0].start->payloadTotal == 2 * 14);
    CHECK(creates[0].start->code == uint32_t{FILE_OPEN << 24 | FILE_SYNCHRONOUS_IO_NONALERT});
    CHECK(creates[0].start->byteOffset == (GENERIC_READ | uint64_t{FILE_SHARE_READ | FILE_SHARE_WRITE} << 32));
    CHECK(creates[0].end->information == uint64_t{FILE_OPENED});
    CHECK(creates[0].output.empty());
    // The device itself has no name.
    CHECK(creates[1].input.empty());
    CHECK((creates[1].start->flags & (kRequestPayloadIsName | kRequestPayloadMissed)) == 0);
    // It is a name, not bytes offered; and Information is a disposition.
    CHECK(scene.session.Counters().Sum(&FunctionCounters::bytesIn) == 0);
    CHECK(scene.session.Counters().Sum(&FunctionCounters::bytesOut) == 0);
}

TEST_CASE("CREATE below a directory that is open: the name is what the driver is asked for, nothing before it") {
    Scene scene;
    std::u16string directory = u"\\some", name = u"file.txt";
    FILE_OBJECT related{};
    related.FileName = {12, 12, directory.data()};
    OwnCreate create(scene, name.data(), 2 * name.size());
    create.file.RelatedFileObject = &related;
    CHECK(create.request.Send() == STATUS_SUCCESS);
    CHECK(NameIn(TheOnly(scene.Finish().WithMajor(IRP_MJ_CREATE))) == name);
}

TEST_CASE("CREATE by a file's id: its bytes are there, and are no name") {
    Scene scene;
    uint8_t id[] = {0x34, 0x12, 0, 0, 0, 0, 5, 0};
    OwnCreate create(scene, id, sizeof(id));
    create.request.location->Parameters.Create.Options = FILE_OPEN << 24 | FILE_OPEN_BY_FILE_ID;
    CHECK(create.request.Send() == STATUS_SUCCESS);
    const Request request = TheOnly(scene.Finish().WithMajor(IRP_MJ_CREATE));
    CHECK(request.input == Bytes(id, id + sizeof(id)));
    CHECK((request.start->flags & kRequestPayloadIsName) == 0);
}

TEST_CASE("CREATE at DISPATCH_LEVEL: the name is paged, and left alone") {
    Scene scene;
    OwnCreate create(scene, Gone(), 16);
    KIRQL before;
    KeRaiseIrql(DISPATCH_LEVEL, &before);
    const NTSTATUS status = create.request.Send();
    KeLowerIrql(before);
    CHECK(status == STATUS_SUCCESS);
    const Request request = TheOnly(scene.Finish().WithMajor(IRP_MJ_CREATE));
    CHECK(request.input.empty());
    CHECK((request.start->flags & kRequestPayloadIsName) == 0);
}

TEST_CASE(
    "CREATE: a long name is cut at the snap length, and when its start is held; both are told, the latter counted") {
    std::u16string name(300, u'n');
    SUBCASE("at the snap length") {
        Scene scene({1u << 16, 16, 0, 0});
        OwnCreate create(scene, name.data(), 2 * name.size());
        CHECK(create.request.Send() == STATUS_SUCCESS);
        const Request request = TheOnly(scene.Finish().WithMajor(IRP_MJ_CREATE));
        CHECK(NameIn(request) == name.substr(0, 8));
        CHECK(request.start->payloadTotal == 600);
        constexpr uint32_t kCut = kRequestPayloadIsName | kRequestPayloadTruncated;
        CHECK((request.start->flags & kCut) == kCut);
        CHECK(scene.session.Counters().reply.heldInputTruncated == 0);
    }
    SUBCASE("held until it has failed") {
        Scene scene(kDefaultStart, {IRP_MJ_CREATE});
        Predicates predicates{};
        predicates.flags = kPredicateOwnProcesses | kPredicateErrorsOnly;
        REQUIRE(scene.session.SetPredicates(predicates) == STATUS_SUCCESS);
        scene.driver.onControl = [](PDEVICE_OBJECT, PIRP irp) { return Complete(irp, STATUS_OBJECT_NAME_NOT_FOUND); };
        OwnCreate create(scene, name.data(), 2 * name.size());
        CHECK(create.request.Send() == STATUS_OBJECT_NAME_NOT_FOUND);
        const Request request = TheOnly(scene.Finish().WithMajor(IRP_MJ_CREATE));
        CHECK(NameIn(request) == name.substr(0, kMaxHeldInput / 2));
        CHECK((request.start->flags & kRequestPayloadTruncated) != 0);
        CHECK(scene.session.Counters().reply.heldInputTruncated == 1);
    }
}

// ---- FILE_SYSTEM_CONTROL ---------------------------------------------------------------------------------------

TEST_CASE("a file system's control is a control: by its method, where its minor function says so") {
    constexpr UCHAR kMountVolume = 1, kKernelCall = 4;
    struct Case {
        ULONG code;
        Bytes input, output;
    };
    // What lies where: "sys" in the system buffer, "mdl" behind the MDL, "in" and "out" with the requestor.
    const Case cases[] = {
        {kCode, {'s', 'y', 's'}, {'s', 'y', 's'}},
        {kInDirect, {'s', 'y', 's', 'm', 'd', 'l'}, {}},
        {kOutDirect, {'s', 'y', 's'}, {'m', 'd', 'l'}},
        {kNeither, {'i', 'n', '!'}, {'o', 'u', 't'}},
    };
    for (const Case& each : cases) {
        for (UCHAR minor : {UCHAR{0}, kMountVolume, kKernelCall}) {
            CAPTURE(each.code);
            CAPTURE(minor);
            Scene scene(kDefaultStart, {IRP_MJ_FILE_SYSTEM_CONTROL});
            scene.driver.onControl = [](PDEVICE_OBJECT, PIRP irp) { return Complete(irp, STATUS_SUCCESS, 3); };
            uint8_t system[] = {'s', 'y', 's'}, in[] = {'i', 'n', '!'}, out[] = {'o', 'u', 't'};
            Described mdl({'m', 'd', 'l'});
            MmBuildMdlForNonPagedPool(mdl.mdl);
            OwnRequest request(scene.driver, IRP_MJ_FILE_SYSTEM_CONTROL, minor);
            auto& parameters = request.location->Parameters.FileSystemControl;
            parameters.FsControlCode = each.code;
            parameters.InputBufferLength = parameters.OutputBufferLength = 3;
            parameters.Type3InputBuffer = in;
            request.irp->AssociatedIrp.SystemBuffer = system;
            request.irp->MdlAddress = mdl.mdl;
            request.irp->UserBuffer = out;
            request.irp->RequestorMode = UserMode;
            request.irp->Tail.Overlay.Thread = sim::CurrentThread();
            CHECK(request.Send() == STATUS_SUCCESS);
            request.irp->MdlAddress = nullptr;

            const Request control = TheOnly(scene.Finish().WithMajor(IRP_MJ_FILE_SYSTEM_CONTROL));
            const bool isControl = minor != kMountVolume;
            CHECK(control.start->code == (isControl ? each.code : 0));
            CHECK(control.start->inputLength == (isControl ? 3u : 0u));
            CHECK(control.start->outputLength == (isControl ? 3u : 0u));
            CHECK(control.input == (isControl ? each.input : Bytes{}));
            CHECK(control.output == (isControl ? each.output : Bytes{}));
            CHECK_FALSE(Missed(*control.start));
            CHECK_FALSE(Missed(*control.end));
            CHECK(control.end->information == 3);
            CHECK(scene.session.Counters().Sum(&FunctionCounters::bytesIn) == (isControl ? 3u : 0u));
            CHECK(scene.session.Counters().Sum(&FunctionCounters::bytesOut) == (isControl ? 3u : 0u));
        }
    }
}

// ---- A whole snap length ---------------------------------------------------------------------------------------

// Where the driver is to leave the output of a request.
void* OutputOf(PIRP irp) {
    if (irp->MdlAddress != nullptr) return MdlAddress(irp->MdlAddress);
    return irp->AssociatedIrp.SystemBuffer != nullptr ? irp->AssociatedIrp.SystemBuffer : irp->UserBuffer;
}

TEST_CASE("a whole snap length goes in and out, through the smallest ring and the smallest buffer that may be") {
    constexpr uint32_t kWhole = kMaxSnapLength;
    // A record takes less than half of its ring.
    Scene scene({4 * kWhole, kWhole, kWhole, 0}, {IRP_MJ_READ, IRP_MJ_WRITE});
    scene.session.FetchBatchesOf(kMinDataBytes);
    Bytes input(kWhole), output(kWhole);
    FillPattern(input.data(), kWhole, 1);
    bool hasInput = true, hasOutput = true;
    scene.driver.onControl = [&](PDEVICE_OBJECT, PIRP irp) {
        if (hasOutput) FillPattern(OutputOf(irp), kWhole, 2);
        return Complete(irp, STATUS_SUCCESS, kWhole);
    };
    UCHAR major = IRP_MJ_DEVICE_CONTROL;
    ULONG code = 0;
    SUBCASE("METHOD_BUFFERED") {
        code = kCode;
    }
    SUBCASE("METHOD_IN_DIRECT") {
        code = kInDirect;
        hasOutput = false;
        // Half of it lies in the system buffer, the other half behind the MDL.
        output.assign(input.begin() + kWhole / 2, input.end());
        input.resize(kWhole / 2);
    }
    SUBCASE("METHOD_OUT_DIRECT") {
        code = kOutDirect;
    }
    SUBCASE("METHOD_NEITHER") {
        code = kNeither;
    }
    SUBCASE("WRITE") {
        major = IRP_MJ_WRITE;
        hasOutput = false;
        SUBCASE("buffered") {
            scene.driver.device()->Flags |= DO_BUFFERED_IO;
        }
        SUBCASE("direct") {
            scene.driver.device()->Flags |= DO_DIRECT_IO;
        }
        SUBCASE("neither") {}
    }
    SUBCASE("READ") {
        major = IRP_MJ_READ;
        hasInput = false;
        SUBCASE("buffered") {
            scene.driver.device()->Flags |= DO_BUFFERED_IO;
        }
        SUBCASE("direct") {
            scene.driver.device()->Flags |= DO_DIRECT_IO;
        }
        SUBCASE("neither") {}
    }
    sim::Status status;
    auto handle = scene.machine->Open(scene.driver.path(), &status);
    REQUIRE(handle);
    const auto bytes = [](const Bytes& buffer) { return static_cast<uint32_t>(buffer.size()); };
    if (major == IRP_MJ_WRITE) {
        status = handle->Write(input.data(), bytes(input), 0, nullptr);
    } else if (major == IRP_MJ_READ) {
        status = handle->Read(output.data(), bytes(output), 0, nullptr);
    } else {
        status = handle->Control(code, input.data(), bytes(input), output.data(), bytes(output), nullptr);
    }
    CHECK(status == STATUS_SUCCESS);
    handle.reset();
    const Captured captured = scene.Finish();
    CHECK(captured.lostStarts + captured.lostEnds == 0);
    const Request request = TheOnly(captured.WithMajor(major));
    CHECK(request.start->payloadTotal == (hasInput ? kWhole : 0));
    CHECK(request.end->payloadTotal == (hasOutput ? kWhole : 0));
    // Not compared by CHECK, which would print them.
    CHECK((request.input == (hasInput ? Pattern(1) : Bytes{})));
    CHECK((request.output == (hasOutput ? Pattern(2) : Bytes{})));
    CHECK(((request.start->flags | request.end->flags) & (kRequestPayloadTruncated | kRequestPayloadMissed)) == 0);
}

TEST_CASE("with every scratch block taken a payload is missed for that reason, and nothing else") {
    auto machine = sim::Machine::Boot();  // its processors
    ScratchPool pool;
    REQUIRE(pool.Initialize(2) == STATUS_SUCCESS);
    std::vector<uint8_t*> blocks;
    while (uint8_t* block = pool.Take()) blocks.push_back(block);
    REQUIRE_FALSE(blocks.empty());
    // Each takes a whole snap length, and none lies in another.
    for (size_t i = 0; i < blocks.size(); i++) FillPattern(blocks[i], kMaxSnapLength, static_cast<uint8_t>(i));
    for (size_t i = 0; i < blocks.size(); i++) {
        CHECK(std::memcmp(blocks[i], Pattern(static_cast<uint8_t>(i)).data(), kMaxSnapLength) == 0);
    }
    const uint8_t bytes[] = {1, 2, 3, 4};
    {
        Payload payload(pool, 64);
        payload.AddUser(bytes, sizeof(bytes));
        CHECK(payload.length() == 0);
        CHECK(payload.total() == sizeof(bytes));
        CHECK(payload.flags() == kRequestPayloadMissed);
        CHECK(payload.loss().missed);
        CHECK(payload.loss().reason == kLossPayloadNoScratch);
    }
    pool.Give(blocks.back());
    Payload payload(pool, 64);
    payload.AddUser(bytes, sizeof(bytes));
    CHECK(payload.length() == sizeof(bytes));
    CHECK(payload.flags() == 0);
}

}  // namespace drivermon::test
