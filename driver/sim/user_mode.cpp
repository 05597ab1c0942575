#include "user_mode.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "device_names.h"
#include "irp.h"
#include "memory.h"
#include "process.h"
#include "processor.h"
#include "verifier.h"

namespace drivermon::sim {
namespace {

constexpr ULONG kBufferTag = 0x62536f49;  // IoSb

struct File;

// One request of user mode. Lives until its IRP is done and its caller has let go.
struct Request {
    std::atomic<int> references{1};
    File* file = nullptr;  // NULL: not cancellable (CREATE, CLEANUP, CLOSE)
    PIRP irp = nullptr;
    Request* next = nullptr;  // in the file's list
    Request** link = nullptr;
    LIST_ENTRY threadsList;  // stands for the thread's list of its IRPs, of which a driver sees only whether it is in one
    ULONG outputBytes = 0;  // METHOD_BUFFERED and buffered reads: what the caller's buffer holds

    std::mutex lock;
    std::condition_variable finished;
    std::atomic<bool> done{false};
    IO_STATUS_BLOCK result{};

    void Release() {
        if (references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
    }
    bool Wait(uint32_t timeoutMs) {
        if (done.load(std::memory_order_acquire)) return true;
        if (timeoutMs == 0) return false;
        std::unique_lock guard(lock);
        const auto isDone = [this] { return done.load(std::memory_order_relaxed); };
        if (timeoutMs != kForever) return finished.wait_for(guard, std::chrono::milliseconds(timeoutMs), isDone);
        finished.wait(guard, isDone);
        return true;
    }
    void Finish(const IO_STATUS_BLOCK& status) {
        {
            std::lock_guard guard(lock);
            result = status;
            done.store(true, std::memory_order_release);
            finished.notify_all();
        }
        Release();
    }
};

// ---- Files -----------------------------------------------------------------------------------------------------

// Closes that must wait for a thread at PASSIVE_LEVEL, and how many files are between their handle's end and theirs.
std::mutex closeLock;
std::condition_variable closesChanged;
File* closesToDo = nullptr;
size_t closing = 0;
bool closeStop = false;
std::thread closeThread;

struct File : Object<FILE_OBJECT> {
    File() : Object(&fileType) {}
    void LastReferenceGone() override;
    void Close();

