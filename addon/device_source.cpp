// device_source.cpp: a driver behind a Windows device handle.
//
// Requests go through NtDeviceIoControlFile instead of DeviceIoControl, because its callers get the NTSTATUS itself:
// the driver's statuses are part of the ABI (control.h), and the Win32 error they map to is many to one.
#include <windows.h>
// After windows.h, whose types they use.
#include <tlhelp32.h>
#include <winsvc.h>
#include <winternl.h>

#include <algorithm>
#include <cstdio>
#include <cwchar>
#include <type_traits>
#include <utility>

#include "protocol/control.h"
#include "source.h"

namespace drivermon {
namespace {

// Not in every SDK's ntstatus-free headers; the values are documented in MS-ERREF.
constexpr uint32_t kStatusPending = 0x00000103;
constexpr uint32_t kStatusEndOfFile = 0xC0000011;
constexpr uint32_t kStatusAccessDenied = 0xC0000022;
constexpr uint32_t kStatusCancelled = 0xC0000120;

constexpr char kInUse[] = "Another program is using the DriverMon driver. Close that one first";

/** What a processor runs that has nothing to do, and in whose name interrupts find it. */
constexpr DWORD kIdleProcess = 0;

bool Succeeded(uint32_t status) {
    return static_cast<int32_t>(status) >= 0;
}

static_assert(sizeof(wchar_t) == sizeof(char16_t));
const wchar_t* Wide(const char16_t* text) {
    return reinterpret_cast<const wchar_t*>(text);
}
const char16_t* Utf16(const wchar_t* text) {
    return reinterpret_cast<const char16_t*>(text);
}

std::string Hex(uint32_t value) {
    char text[11];
    snprintf(text, sizeof text, "0x%08X", value);
    return text;
}

class Handle {
 public:
    explicit Handle(HANDLE handle = nullptr) : handle_(handle) {}
    Handle(Handle&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Handle& operator=(Handle&&) = delete;
    ~Handle() {
        if (handle_ != nullptr) CloseHandle(handle_);
    }
    HANDLE Get() const { return handle_; }

 private:
    HANDLE handle_;
};

Handle NewEvent() {
    Handle event(CreateEventW(nullptr, TRUE, FALSE, nullptr));
    if (event.Get() == nullptr) throw SourceError(GetLastError(), "No event could be created");
    return event;
}

// The routines of ntdll that have no import library everywhere.
template <typename Function>
Function NtRoutine(const char* name) {
    const FARPROC routine = GetProcAddress(GetModuleHandleW(L"ntdll.dll"), name);
    if (routine == nullptr) throw SourceError(GetLastError(), std::string("ntdll.dll has no ") + name);
    return reinterpret_cast<Function>(reinterpret_cast<void*>(routine));
}

// One request at a time. The I/O manager writes `result_` and the buffers until the request is complete, so every
// path out of here waits for that.
class Request {
 public:
    explicit Request(HANDLE device)
        : device_(device), send_(NtRoutine<decltype(send_)>("NtDeviceIoControlFile")), done_(NewEvent()) {}

    // Returns the final status; with `stop`, a request that waits is cancelled once stop is signalled.
    uint32_t Send(uint32_t code, std::span<const std::byte> input, std::span<std::byte> output, HANDLE stop) {
        result_ = {};
        ResetEvent(done_.Get());
        const uint32_t status = static_cast<uint32_t>(
            send_(device_, done_.Get(), nullptr, nullptr, &result_, code, const_cast<std::byte*>(input.data()),
                  static_cast<ULONG>(input.size()), output.data(), static_cast<ULONG>(output.size())));
        if (status != kStatusPending) return status;

        const HANDLE handles[] = {done_.Get(), stop};
        if (WaitForMultipleObjects(stop == nullptr ? 1 : 2, handles, FALSE, INFINITE) != WAIT_OBJECT_0) {
            // The block that NtDeviceIoControlFile was given is what CancelIoEx knows a request by. Should the request
            // have ended meanwhile, this fails, and the wait below is over at once.
            CancelIoEx(device_, reinterpret_cast<LPOVERLAPPED>(&result_));
            WaitForSingleObject(done_.Get(), INFINITE);
        }
        return static_cast<uint32_t>(result_.Status);
    }

    size_t Bytes() const { return result_.Information; }

 private:
    const HANDLE device_;
    NTSTATUS(NTAPI* const send_)
    (HANDLE, HANDLE, PIO_APC_ROUTINE, void*, IO_STATUS_BLOCK*, ULONG, void*, ULONG, void*, ULONG);
    const Handle done_;
    IO_STATUS_BLOCK result_{};
};

class DeviceReceiver final : public Receiver {
 public:
    explicit DeviceReceiver(HANDLE device) : request_(device), stop_(NewEvent()) {}

