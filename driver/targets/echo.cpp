// echo.cpp: the echo driver; echo_protocol.h says what it does.
#include "echo.h"

#include "core/mdl.h"
#include "echo_protocol.h"
#include "pend_queue.h"

namespace drivermon::targets {
namespace {

constexpr ULONG kTag = Tag("mEch");
constexpr WCHAR kDeviceName[] = TARGET_TEXT("\\Device\\DrivermonEcho");
constexpr WCHAR kLinkName[] = TARGET_TEXT("\\??\\DrivermonEcho");
constexpr WCHAR kStackDeviceName[] = TARGET_TEXT("\\Device\\DrivermonEchoStack");
constexpr WCHAR kStackLinkName[] = TARGET_TEXT("\\??\\DrivermonEchoStack");

// A device's extension.
struct Echo {
    PendQueue pending;
};

// A handle's FsContext.
struct Store {
    KSPIN_LOCK lock;
    ULONG bytes;
    UCHAR data[kEchoStoreBytes];
};

Echo* EchoOf(PDEVICE_OBJECT device) {
    return static_cast<Echo*>(device->DeviceExtension);
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

// Moves the bytes behind a request header to the front, where the I/O manager takes the output from.
template <typename Request>
ULONG MoveTail(PIRP irp) {
    const auto& parameters = IoGetCurrentIrpStackLocation(irp)->Parameters.DeviceIoControl;
    const ULONG bytes = Least(parameters.InputBufferLength - sizeof(Request), parameters.OutputBufferLength);
    auto* buffer = static_cast<UCHAR*>(irp->AssociatedIrp.SystemBuffer);
    RtlMoveMemory(buffer, buffer + sizeof(Request), bytes);
    return bytes;
}

NTSTATUS Transfer(PIRP irp);

// A pended request's delay has passed. IRQL = DISPATCH_LEVEL.
void Expire(PIRP irp) {
    if (IoGetCurrentIrpStackLocation(irp)->MajorFunction != IRP_MJ_DEVICE_CONTROL) {
        Transfer(irp);
        return;
    }
    const NTSTATUS status = static_cast<EchoPendRequest*>(irp->AssociatedIrp.SystemBuffer)->status;
    Complete(irp, status, NT_ERROR(status) ? 0 : MoveTail<EchoPendRequest>(irp));
}

NTSTATUS Pend(Echo* echo, PIRP irp, ULONG inputBytes) {
    auto* request = static_cast<EchoPendRequest*>(irp->AssociatedIrp.SystemBuffer);
    if (inputBytes < sizeof(*request) || request->status == STATUS_PENDING) {
        return Complete(irp, STATUS_INVALID_PARAMETER);
    }
    const ULONG delayUs = request->delayUs ? request->delayUs : 1;
    if (!echo->pending.Insert(irp, delayUs)) return Complete(irp, STATUS_INSUFFICIENT_RESOURCES);
    return STATUS_PENDING;
}

NTSTATUS Fail(PIRP irp, ULONG inputBytes) {
    auto* request = static_cast<EchoFailRequest*>(irp->AssociatedIrp.SystemBuffer);
    if (inputBytes < sizeof(*request) || request->status == STATUS_PENDING) {
        return Complete(irp, STATUS_INVALID_PARAMETER);
    }
    const NTSTATUS status = request->status;
    return Complete(irp, status, NT_ERROR(status) ? 0 : MoveTail<EchoFailRequest>(irp));
}

// The second buffer of a direct request, or NULL where there is none (a length of 0 has no MDL).
void* DirectBuffer(PIRP irp) {
    return irp->MdlAddress ? MdlAddress(irp->MdlAddress) : nullptr;
}

NTSTATUS InDirect(PIRP irp, ULONG inputBytes, ULONG directBytes) {
    if (directBytes < inputBytes) return Complete(irp, STATUS_INVALID_PARAMETER);
    const void* direct = DirectBuffer(irp);
    if (directBytes && !direct) return Complete(irp, STATUS_INSUFFICIENT_RESOURCES);
    if (inputBytes && RtlCompareMemory(irp->AssociatedIrp.SystemBuffer, direct, inputBytes) != inputBytes) {
        return Complete(irp, STATUS_INVALID_PARAMETER);
    }
    return Complete(irp, STATUS_SUCCESS, inputBytes + directBytes);
}

NTSTATUS OutDirect(PIRP irp, ULONG inputBytes, ULONG outputBytes) {
    const ULONG bytes = Least(inputBytes, outputBytes);
    if (bytes) {
        void* direct = DirectBuffer(irp);
        if (!direct) return Complete(irp, STATUS_INSUFFICIENT_RESOURCES);
        RtlCopyMemory(direct, irp->AssociatedIrp.SystemBuffer, bytes);
    }
    return Complete(irp, STATUS_SUCCESS, bytes);
}

// The caller's own memory, in the caller's own thread. A driver for real use would guard these accesses with
// ProbeFor… and __try; this one has only friends.
NTSTATUS Neither(PIRP irp, PIO_STACK_LOCATION stack) {
    const auto& parameters = stack->Parameters.DeviceIoControl;
    const ULONG bytes = Least(parameters.InputBufferLength, parameters.OutputBufferLength);
    if (bytes) RtlMoveMemory(irp->UserBuffer, parameters.Type3InputBuffer, bytes);
    return Complete(irp, STATUS_SUCCESS, bytes);
}

NTSTATUS DispatchCreate(PDEVICE_OBJECT, PIRP irp) {
    auto* store = static_cast<Store*>(ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(Store), kTag));
    if (!store) return Complete(irp, STATUS_INSUFFICIENT_RESOURCES);
    KeInitializeSpinLock(&store->lock);
    store->bytes = 0;
    IoGetCurrentIrpStackLocation(irp)->FileObject->FsContext = store;
    return Complete(irp, STATUS_SUCCESS);
}

NTSTATUS DispatchCleanup(PDEVICE_OBJECT device, PIRP irp) {
    EchoOf(device)->pending.CancelFile(IoGetCurrentIrpStackLocation(irp)->FileObject);
    return Complete(irp, STATUS_SUCCESS);
}

NTSTATUS DispatchClose(PDEVICE_OBJECT, PIRP irp) {
    PFILE_OBJECT file = IoGetCurrentIrpStackLocation(irp)->FileObject;
    ExFreePoolWithTag(file->FsContext, kTag);
    file->FsContext = nullptr;
    return Complete(irp, STATUS_SUCCESS);
}

// READ or WRITE: from or to the handle's store. IRQL <= DISPATCH_LEVEL.
NTSTATUS Transfer(PIRP irp) {
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);
    const bool reads = stack->MajorFunction == IRP_MJ_READ;
    // The parameters of both are laid out alike.
    const ULONG length = stack->Parameters.Read.Length;
    void* buffer = stack->DeviceObject->Flags & DO_DIRECT_IO ? DirectBuffer(irp) : irp->AssociatedIrp.SystemBuffer;
    if (length && !buffer) return Complete(irp, STATUS_INSUFFICIENT_RESOURCES);
    auto* store = static_cast<Store*>(stack->FileObject->FsContext);
    KIRQL irql;
    KeAcquireSpinLock(&store->lock, &irql);
    if (!reads) store->bytes = Least(length, kEchoStoreBytes);
    const ULONG bytes = Least(length, store->bytes);
    if (bytes && reads) RtlCopyMemory(buffer, store->data, bytes);
    if (bytes && !reads) RtlCopyMemory(store->data, buffer, bytes);
    KeReleaseSpinLock(&store->lock, irql);
    return Complete(irp, STATUS_SUCCESS, reads ? bytes : length);
}

NTSTATUS DispatchTransfer(PDEVICE_OBJECT device, PIRP irp) {
    const auto offset = static_cast<uint64_t>(IoGetCurrentIrpStackLocation(irp)->Parameters.Read.ByteOffset.QuadPart);
    if (offset <= kEchoLater) return Transfer(irp);
    const auto delayUs = static_cast<ULONG>(offset - kEchoLater);
    if (!EchoOf(device)->pending.Insert(irp, delayUs)) return Complete(irp, STATUS_INSUFFICIENT_RESOURCES);
    return STATUS_PENDING;
}

NTSTATUS DispatchDeviceControl(PDEVICE_OBJECT device, PIRP irp) {
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);
    const auto& parameters = stack->Parameters.DeviceIoControl;
    const ULONG inputBytes = parameters.InputBufferLength, outputBytes = parameters.OutputBufferLength;
    switch (parameters.IoControlCode) {
        case kEchoBuffered:
            return Complete(irp, STATUS_SUCCESS, Least(inputBytes, outputBytes));
        case kEchoInDirect:
            return InDirect(irp, inputBytes, outputBytes);
        case kEchoOutDirect:
            return OutDirect(irp, inputBytes, outputBytes);
        case kEchoNeither:
            return Neither(irp, stack);
        case kEchoPend:
            return Pend(EchoOf(device), irp, inputBytes);
        case kEchoFail:
            return Fail(irp, inputBytes);
        case kEchoHold:
            EchoOf(device)->pending.Insert(irp, 0);
            return STATUS_PENDING;
    }
    return Complete(irp, STATUS_INVALID_DEVICE_REQUEST);
}