    Ref<DEVICE_OBJECT> device;
    std::u16string name;
    bool opened = false;
    std::mutex requestsLock;
    Request* requests = nullptr;
    std::mutex oneAtATime;  // FO_SYNCHRONOUS_IO
    File* nextToClose = nullptr;
};

// ---- The end of a request --------------------------------------------------------------------------------------

void GiveBuffersBack(PIRP irp, const Request& request) {
    if (irp->Flags & IRP_BUFFERED_IO) {
        const NTSTATUS status = irp->IoStatus.Status;
        if ((irp->Flags & IRP_INPUT_OPERATION) && !NT_ERROR(status) && status != STATUS_VERIFY_REQUIRED) {
            ULONG_PTR bytes = irp->IoStatus.Information;
            if (bytes > request.outputBytes) {
                // NT copies them, over whatever lies behind the caller's buffer.
                Violation("more than asked for", "completed with Information %zu, the buffer holds %u",
                          static_cast<size_t>(bytes), request.outputBytes);
                bytes = request.outputBytes;
            }
            if (bytes) memcpy(irp->UserBuffer, irp->AssociatedIrp.SystemBuffer, bytes);
        }
        if (irp->Flags & IRP_DEALLOCATE_BUFFER) ExFreePoolWithTag(irp->AssociatedIrp.SystemBuffer, kBufferTag);
    }
    while (PMDL mdl = irp->MdlAddress) {
        irp->MdlAddress = mdl->Next;
        if (mdl->MdlFlags & MDL_PAGES_LOCKED) MmUnlockPages(mdl);
        IoFreeMdl(mdl);
    }
}

void Unlist(Request* request) {
    std::lock_guard guard(request->file->requestsLock);
    *request->link = request->next;
    if (request->next) request->next->link = request->link;
}

void Finish(PIRP irp, void* context) {
    auto* request = static_cast<Request*>(context);
    GiveBuffersBack(irp, *request);
    File* file = request->file;
    if (file) Unlist(request);
    const IO_STATUS_BLOCK result = irp->IoStatus;
    PETHREAD thread = irp->Tail.Overlay.Thread;
    ReleaseIrp(irp);
    ObfDereferenceObject(thread);
    request->Finish(result);
    if (file) ObfDereferenceObject(&file->body);
}

// ---- The beginning ---------------------------------------------------------------------------------------------

struct Building {
    Request* request;
    PIRP irp;
    PIO_STACK_LOCATION location;  // the first driver's
    explicit operator bool() const { return irp != nullptr; }
};

Building Build(File* file, PDEVICE_OBJECT device, UCHAR major, KPROCESSOR_MODE mode) {
    auto* request = new Request;
    PIRP irp = CreateIrp(device->StackSize, Finish, request);
    if (!irp) {
        delete request;
        return {};
    }
    request->irp = irp;
    irp->RequestorMode = mode;
    irp->Tail.Overlay.Thread = CurrentThread();
    ObfReferenceObject(CurrentThread());
    InitializeListHead(&request->threadsList);
    InsertTailList(&request->threadsList, &irp->ThreadListEntry);
    irp->Tail.Overlay.OriginalFileObject = &file->body;
    PIO_STACK_LOCATION location = IoGetNextIrpStackLocation(irp);
    location->MajorFunction = major;
    location->FileObject = &file->body;
    return {request, irp, location};
}

void Abandon(const Building& building) {
    building.irp->IoStatus.Status = STATUS_INSUFFICIENT_RESOURCES;  // nothing is copied back
    GiveBuffersBack(building.irp, *building.request);
    ObfDereferenceObject(building.irp->Tail.Overlay.Thread);
    ReleaseIrp(building.irp);
    delete building.request;
}

// Sends it; the request stays valid for the caller, who must release it.
void Send(PDEVICE_OBJECT device, const Building& building, File* listedOn) {
    Request* request = building.request;
    request->references.store(2, std::memory_order_relaxed);
    if (listedOn) {
        ObfReferenceObject(&listedOn->body);
        request->file = listedOn;
        std::lock_guard guard(listedOn->requestsLock);
        request->next = listedOn->requests;
        request->link = &listedOn->requests;
        if (request->next) request->next->link = &request->next;
        listedOn->requests = request;
    }
    IoCallDriver(device, building.irp);
}

NTSTATUS SendAndWait(PDEVICE_OBJECT device, const Building& building) {
    Send(device, building, nullptr);
    building.request->Wait(kForever);
    const NTSTATUS status = building.request->result.Status;
    building.request->Release();
    return status;
}

bool AttachSystemBuffer(PIRP irp, const void* in, ULONG inBytes, ULONG bytes) {
    irp->AssociatedIrp.SystemBuffer = ExAllocatePoolWithTag(NonPagedPoolNx, bytes, kBufferTag);
    if (!irp->AssociatedIrp.SystemBuffer) return false;
    if (inBytes) memcpy(irp->AssociatedIrp.SystemBuffer, in, inBytes);
    irp->Flags |= IRP_BUFFERED_IO | IRP_DEALLOCATE_BUFFER;
    return true;
}

bool AttachMdl(PIRP irp, void* address, ULONG bytes, LOCK_OPERATION operation) {
    PMDL mdl = IoAllocateMdl(address, bytes, FALSE, TRUE, irp);
    if (!mdl) return false;
    MmProbeAndLockPages(mdl, UserMode, operation);
    return true;
}

// The worker and the last reference's owner both come here, at PASSIVE_LEVEL.
void File::Close() {
    if (opened) {
        PDEVICE_OBJECT top = IoGetAttachedDevice(device.get());
        Building building = Build(this, top, IRP_MJ_CLOSE, KernelMode);
        // NT does not let a close fail for want of memory.
        while (!building) building = Build(this, top, IRP_MJ_CLOSE, KernelMode);
        building.irp->Flags = IRP_CLOSE_OPERATION | IRP_SYNCHRONOUS_API;
        SendAndWait(top, building);
        InterlockedDecrement(&device->ReferenceCount);
    }
    const bool counted = opened;
    delete this;
    if (!counted) return;
    std::lock_guard guard(closeLock);
    closing--;
    closesChanged.notify_all();
}

void File::LastReferenceGone() {
    if (TrueIrql() == PASSIVE_LEVEL) {
        Close();
        return;
    }
    std::lock_guard guard(closeLock);
    nextToClose = closesToDo;
    closesToDo = this;
    closesChanged.notify_all();
}

void RunCloseThread() {
    RunAs system(SystemProcess(), 0);
    std::unique_lock guard(closeLock);
    for (;;) {
        closesChanged.wait(guard, [] { return closeStop || closesToDo; });
        if (!closesToDo) return;
        File* file = std::exchange(closesToDo, closesToDo->nextToClose);
        guard.unlock();
        file->Close();
        guard.lock();
    }
}

// ---- Handles ---------------------------------------------------------------------------------------------------

class OverlappedRequest final : public UserHandle::Pending {
 public:
    explicit OverlappedRequest(Request* request) : request_(request) {}
    ~OverlappedRequest() override {
        if (!Wait(0)) {
            Cancel();
            Wait(kForever);
        }
        request_->Release();
    }
    bool Wait(uint32_t timeoutMs) override { return request_->Wait(timeoutMs); }
    void Cancel() override;
    Status Result(uint32_t* returned) const override {
        if (returned) *returned = static_cast<uint32_t>(request_->result.Information);
        return request_->result.Status;
    }

