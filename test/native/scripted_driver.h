// scripted_driver.h: a driver that does with a request what a test says, and requests that a test makes itself.
#pragma once

#include <functional>
#include <string>

#include "sim/nt.h"

namespace drivermon::test {

class ScriptedDriver {
 public:
    // \Driver\name, with one device \Device\name that \\.\name opens.
    explicit ScriptedDriver(const std::u16string& name);
    ~ScriptedDriver();
    ScriptedDriver(const ScriptedDriver&) = delete;
    ScriptedDriver& operator=(const ScriptedDriver&) = delete;

    // Puts this driver's device on top of the other's.
    void AttachTo(ScriptedDriver& lower);
    PDEVICE_OBJECT device() const { return device_; }
    PDEVICE_OBJECT lower() const { return lower_; }
    PDRIVER_OBJECT object() const { return device_->DriverObject; }
    std::u16string name() const { return u"\\Driver\\" + name_; }
    std::u16string path() const { return u"\\\\.\\" + name_; }

    // DEVICE_CONTROL. By default it succeeds with nothing. CREATE, CLEANUP and CLOSE always succeed.
    std::function<NTSTATUS(PDEVICE_OBJECT, PIRP)> onControl;
    // FastIoDeviceControl, once it has one: whether it handles the call. By default it does not.
    void HaveFastIo();
    std::function<bool(PFILE_OBJECT)> onFastControl;
    // Another function that onControl answers, too.
    void Serve(UCHAR major) { object()->MajorFunction[major] = Control; }
    // Runs first when the driver unloads.
    std::function<void()> onUnload;

 private:
    static NTSTATUS Entry(PDRIVER_OBJECT driver, PUNICODE_STRING);
    static NTSTATUS Succeed(PDEVICE_OBJECT, PIRP irp);
    static NTSTATUS Control(PDEVICE_OBJECT device, PIRP irp);
    static BOOLEAN FastControl(PFILE_OBJECT file, BOOLEAN wait, PVOID input, ULONG inputBytes, PVOID output,
                               ULONG outputBytes, ULONG code, PIO_STATUS_BLOCK result, PDEVICE_OBJECT device);
    static void Unload(PDRIVER_OBJECT driver);

    static ScriptedDriver* loading_;
    const std::u16string name_;
    PDEVICE_OBJECT device_ = nullptr;
    PDEVICE_OBJECT lower_ = nullptr;
    FAST_IO_DISPATCH fastIo_ = {};
};

NTSTATUS Complete(PIRP irp, NTSTATUS status, ULONG_PTR information = 0);

// A METHOD_BUFFERED code of its own.
constexpr ULONG kCode = CTL_CODE(FILE_DEVICE_UNKNOWN, 0xA00, METHOD_BUFFERED, FILE_ANY_ACCESS);

// A device-control request of a driver's own, with a buffer that is both input and output.
PIRP MakeControl(PDEVICE_OBJECT device, ULONG code, void* buffer, ULONG inputBytes, ULONG outputBytes);

}  // namespace drivermon::test