    Received Receive(std::span<std::byte> buffer) override {
        while (WaitForSingleObject(stop_.Get(), 0) != WAIT_OBJECT_0) {
            const uint32_t status = request_.Send(kControlGetData, {}, buffer, stop_.Get());
            // A cancel may have come too late: then there are records, and they count.
            if (Succeeded(status) && request_.Bytes() > 0) return {Receipt::kData, request_.Bytes()};
            if (status == kStatusEndOfFile) return {Receipt::kEnd, 0};
            if (status == kStatusCancelled) continue;
            if (!Succeeded(status)) {
                throw SourceError(status, "The driver ended the transfer of records with status " + Hex(status));
            }
            // 0 bytes: a record has come while the request waited. Ask again.
        }
        return {Receipt::kCancelled, 0};
    }

    void Cancel() override { SetEvent(stop_.Get()); }

 private:
    Request request_;
    const Handle stop_;
};

Handle OpenDevice() {
    const HANDLE handle = CreateFileW(Wide(DRIVERMON_USER_PATH), GENERIC_READ | GENERIC_WRITE, 0, nullptr,
                                      OPEN_EXISTING, FILE_FLAG_OVERLAPPED, nullptr);
    if (handle != INVALID_HANDLE_VALUE) return Handle(handle);

    const DWORD error = GetLastError();
    switch (error) {
        case ERROR_FILE_NOT_FOUND:
        case ERROR_PATH_NOT_FOUND:
            throw SourceError(
                error,
                "The DriverMon driver is not loaded. As administrator, install and start it: "
                "sc.exe create " DRIVERMON_SERVICE_NAME
                " type= kernel binPath= C:\\full\\path\\DriverMon.sys, then sc.exe start " DRIVERMON_SERVICE_NAME);
        case ERROR_ACCESS_DENIED:
            throw SourceError(error, "No rights to open the DriverMon driver. Run this as administrator");
        case ERROR_SHARING_VIOLATION:
        case ERROR_BUSY:
            throw SourceError(error, kInUse);
        default:
            throw SourceError(error,
                              "The DriverMon driver cannot be opened (Windows error " + std::to_string(error) + ")");
    }
}

struct Service {
    std::u16string name;
    std::u16string displayName;
    bool fileSystem;
    bool running;
};

std::vector<Service> KernelServices() {
    const SC_HANDLE manager = OpenSCManagerW(nullptr, nullptr, SC_MANAGER_CONNECT | SC_MANAGER_ENUMERATE_SERVICE);
    if (manager == nullptr) {
        throw SourceError(GetLastError(), "The list of services cannot be opened. Run this as administrator");
    }
    const std::unique_ptr<std::remove_pointer_t<SC_HANDLE>, decltype(&CloseServiceHandle)> closer(manager,
                                                                                                  CloseServiceHandle);
    std::vector<Service> services;
    std::vector<std::byte> buffer(256 * 1024);  // the most that one call takes
    DWORD resume = 0;
    for (bool more = true; more;) {
        DWORD needed = 0;
        DWORD count = 0;
        const BOOL complete = EnumServicesStatusExW(
            manager, SC_ENUM_PROCESS_INFO, SERVICE_DRIVER, SERVICE_STATE_ALL, reinterpret_cast<BYTE*>(buffer.data()),
            static_cast<DWORD>(buffer.size()), &needed, &count, &resume, nullptr);
        if (!complete && GetLastError() != ERROR_MORE_DATA) {
            throw SourceError(GetLastError(), "The services of drivers cannot be listed");
        }
        more = !complete;
        const auto* entries = reinterpret_cast<const ENUM_SERVICE_STATUS_PROCESSW*>(buffer.data());
        for (const auto& entry : std::span(entries, count)) {
            // Wine leaves the display name out where none was given.
            const char16_t* displayName = entry.lpDisplayName == nullptr ? u"" : Utf16(entry.lpDisplayName);
            services.push_back({Utf16(entry.lpServiceName), displayName,
                                (entry.ServiceStatusProcess.dwServiceType & SERVICE_FILE_SYSTEM_DRIVER) != 0,
                                entry.ServiceStatusProcess.dwCurrentState == SERVICE_RUNNING});
        }
    }
    return services;
}

struct ObjectDirectoryEntry {  // OBJECT_DIRECTORY_INFORMATION
    UNICODE_STRING name;
    UNICODE_STRING type;
};

std::u16string_view View(const UNICODE_STRING& text) {
    return {Utf16(text.Buffer), text.Length / sizeof(char16_t)};
}

// Names of the driver objects in a directory of the object manager; none where it cannot be read.
std::vector<std::u16string> DriverObjects(const wchar_t* directory) {
    const auto open = NtRoutine<NTSTATUS(NTAPI*)(HANDLE*, ACCESS_MASK, OBJECT_ATTRIBUTES*)>("NtOpenDirectoryObject");
    const auto query =
        NtRoutine<NTSTATUS(NTAPI*)(HANDLE, void*, ULONG, BOOLEAN, BOOLEAN, ULONG*, ULONG*)>("NtQueryDirectoryObject");
    constexpr ACCESS_MASK kDirectoryQuery = 1;

    const size_t length = wcslen(directory) * sizeof(wchar_t);
    UNICODE_STRING path{static_cast<USHORT>(length), static_cast<USHORT>(length), const_cast<wchar_t*>(directory)};
    OBJECT_ATTRIBUTES attributes;
    InitializeObjectAttributes(&attributes, &path, OBJ_CASE_INSENSITIVE, nullptr, nullptr);
    HANDLE handle = nullptr;
    if (!Succeeded(static_cast<uint32_t>(open(&handle, kDirectoryQuery, &attributes)))) return {};
    const Handle closer(handle);

    // One entry a call: the form that every Windows and Wine agree on.
    std::vector<std::u16string> names;
    alignas(8) std::byte buffer[4096];
    ULONG context = 0;
    ULONG returned = 0;
    while (Succeeded(static_cast<uint32_t>(
        query(handle, buffer, sizeof buffer, TRUE, names.empty() && context == 0, &context, &returned)))) {
        const auto* entry = reinterpret_cast<const ObjectDirectoryEntry*>(buffer);
        if (View(entry->type) != u"Driver") continue;
        names.push_back(std::u16string(Utf16(directory)) + u'\\' + std::u16string(View(entry->name)));
    }
    return names;
}

bool SameName(std::u16string_view left, std::u16string_view right) {
    return CompareStringOrdinal(reinterpret_cast<const wchar_t*>(left.data()), static_cast<int>(left.size()),
                                reinterpret_cast<const wchar_t*>(right.data()), static_cast<int>(right.size()),
                                TRUE) == CSTR_EQUAL;
}

std::u16string_view BaseName(std::u16string_view objectName) {
    return objectName.substr(objectName.rfind(u'\\') + 1);
}

class DeviceSource final : public Source {
 public:
    DeviceSource() : device_(OpenDevice()), control_(device_.Get()) {}

