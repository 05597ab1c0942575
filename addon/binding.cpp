// binding.cpp: binding.ts, implemented: a Source and its Pump as a JavaScript object.
//
// Who owns the native threads: the environment. Whatever ends first stops and joins them before any memory they use
// goes: close, the driver's end, garbage collection, the cleanup hook of an environment that is torn down (a terminated
// worker), or the process' `exit` event. The event is needed because process.exit on the main thread tears nothing
// down: it runs static destructors beside threads that still use what they destroy.
//
// C++ exceptions are on (NAPI_CPP_EXCEPTIONS): node-addon-api turns an escaping Napi::Error into a JavaScript
// exception, so one `Guarded` at the border is all the error handling there is.
#include <napi.h>
#if defined(_WIN32)
#include <windows.h>
#elif defined(__GLIBC__)
#include <malloc.h>
#endif

#include <algorithm>
#include <memory>
#include <set>

#include "pump.h"
#include "source.h"
#include "store_binding.h"

namespace drivermon {
namespace {

Napi::Error ToError(Napi::Env env, const SourceError& error) {
    Napi::Error result = Napi::Error::New(env, error.what());
    if (error.Status() != 0) result.Set("status", Napi::Number::New(env, error.Status()));
    return result;
}

template <typename Action>
auto Guarded(Napi::Env env, Action action) {
    try {
        return action();
    } catch (const Napi::Error&) {
        throw;
    } catch (const SourceError& error) {
        throw ToError(env, error);
    } catch (const std::exception& error) {
        throw Napi::Error::New(env, error.what());
    }
}

// Checked arguments. TypeScript callers cannot get these wrong; a wrong one must still not reach native memory.

double NumberIn(const Napi::Value& value, double most, const char* what) {
    const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
    if (!(number >= 0 && number <= most)) {
        throw Napi::TypeError::New(value.Env(), std::string(what) + " must be a number from 0 to " +
                                                    std::to_string(static_cast<uint64_t>(most)));
    }
    return number;
}

uint32_t Uint32(const Napi::Value& value, const char* what) {
    return static_cast<uint32_t>(NumberIn(value, UINT32_MAX, what));
}

Napi::Uint8Array Bytes(const Napi::Value& value, const char* what) {
    if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
        throw Napi::TypeError::New(value.Env(), std::string(what) + " must be a Uint8Array");
    }
    return value.As<Napi::Uint8Array>();
}

std::span<std::byte> Span(Napi::Uint8Array array) {
    return {reinterpret_cast<std::byte*>(array.Data()), array.ByteLength()};
}

Napi::String ToString(Napi::Env env, const std::u16string& text) {
    return Napi::String::New(env, text);
}

class NativeSource;

// The pump with everything it stands on, in the order in which that may go. Lives on the JavaScript thread.
class PumpSession {
 public:
    PumpSession(NativeSource& owner, Source& source, Napi::Uint8Array slots, uint32_t slotCount, uint32_t slotBytes,
                Napi::Function doorbell)
        : env_(doorbell.Env()),
          memory_(Napi::Persistent(slots)),
          doorbell_(Doorbell::New(env_, doorbell, "drivermon doorbell", 0, 1, &owner)) {
        try {
            pump_ = std::make_unique<Pump>(source, SlotRing(Span(slots), slotCount, slotBytes), [this] { Ring(); });
        } catch (...) {
            doorbell_.Abort();
            throw;
        }
        // Hooks run last in, first out: this one before the thread-safe function's own, which it needs alive.
        napi_add_env_cleanup_hook(env_, &PumpSession::EnvEnds, this);
    }

    ~PumpSession() {
        // Once it has run, the environment is too far gone to be asked for its removal.
        if (pump_) napi_remove_env_cleanup_hook(env_, &PumpSession::EnvEnds, this);
        Stop();
    }
    PumpSession(const PumpSession&) = delete;
    PumpSession& operator=(const PumpSession&) = delete;

    void Released() { pump_->Released(); }
    bool Ended() const { return pump_->Ended(); }
    const std::optional<SourceError>& Failure() const { return pump_->Failure(); }