 private:
    Request* const request_;
};

// A request that never became an IRP, or that fast I/O has answered.
class FinishedRequest final : public UserHandle::Pending {
 public:
    FinishedRequest(Status status, uint32_t returned) : status_(status), returned_(returned) {}
    bool Wait(uint32_t) override { return true; }
    void Cancel() override {}
    Status Result(uint32_t* returned) const override {
        if (returned) *returned = returned_;
        return status_;
    }

 private:
    const Status status_;
    const uint32_t returned_;
};

// NtCancelIoFileEx, NtCancelIoFile: one request; or (NULL) all; or all of one thread. The list's lock keeps a request listed while its IRP is pinned, and no
// longer: the completion, which a cancel routine may well do, takes the same lock.
void CancelListed(File* file, const Request* which, PETHREAD thread) {
    for (;;) {
        PIRP irp = nullptr;
        {
            std::lock_guard guard(file->requestsLock);
            for (Request* request = file->requests; request && !irp; request = request->next) {
                const bool listed = !thread || request->irp->Tail.Overlay.Thread == thread;
                const bool chosen = which ? request == which : listed && !request->irp->Cancel;
                if (chosen) irp = request->irp;
            }
            if (!irp) return;
            HoldIrp(irp);
        }
        IoCancelIrp(irp);
        ReleaseIrp(irp);
        if (which) return;
    }
}

void OverlappedRequest::Cancel() {
    File* file = request_->file;
    {
        // The IRP keeps the file until it is done.
        std::lock_guard guard(request_->lock);
        if (request_->done) return;
        ObfReferenceObject(&file->body);
    }
    CancelListed(file, request_, nullptr);
    ObfDereferenceObject(&file->body);
}

// What is asked before an IRP is built. True: answered, in `iosb`.
template <typename Ask>
bool AnsweredFast(PDEVICE_OBJECT device, IO_STATUS_BLOCK* iosb, Ask ask) {
    const FAST_IO_DISPATCH* fastIo = __atomic_load_n(&device->DriverObject->FastIoDispatch, __ATOMIC_ACQUIRE);
    if (!fastIo) return false;
    const KIRQL irql = TrueIrql();
    *iosb = {};
    const bool handled = ask(*fastIo);
    if (TrueIrql() != irql) Violation("IRQL changed", "a fast-I/O routine returned at %u", TrueIrql());
    return handled;
}

// Whether a read or write that was answered is done. After any other status it goes on as an IRP.
bool IsTaken(bool reads, NTSTATUS status) {
    return status == STATUS_SUCCESS || (reads && (status == STATUS_BUFFER_OVERFLOW || status == STATUS_END_OF_FILE));
}

class Handle final : public FileHandle {
 public:
    explicit Handle(File* file) : file_(file) {}
    ~Handle() override;

