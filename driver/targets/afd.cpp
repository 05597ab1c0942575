// afd.cpp: a driver that looks like AFD to whoever watches it.
//
// What makes AFD worth watching is here: most sends, receives and queries end in the fast-I/O routine and never become
// an IRP; the others fall through; receives and polls pend and are ended by a DPC, a cancel or the socket's cleanup.
// There is no network: each endpoint makes up the bytes of its peer.
#include "afd.h"

#include "afd_protocol.h"
#include "core/mdl.h"
#include "pend_queue.h"

namespace drivermon::targets {
namespace {

constexpr ULONG kTag = Tag("mAfd");
#ifdef DRIVERMON_SIM
constexpr WCHAR kDeviceName[] = TARGET_TEXT("\\Device\\Afd");
#else
constexpr WCHAR kDeviceName[] = TARGET_TEXT("\\Device\\DrivermonAfd");  // a real kernel has an AFD of its own
#endif

struct Afd {
    PendQueue pending;
};

// A socket: the FsContext of a file.
struct Endpoint {
    KSPIN_LOCK lock;
    AfdAddress local, remote;
    bool datagram;
    bool connected;
    ULONG available;  // bytes that the peer has sent and nobody has received yet
    ULONG received;   // bytes received so far: where in the peer's stream we are
    ULONG64 context;  // SET_CONTEXT's first bytes
};

// What a pended request will end with, kept in the IRP.
struct Ending {
    NTSTATUS status;
    ULONG information;
};
void SetEnding(PIRP irp, Ending ending) {
    irp->Tail.Overlay.DriverContext[2] =
        reinterpret_cast<PVOID>(static_cast<ULONG_PTR>(static_cast<ULONG>(ending.status)));
    irp->Tail.Overlay.DriverContext[3] = reinterpret_cast<PVOID>(static_cast<ULONG_PTR>(ending.information));
}
Ending EndingOf(PIRP irp) {
    return {static_cast<NTSTATUS>(reinterpret_cast<ULONG_PTR>(irp->Tail.Overlay.DriverContext[2])),
            static_cast<ULONG>(reinterpret_cast<ULONG_PTR>(irp->Tail.Overlay.DriverContext[3]))};
}

Afd* AfdOf(PDEVICE_OBJECT device) {
    return static_cast<Afd*>(device->DeviceExtension);
}
Endpoint* EndpointOf(PFILE_OBJECT file) {
    return static_cast<Endpoint*>(file->FsContext);
}
USHORT PortOf(const AfdAddress& address) {
    return static_cast<USHORT>(address.port << 8 | address.port >> 8);
}
ULONG Least(ULONG a, ULONG b) {
    return a < b ? a : b;
}

NTSTATUS Complete(PIRP irp, NTSTATUS status, ULONG_PTR information = 0) {
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = information;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

// ---- The peer --------------------------------------------------------------------------------------------------

constexpr char kHttpHeader[] =
    "HTTP/1.1 200 OK\r\nServer: nginx/1.24.0\r\nContent-Type: application/json; charset=utf-8\r\n"
    "Transfer-Encoding: chunked\r\nConnection: keep-alive\r\nCache-Control: no-store\r\n\r\n";
constexpr char kJson[] = "{\"id\":4711,\"state\":\"ready\",\"items\":[\"alpha\",\"beta\",\"gamma\"],\"next\":null}\r\n";

// The peer's stream from `at` on.
void WritePeerBytes(const Endpoint& endpoint, ULONG at, UCHAR* to, ULONG bytes) {
    if (PortOf(endpoint.remote) == kAfdPortHttp) {
        constexpr ULONG kHeader = sizeof(kHttpHeader) - 1, kLine = sizeof(kJson) - 1;
        ULONG done = Least(kHeader, bytes);
        RtlCopyMemory(to, kHttpHeader, done);
        while (done < bytes) {
            const ULONG from = (at + done) % kLine, piece = Least(kLine - from, bytes - done);
            RtlCopyMemory(to + done, kJson + from, piece);
            done += piece;
        }
        return;
    }
    // A TDS packet: type, status, length, spid, then rows.
    ULONG64 value = 0x9E3779B97F4A7C15ull * (at + 1);
    for (ULONG done = 0; done < bytes; done += sizeof(value)) {
        RtlCopyMemory(to + done, &value, Least(sizeof(value), bytes - done));
        value = value * 6364136223846793005ull + 1442695040888963407ull;
    }
    const UCHAR header[8] = {4, 1, static_cast<UCHAR>(bytes >> 8), static_cast<UCHAR>(bytes), 0, 51, 1, 0};
    RtlCopyMemory(to, header, Least(sizeof(header), bytes));
}

// How many bytes the peer sends in answer to so many.
ULONG AnswerTo(const Endpoint& endpoint, ULONG bytes) {
    switch (PortOf(endpoint.remote)) {
        case kAfdPortHttp:
            return 400 + bytes % 7 * 160;
        case kAfdPortTds:
            return 64 + bytes % 5 * 512;
    }
    return 0;
}

// Takes what there is, up to the buffer's size. Takes the endpoint's lock.
ULONG TakeAvailable(Endpoint* endpoint, ULONG most, ULONG* at) {
    KIRQL irql;
    KeAcquireSpinLock(&endpoint->lock, &irql);
    const ULONG bytes = Least(most, endpoint->available);
    endpoint->available -= bytes;
    *at = endpoint->received;
    endpoint->received += bytes;
    KeReleaseSpinLock(&endpoint->lock, irql);
    return bytes;
}

void PeerAnswers(Endpoint* endpoint, ULONG toBytes) {
    KIRQL irql;
    KeAcquireSpinLock(&endpoint->lock, &irql);
    endpoint->available += AnswerTo(*endpoint, toBytes);
    KeReleaseSpinLock(&endpoint->lock, irql);
}

// ---- What needs no wait: the same for fast I/O and for an IRP --------------------------------------------------

struct Call {
    ULONG code;
    const void* input;
    ULONG inputBytes;
    void* output;
    ULONG outputBytes;
};

// False: it has to wait, or is not ours to answer at once.
bool AnswerAtOnce(Endpoint* endpoint, const Call& call, NTSTATUS* status, ULONG* information) {
    *status = STATUS_SUCCESS;
    *information = 0;
    switch (call.code) {
        case kAfdSend:
        case kAfdSendDatagram: {
            if (call.inputBytes < sizeof(AfdTransferInfo)) {
                *status = STATUS_INVALID_PARAMETER;
                return true;
            }
            const ULONG bytes = call.inputBytes - sizeof(AfdTransferInfo);
            if (bytes > kAfdFastSendBytes) return false;
            if (!endpoint->datagram && !endpoint->connected) {
                *status = STATUS_CONNECTION_DISCONNECTED;
                return true;
            }
            PeerAnswers(endpoint, bytes);
            *information = bytes;
            return true;
        }
        case kAfdReceive: {
            ULONG at;
            const ULONG bytes = TakeAvailable(endpoint, call.outputBytes, &at);
            if (!bytes) return false;
            WritePeerBytes(*endpoint, at, static_cast<UCHAR*>(call.output), bytes);
            *information = bytes;
            return true;
        }
        case kAfdGetAddress:
            if (call.outputBytes < sizeof(AfdAddress)) {
                *status = STATUS_BUFFER_TOO_SMALL;
                return true;
            }
            RtlCopyMemory(call.output, &endpoint->local, sizeof(AfdAddress));
            *information = sizeof(AfdAddress);
            return true;
        case kAfdSetContext:
            if (call.inputBytes >= sizeof(endpoint->context)) {
                RtlCopyMemory(&endpoint->context, call.input, sizeof(endpoint->context));
            }
            return true;
        case kAfdGetInformation: {
            if (call.outputBytes < 16) {
                *status = STATUS_BUFFER_TOO_SMALL;
                return true;
            }
            const ULONG info[4] = {3, 0, endpoint->available, 0};
            RtlCopyMemory(call.output, info, sizeof(info));
            *information = sizeof(info);
            return true;
        }
        case kAfdBind:
            if (call.inputBytes < sizeof(AfdBindInfo)) {
                *status = STATUS_INVALID_PARAMETER;
                return true;
            }
            endpoint->local = static_cast<const AfdBindInfo*>(call.input)->address;
            if (call.outputBytes >= sizeof(AfdAddress)) {
                RtlCopyMemory(call.output, &endpoint->local, sizeof(AfdAddress));
                *information = sizeof(AfdAddress);
            }
            return true;
        case kAfdPartialDisconnect:
            endpoint->connected = false;
            return true;
    }
    return false;
}

// BIND and DISCONNECT go through an IRP in AFD, too.
bool HasFastPath(ULONG code) {
    return code != kAfdBind && code != kAfdPartialDisconnect && code != kAfdConnect && code != kAfdPoll;
}

BOOLEAN FastDeviceControl(PFILE_OBJECT file, BOOLEAN, PVOID input, ULONG inputBytes, PVOID output, ULONG outputBytes,
                          ULONG code, PIO_STATUS_BLOCK iosb, PDEVICE_OBJECT) {
    if (!HasFastPath(code)) return FALSE;
    NTSTATUS status;
    ULONG information;
    if (!AnswerAtOnce(EndpointOf(file), {code, input, inputBytes, output, outputBytes}, &status, &information)) {
        return FALSE;
    }
    iosb->Status = status;
    iosb->Information = information;
    return TRUE;
}

// Constant, as AFD's is: a watcher that writes into it has made a mistake, and finds out.
constexpr FAST_IO_DISPATCH FastIoTable() {
    FAST_IO_DISPATCH table{};
    table.SizeOfFastIoDispatch = sizeof(table);
    table.FastIoDeviceControl = FastDeviceControl;
    return table;
}
constexpr FAST_IO_DISPATCH kFastIo = FastIoTable();

// ---- What waits ------------------------------------------------------------------------------------------------

// The user's buffer, for a DPC: locked now, in the caller's process. A driver for real use would do this under __try;
// this one has only friends.
bool LockOutput(PIRP irp, ULONG bytes) {
    if (!bytes) return true;
    PMDL mdl = IoAllocateMdl(irp->UserBuffer, bytes, FALSE, TRUE, irp);
    if (!mdl) return false;
    MmProbeAndLockPages(mdl, UserMode, IoWriteAccess);
    return true;
}

// IRQL = DISPATCH_LEVEL.
void Expire(PIRP irp) {
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);
    Endpoint* endpoint = EndpointOf(stack->FileObject);
    Ending ending = EndingOf(irp);
    switch (stack->Parameters.DeviceIoControl.IoControlCode) {
        case kAfdReceive:
        case kAfdReceiveDatagram:
            if (ending.information) {
                PVOID to = MdlAddress(irp->MdlAddress);
                if (!to) {
                    ending = {STATUS_INSUFFICIENT_RESOURCES, 0};
                    break;
                }
                KeAcquireSpinLockAtDpcLevel(&endpoint->lock);
                const ULONG at = endpoint->received;
                endpoint->received += ending.information;
                KeReleaseSpinLockFromDpcLevel(&endpoint->lock);
                WritePeerBytes(*endpoint, at, static_cast<UCHAR*>(to), ending.information);
            }
            break;
        case kAfdConnect:
            endpoint->connected = NT_SUCCESS(ending.status);
            break;
        case kAfdSend:
            PeerAnswers(endpoint, ending.information);
            break;
        case kAfdPoll: {
            auto* poll = static_cast<AfdPollInfo*>(irp->AssociatedIrp.SystemBuffer);
            poll->handles[0].status = STATUS_SUCCESS;
            poll->handles[0].events &= 0x0001;  // AFD_POLL_RECEIVE
            break;
        }
    }
    Complete(irp, ending.status, ending.information);
}

NTSTATUS Pend(Afd* afd, PIRP irp, ULONG delayUs, Ending ending) {
    SetEnding(irp, ending);
    if (!afd->pending.Insert(irp, delayUs)) return Complete(irp, STATUS_INSUFFICIENT_RESOURCES);
    return STATUS_PENDING;
}

// As many µs as a near peer takes; a function of the request, so that a seed gives the same again.
ULONG Delay(ULONG least, ULONG salt) {
    return least + salt * 2654435761u % 997;
}

NTSTATUS Receive(Afd* afd, Endpoint* endpoint, PIRP irp, ULONG outputBytes) {
    if (!LockOutput(irp, outputBytes)) return Complete(irp, STATUS_INSUFFICIENT_RESOURCES);
    if (PortOf(endpoint->remote) == kAfdPortSilent) return Pend(afd, irp, 0, {});
    const ULONG bytes = Least(outputBytes, 200 + endpoint->received % 1200);
    return Pend(afd, irp, Delay(150, endpoint->received), {STATUS_SUCCESS, bytes});
}

NTSTATUS Connect(Afd* afd, Endpoint* endpoint, PIRP irp, const void* input, ULONG inputBytes) {
    if (inputBytes < sizeof(AfdConnectInfo)) return Complete(irp, STATUS_INVALID_PARAMETER);
    endpoint->remote = static_cast<const AfdConnectInfo*>(input)->remote;
    const bool refused = PortOf(endpoint->remote) == kAfdPortRefused;
    return Pend(afd, irp, Delay(400, endpoint->remote.address[3]),
                {refused ? STATUS_CONNECTION_REFUSED : STATUS_SUCCESS, 0});
}

NTSTATUS Poll(Afd* afd, PIRP irp, ULONG inputBytes, ULONG outputBytes) {
    if (inputBytes < sizeof(AfdPollInfo) || outputBytes < sizeof(AfdPollInfo)) {
        return Complete(irp, STATUS_INVALID_PARAMETER);
    }
    const LONG64 timeout = static_cast<AfdPollInfo*>(irp->AssociatedIrp.SystemBuffer)->timeout;
    const ULONG delayUs = timeout < 0 ? static_cast<ULONG>(-timeout / 10) : 0;  // 0: until cancelled
    return Pend(afd, irp, delayUs, {STATUS_SUCCESS, sizeof(AfdPollInfo)});
}

NTSTATUS DispatchDeviceControl(PDEVICE_OBJECT device, PIRP irp) {
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);
    const auto& parameters = stack->Parameters.DeviceIoControl;
    const Call call{parameters.IoControlCode, parameters.Type3InputBuffer, parameters.InputBufferLength,
                    irp->UserBuffer, parameters.OutputBufferLength};
    Endpoint* endpoint = EndpointOf(stack->FileObject);
    Afd* afd = AfdOf(device);

