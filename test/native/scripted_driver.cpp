#include "scripted_driver.h"

#include <doctest/doctest.h>

#include "sim/driver_loader.h"

namespace drivermon::test {
namespace {

UNICODE_STRING View(std::u16string& string) {
    const auto bytes = static_cast<USHORT>(2 * string.size());
    return {bytes, bytes, string.data()};
}

ScriptedDriver* Of(PDEVICE_OBJECT device) {
    return *static_cast<ScriptedDriver**>(device->DeviceExtension);
}

}  // namespace

ScriptedDriver* ScriptedDriver::loading_ = nullptr;

NTSTATUS Complete(PIRP irp, NTSTATUS status, ULONG_PTR information) {
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = information;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

ScriptedDriver::ScriptedDriver(const std::u16string& name) : name_(name) {
    loading_ = this;
    REQUIRE(sim::LoadDriver(u"\\Driver\\" + name, u"", Entry) == STATUS_SUCCESS);
}

ScriptedDriver::~ScriptedDriver() {
    if (lower_) IoDetachDevice(lower_);
    CHECK(sim::UnloadDriver(name()) == STATUS_SUCCESS);
}

void ScriptedDriver::AttachTo(ScriptedDriver& other) {
    lower_ = IoAttachDeviceToDeviceStack(device_, other.device_);
}

NTSTATUS ScriptedDriver::Entry(PDRIVER_OBJECT driver, PUNICODE_STRING) {
    ScriptedDriver* self = loading_;
    std::u16string deviceName = u"\\Device\\" + self->name_, linkName = u"\\??\\" + self->name_;
    UNICODE_STRING device = View(deviceName), link = View(linkName);
    NTSTATUS status = IoCreateDevice(driver, sizeof(self), &device, FILE_DEVICE_UNKNOWN, 0, FALSE, &self->device_);
    if (!NT_SUCCESS(status)) return status;
    *static_cast<ScriptedDriver**>(self->device_->DeviceExtension) = self;
    driver->MajorFunction[IRP_MJ_CREATE] = Succeed;
    driver->MajorFunction[IRP_MJ_CLEANUP] = Succeed;
    driver->MajorFunction[IRP_MJ_CLOSE] = Succeed;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Control;
    driver->DriverUnload = Unload;
    return IoCreateSymbolicLink(&link, &device);
}

NTSTATUS ScriptedDriver::Succeed(PDEVICE_OBJECT, PIRP irp) {
    return Complete(irp, STATUS_SUCCESS);
}

NTSTATUS ScriptedDriver::Control(PDEVICE_OBJECT device, PIRP irp) {
    ScriptedDriver* self = Of(device);
    return self->onControl ? self->onControl(device, irp) : Complete(irp, STATUS_SUCCESS);
}

void ScriptedDriver::HaveFastIo() {
    fastIo_.SizeOfFastIoDispatch = sizeof(fastIo_);
    fastIo_.FastIoRead = FastRead;
    fastIo_.FastIoWrite = FastWrite;
    fastIo_.FastIoDeviceControl = FastControl;
    object()->FastIoDispatch = &fastIo_;
}

BOOLEAN ScriptedDriver::AnswerFast(PDEVICE_OBJECT device, const FastCall& call) {
    ScriptedDriver* self = Of(device);
    return self->onFastIo && self->onFastIo(call);
}

BOOLEAN ScriptedDriver::FastRead(PFILE_OBJECT file, PLARGE_INTEGER, ULONG bytes, BOOLEAN, ULONG, PVOID output,
                                 PIO_STATUS_BLOCK result, PDEVICE_OBJECT device) {
    return AnswerFast(device, {file, nullptr, 0, output, bytes, result});
}

BOOLEAN ScriptedDriver::FastWrite(PFILE_OBJECT file, PLARGE_INTEGER, ULONG bytes, BOOLEAN, ULONG, PVOID input,
                                  PIO_STATUS_BLOCK result, PDEVICE_OBJECT device) {
    return AnswerFast(device, {file, input, bytes, nullptr, 0, result});
}

BOOLEAN ScriptedDriver::FastControl(PFILE_OBJECT file, BOOLEAN, PVOID input, ULONG inputBytes, PVOID output,
                                    ULONG outputBytes, ULONG, PIO_STATUS_BLOCK result, PDEVICE_OBJECT device) {
    return AnswerFast(device, {file, input, inputBytes, output, outputBytes, result});
}

void ScriptedDriver::Unload(PDRIVER_OBJECT driver) {
    if (const auto& onUnload = Of(driver->DeviceObject)->onUnload) onUnload();
    std::u16string linkName = u"\\??\\" + Of(driver->DeviceObject)->name_;
    UNICODE_STRING link = View(linkName);
    IoDeleteSymbolicLink(&link);
    IoDeleteDevice(driver->DeviceObject);
}

PIRP MakeControl(PDEVICE_OBJECT device, ULONG code, void* buffer, ULONG inputBytes, ULONG outputBytes) {
    PIRP irp = IoAllocateIrp(device->StackSize, FALSE);
    REQUIRE(irp);
    irp->AssociatedIrp.SystemBuffer = buffer;
    PIO_STACK_LOCATION location = IoGetNextIrpStackLocation(irp);
    location->MajorFunction = IRP_MJ_DEVICE_CONTROL;
    location->Parameters.DeviceIoControl.IoControlCode = code;
    location->Parameters.DeviceIoControl.InputBufferLength = inputBytes;
    location->Parameters.DeviceIoControl.OutputBufferLength = outputBytes;
    return irp;
}

}  // namespace drivermon::test