    size_t Control(uint32_t code, std::span<const std::byte> input, std::span<std::byte> output) override {
        const uint32_t status = control_.Send(code, input, output, nullptr);
        // A second open fails, but on Wine, which drops what a create routine says: there its requests are refused.
        if (code == kControlHello && status == kStatusAccessDenied) throw SourceError(status, kInUse);
        if (!Succeeded(status))
            throw SourceError(status, "The driver refused control code " + Hex(code) + " with status " + Hex(status));
        return control_.Bytes();
    }

    std::vector<DriverListing> Drivers() override {
        const std::vector<Service> services = KernelServices();
        std::vector<DriverListing> drivers;
        for (const wchar_t* directory : {L"\\Driver", L"\\FileSystem"}) {
            for (std::u16string& name : DriverObjects(directory)) {
                const auto service = std::find_if(services.begin(), services.end(), [&](const Service& candidate) {
                    return SameName(candidate.name, BaseName(name));
                });
                drivers.push_back({std::move(name), service == services.end() ? u"" : service->displayName});
            }
        }
        if (drivers.empty()) {  // Wine keeps its driver objects to itself: a running service is as good a sign
            for (const Service& service : services) {
                if (!service.running) continue;
                const char16_t* directory = service.fileSystem ? u"\\FileSystem\\" : u"\\Driver\\";
                drivers.push_back({directory + service.name, service.displayName});
            }
        }
        std::erase_if(drivers, [](const DriverListing& driver) {
            return SameName(BaseName(driver.name), u"" DRIVERMON_SERVICE_NAME);  // ours cannot watch itself
        });
        std::sort(drivers.begin(), drivers.end(),
                  [](const DriverListing& left, const DriverListing& right) { return left.name < right.name; });
        return drivers;
    }

    std::vector<ProcessListing> Processes() override {
        const HANDLE snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
        if (snapshot == INVALID_HANDLE_VALUE) throw SourceError(GetLastError(), "The processes cannot be listed");
        const Handle closer(snapshot);
        std::vector<ProcessListing> processes;
        PROCESSENTRY32W entry{};
        entry.dwSize = sizeof entry;
        for (BOOL more = Process32FirstW(snapshot, &entry); more; more = Process32NextW(snapshot, &entry)) {
            // The snapshot calls it "[System Process]".
            std::u16string name = entry.th32ProcessID == kIdleProcess ? u"Idle" : Utf16(entry.szExeFile);
            processes.push_back({entry.th32ProcessID, entry.th32ParentProcessID, std::move(name)});
        }
        return processes;
    }

    std::unique_ptr<Receiver> OpenReceiver() override { return std::make_unique<DeviceReceiver>(device_.Get()); }

 private:
    const Handle device_;
    Request control_;
};

}  // namespace

std::unique_ptr<Source> OpenDeviceSource() {
    return std::make_unique<DeviceSource>();
}

}  // namespace drivermon