    NTSTATUS status;
    ULONG information;
    if (AnswerAtOnce(endpoint, call, &status, &information)) return Complete(irp, status, information);
    switch (call.code) {
        case kAfdReceive:
        case kAfdReceiveDatagram:
            return Receive(afd, endpoint, irp, call.outputBytes);
        case kAfdSend:
        case kAfdSendDatagram: {
            const ULONG bytes = call.inputBytes - sizeof(AfdTransferInfo);
            return Pend(afd, irp, Delay(80, bytes), {STATUS_SUCCESS, bytes});
        }
        case kAfdConnect:
            return Connect(afd, endpoint, irp, call.input, call.inputBytes);
        case kAfdPoll:
            return Poll(afd, irp, call.inputBytes, call.outputBytes);
    }
    return Complete(irp, STATUS_INVALID_DEVICE_REQUEST);
}

// ---- Sockets come and go ---------------------------------------------------------------------------------------

NTSTATUS DispatchCreate(PDEVICE_OBJECT, PIRP irp) {
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);
    const auto* packet = static_cast<const AfdOpenPacket*>(irp->AssociatedIrp.SystemBuffer);
    if (stack->Parameters.Create.EaLength < sizeof(AfdOpenPacket) ||
        RtlCompareMemory(packet->name, kAfdOpenPacketName, sizeof(packet->name)) != sizeof(packet->name)) {
        return Complete(irp, STATUS_INVALID_PARAMETER);
    }
    auto* endpoint = static_cast<Endpoint*>(ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(Endpoint), kTag));
    if (!endpoint) return Complete(irp, STATUS_INSUFFICIENT_RESOURCES);
    RtlZeroMemory(endpoint, sizeof(*endpoint));
    KeInitializeSpinLock(&endpoint->lock);
    endpoint->datagram = packet->socketType == 2;
    stack->FileObject->FsContext = endpoint;
    return Complete(irp, STATUS_SUCCESS);
}