    // A ring from here on calls JavaScript again.
    void Answered() { rung_.exchange(false, std::memory_order_acq_rel); }

 private:
    static void OnDoorbell(Napi::Env env, Napi::Function callback, NativeSource* owner, void*);
    using Doorbell = Napi::TypedThreadSafeFunction<NativeSource, void, OnDoorbell>;

    static void EnvEnds(void* self) { static_cast<PumpSession*>(self)->Stop(); }

    // On the pump's thread. At most one call waits for JavaScript at any time.
    void Ring() {
        if (!rung_.exchange(true, std::memory_order_acq_rel)) doorbell_.NonBlockingCall();
    }

    void Stop() {
        if (!pump_) return;
        pump_.reset();      // joins
        doorbell_.Abort();  // no call that still waits reaches JavaScript
    }

    const Napi::Env env_;
    const Napi::Reference<Napi::Uint8Array> memory_;
    Doorbell doorbell_;
    std::atomic<bool> rung_{false};
    std::unique_ptr<Pump> pump_;
};

// What one environment has. Shared, because in a teardown it and the sources go in no order that can be relied on.
struct Environment {
    Napi::FunctionReference sourceClass;
    std::set<NativeSource*> sources;
};
using EnvironmentRef = std::shared_ptr<Environment>;

class NativeSource : public Napi::ObjectWrap<NativeSource> {
 public:
    static Napi::Function Define(Napi::Env env) {
        return DefineClass(env, "NativeSource",
                           {
                               InstanceMethod<&NativeSource::Control>("control"),
                               InstanceMethod<&NativeSource::Drivers>("drivers"),
                               InstanceMethod<&NativeSource::Processes>("processes"),
                               InstanceMethod<&NativeSource::StartPump>("startPump"),
                               InstanceMethod<&NativeSource::Released>("released"),
                               InstanceMethod<&NativeSource::Pumping>("pumping"),
                               InstanceMethod<&NativeSource::StopPump>("stopPump"),
                               InstanceMethod<&NativeSource::StartTraffic>("startTraffic"),
                               InstanceMethod<&NativeSource::StopTraffic>("stopTraffic"),
                               InstanceMethod<&NativeSource::Issued>("issued"),
                               InstanceMethod<&NativeSource::TrafficRunning>("trafficRunning"),
                               InstanceMethod<&NativeSource::Close>("close"),
                           });
    }

    // Takes the Source that `info` carries as an external: only openDevice and openSim can make one.
    explicit NativeSource(const Napi::CallbackInfo& info) : Napi::ObjectWrap<NativeSource>(info) {
        if (!info[0].IsExternal()) throw Napi::TypeError::New(info.Env(), "Use openDevice or openSim");
        source_ = std::move(*info[0].As<Napi::External<std::unique_ptr<Source>>>().Data());
        environment_ = *info.Env().GetInstanceData<EnvironmentRef>();
        environment_->sources.insert(this);
    }

    ~NativeSource() override {
        if (environment_) environment_->sources.erase(this);
    }

    void CloseSource() {
        EndSession();
        source_.reset();
    }

    void OnDoorbell(Napi::Env env, Napi::Function callback) {
        if (!session_) return;
        session_->Answered();
        Napi::Value error = env.Null();
        if (session_->Ended()) {
            if (session_->Failure()) error = ToError(env, *session_->Failure()).Value();
            EndSession();
        }
        Tell(env, callback, error);
    }

 private:
    // Plain Node-API instead of callback.Call: a doorbell may end its worker (process.exit), and then there is neither
    // a result nor an exception to be had, which node-addon-api takes for a fatal error.
    static void Tell(napi_env env, napi_value doorbell, napi_value error) {
        napi_value undefined;
        napi_value thrown;
        if (napi_get_undefined(env, &undefined) != napi_ok) return;
        if (napi_call_function(env, undefined, doorbell, 1, &error, nullptr) != napi_pending_exception) return;
        // Thrown by the doorbell itself: as uncaught as it would be in any other event.
        if (napi_get_and_clear_last_exception(env, &thrown) == napi_ok) napi_fatal_exception(env, thrown);
    }

