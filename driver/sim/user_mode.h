// user_mode.h: what a program does with a device: open, control, read, write, cancel, close.
//
// The calls follow NtCreateFile, NtDeviceIoControlFile, NtReadFile, NtWriteFile, NtCancelIoFileEx and NtClose: fast I/O
// is tried before an IRP is built; the transfer method decides where a driver finds the bytes; CLEANUP comes when the
// handle closes, CLOSE when the last request that uses the file is done as well.
//
// One thing differs: NT finishes a request in a kernel APC of the requesting thread; here the completing thread does,
// since the user's memory is everybody's. What must not happen at DISPATCH_LEVEL (CLOSE) is left to a worker.
#pragma once

#include "machine.h"
#include "object.h"

namespace drivermon::sim {

struct OpenOptions {
    bool synchronous = false;  // FILE_SYNCHRONOUS_IO_NONALERT: one request at a time
    const void* ea = nullptr;  // extended attributes, which AFD takes its open packet from
    uint32_t eaBytes = 0;
    uint32_t desiredAccess = GENERIC_READ | GENERIC_WRITE | SYNCHRONIZE;
};

class FileHandle : public UserHandle {
 public:
    virtual PFILE_OBJECT FileObject() const = 0;
};

// NULL on failure, with the reason in `status`. IRQL = PASSIVE_LEVEL, as for all of the handle's functions.
std::unique_ptr<FileHandle> OpenFile(const std::u16string& path, const OpenOptions& options, NTSTATUS* status);

// Files whose handle is closed get their CLOSE when their last request is done; returns when all have.
// IRQL = PASSIVE_LEVEL.
void WaitForCloses();

void StartCloseWorker();
void StopCloseWorker();

}  // namespace drivermon::sim
