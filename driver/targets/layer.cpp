// layer.cpp: filter devices over the echo driver's; layer_protocol.h says what they do.
#include "layer.h"

#include "echo_protocol.h"
#include "layer_protocol.h"
#include "pend_queue.h"

namespace drivermon::targets {
namespace {

constexpr WCHAR kEchoDriverName[] = TARGET_TEXT("\\Driver\\DrivermonEcho");
constexpr ULONG kAgainAfterUs = 100;

// A device's extension.
struct Layer {
    PDEVICE_OBJECT below;
    bool upper;
    PendQueue stopped;  // requests whose completion a routine has stopped
};

Layer* LayerOf(PDEVICE_OBJECT device) {
    return static_cast<Layer*>(device->DeviceExtension);
}

// The echo driver has the file's FsContext.
LayerManner MannerOf(PFILE_OBJECT file) {
    return static_cast<LayerManner>(reinterpret_cast<ULONG_PTR>(file->FsContext2));
}

NTSTATUS GoOn(PDEVICE_OBJECT, PIRP irp, PVOID) {
    if (irp->PendingReturned) IoMarkIrpPending(irp);
    return STATUS_CONTINUE_COMPLETION;
}

NTSTATUS StopHere(PDEVICE_OBJECT, PIRP irp, PVOID layer) {
    const bool stopped = static_cast<Layer*>(layer)->stopped.Insert(irp, kAgainAfterUs);
    return stopped ? STATUS_MORE_PROCESSING_REQUIRED : STATUS_CONTINUE_COMPLETION;
}

// IRQL = DISPATCH_LEVEL.
void Again(PIRP irp) {
    IoCompleteRequest(irp, IO_NO_INCREMENT);
}

NTSTATUS PassOn(PDEVICE_OBJECT device, PIRP irp) {
    Layer* layer = LayerOf(device);
    switch (MannerOf(IoGetCurrentIrpStackLocation(irp)->FileObject)) {
        case kLayerCopy:
            IoCopyCurrentIrpStackLocationToNext(irp);
            IoSetCompletionRoutine(irp, GoOn, nullptr, TRUE, TRUE, TRUE);
            break;
        case kLayerAgain:
            IoMarkIrpPending(irp);
            IoCopyCurrentIrpStackLocationToNext(irp);
            IoSetCompletionRoutine(irp, StopHere, layer, TRUE, TRUE, TRUE);
            IoCallDriver(layer->below, irp);
            return STATUS_PENDING;
        case kLayerWhole:
            if (layer->upper) {
                IoCopyCurrentIrpStackLocationToNext(irp);
                IoSetCompletionRoutine(irp, GoOn, nullptr, TRUE, TRUE, TRUE);
            } else {
                *IoGetNextIrpStackLocation(irp) = *IoGetCurrentIrpStackLocation(irp);
            }
            break;
        default:
            IoSkipCurrentIrpStackLocation(irp);
            break;
    }
    return IoCallDriver(layer->below, irp);
}

NTSTATUS Use(PIRP irp, PIO_STACK_LOCATION stack) {
    ULONG manner = kLayerManners;
    if (stack->Parameters.DeviceIoControl.InputBufferLength >= sizeof(manner)) {
        RtlCopyMemory(&manner, irp->AssociatedIrp.SystemBuffer, sizeof(manner));
    }
    const NTSTATUS status = manner < kLayerManners ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER;
    if (NT_SUCCESS(status)) stack->FileObject->FsContext2 = reinterpret_cast<PVOID>(static_cast<ULONG_PTR>(manner));
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

NTSTATUS DispatchDeviceControl(PDEVICE_OBJECT device, PIRP irp) {
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);
    if (stack->Parameters.DeviceIoControl.IoControlCode == kLayerUse) return Use(irp, stack);
    return PassOn(device, irp);
}

// The echo driver's device that is there to be put something on. NULL: there is none. PASSIVE_LEVEL.
PDEVICE_OBJECT FindEcho() {
    UNICODE_STRING name = Name(kEchoDriverName);
    PVOID object;
    const NTSTATUS status = ObReferenceObjectByName(&name, OBJ_CASE_INSENSITIVE, nullptr, 0, *IoDriverObjectType,
                                                    KernelMode, nullptr, &object);
    if (!NT_SUCCESS(status)) return nullptr;
    PDEVICE_OBJECT device = static_cast<PDRIVER_OBJECT>(object)->DeviceObject;
    while (device && device->DeviceType != kEchoStackDeviceType) device = device->NextDevice;
    ObDereferenceObject(object);
    return device;
}

NTSTATUS Attach(PDRIVER_OBJECT driver, PDEVICE_OBJECT target, bool upper) {
    PDEVICE_OBJECT device;
    const NTSTATUS status = IoCreateDevice(driver, sizeof(Layer), nullptr, target->DeviceType, 0, FALSE, &device);
    if (!NT_SUCCESS(status)) return status;
    Layer* layer = LayerOf(device);
    layer->upper = upper;
    layer->stopped.Initialize(Again);
    layer->below = IoAttachDeviceToDeviceStack(device, target);
    if (!layer->below) {
        IoDeleteDevice(device);
        return STATUS_NO_SUCH_DEVICE;
    }
    // The I/O manager looks at the topmost device to learn how the driver wants its buffers.
    device->Flags |= layer->below->Flags & (DO_BUFFERED_IO | DO_DIRECT_IO);
    device->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}

// The device that was attached last is the first in the list. The echo driver has to be unloaded after this one.
void Unload(PDRIVER_OBJECT driver) {
    while (PDEVICE_OBJECT device = driver->DeviceObject) {
        IoDetachDevice(LayerOf(device)->below);
        LayerOf(device)->stopped.End();
        IoDeleteDevice(device);
    }
}

}  // namespace
}  // namespace drivermon::targets

extern "C" NTSTATUS TARGET_ENTRY(LayerDriverEntry)(PDRIVER_OBJECT driver, PUNICODE_STRING) {
    using namespace drivermon::targets;

    PDEVICE_OBJECT echo = FindEcho();
    if (!echo) return STATUS_NO_SUCH_DEVICE;
    for (PDRIVER_DISPATCH& dispatch : driver->MajorFunction) dispatch = PassOn;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = DispatchDeviceControl;
    driver->DriverUnload = Unload;
    NTSTATUS status = Attach(driver, echo, false);
    if (NT_SUCCESS(status)) status = Attach(driver, echo, true);
    if (!NT_SUCCESS(status)) Unload(driver);
    return status;
}
