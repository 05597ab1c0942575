// raiser.cpp: the raiser; raiser_protocol.h says what it does.
#include "raiser_protocol.h"

#include "guarded_ask.h"
#include "nt.h"

namespace drivermon::targets {

namespace {

FAST_IO_DISPATCH table;
uint32_t written;

UNICODE_STRING DeviceName() {
    return Name(L"\\Device\\DrivermonRaiser");
}
UNICODE_STRING LinkName() {
    return Name(L"\\DosDevices\\DrivermonRaiser");
}

// Falls through where there is no buffer.
BOOLEAN NTAPI QueryBasicInfo(PFILE_OBJECT, BOOLEAN, PFILE_BASIC_INFORMATION buffer, PIO_STATUS_BLOCK status,
                             PDEVICE_OBJECT) {
    if (!buffer) return FALSE;
    *reinterpret_cast<volatile uint32_t*>(buffer) = 1;
    status->Status = STATUS_SUCCESS;
    status->Information = 0;
    return TRUE;
}

NTSTATUS NTAPI OpenOrClose(PDEVICE_OBJECT, PIRP irp) {
    irp->IoStatus.Status = STATUS_SUCCESS;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI Ask(PDEVICE_OBJECT device, PIRP irp) {
    const IO_STACK_LOCATION* stack = IoGetCurrentIrpStackLocation(irp);
    const auto& parameters = stack->Parameters.DeviceIoControl;
    NTSTATUS status = STATUS_INVALID_PARAMETER;
    irp->IoStatus.Information = 0;
    if (parameters.IoControlCode == kRaiserAsk && parameters.InputBufferLength == sizeof(uint32_t) &&
        parameters.OutputBufferLength == sizeof(uint32_t)) {
        auto* manner = static_cast<uint32_t*>(irp->AssociatedIrp.SystemBuffer);
        void* nowhere = reinterpret_cast<void*>(static_cast<uintptr_t>(8));  // the first page is never mapped
        void* buffer = *manner == kRaiserFallsThrough ? nullptr : *manner == kRaiserHandles ? &written : nowhere;
        IO_STATUS_BLOCK result = {};
        auto routine = reinterpret_cast<FastIoQuery>(
            reinterpret_cast<void*>(device->DriverObject->FastIoDispatch->FastIoQueryBasicInfo));
        *manner = DrivermonGuardedAsk(routine, stack->FileObject, buffer, &result, device);
        irp->IoStatus.Information = sizeof(uint32_t);
        status = STATUS_SUCCESS;
    }
    irp->IoStatus.Status = status;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

void NTAPI Unload(PDRIVER_OBJECT driver) {
    UNICODE_STRING link = LinkName();
    IoDeleteSymbolicLink(&link);
    IoDeleteDevice(driver->DeviceObject);
}

}  // namespace
}  // namespace drivermon::targets

extern "C" NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING) {
    using namespace drivermon::targets;

    table.SizeOfFastIoDispatch = sizeof(table);
    table.FastIoQueryBasicInfo = QueryBasicInfo;
    driver->FastIoDispatch = &table;
    driver->MajorFunction[IRP_MJ_CREATE] = OpenOrClose;
    driver->MajorFunction[IRP_MJ_CLEANUP] = OpenOrClose;
    driver->MajorFunction[IRP_MJ_CLOSE] = OpenOrClose;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Ask;
    driver->DriverUnload = Unload;
    UNICODE_STRING name = DeviceName(), link = LinkName();
    PDEVICE_OBJECT device;
    NTSTATUS status = IoCreateDevice(driver, 0, &name, FILE_DEVICE_UNKNOWN, 0, FALSE, &device);
    if (!NT_SUCCESS(status)) return status;
    status = IoCreateSymbolicLink(&link, &name);
    if (!NT_SUCCESS(status)) IoDeleteDevice(device);
    return status;
}
