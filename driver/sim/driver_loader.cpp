// driver_loader.cpp: driver objects, device objects, symbolic links.
#include "driver_loader.h"

#include <mutex>

#include "device_names.h"
#include "memory.h"
#include "process.h"
#include "processor.h"
#include "verifier.h"

namespace drivermon::sim {
namespace {

struct Driver : Object<DRIVER_OBJECT> {
    Driver() : Object(&driverType) {}
    ~Driver() override {
        if (body.DeviceObject) Violation("device left behind", "a driver object goes, its devices do not");
    }
    DRIVER_EXTENSION extension{};
    std::u16string name, serviceKey, displayName;
};

struct Device : Object<DEVICE_OBJECT> {
    Device() : Object(&deviceType) {}
    ~Device() override { ::operator delete (body.DeviceExtension, std::align_val_t{16}); }
    std::u16string name;
};

struct Link : Object<int> {
    Link() : Object(&symbolicLinkType) {}
    std::u16string target;
};

std::mutex deviceListLock;

Driver* DriverOf(PDRIVER_OBJECT driver) {
    return static_cast<Driver*>(HeaderOf(driver));
}
Device* DeviceOf(PDEVICE_OBJECT device) {
    return static_cast<Device*>(HeaderOf(device));
}

NTSTATUS InvalidDeviceRequest(PDEVICE_OBJECT, PIRP irp) {
    irp->IoStatus.Status = STATUS_INVALID_DEVICE_REQUEST;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return STATUS_INVALID_DEVICE_REQUEST;
}

UNICODE_STRING View(std::u16string& string) {
    const auto bytes = static_cast<USHORT>(string.size() * sizeof(char16_t));
    return {bytes, static_cast<USHORT>(bytes + sizeof(char16_t)), string.data()};
}

// \DosDevices is where user mode's names have always been said to be; \?? is where they are.
std::u16string LinkName(PCUNICODE_STRING name) {
    constexpr std::u16string_view kOld = u"\\DosDevices\\";
    std::u16string result = ToString(name);
    if (result.starts_with(kOld)) result.replace(0, kOld.size(), u"\\??\\");
    return result;
}

}  // namespace

NTSTATUS LoadDriver(const std::u16string& name, const std::u16string& displayName, PDRIVER_INITIALIZE entry) {
    auto* driver = new Driver;
    driver->name = name;
    driver->displayName = displayName;
    const std::u16string service = name.substr(name.rfind(u'\\') + 1);
    driver->serviceKey = service;
    driver->extension.DriverObject = &driver->body;
    driver->extension.ServiceKeyName = View(driver->serviceKey);
    driver->body.Type = 4;
    driver->body.Size = sizeof(DRIVER_OBJECT);
    driver->body.DriverExtension = &driver->extension;
    driver->body.DriverName = View(driver->name);
    driver->body.DriverInit = entry;
    driver->body.DriverStart = reinterpret_cast<void*>(entry);
    for (PDRIVER_DISPATCH& dispatch : driver->body.MajorFunction) dispatch = InvalidDeviceRequest;

    NTSTATUS status = InsertName(name, &driver->body);
    if (!NT_SUCCESS(status)) {
        ObfDereferenceObject(&driver->body);
        return status;
    }
    std::u16string key = u"\\Registry\\Machine\\System\\CurrentControlSet\\Services\\" + service;
    UNICODE_STRING registryPath = View(key);
    {
        RunAs system(SystemProcess(), 0);
        status = entry(&driver->body, &registryPath);
        if (TrueIrql() != PASSIVE_LEVEL) Violation("IRQL changed", "DriverEntry returned at %u", TrueIrql());
    }
    if (!NT_SUCCESS(status)) {
        RemoveName(name);
        ObfDereferenceObject(&driver->body);
        return status;
    }
    for (PDEVICE_OBJECT device = driver->body.DeviceObject; device; device = device->NextDevice) {
        device->Flags &= ~DO_DEVICE_INITIALIZING;
    }
    driver->body.Flags |= DRVO_INITIALIZED;
    return STATUS_SUCCESS;
}

NTSTATUS UnloadDriver(const std::u16string& name) {
    Ref<DRIVER_OBJECT> driver = ReferenceDriver(name);
    if (!driver) return STATUS_OBJECT_NAME_NOT_FOUND;
    const PDRIVER_UNLOAD unload = __atomic_load_n(&driver->DriverUnload, __ATOMIC_ACQUIRE);
    if (!unload) return STATUS_INVALID_DEVICE_REQUEST;
    for (PDEVICE_OBJECT device = driver->DeviceObject; device; device = device->NextDevice) {
        if (__atomic_load_n(&device->ReferenceCount, __ATOMIC_ACQUIRE)) return STATUS_DEVICE_BUSY;
    }
    driver->Flags |= DRVO_UNLOAD_INVOKED;
    {
        RunAs system(SystemProcess(), 0);
        unload(driver.get());
    }
    RemoveName(name);
    ObfDereferenceObject(driver.get());  // the name's
    return STATUS_SUCCESS;
}

std::vector<LoadedDriver> LoadedDrivers() {
    std::vector<LoadedDriver> result;
    for (const auto& [name, body] : NamesOfType(&driverType)) {
        result.push_back({name, DriverOf(static_cast<PDRIVER_OBJECT>(body))->displayName});
    }
    return result;
}

Ref<DRIVER_OBJECT> ReferenceDriver(const std::u16string& name) {
    NTSTATUS status;
    return Ref<DRIVER_OBJECT>::Adopt(static_cast<PDRIVER_OBJECT>(ReferenceByName(name, &driverType, &status)));
}

Ref<DEVICE_OBJECT> ResolveDevice(const std::u16string& path, std::u16string* rest, NTSTATUS* status) {
    constexpr std::u16string_view kUser = u"\\\\.\\";
    std::u16string name = path;
    if (name.starts_with(kUser)) name.replace(0, kUser.size(), u"\\??\\");
    *status = STATUS_OBJECT_NAME_NOT_FOUND;
    // A device's name is a prefix of the path that ends before a backslash; the rest is for its driver to read.
    for (size_t end = name.size(); end != 0 && end != std::u16string::npos; end = name.rfind(u'\\', end - 1)) {
        const std::u16string prefix = name.substr(0, end);
        if (void* link = ReferenceByName(prefix, &symbolicLinkType, status)) {
            const std::u16string target = static_cast<Link*>(HeaderOf(link))->target;
            ObfDereferenceObject(link);
            return ResolveDevice(target + name.substr(end), rest, status);
        }
        if (void* device = ReferenceByName(prefix, &deviceType, status)) {
            *rest = name.substr(end);
            return Ref<DEVICE_OBJECT>::Adopt(static_cast<PDEVICE_OBJECT>(device));
        }
    }
    return {};
}

}  // namespace drivermon::sim

