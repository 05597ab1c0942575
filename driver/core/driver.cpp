// driver.cpp: load, unload, and the way from a dispatch routine to the control device.
#include "driver.h"

#include "control.h"
#include "process_watch.h"
#include "protocol/version.h"

namespace drivermon {

namespace {

struct Driver {
    ControlLock lock;
    Capture capture;
    HookTable hooks;
    Delivery delivery;
    Control control;
    ProcessWatch processes;
    DEVICE_OBJECT* device = nullptr;
    void* allocation = nullptr;
};

// Also read by the dispatch routines of our device, which exists only while this does.
Driver* theDriver;

template <size_t units>
UNICODE_STRING StringOf(const char16_t (&text)[units]) {
    UNICODE_STRING string;
    string.Length = (units - 1) * sizeof(char16_t);
    string.MaximumLength = units * sizeof(char16_t);
    string.Buffer = reinterpret_cast<PWSTR>(const_cast<char16_t*>(text));
    return string;
}

NTSTATUS NTAPI OnCreate(PDEVICE_OBJECT, PIRP irp) {
    return theDriver->control.Create(irp);
}

NTSTATUS NTAPI OnClose(PDEVICE_OBJECT, PIRP irp) {
    return theDriver->control.Close(irp);
}

NTSTATUS NTAPI OnDeviceControl(PDEVICE_OBJECT, PIRP irp) {
    return theDriver->control.DeviceControl(irp);
}

void Destroy(Driver* driver) {
    void* allocation = driver->allocation;
    driver->processes.End();
    driver->capture.recorder.doorbell().Shutdown();
    driver->~Driver();
    ExFreePoolWithTag(allocation, kPoolTag);
    theDriver = nullptr;
}

}  // namespace

NTSTATUS DriverLoad(DRIVER_OBJECT* self, UNICODE_STRING*) {
    void* allocation = nullptr;
    void* memory = AllocateAligned(sizeof(Driver), &allocation);
    if (memory == nullptr) return STATUS_INSUFFICIENT_RESOURCES;
    auto* driver = new (Placement{memory}) Driver;
    driver->allocation = allocation;
    theDriver = driver;

    driver->lock.Initialize();
    NTSTATUS status = driver->capture.Initialize(DetectPlatform());
    driver->delivery.Initialize(&driver->capture.recorder);
    driver->hooks.Initialize(&driver->capture, &driver->lock, self);
    driver->control.Initialize(&driver->capture, &driver->hooks, &driver->delivery, &driver->lock);

    UNICODE_STRING deviceName = StringOf(DRIVERMON_DEVICE_NAME);
    UNICODE_STRING linkName = StringOf(DRIVERMON_LINK_NAME);
    if (NT_SUCCESS(status)) {
        status =
            IoCreateDevice(self, 0, &deviceName, FILE_DEVICE_UNKNOWN, FILE_DEVICE_SECURE_OPEN, FALSE, &driver->device);
    }
    if (NT_SUCCESS(status)) status = IoCreateSymbolicLink(&linkName, &deviceName);
    if (!NT_SUCCESS(status)) {
        if (driver->device != nullptr) IoDeleteDevice(driver->device);
        Destroy(driver);
        return status;
    }
    self->MajorFunction[IRP_MJ_CREATE] = OnCreate;
    self->MajorFunction[IRP_MJ_CLEANUP] = OnClose;
    self->MajorFunction[IRP_MJ_CLOSE] = OnClose;
    self->MajorFunction[IRP_MJ_DEVICE_CONTROL] = OnDeviceControl;
    self->DriverUnload = DriverUnload;
    driver->processes.Begin(&driver->capture);
    return STATUS_SUCCESS;
}

void NTAPI DriverUnload(DRIVER_OBJECT*) {
    UNICODE_STRING linkName = StringOf(DRIVERMON_LINK_NAME);
    IoDeleteSymbolicLink(&linkName);
    IoDeleteDevice(theDriver->device);
    Destroy(theDriver);
}

}  // namespace drivermon