    PFILE_OBJECT FileObject() const override { return &file_->body; }

    Status Control(uint32_t code, const void* in, uint32_t inBytes, void* out, uint32_t outBytes,
                   uint32_t* returned) override {
        return Synchronously(
            returned, [&](IO_STATUS_BLOCK* iosb) { return SubmitControl(code, in, inBytes, out, outBytes, iosb); });
    }
    Status Read(void* out, uint32_t bytes, uint64_t offset, uint32_t* returned) override {
        return Synchronously(
            returned, [&](IO_STATUS_BLOCK* iosb) { return SubmitTransfer(IRP_MJ_READ, out, bytes, offset, iosb); });
    }
    Status Write(const void* in, uint32_t bytes, uint64_t offset, uint32_t* returned) override {
        return Synchronously(returned, [&](IO_STATUS_BLOCK* iosb) {
            return SubmitTransfer(IRP_MJ_WRITE, const_cast<void*>(in), bytes, offset, iosb);
        });
    }
    std::unique_ptr<Pending> BeginControl(uint32_t code, const void* in, uint32_t inBytes, void* out,
                                          uint32_t outBytes) override {
        IO_STATUS_BLOCK iosb;
        return Overlapped(SubmitControl(code, in, inBytes, out, outBytes, &iosb), iosb);
    }
    std::unique_ptr<Pending> BeginRead(void* out, uint32_t bytes, uint64_t offset) override {
        IO_STATUS_BLOCK iosb;
        return Overlapped(SubmitTransfer(IRP_MJ_READ, out, bytes, offset, &iosb), iosb);
    }
    std::unique_ptr<Pending> BeginWrite(const void* in, uint32_t bytes, uint64_t offset) override {
        IO_STATUS_BLOCK iosb;
        return Overlapped(SubmitTransfer(IRP_MJ_WRITE, const_cast<void*>(in), bytes, offset, &iosb), iosb);
    }
    void CancelAll() override { CancelListed(file_, nullptr, nullptr); }
    void CancelOwn() override { CancelListed(file_, nullptr, CurrentThread()); }

 private:
    // Each returns the request, which the caller must release, or NULL with the result in `iosb`.
    Request* SubmitControl(uint32_t code, const void* in, uint32_t inBytes, void* out, uint32_t outBytes,
                           IO_STATUS_BLOCK* iosb);
    Request* SubmitTransfer(UCHAR major, void* buffer, uint32_t bytes, uint64_t offset, IO_STATUS_BLOCK* iosb);

    template <typename Submit>
    Status Synchronously(uint32_t* returned, Submit submit) {
        std::unique_lock<std::mutex> guard;
        if (file_->body.Flags & FO_SYNCHRONOUS_IO) guard = std::unique_lock(file_->oneAtATime);
        IO_STATUS_BLOCK iosb;
        if (Request* request = submit(&iosb)) {
            request->Wait(kForever);
            iosb = request->result;
            request->Release();
        }
        if (returned) *returned = static_cast<uint32_t>(iosb.Information);
        return iosb.Status;
    }
    static std::unique_ptr<Pending> Overlapped(Request* request, const IO_STATUS_BLOCK& iosb) {
        if (request) return std::make_unique<OverlappedRequest>(request);
        return std::make_unique<FinishedRequest>(iosb.Status, static_cast<uint32_t>(iosb.Information));
    }

