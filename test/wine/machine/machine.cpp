// machine.cpp: the Windows side of machine.mjs: services, asked for as Windows programs ask for them.
//
//   machine boot [--allow-unload NAME] NAME=FILE.sys…
//                        installs what is missing, starts Wine's MountMgr and each, says "booted", and stays: a machine
//                        made of Wine shuts down with its last ordinary program
//   machine start NAME   says what state the service is in afterwards
//   machine stop NAME    so does this
//
// One program, not a dozen of Wine's: each of those is two processes, the first of which (start.exe) only says that
// something went wrong with the second.
#define UNICODE
#include <windows.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

constexpr DWORD kPatienceMs = 60'000;
constexpr DWORD kLookIntervalMs = 20;

struct ServiceCloser {
    using pointer = SC_HANDLE;
    void operator()(SC_HANDLE handle) const { CloseServiceHandle(handle); }
};
using ServiceHandle = std::unique_ptr<void, ServiceCloser>;

[[noreturn]] void Fail(const std::string& what, DWORD error = GetLastError()) {
    throw std::runtime_error(what + ": error " + std::to_string(error));
}

ServiceHandle OpenManager() {
    ServiceHandle manager(OpenSCManagerA(nullptr, nullptr, SC_MANAGER_ALL_ACCESS));
    if (!manager) Fail("the service manager does not answer");
    return manager;
}

class Service {
 public:
    Service(SC_HANDLE manager, const std::string& name)
        : name_(name), handle_(OpenServiceA(manager, name.c_str(), SERVICE_ALL_ACCESS)) {
        if (!handle_) Fail(name + " does not open");
    }

    // Returns the state that it is in then.
    DWORD Start() {
        const ULONGLONG deadline = GetTickCount64() + kPatienceMs;
        // The manager is locked while it starts what starts by itself.
        while (!StartServiceA(handle_.get(), 0, nullptr)) {
            const DWORD error = GetLastError();
            if (error == ERROR_SERVICE_ALREADY_RUNNING) break;
            if (error != ERROR_SERVICE_DATABASE_LOCKED || GetTickCount64() > deadline) {
                Fail(name_ + " does not start", error);
            }
            Sleep(kLookIntervalMs);
        }
        while (State() == SERVICE_START_PENDING && GetTickCount64() < deadline) Sleep(kLookIntervalMs);
        return State();
    }

    // As above. A driver may refuse.
    DWORD Stop() {
        SERVICE_STATUS status;
        ControlService(handle_.get(), SERVICE_CONTROL_STOP, &status);
        return State();
    }

 private:
    DWORD State() {
        SERVICE_STATUS status;
        if (!QueryServiceStatus(handle_.get(), &status)) Fail(name_ + " does not tell its state");
        return status.dwCurrentState;
    }

    const std::string name_;
    const ServiceHandle handle_;
};

const char* StateName(DWORD state) {
    switch (state) {
        case SERVICE_STOPPED:
            return "STOPPED";
        case SERVICE_START_PENDING:
            return "START_PENDING";
        case SERVICE_STOP_PENDING:
            return "STOP_PENDING";
        case SERVICE_RUNNING:
            return "RUNNING";
    }
    return "in another state";
}

// In the group of Wine's own MountMgr (machine.mjs says why).
void Install(SC_HANDLE manager, const std::string& name, const std::string& file) {
    const std::string path = "C:\\windows\\system32\\drivers\\" + file;
    const ServiceHandle made(CreateServiceA(manager, name.c_str(), name.c_str(), SERVICE_ALL_ACCESS,
                                            SERVICE_KERNEL_DRIVER, SERVICE_DEMAND_START, SERVICE_ERROR_NORMAL,
                                            path.c_str(), "System Bus Extender", nullptr, nullptr, nullptr, nullptr));
    if (!made && GetLastError() != ERROR_SERVICE_EXISTS) Fail(name + " cannot be installed");
}

void AllowUnload(const std::string& name) {
    const std::string key = "System\\CurrentControlSet\\Services\\" + name;
    const DWORD yes = 1;
    const LSTATUS error =
        RegSetKeyValueA(HKEY_LOCAL_MACHINE, key.c_str(), "AllowUnload", REG_DWORD, &yes, sizeof(yes));
    if (error != ERROR_SUCCESS) Fail("AllowUnload cannot be set", static_cast<DWORD>(error));
}

[[noreturn]] void Boot(const std::vector<std::string>& arguments) {
    const ServiceHandle manager = OpenManager();
    std::vector<std::string> names = {"MountMgr"};
    for (size_t i = 0; i < arguments.size(); i++) {
        if (arguments[i] == "--allow-unload" && i + 1 < arguments.size()) {
            AllowUnload(arguments[++i]);
            continue;
        }
        const size_t equals = arguments[i].find('=');
        if (equals == std::string::npos) throw std::runtime_error("NAME=FILE.sys, not " + arguments[i]);
        names.push_back(arguments[i].substr(0, equals));
        Install(manager.get(), names.back(), arguments[i].substr(equals + 1));
    }
    for (const std::string& name : names) {
        const DWORD state = Service(manager.get(), name).Start();
        if (state != SERVICE_RUNNING) throw std::runtime_error(name + " is " + StateName(state));
    }
    std::puts("booted");
    std::fflush(stdout);
    Sleep(INFINITE);
    std::abort();
}

int Run(const std::vector<std::string>& arguments) {
    if (arguments.empty()) return 2;
    const std::string what = arguments[0];
    if (what == "boot") Boot({arguments.begin() + 1, arguments.end()});
    if ((what != "start" && what != "stop") || arguments.size() != 2) return 2;
    const ServiceHandle manager = OpenManager();
    Service service(manager.get(), arguments[1]);
    std::puts(StateName(what == "start" ? service.Start() : service.Stop()));
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const int result = Run({argv + 1, argv + argc});
        if (result == 2) {
            std::fprintf(stderr, "usage: machine boot [--allow-unload NAME] NAME=FILE.sys…, or start|stop NAME\n");
        }
        return result;
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "machine: %s\n", failure.what());
        return 1;
    }
}
