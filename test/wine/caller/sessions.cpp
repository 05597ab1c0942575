// sessions.cpp: see sessions.h.
#include "sessions.h"

#include <algorithm>
#include <stdexcept>

#include "client.h"
#include "scenario.h"
#include "targets/echo_protocol.h"

namespace drivermon::caller {
namespace {

using namespace drivermon::targets;

constexpr char16_t kEchoDriver[] = DRIVERMON_ECHO_DRIVER_NAME;
constexpr int32_t kAccessDenied = static_cast<int32_t>(0xC0000022);
constexpr int32_t kBufferOverflow = static_cast<int32_t>(0x80000005);
constexpr SnapLengths kSnap = {256, 256};

Bytes AndTail(uint32_t first, int32_t second) {
    Bytes bytes = Payload(24, first + 1);
    std::copy_n(reinterpret_cast<const uint8_t*>(&first), 4, bytes.begin());
    std::copy_n(reinterpret_cast<const uint8_t*>(&second), 4, bytes.begin() + 4);
    return bytes;
}
void Fail(Handle& echo, int32_t status) {
    echo.Control(kEchoFail, AndTail(static_cast<uint32_t>(status), 0), 16);
}

// A few of each kind.
void AskABit(Handle& echo) {
    echo.Control(kEchoBuffered, Payload(40, 1), 40);
    echo.Write(Payload(50, 2), 0);
    echo.Read(50, 0);
    echo.Control(kEchoNeither, Payload(60, 3), 60);
    Fail(echo, kAccessDenied);
    Fail(echo, kBufferOverflow);
    echo.Control(kEchoOutDirect, Payload(70, 4), 70);
    echo.Control(kEchoPend, AndTail(500, kAccessDenied), 16, Ends::Later);
    echo.Control(kEchoPend, AndTail(500, 0), 16, Ends::Later);
}

struct Setting {
    Client& client;
    uint32_t echoId;  // the hooked driver's
    uint32_t processId;
    Handle::Opener open;
    Truth& truth;
};

Predicates Everything() {
    Predicates predicates{};
    predicates.flags = kPredicateOwnProcesses;  // the client and the callers are one program here
    return predicates;
}

bool HasCode(const Request& request) {
    return request.major == Major::DeviceControl;
}

// ---- What is recorded ------------------------------------------------------------------------------------------

// Asks with predicates in force, of which the truth is what `wanted` says.
void AskUnder(Setting& s, const Predicates& predicates, std::function<bool(const Request&)> wanted) {
    s.client.SetPredicates(predicates);
    s.truth.Only(std::move(wanted));
    Handle echo(s.truth, s.open, kEcho);
    AskABit(echo);
}

void OnlySomeFunctions(Setting& s) {
    Predicates predicates = Everything();
    predicates.leftOutFunctions = 1ull << static_cast<int>(Major::Read) | 1ull << static_cast<int>(Major::Create);
    AskUnder(s, predicates, [](const Request& r) { return r.major != Major::Read && r.major != Major::Create; });
}

void OnlySomeCodes(Setting& s) {
    Predicates predicates = Everything();
    predicates.codeMode = kPredicateOnly;
    predicates.codeCount = 2;
    predicates.codes[0] = kEchoNeither;
    predicates.codes[1] = kEchoPend;
    AskUnder(s, predicates,
             [](const Request& r) { return !HasCode(r) || r.code == kEchoNeither || r.code == kEchoPend; });
    predicates.codeMode = kPredicateAllBut;
    AskUnder(s, predicates,
             [](const Request& r) { return !HasCode(r) || (r.code != kEchoNeither && r.code != kEchoPend); });
}

void OnlyErrors(Setting& s) {
    Predicates predicates = Everything();
    predicates.flags |= kPredicateErrorsOnly;
    AskUnder(s, predicates, [](const Request& r) { return r.status >= 0xC0000000u; });
}

// The slow one takes longer than the minimum by construction, the others shorter by three orders of magnitude.
void OnlySlow(Setting& s) {
    Predicates predicates = Everything();
    predicates.minimumLatency = s.client.TicksPerSecond();
    s.client.SetPredicates(predicates);
    s.truth.Only([](const Request& r) { return r.outputLength == 13; });
    Handle echo(s.truth, s.open, kEcho);
    AskABit(echo);
    echo.Control(kEchoPend, AndTail(1'100'000, 0), 13, Ends::Later);
    AskABit(echo);
}

bool Each(const Request&) {
    return true;
}
bool None(const Request&) {
    return false;
}

void OnlySomeProcesses(Setting& s) {
    Predicates predicates = Everything();
    predicates.processMode = kPredicateOnly;
    predicates.processCount = 1;
    predicates.processes[0] = 0xFFFFFFF0;
    AskUnder(s, predicates, None);
    predicates.processes[0] = s.processId;
    AskUnder(s, predicates, Each);
    predicates.processMode = kPredicateAllBut;
    AskUnder(s, predicates, None);
}

void OnlySomeDrivers(Setting& s) {
    Predicates predicates = Everything();
    predicates.driverMode = kPredicateAllBut;
    predicates.driverCount = 1;
    predicates.drivers[0] = s.echoId;
    AskUnder(s, predicates, None);
    predicates.driverMode = kPredicateOnly;
    AskUnder(s, predicates, Each);
    predicates.drivers[0] = s.echoId + 1;
    AskUnder(s, predicates, None);
}

// As it is unless one asks for more: the client's own are counted, and not recorded.
void NotItsOwn(Setting& s) {
    const auto counted = [&] {
        uint64_t arrivals = 0;
        for (const FunctionCounters& each : s.client.ReadCounters().functions) {
            if (each.function == static_cast<uint32_t>(Major::DeviceControl)) arrivals += each.arrivals;
        }
        return arrivals;
    };
    AskUnder(s, Predicates{}, None);
    s.truth.TellAnswer("counted", std::to_string(counted()));
    AskUnder(s, Everything(), Each);
    s.truth.TellAnswer("counted", std::to_string(counted()));
}

// Which one of three is recorded depends on the processors it comes to; that none is lost does not.
void OneInThree(Setting& s) {
    Predicates predicates = Everything();
    predicates.leftOutFunctions = ((1ull << kFunctionCount) - 1) & ~(1ull << static_cast<int>(Major::DeviceControl));
    predicates.sampleEvery = 3;
    s.client.SetPredicates(predicates);
    s.truth.Only(HasCode);
    Handle echo(s.truth, s.open, kEcho);
    for (uint32_t i = 0; i < 60; i++) echo.Control(kEchoBuffered, Payload(16, i), 16);
    s.truth.TellAnswer("sampled out", std::to_string(s.client.ReadCounters().totals.sampledOut));
}

// From one request to the next.
void ChangedWhileRunning(Setting& s) {
    AskUnder(s, Everything(), nullptr);
    OnlySomeFunctions(s);
    OnlyErrors(s);
    AskUnder(s, Everything(), nullptr);
}

void ShortSnapLengths(Setting& s) {
    AskUnder(s, Everything(), nullptr);
}

// ---- What is in flight -----------------------------------------------------------------------------------------

void TellInFlight(Setting& s) {
    std::vector<InFlightRequest> requests = s.client.InFlight();
    std::sort(requests.begin(), requests.end(), [](const auto& a, const auto& b) { return a.arrival < b.arrival; });
    for (const InFlightRequest& request : requests) {
        char text[96];
        std::snprintf(text, sizeof(text), "major %u code %08x%s%s%s", request.major, request.code,
                      request.driverId == s.echoId ? "" : ", of another driver",
                      request.threadId == CurrentThreadId() ? "" : ", of another thread",
                      request.held ? ", its start held back" : "");
        s.truth.TellAnswer("GetInFlight", text);
    }
    s.truth.TellAnswer("GetInFlight", "that is all");
}

void InFlight(Setting& s) {
    Handle echo(s.truth, s.open, kEcho);
    TellInFlight(s);
    const auto held = Hold(echo, 1);
    const auto read = echo.BeginRead(16, kEchoLater + 60'000'000);
    TellInFlight(s);
    Predicates predicates = Everything();
    predicates.flags |= kPredicateErrorsOnly;
    s.client.SetPredicates(predicates);
    const auto heldBack = Hold(echo, 2);
    TellInFlight(s);
    held->Cancel();
    held->Finish();
    TellInFlight(s);
    heldBack->Cancel();
    heldBack->Finish();
    read->Cancel();
    read->Finish();
    TellInFlight(s);
}

// ---- Captures and hooks that end -------------------------------------------------------------------------------

class Sessions {
 public:
    Sessions(std::string folder, uint32_t processId, Handle::Opener open)
        : folder_(std::move(folder)), processId_(processId), open_(open), client_(open) {
        Hook();
    }

