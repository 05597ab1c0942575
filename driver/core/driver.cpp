// driver.cpp: load, unload, and the way from a dispatch routine to the control device.
#include "driver.h"

#include "control.h"
#include "process_watch.h"
#include "protocol/version.h"
#include "residence.h"

namespace drivermon {

namespace {

struct Driver {
    ControlLock lock;
    Capture capture;
    Residence residence;
    HookTable hooks;
    Delivery delivery;
    Control control;
    ProcessWatch processes;
    DEVICE_OBJECT* device = nullptr;
    void* allocation = nullptr;
};

// Also read by the dispatch routines of our device, which exists only while this does.
Driver* theDriver;

NTSTATUS NTAPI OnCreate(PDEVICE_OBJECT, PIRP irp) {
    return theDriver->control.Create(irp);
}

NTSTATUS NTAPI OnClose(PDEVICE_OBJECT, PIRP irp) {
    return theDriver->control.Close(irp);
}

NTSTATUS NTAPI OnDeviceControl(PDEVICE_OBJECT, PIRP irp) {
    return theDriver->control.DeviceControl(irp);
}

// PASSIVE_LEVEL. The service's AllowUnload, a REG_DWORD: 1 on a developer's test machine.
bool AllowsUnload(UNICODE_STRING* registryPath) {
    OBJECT_ATTRIBUTES attributes;
    InitializeObjectAttributes(&attributes, registryPath, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, nullptr, nullptr);
    HANDLE key = nullptr;
    if (!NT_SUCCESS(ZwOpenKey(&key, KEY_QUERY_VALUE, &attributes))) return false;
    UNICODE_STRING name = StringOf(u"AllowUnload");
    alignas(8) UCHAR memory[sizeof(KEY_VALUE_PARTIAL_INFORMATION) + sizeof(uint32_t)];
    ULONG bytes = 0;
    NTSTATUS status = ZwQueryValueKey(key, &name, KeyValuePartialInformation, memory, sizeof(memory), &bytes);
    ZwClose(key);
    const auto* value = reinterpret_cast<const KEY_VALUE_PARTIAL_INFORMATION*>(memory);
    if (!NT_SUCCESS(status) || value->Type != REG_DWORD || value->DataLength != sizeof(uint32_t)) return false;
    uint32_t allow;
    RtlCopyMemory(&allow, value->Data, sizeof(allow));
    return allow == 1;
}

void Destroy(Driver* driver) {
    void* allocation = driver->allocation;
    driver->processes.End();
    driver->residence.End();
    driver->capture.recorder.doorbell().Shutdown();
    driver->~Driver();
    ExFreePoolWithTag(allocation, kPoolTag);
    theDriver = nullptr;
}

}  // namespace

NTSTATUS DriverLoad(DRIVER_OBJECT* self, UNICODE_STRING* registryPath) {
    void* allocation = nullptr;
    void* memory = AllocateAligned(sizeof(Driver), &allocation);
    if (memory == nullptr) return STATUS_INSUFFICIENT_RESOURCES;
    auto* driver = new (Placement{memory}) Driver;
    driver->allocation = allocation;
    theDriver = driver;

    self->DriverUnload = DriverUnload;
    driver->lock.Initialize();
    NTSTATUS status = driver->capture.Initialize(DetectPlatform());
    driver->residence.Initialize(self, AllowsUnload(registryPath), driver->capture.recorder.platform().slotRestMs,
                                 &driver->capture);
    driver->delivery.Initialize(&driver->capture.recorder);
    driver->hooks.Initialize(&driver->capture, &driver->lock, &driver->residence, self);
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
