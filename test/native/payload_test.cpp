// payload_test.cpp: whose bytes are read, and when. What a field of an IRP means depends on the rest of it; where it
// means something else, or the memory is not for us to touch here and now, a request goes without its payload.
#include "core/payload.h"

#include <cstring>
#include <vector>

#include "scene.h"
#include "sim/process.h"

namespace drivermon::test {
namespace {

constexpr ULONG kNeither = CTL_CODE(FILE_DEVICE_UNKNOWN, 0xA02, METHOD_NEITHER, FILE_ANY_ACCESS);
constexpr ULONG kOutDirect = CTL_CODE(FILE_DEVICE_UNKNOWN, 0xA03, METHOD_OUT_DIRECT, FILE_ANY_ACCESS);

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

// ---- User memory -----------------------------------------------------------------------------------------------

// A METHOD_NEITHER request as its requestor would have it; what is asked is who reads it where.
struct Neither {
    explicit Neither(Scene& scene, void* address) : request(scene.driver, IRP_MJ_DEVICE_CONTROL) {
        request.SetControl(kNeither, 4, 0);
        request.location->Parameters.DeviceIoControl.Type3InputBuffer = address;
        request.irp->RequestorMode = UserMode;
        request.irp->Tail.Overlay.Thread = sim::CurrentThread();
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

TEST_CASE("with every scratch block taken a payload is missed for that reason, and nothing else") {
    auto machine = sim::Machine::Boot();  // its processors
    ScratchPool pool;
    REQUIRE(pool.Initialize(2) == STATUS_SUCCESS);
    std::vector<uint8_t*> blocks;
    while (uint8_t* block = pool.Take()) blocks.push_back(block);
    REQUIRE_FALSE(blocks.empty());
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