using namespace drivermon::sim;

NTSTATUS IoCreateDevice(PDRIVER_OBJECT driver, ULONG extensionSize, PUNICODE_STRING name, DEVICE_TYPE type,
                        ULONG characteristics, BOOLEAN exclusive, PDEVICE_OBJECT* result) {
    RequireIrql(APC_LEVEL, "IoCreateDevice");
    *result = nullptr;
    if (AllocationFails()) return STATUS_INSUFFICIENT_RESOURCES;
    auto* device = new Device;
    device->body.Type = 3;
    device->body.Size = sizeof(DEVICE_OBJECT);
    device->body.DriverObject = driver;
    device->body.DeviceType = type;
    device->body.Characteristics = characteristics;
    device->body.Flags = DO_DEVICE_INITIALIZING | (exclusive ? DO_EXCLUSIVE : 0);
    device->body.StackSize = 1;
    if (extensionSize) {
        device->body.DeviceExtension = ::operator new (extensionSize, std::align_val_t{16});
        memset(device->body.DeviceExtension, 0, extensionSize);
    }
    if (name) {
        device->name = ToString(name);
        const NTSTATUS status = InsertName(device->name, &device->body);
        if (!NT_SUCCESS(status)) {
            delete device;
            return status;
        }
    }
    ObfReferenceObject(driver);
    std::lock_guard guard(deviceListLock);
    device->body.NextDevice = driver->DeviceObject;
    driver->DeviceObject = &device->body;
    *result = &device->body;
    return STATUS_SUCCESS;
}

void IoDeleteDevice(PDEVICE_OBJECT device) {
    RequireIrql(APC_LEVEL, "IoDeleteDevice");
    PDRIVER_OBJECT driver = device->DriverObject;
    {
        std::lock_guard guard(deviceListLock);
        PDEVICE_OBJECT* link = &driver->DeviceObject;
        while (*link && *link != device) link = &(*link)->NextDevice;
        if (!*link) {
            Violation("device deleted twice", "%p", static_cast<void*>(device));
            return;
        }
        *link = device->NextDevice;
    }
    if (!DeviceOf(device)->name.empty()) RemoveName(DeviceOf(device)->name);
    ObfDereferenceObject(device);  // files keep theirs
    ObfDereferenceObject(driver);
}

PDEVICE_OBJECT IoAttachDeviceToDeviceStack(PDEVICE_OBJECT source, PDEVICE_OBJECT target) {
    std::lock_guard guard(deviceListLock);
    while (target->AttachedDevice) target = target->AttachedDevice;
    target->AttachedDevice = source;
    source->StackSize = static_cast<CCHAR>(target->StackSize + 1);
    return target;
}

void IoDetachDevice(PDEVICE_OBJECT target) {
    std::lock_guard guard(deviceListLock);
    target->AttachedDevice = nullptr;
}

PDEVICE_OBJECT IoGetAttachedDevice(PDEVICE_OBJECT device) {
    while (PDEVICE_OBJECT above = __atomic_load_n(&device->AttachedDevice, __ATOMIC_ACQUIRE)) device = above;
    return device;
}

PDEVICE_OBJECT IoGetRelatedDeviceObject(PFILE_OBJECT file) {
    return IoGetAttachedDevice(file->DeviceObject);
}

NTSTATUS IoCreateSymbolicLink(PUNICODE_STRING name, PUNICODE_STRING target) {
    RequireIrql(PASSIVE_LEVEL, "IoCreateSymbolicLink");
    if (AllocationFails()) return STATUS_INSUFFICIENT_RESOURCES;
    auto* link = new Link;
    link->target = ToString(target);
    const NTSTATUS status = InsertName(LinkName(name), &link->body);
    if (!NT_SUCCESS(status)) ObfDereferenceObject(&link->body);
    return status;
}

NTSTATUS IoDeleteSymbolicLink(PUNICODE_STRING name) {
    RequireIrql(PASSIVE_LEVEL, "IoDeleteSymbolicLink");
    void* link = RemoveName(LinkName(name));
    if (!link) return STATUS_OBJECT_NAME_NOT_FOUND;
    ObfDereferenceObject(link);
    return STATUS_SUCCESS;
}