    File* const file_;
};

Request* Handle::SubmitControl(uint32_t code, const void* in, uint32_t inBytes, void* out, uint32_t outBytes,
                               IO_STATUS_BLOCK* iosb) {
    PDEVICE_OBJECT device = IoGetRelatedDeviceObject(&file_->body);
    void* input = const_cast<void*>(in);
    if (AnsweredFast(device, iosb, [&](const FAST_IO_DISPATCH& fastIo) {
            return fastIo.FastIoDeviceControl &&
                   fastIo.FastIoDeviceControl(&file_->body, TRUE, input, inBytes, out, outBytes, code, iosb, device);
        })) {
        return nullptr;
    }

    Building building = Build(file_, device, IRP_MJ_DEVICE_CONTROL, UserMode);
    *iosb = {{STATUS_INSUFFICIENT_RESOURCES}, 0};
    if (!building) return nullptr;
    auto& parameters = building.location->Parameters.DeviceIoControl;
    parameters.IoControlCode = code;
    parameters.InputBufferLength = inBytes;
    parameters.OutputBufferLength = outBytes;
    PIRP irp = building.irp;
    irp->UserBuffer = out;
    bool ready = true;
    switch (METHOD_FROM_CTL_CODE(code)) {
        case METHOD_BUFFERED:
            building.request->outputBytes = outBytes;
            if (inBytes || outBytes)
                ready = AttachSystemBuffer(irp, in, inBytes, inBytes > outBytes ? inBytes : outBytes);
            if (ready && outBytes) irp->Flags |= IRP_INPUT_OPERATION;
            break;
        case METHOD_IN_DIRECT:
        case METHOD_OUT_DIRECT:
            if (inBytes) ready = AttachSystemBuffer(irp, in, inBytes, inBytes);
            if (ready && outBytes) {
                const bool reads = METHOD_FROM_CTL_CODE(code) == METHOD_IN_DIRECT;
                ready = AttachMdl(irp, out, outBytes, reads ? IoReadAccess : IoWriteAccess);
            }
            break;
        case METHOD_NEITHER:
            parameters.Type3InputBuffer = input;
            break;
    }
    if (!ready) {
        Abandon(building);
        return nullptr;
    }
    Send(device, building, file_);
    return building.request;
}

Request* Handle::SubmitTransfer(UCHAR major, void* buffer, uint32_t bytes, uint64_t offset, IO_STATUS_BLOCK* iosb) {
    PDEVICE_OBJECT device = IoGetRelatedDeviceObject(&file_->body);
    const bool reads = major == IRP_MJ_READ;
    // Only a file that is used synchronously, and that its driver caches.
    if ((file_->body.Flags & FO_SYNCHRONOUS_IO) && file_->body.PrivateCacheMap &&
        AnsweredFast(device, iosb, [&](const FAST_IO_DISPATCH& fastIo) {
            const auto routine = reads ? fastIo.FastIoRead : fastIo.FastIoWrite;
            LARGE_INTEGER at;
            at.QuadPart = static_cast<LONGLONG>(offset);
            return routine && routine(&file_->body, &at, bytes, TRUE, 0, buffer, iosb, device) &&
                   IsTaken(reads, iosb->Status);
        })) {
        return nullptr;
    }
    *iosb = {{STATUS_INSUFFICIENT_RESOURCES}, 0};
    Building building = Build(file_, device, major, UserMode);
    if (!building) return nullptr;
    PIRP irp = building.irp;
    // READ and WRITE parameters share their layout.
    building.location->Parameters.Read.Length = bytes;
    building.location->Parameters.Read.ByteOffset.QuadPart = static_cast<LONGLONG>(offset);
    irp->Flags = (reads ? IRP_READ_OPERATION : IRP_WRITE_OPERATION) | IRP_DEFER_IO_COMPLETION;
    irp->UserBuffer = buffer;
    bool ready = true;
    if (device->Flags & DO_BUFFERED_IO) {
        building.request->outputBytes = reads ? bytes : 0;
        if (bytes) ready = AttachSystemBuffer(irp, buffer, reads ? 0 : bytes, bytes);
        if (ready && reads && bytes) irp->Flags |= IRP_INPUT_OPERATION;
    } else if (device->Flags & DO_DIRECT_IO) {
        if (bytes) ready = AttachMdl(irp, buffer, bytes, reads ? IoWriteAccess : IoReadAccess);
    }
    if (!ready) {
        Abandon(building);
        return nullptr;
    }
    Send(device, building, file_);
    return building.request;
}

Handle::~Handle() {
    {
        std::lock_guard guard(closeLock);
        closing++;
    }
    PDEVICE_OBJECT device = IoGetRelatedDeviceObject(&file_->body);
    Building building = Build(file_, device, IRP_MJ_CLEANUP, KernelMode);
    while (!building) building = Build(file_, device, IRP_MJ_CLEANUP, KernelMode);
    building.irp->Flags = IRP_CLOSE_OPERATION | IRP_SYNCHRONOUS_API;
    SendAndWait(device, building);
    file_->body.Flags |= FO_CLEANUP_COMPLETE;
    ObfDereferenceObject(&file_->body);
}

}  // namespace

std::unique_ptr<FileHandle> OpenFile(const std::u16string& path, const OpenOptions& options, NTSTATUS* status) {
    std::u16string rest;
    Ref<DEVICE_OBJECT> device = ResolveDevice(path, &rest, status);
    if (!device) return nullptr;
    if (device->Flags & DO_DEVICE_INITIALIZING) {
        *status = STATUS_NO_SUCH_DEVICE;
        return nullptr;
    }
    PDEVICE_OBJECT base = device.get(), top = IoGetAttachedDevice(base);
    if (InterlockedIncrement(&base->ReferenceCount) > 1 && (base->Flags & DO_EXCLUSIVE)) {
        InterlockedDecrement(&base->ReferenceCount);
        *status = STATUS_ACCESS_DENIED;
        return nullptr;
    }

    auto* file = new File;
    file->device = std::move(device);
    file->name = std::move(rest);
    file->body.Type = 5;
    file->body.Size = sizeof(FILE_OBJECT);
    file->body.DeviceObject = base;
    file->body.Flags = options.synchronous ? FO_SYNCHRONOUS_IO : 0;
    const auto nameBytes = static_cast<USHORT>(file->name.size() * sizeof(char16_t));
    file->body.FileName = {nameBytes, nameBytes, nameBytes ? file->name.data() : nullptr};

    IO_SECURITY_CONTEXT security{};
    security.DesiredAccess = options.desiredAccess;
    security.FullCreateOptions = options.synchronous ? FILE_SYNCHRONOUS_IO_NONALERT : 0;
    *status = STATUS_INSUFFICIENT_RESOURCES;
    Building building = Build(file, top, IRP_MJ_CREATE, UserMode);
    if (building) {
        auto& create = building.location->Parameters.Create;
        create.SecurityContext = &security;
        create.Options = (FILE_OPEN << 24) | security.FullCreateOptions;
        create.ShareAccess = FILE_SHARE_READ | FILE_SHARE_WRITE;
        create.EaLength = options.eaBytes;
        const bool ready =
            !options.eaBytes || AttachSystemBuffer(building.irp, options.ea, options.eaBytes, options.eaBytes);
        building.irp->Flags |= IRP_CREATE_OPERATION | IRP_SYNCHRONOUS_API | IRP_DEFER_IO_COMPLETION;
        if (ready) {
            *status = SendAndWait(top, building);
        } else {
            Abandon(building);
        }
    }
    if (!NT_SUCCESS(*status)) {
        InterlockedDecrement(&base->ReferenceCount);
        ObfDereferenceObject(&file->body);  // never opened: no CLEANUP, no CLOSE
        return nullptr;
    }
    file->opened = true;
    file->body.Flags |= FO_HANDLE_CREATED;
    return std::make_unique<Handle>(file);
}

void WaitForCloses() {
    std::unique_lock guard(closeLock);
    closesChanged.wait(guard, [] { return closing == 0; });
}

void StartCloseWorker() {
    closeStop = false;
    closeThread = std::thread(RunCloseThread);
}

void StopCloseWorker() {
    {
        std::lock_guard guard(closeLock);
        closeStop = true;
    }
    closesChanged.notify_all();
    closeThread.join();
}

}  // namespace drivermon::sim