NTSTATUS DispatchCleanup(PDEVICE_OBJECT device, PIRP irp) {
    AfdOf(device)->pending.CancelFile(IoGetCurrentIrpStackLocation(irp)->FileObject);
    return Complete(irp, STATUS_SUCCESS);
}

NTSTATUS DispatchClose(PDEVICE_OBJECT, PIRP irp) {
    PFILE_OBJECT file = IoGetCurrentIrpStackLocation(irp)->FileObject;
    ExFreePoolWithTag(file->FsContext, kTag);
    file->FsContext = nullptr;
    return Complete(irp, STATUS_SUCCESS);
}

void Unload(PDRIVER_OBJECT driver) {
    AfdOf(driver->DeviceObject)->pending.End();
    IoDeleteDevice(driver->DeviceObject);
}

}  // namespace
}  // namespace drivermon::targets

extern "C" NTSTATUS TARGET_ENTRY(AfdDriverEntry)(PDRIVER_OBJECT driver, PUNICODE_STRING) {
    using namespace drivermon::targets;

    UNICODE_STRING name = Name(kDeviceName);
    PDEVICE_OBJECT device;
    const NTSTATUS status = IoCreateDevice(driver, sizeof(Afd), &name, FILE_DEVICE_NETWORK, 0, FALSE, &device);
    if (!NT_SUCCESS(status)) return status;
    AfdOf(device)->pending.Initialize(Expire);
    driver->MajorFunction[IRP_MJ_CREATE] = DispatchCreate;
    driver->MajorFunction[IRP_MJ_CLEANUP] = DispatchCleanup;
    driver->MajorFunction[IRP_MJ_CLOSE] = DispatchClose;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = DispatchDeviceControl;
    driver->FastIoDispatch = const_cast<PFAST_IO_DISPATCH>(&kFastIo);
    driver->DriverUnload = Unload;
    device->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}