    Napi::Value Control(const Napi::CallbackInfo& info) {
        const Napi::Env env = info.Env();
        const uint32_t code = Uint32(info[0], "code");
        std::span<const std::byte> input;
        if (!info[1].IsNull()) input = Span(Bytes(info[1], "input"));
        constexpr double kMostOutput = 64 << 20;  // counters of 64 drivers are 1.3 MB
        const auto capacity = static_cast<size_t>(NumberIn(info[2], kMostOutput, "outputBytes"));
        std::vector<std::byte> output(capacity);
        const size_t written = Guarded(env, [&] { return Open().Control(code, input, output); });
        Napi::Uint8Array result = Napi::Uint8Array::New(env, written);
        std::copy_n(output.begin(), written, Span(result).begin());
        return result;
    }

    Napi::Value Drivers(const Napi::CallbackInfo& info) {
        const Napi::Env env = info.Env();
        const std::vector<DriverListing> drivers = Guarded(env, [&] { return Open().Drivers(); });
        Napi::Array result = Napi::Array::New(env, drivers.size());
        for (uint32_t i = 0; i < drivers.size(); i++) {
            Napi::Object entry = Napi::Object::New(env);
            entry.Set("name", ToString(env, drivers[i].name));
            entry.Set("displayName", ToString(env, drivers[i].displayName));
            result.Set(i, entry);
        }
        return result;
    }

    Napi::Value Processes(const Napi::CallbackInfo& info) {
        const Napi::Env env = info.Env();
        const std::vector<ProcessListing> processes = Guarded(env, [&] { return Open().Processes(); });
        Napi::Array result = Napi::Array::New(env, processes.size());
        for (uint32_t i = 0; i < processes.size(); i++) {
            Napi::Object entry = Napi::Object::New(env);
            entry.Set("processId", processes[i].processId);
            entry.Set("parentProcessId", processes[i].parentProcessId);
            entry.Set("name", ToString(env, processes[i].name));
            result.Set(i, entry);
        }
        return result;
    }

    void StartPump(const Napi::CallbackInfo& info) {
        const Napi::Env env = info.Env();
        Napi::Uint8Array slots = Bytes(info[0], "slots");
        const Napi::Function shared = env.Global().Get("SharedArrayBuffer").As<Napi::Function>();
        if (!slots.Get("buffer").As<Napi::Object>().InstanceOf(shared)) {
            // An ArrayBuffer could be detached under the thread that writes to it.
            throw Napi::TypeError::New(env, "slots must be a view of a SharedArrayBuffer");
        }
        const uint32_t slotCount = Uint32(info[1], "slotCount");
        const uint32_t slotBytes = Uint32(info[2], "slotBytes");
        if (!info[3].IsFunction()) throw Napi::TypeError::New(env, "doorbell must be a function");

        Guarded(env, [&] {
            Source& source = Open();
            if (session_) throw SourceError(0, "The pump is running already");
            session_ =
                std::make_unique<PumpSession>(*this, source, slots, slotCount, slotBytes, info[3].As<Napi::Function>());
        });
        Ref();  // a source that pumps is not garbage
    }

    void Released(const Napi::CallbackInfo&) {
        if (session_) session_->Released();
    }

    // Until the doorbell has told JavaScript of the end, so that its reason cannot be missed.
    Napi::Value Pumping(const Napi::CallbackInfo& info) { return Napi::Boolean::New(info.Env(), session_ != nullptr); }

    void StopPump(const Napi::CallbackInfo&) { EndSession(); }

    void StartTraffic(const Napi::CallbackInfo& info) {
        constexpr double kExact = 9007199254740991;  // Number.MAX_SAFE_INTEGER
        if (!info[0].IsObject()) throw Napi::TypeError::New(info.Env(), "options must be an object");
        const Napi::Object options = info[0].As<Napi::Object>();
        const auto number = [&](const char* name) {
            return static_cast<uint64_t>(NumberIn(options.Get(name), kExact, name));
        };
        const TrafficOptions traffic{number("seed"), number("rate"), number("count")};
        Guarded(info.Env(), [&] { Open().StartTraffic(traffic); });
    }