struct DeviceNames {
    UNICODE_STRING device, link;
};
// Functions: nobody runs constructors for a .sys.
DeviceNames Names() {
    return {Name(kDeviceName), Name(kLinkName)};
}
DeviceNames StackNames() {
    return {Name(kStackDeviceName), Name(kStackLinkName)};
}

NTSTATUS AddDevice(PDRIVER_OBJECT driver, DeviceNames names, DEVICE_TYPE type, ULONG ioMethod) {
    PDEVICE_OBJECT device;
    NTSTATUS status = IoCreateDevice(driver, sizeof(Echo), &names.device, type, 0, FALSE, &device);
    if (!NT_SUCCESS(status)) return status;
    status = IoCreateSymbolicLink(&names.link, &names.device);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(device);
        return status;
    }
    EchoOf(device)->pending.Initialize(Expire);
    device->Flags |= ioMethod;
    device->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}

void RemoveDevice(PDEVICE_OBJECT device, DeviceNames names) {
    IoDeleteSymbolicLink(&names.link);
    EchoOf(device)->pending.End();
    IoDeleteDevice(device);
}

// The device that was added last is the first in the list.
void Unload(PDRIVER_OBJECT driver) {
    RemoveDevice(driver->DeviceObject, Names());
    RemoveDevice(driver->DeviceObject, StackNames());
}

}  // namespace
}  // namespace drivermon::targets

extern "C" NTSTATUS TARGET_ENTRY(EchoDriverEntry)(PDRIVER_OBJECT driver, PUNICODE_STRING) {
    using namespace drivermon::targets;

    NTSTATUS status = AddDevice(driver, StackNames(), kEchoStackDeviceType, DO_DIRECT_IO);
    if (!NT_SUCCESS(status)) return status;
    status = AddDevice(driver, Names(), FILE_DEVICE_UNKNOWN, DO_BUFFERED_IO);
    if (!NT_SUCCESS(status)) {
        RemoveDevice(driver->DeviceObject, StackNames());
        return status;
    }
    driver->MajorFunction[IRP_MJ_CREATE] = DispatchCreate;
    driver->MajorFunction[IRP_MJ_CLEANUP] = DispatchCleanup;
    driver->MajorFunction[IRP_MJ_CLOSE] = DispatchClose;
    driver->MajorFunction[IRP_MJ_READ] = DispatchTransfer;
    driver->MajorFunction[IRP_MJ_WRITE] = DispatchTransfer;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = DispatchDeviceControl;
    driver->DriverUnload = Unload;
    return STATUS_SUCCESS;
}