    void Run(const std::string& name, SnapLengths snap, void (*work)(Setting&)) {
        Truth truth(FileOf(name, "truth.jsonl"), processId_);
        Start(snap);
        Setting setting{client_, echoId_, processId_, open_, truth};
        work(setting);
        client_.StopAndSave(FileOf(name, "records"));
    }

    // Requests outlive the capture, and end as they would have without it.
    void StoppedInFlight(const std::string& name) {
        Truth truth(FileOf(name, "truth.jsonl"), processId_);
        Start(kSnap);
        Handle echo(truth, open_, kEcho);
        const auto held = Hold(echo, 1);
        const auto later = echo.BeginControl(kEchoPend, AndTail(200'000, 0), 16);
        client_.StopAndSave(FileOf(name, "records"));
        held->Cancel();
        Check(held->FinishUnseen() == kCancelled, "a request outlives the capture, and is cancelled");
        Check(later->FinishUnseen() == 0, "a request outlives the capture, and succeeds");
        truth.Only([](const Request&) { return false; });
        AskABit(echo);
    }

    // They outlive the hook, too; what is asked between two hooks is not recorded.
    void HookedAgain(const std::string& name) {
        Truth truth(FileOf(name, "truth.jsonl"), processId_);
        Start(kSnap);
        Handle echo(truth, open_, kEcho);
        AskABit(echo);
        const auto held = Hold(echo, 1);
        Unhook();
        truth.Only([](const Request&) { return false; });
        AskABit(echo);
        const auto unseen = Hold(echo, 2);
        Hook();
        truth.Only(nullptr);
        AskABit(echo);
        held->Cancel();
        held->Finish();
        truth.Only([](const Request&) { return false; });
        unseen->Cancel();
        unseen->Finish();
        truth.Only(nullptr);
        for (int i = 0; i < 20; i++) {
            Unhook();
            Hook();
        }
        AskABit(echo);
        client_.StopAndSave(FileOf(name, "records"));
    }

 private:
    static constexpr int32_t kCancelled = static_cast<int32_t>(0xC0000120);

    static void Check(bool holds, const char* what) {
        if (!holds) throw std::runtime_error(std::string("this does not hold: ") + what);
    }
    void Start(SnapLengths snap) {
        client_.SetPredicates(Everything());
        client_.Start(snap);
    }
    std::string FileOf(const std::string& name, const char* ending) const {
        return folder_ + "/" + name + "." + ending;
    }
    void Hook() {
        Check(client_.Hooked() == 0, "nothing is hooked yet");
        echoId_ = client_.Hook(kEchoDriver);
        Check(client_.Hooked() == 1, "one driver is hooked");
    }
    void Unhook() {
        Check(client_.Unhook(echoId_), "the driver's own routines are back");
        Check(client_.Hooked() == 0, "nothing is hooked any more");
    }

    const std::string folder_;
    const uint32_t processId_;
    const Handle::Opener open_;
    Client client_;
    uint32_t echoId_ = 0;
};

}  // namespace

void RunSessions(const std::string& folder, uint32_t processId, Handle::Opener open) {
    Sessions sessions(folder, processId, open);
    sessions.Run("functions", kSnap, OnlySomeFunctions);
    sessions.Run("codes", kSnap, OnlySomeCodes);
    sessions.Run("errors", kSnap, OnlyErrors);
    sessions.Run("slow", kSnap, OnlySlow);
    sessions.Run("processes", kSnap, OnlySomeProcesses);
    sessions.Run("drivers", kSnap, OnlySomeDrivers);
    sessions.Run("own", kSnap, NotItsOwn);
    sessions.Run("sampled", kSnap, OneInThree);
    sessions.Run("changed", kSnap, ChangedWhileRunning);
    sessions.Run("snapped", {11, 33}, ShortSnapLengths);
    sessions.Run("in-flight", kSnap, InFlight);
    sessions.StoppedInFlight("stopped");
    sessions.HookedAgain("hooked-again");
}

void LookAround(const std::string& folder, uint32_t processId, Handle::Opener open) {
    Sessions sessions(folder, processId, open);
    sessions.Run("found", kSnap, [](Setting& s) { AskUnder(s, Everything(), nullptr); });
}

}  // namespace drivermon::caller
