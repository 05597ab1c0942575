// driver_entry.cpp: the only code that just the .sys needs: the entry point, and the two walls around the device.
//
// Wall one: the device's own access list lets SYSTEM and administrators in (FILE_DEVICE_SECURE_OPEN makes it hold for
// every name below the device too). Wall two: the create routine asks again whether the opener is an administrator.
// Both exist on NT alone: Wine consults neither, and ends the driver process on SeTokenIsAdmin.
// (IoCreateDeviceSecure would do wall one, but it lives in a WDK library that mingw has not got.)
#include "core/driver.h"
#include "core/platform.h"

namespace {

using TokenIsAdmin = BOOLEAN(NTAPI*)(PACCESS_TOKEN);

PDRIVER_DISPATCH createRoutine;
TokenIsAdmin tokenIsAdmin;

// PASSIVE_LEVEL, in the opener's process.
NTSTATUS NTAPI CreateForAdministrators(PDEVICE_OBJECT device, PIRP irp) {
    const IO_SECURITY_CONTEXT* security = IoGetCurrentIrpStackLocation(irp)->Parameters.Create.SecurityContext;
    PACCESS_TOKEN token = nullptr;
    if (security != nullptr && security->AccessState != nullptr) {
        token = SeQuerySubjectContextToken(&security->AccessState->SubjectSecurityContext);
    }
    if (token != nullptr && tokenIsAdmin(token)) return createRoutine(device, irp);
    irp->IoStatus.Status = STATUS_ACCESS_DENIED;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return STATUS_ACCESS_DENIED;
}

void* KernelExport(const wchar_t* name) {
    UNICODE_STRING string;
    RtlInitUnicodeString(&string, name);
    return MmGetSystemRoutineAddress(&string);
}

// PASSIVE_LEVEL.
NTSTATUS RestrictToAdministrators(PDEVICE_OBJECT device) {
    auto** exports = static_cast<PSE_EXPORTS*>(KernelExport(L"SeExports"));
    if (exports == nullptr) return STATUS_NOT_SUPPORTED;
    PSID system = (*exports)->SeLocalSystemSid;
    PSID administrators = (*exports)->SeAliasAdminsSid;

    // Rights of the device's own: nobody between us and the object has generic ones to map.
    alignas(8) UCHAR memory[256];
    auto* list = reinterpret_cast<PACL>(memory);
    SECURITY_DESCRIPTOR descriptor;
    NTSTATUS status = RtlCreateAcl(list, sizeof(memory), ACL_REVISION);
    if (NT_SUCCESS(status)) status = RtlAddAccessAllowedAce(list, ACL_REVISION, FILE_ALL_ACCESS, system);
    if (NT_SUCCESS(status)) status = RtlAddAccessAllowedAce(list, ACL_REVISION, FILE_ALL_ACCESS, administrators);
    if (NT_SUCCESS(status)) status = RtlCreateSecurityDescriptor(&descriptor, SECURITY_DESCRIPTOR_REVISION);
    if (NT_SUCCESS(status)) status = RtlSetDaclSecurityDescriptor(&descriptor, TRUE, list, FALSE);
    HANDLE handle = nullptr;
    if (NT_SUCCESS(status)) {
        status = ObOpenObjectByPointer(device, OBJ_KERNEL_HANDLE, nullptr, WRITE_DAC, nullptr, KernelMode, &handle);
    }
    if (NT_SUCCESS(status)) {
        status = ZwSetSecurityObject(handle, DACL_SECURITY_INFORMATION, &descriptor);
        ZwClose(handle);
    }
    return status;
}

}  // namespace

extern "C" NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT self, PUNICODE_STRING registryPath) {
    NTSTATUS status = drivermon::DriverLoad(self, registryPath);
    if (!NT_SUCCESS(status) || drivermon::DetectPlatform().kernel != drivermon::kKernelNt) return status;

    // The device cannot be opened before we return: the I/O manager still has it marked as initializing.
    tokenIsAdmin = reinterpret_cast<TokenIsAdmin>(KernelExport(L"SeTokenIsAdmin"));
    createRoutine = self->MajorFunction[IRP_MJ_CREATE];
    self->MajorFunction[IRP_MJ_CREATE] = CreateForAdministrators;
    status = tokenIsAdmin != nullptr ? RestrictToAdministrators(self->DeviceObject) : STATUS_NOT_SUPPORTED;
    if (!NT_SUCCESS(status)) drivermon::DriverUnload(self);
    return status;
}
