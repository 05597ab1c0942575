// caller_windows.cpp: the caller as a Windows program.
//
//   caller ask FOLDER        asks every driver, for somebody else to capture
//   caller sessions FOLDER   runs the sessions, with a client of its own
//   caller look FOLDER       one of them
//   caller raise FOLDER      asks the raiser, with a client of its own
//   caller hold FOLDER       leaves requests pending until it is killed
//   caller stress SECONDS    runs the stress
//
// It uses NT's own calls, because Win32's lose the status and the information that a capture is held against.
#define UNICODE
#include <windows.h>
#include <winternl.h>
// mingw's <ddk/mountmgr.h> needs these two, and the kernel's headers do not go together with <windows.h>.
#include <ddk/mountmgr.h>
#include <ntddstor.h>

#include <stdexcept>

#include "client.h"
#include "scenario.h"
#include "sessions.h"
#include "stress.h"
#include "targets/echo_protocol.h"
#include "targets/raiser_protocol.h"

// mingw's <winternl.h> does not declare these two.
extern "C" NTSTATUS NTAPI NtReadFile(HANDLE, HANDLE, PIO_APC_ROUTINE, PVOID, PIO_STATUS_BLOCK, PVOID, ULONG,
                                     PLARGE_INTEGER, PULONG);
extern "C" NTSTATUS NTAPI NtWriteFile(HANDLE, HANDLE, PIO_APC_ROUTINE, PVOID, PIO_STATUS_BLOCK, PVOID, ULONG,
                                      PLARGE_INTEGER, PULONG);

namespace drivermon::caller {

uint32_t CurrentThreadId() {
    return GetCurrentThreadId();
}

namespace {

const Device kMountMgr = {u"\\\\.\\MountPointManager", {"\\Driver\\MountMgr"}};
constexpr NTSTATUS kPending = 0x103;

struct HandleCloser {
    using pointer = HANDLE;
    void operator()(HANDLE handle) const { NtClose(handle); }
};
using UniqueHandle = std::unique_ptr<void, HandleCloser>;

// One request and its event; the system writes into it until it has ended.
class NtRequest : public sim::UserHandle::Pending {
 public:
    explicit NtRequest(HANDLE device) : device_(device), event_(CreateEventW(nullptr, TRUE, FALSE, nullptr)) {
        if (!event_) throw std::runtime_error("no event");
    }
    ~NtRequest() override {
        if (returned_ != kPending || ended_) return;
        Cancel();
        Wait(sim::kForever);
    }
    HANDLE event() const { return event_.get(); }
    IO_STATUS_BLOCK* statusBlock() { return &statusBlock_; }
    void Issued(NTSTATUS returned) { returned_ = returned; }

    bool Wait(uint32_t timeoutMs) override {
        ended_ = returned_ != kPending || WaitForSingleObject(event_.get(), timeoutMs) == WAIT_OBJECT_0;
        return ended_;
    }
    // An OVERLAPPED begins with its status block.
    void Cancel() override { CancelIoEx(device_, reinterpret_cast<OVERLAPPED*>(&statusBlock_)); }
    sim::Status Result(uint32_t* returned) const override {
        *returned = static_cast<uint32_t>(statusBlock_.Information);
        return returned_ == kPending ? statusBlock_.Status : returned_;
    }

 private:
    HANDLE device_;
    UniqueHandle event_;
    IO_STATUS_BLOCK statusBlock_{};
    NTSTATUS returned_ = kPending;
    bool ended_ = false;
};

class NtHandle : public sim::UserHandle {
 public:
    explicit NtHandle(HANDLE handle) : handle_(handle) {}