    void StopTraffic(const Napi::CallbackInfo& info) {
        Guarded(info.Env(), [&] { Open().StopTraffic(); });
    }

    Napi::Value Issued(const Napi::CallbackInfo& info) {
        const Napi::Env env = info.Env();
        Napi::Object result = Napi::Object::New(env);
        for (const auto& [name, count] : Guarded(env, [&] { return Open().Issued(); })) {
            result.Set(ToString(env, name), Napi::Number::New(env, static_cast<double>(count)));
        }
        return result;
    }

    Napi::Value TrafficRunning(const Napi::CallbackInfo& info) {
        return Napi::Boolean::New(info.Env(), Guarded(info.Env(), [&] { return Open().TrafficRunning(); }));
    }

    void Close(const Napi::CallbackInfo&) { CloseSource(); }

    Source& Open() {
        if (!source_) throw SourceError(0, "The source is closed");
        return *source_;
    }

    void EndSession() {
        if (!session_) return;
        session_.reset();
        Unref();
    }

    EnvironmentRef environment_;
    std::unique_ptr<Source> source_;
    std::unique_ptr<PumpSession> session_;  // after source_: it goes first
};

void PumpSession::OnDoorbell(Napi::Env env, Napi::Function callback, NativeSource* owner, void*) {
    // No environment: it is going, and `owner` may be gone.
    if (env != nullptr) owner->OnDoorbell(env, callback);
}

using OpenSource = std::unique_ptr<Source> (*)();

template <OpenSource open>
Napi::Value OpenWith(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    std::unique_ptr<Source> source = Guarded(env, [] { return open(); });
    const EnvironmentRef& environment = *env.GetInstanceData<EnvironmentRef>();
    return environment->sourceClass.New({Napi::External<std::unique_ptr<Source>>::New(env, &source)});
}

#if !defined(_WIN32)
std::unique_ptr<Source> NoDeviceHere() {
    throw SourceError(0, "There are no Windows drivers on this system: use the simulator (--source sim)");
}
#endif

// Node unloads an addon with the last environment that used it, which may be a worker's. Ours has run threads, and what
// a thread leaves to be done at its end, or at the process' (the C++ runtime is linked into the addon), must still be
// there. On Linux the linker sees to it (-z nodelete).
void StayLoaded() {
#if defined(_WIN32)
    HMODULE self = nullptr;
    GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS,
                       reinterpret_cast<LPCWSTR>(&StayLoaded), &self);
#endif
}

// What the store lets go of is the system's again at once. Left to itself glibc keeps freed blocks of a store's size for
// later, in heaps that only ever grow: a capture with a budget of 128 MiB held eight times as much.
void GiveFreedMemoryBack() {
#if defined(__GLIBC__)
    mallopt(M_MMAP_THRESHOLD, 64 * 1024);
#endif
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
    StayLoaded();
    GiveFreedMemoryBack();
    const EnvironmentRef environment = std::make_shared<Environment>();
    environment->sourceClass = Napi::Persistent(NativeSource::Define(env));
    env.SetInstanceData(new EnvironmentRef(environment));

    const Napi::Object process = env.Global().Get("process").As<Napi::Object>();
    process.Get("once").As<Napi::Function>().Call(
        process, {Napi::String::New(env, "exit"), Napi::Function::New(env, [environment](const Napi::CallbackInfo&) {
                      for (NativeSource* source : environment->sources) source->CloseSource();
                  })});

#if defined(_WIN32)
    exports.Set("platform", "win32");
    exports.Set("openDevice", Napi::Function::New<OpenWith<OpenDeviceSource>>(env, "openDevice"));
#else
#if defined(__APPLE__)
    exports.Set("platform", "darwin");
#else
    exports.Set("platform", "linux");
#endif
    exports.Set("openDevice", Napi::Function::New<OpenWith<NoDeviceHere>>(env, "openDevice"));
#endif
    exports.Set("store", DefineStore(env));
    exports.Set("openSim", Napi::Function::New<OpenWith<OpenSimSource>>(env, "openSim"));
    return exports;
}

NODE_API_MODULE(drivermon, Init)

}  // namespace
}  // namespace drivermon
