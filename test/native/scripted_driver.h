// scripted_driver.h: a driver that does with a request what a test says, and requests that a test makes itself.
#pragma once

#include <functional>
#include <string>

#include "sim/nt.h"

namespace drivermon::test {

// A call of one of a driver's fast-I/O routines, as the driver sees it.
struct FastCall {
    PFILE_OBJECT file;
    PVOID input;
    ULONG inputBytes;
    PVOID output;
    ULONG outputBytes;
    PIO_STATUS_BLOCK result;

    // TRUE is for the routine to return.
    bool Answer(NTSTATUS status, ULONG_PTR information = 0) const {
        *result = {{status}, information};
        return true;
    }
};

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

    // DEVICE_CONTROL. By default it succeeds with nothing. CREATE, CLEANUP and CLOSE succeed.
    std::function<NTSTATUS(PDEVICE_OBJECT, PIRP)> onControl;
    // FastIoRead, FastIoWrite and FastIoDeviceControl, once it has them: whether the call is handled. By default it is
    // not.
    void HaveFastIo();
    std::function<bool(const FastCall&)> onFastIo;
    // Another function that onControl answers, too.
    void Serve(UCHAR major) { object()->MajorFunction[major] = Control; }
    // Runs first when the driver unloads.
    std::function<void()> onUnload;

 private:
    static NTSTATUS Entry(PDRIVER_OBJECT driver, PUNICODE_STRING);
    static NTSTATUS Succeed(PDEVICE_OBJECT, PIRP irp);
    static NTSTATUS Control(PDEVICE_OBJECT device, PIRP irp);
    static FAST_IO_READ FastRead;
    static FAST_IO_WRITE FastWrite;
    static FAST_IO_DEVICE_CONTROL FastControl;
    static BOOLEAN AnswerFast(PDEVICE_OBJECT device, const FastCall& call);
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