    sim::Status Control(uint32_t code, const void* in, uint32_t inBytes, void* out, uint32_t outBytes,
                        uint32_t* returned) override {
        return End(*BeginControl(code, in, inBytes, out, outBytes), returned);
    }
    sim::Status Read(void* out, uint32_t bytes, uint64_t offset, uint32_t* returned) override {
        return End(*BeginRead(out, bytes, offset), returned);
    }
    sim::Status Write(const void* in, uint32_t bytes, uint64_t offset, uint32_t* returned) override {
        return End(*BeginWrite(in, bytes, offset), returned);
    }
    std::unique_ptr<Pending> BeginControl(uint32_t code, const void* in, uint32_t inBytes, void* out,
                                          uint32_t outBytes) override {
        auto request = std::make_unique<NtRequest>(handle_.get());
        request->Issued(NtDeviceIoControlFile(handle_.get(), request->event(), nullptr, nullptr, request->statusBlock(),
                                              code, const_cast<void*>(in), inBytes, out, outBytes));
        return request;
    }
    std::unique_ptr<Pending> BeginRead(void* out, uint32_t bytes, uint64_t offset) override {
        auto request = std::make_unique<NtRequest>(handle_.get());
        LARGE_INTEGER at;
        at.QuadPart = static_cast<LONGLONG>(offset);
        request->Issued(NtReadFile(handle_.get(), request->event(), nullptr, nullptr, request->statusBlock(), out,
                                   bytes, &at, nullptr));
        return request;
    }
    std::unique_ptr<Pending> BeginWrite(const void* in, uint32_t bytes, uint64_t offset) override {
        auto request = std::make_unique<NtRequest>(handle_.get());
        LARGE_INTEGER at;
        at.QuadPart = static_cast<LONGLONG>(offset);
        request->Issued(NtWriteFile(handle_.get(), request->event(), nullptr, nullptr, request->statusBlock(),
                                    const_cast<void*>(in), bytes, &at, nullptr));
        return request;
    }
    void CancelAll() override { CancelIoEx(handle_.get(), nullptr); }
    void CancelOwn() override { CancelIo(handle_.get()); }

 private:
    static sim::Status End(Pending& request, uint32_t* returned) {
        request.Wait(sim::kForever);
        return request.Result(returned);
    }

    UniqueHandle handle_;
};

// `\\.\Name`.
std::unique_ptr<sim::UserHandle> Open(const std::u16string& path, bool synchronous, sim::Status* status) {
    std::wstring name = L"\\??\\" + std::wstring(path.begin() + 4, path.end());
    UNICODE_STRING text{static_cast<USHORT>(name.size() * sizeof(wchar_t)),
                        static_cast<USHORT>(name.size() * sizeof(wchar_t)), name.data()};
    OBJECT_ATTRIBUTES attributes;
    InitializeObjectAttributes(&attributes, &text, OBJ_CASE_INSENSITIVE, nullptr, nullptr);
    IO_STATUS_BLOCK statusBlock;
    HANDLE handle;
    *status = NtCreateFile(&handle, GENERIC_READ | GENERIC_WRITE | SYNCHRONIZE, &attributes, &statusBlock, nullptr, 0,
                           FILE_SHARE_READ | FILE_SHARE_WRITE, FILE_OPEN,
                           synchronous ? FILE_SYNCHRONOUS_IO_NONALERT : 0, nullptr, 0);
    return *status < 0 ? nullptr : std::make_unique<NtHandle>(handle);
}

std::string Narrow(const wchar_t* text) {
    std::string narrow;
    for (; *text; text++) narrow += static_cast<char>(*text);
    return narrow;
}

// Requests whose every byte is ours.
void AskMountMgr(Truth& truth) {
    Handle manager(truth, Open, kMountMgr);
    const Bytes everything(sizeof(MOUNTMGR_MOUNT_POINT));
    manager.Control(IOCTL_MOUNTMGR_QUERY_POINTS, everything, 4096);
    manager.Control(IOCTL_MOUNTMGR_QUERY_POINTS, everything, sizeof(MOUNTMGR_MOUNT_POINTS));  // more than fits
    manager.Control(IOCTL_MOUNTMGR_QUERY_POINTS, Bytes(4), 4096);                             // too little
    manager.Control(CTL_CODE(MOUNTMGRCONTROLTYPE, 0x123, METHOD_BUFFERED, FILE_ANY_ACCESS), Bytes(12), 12);
}

// Requests that the system makes for us.
void AskForVolumes(Truth& truth) {
    wchar_t volume[MAX_PATH], paths[4 * MAX_PATH], name[MAX_PATH];
    const HANDLE search = FindFirstVolumeW(volume, MAX_PATH);
    if (search == INVALID_HANDLE_VALUE) throw std::runtime_error("there is no volume");
    do {
        truth.TellAnswer("FindNextVolumeW", Narrow(volume));
        DWORD length;
        if (GetVolumePathNamesForVolumeNameW(volume, paths, 4 * MAX_PATH, &length)) {
            truth.TellAnswer("GetVolumePathNamesForVolumeNameW", Narrow(paths));
        }
    } while (FindNextVolumeW(search, volume, MAX_PATH));
    FindVolumeClose(search);
    if (!GetVolumeNameForVolumeMountPointW(L"C:\\", name, MAX_PATH)) throw std::runtime_error("C: has no volume");
    truth.TellAnswer("GetVolumeNameForVolumeMountPointW", Narrow(name));
}

// A hooked fast-I/O routine that handles, that does not, that raises: and again, for nothing is the worse for it.
void AskRaiser(Truth& truth, const std::string& recordsFile) {
    using namespace drivermon::targets;
    Client client(Open);
    client.Hook(DRIVERMON_RAISER_DRIVER_NAME);
    Predicates everything{};
    everything.flags = kPredicateOwnProcesses;
    client.SetPredicates(everything);
    client.Start({256, 256});
    sim::Status status;
    const auto raiser = Open(DRIVERMON_RAISER_USER_PATH, false, &status);
    if (!raiser) throw std::runtime_error("cannot open the raiser");
    for (int round = 0; round < 2; round++) {
        for (const RaiserManner manner : {kRaiserHandles, kRaiserFallsThrough, kRaiserRaises}) {
            uint32_t outcome = 0, returned = 0;
            status = raiser->Control(kRaiserAsk, &manner, sizeof(manner), &outcome, sizeof(outcome), &returned);
            if (status != 0) throw std::runtime_error("the raiser refuses");
            truth.TellAnswer("raiser", std::to_string(outcome));
        }
    }
    truth.TellAnswer("in flight", std::to_string(client.InFlight().size()));
    client.StopAndSave(recordsFile);
}

// For whoever wants to see it die. The truth is complete when the answer is in it.
[[noreturn]] void HoldForever(Truth& truth) {
    using namespace drivermon::targets;
    Handle asynchronous(truth, Open, kEcho);
    std::vector<std::unique_ptr<Handle::Pended>> held;
    for (uint32_t i = 0; i < 3; i++) held.push_back(Hold(asynchronous, i));
    held.push_back(asynchronous.BeginRead(16, kEchoLater + 3'600'000'000));
    truth.TellAnswer("hold", "ready");
    Sleep(INFINITE);
    std::abort();
}

int Run(const std::string& what, const std::string& folder) {
    const uint32_t processId = GetCurrentProcessId();
    if (what == "sessions") {
        RunSessions(folder, processId, Open);
    } else if (what == "look") {
        LookAround(folder, processId, Open);
    } else if (what == "ask") {
        Truth truth(folder + "/truth.jsonl", processId);
        AskEcho(truth, Open);
        AskMountMgr(truth);
        AskForVolumes(truth);
    } else if (what == "raise") {
        Truth truth(folder + "/raised.truth.jsonl", processId);
        AskRaiser(truth, folder + "/raised.records");
    } else if (what == "hold") {
        Truth truth(folder + "/held.truth.jsonl", processId);
        HoldForever(truth);
    } else if (what == "stress") {
        RunStress(static_cast<uint32_t>(std::stoul(folder)), CancelRace::No, Open);
    } else {
        return 2;
    }
    return 0;
}

}  // namespace
}  // namespace drivermon::caller

int main(int argc, char** argv) {
    try {
        const int result = argc == 3 ? drivermon::caller::Run(argv[1], argv[2]) : 2;
        if (result == 2) std::fprintf(stderr, "usage: caller ask|sessions|look|raise|hold FOLDER, or stress SECONDS\n");
        return result;
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "caller: %s\n", failure.what());
        return 1;
    }
}
