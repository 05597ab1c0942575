// thunks.cpp: 64 slots x (28 majors, 21 fast-I/O routines, unload), generated.
#include "thunks.h"

#include "fast_io.h"
#include "guarded_call.h"
#include "hook_table.h"
#include "irp_capture.h"
#include "presence.h"

namespace drivermon {

namespace {

template <uint32_t slot, uint8_t major>
NTSTATUS NTAPI DispatchThunk(PDEVICE_OBJECT device, PIRP irp) {
    return DispatchIrp(slots[slot], major, device, irp);
}

template <uint32_t slot>
void NTAPI UnloadThunk(PDRIVER_OBJECT driver) {
    OnMonitoredDriverUnload(slots[slot], driver);
}

// ---- Fast I/O: what a call is about is told by the types of its arguments ----

void Note(FastIoCall* call, FILE_OBJECT* file) {
    call->file = file;
}
void Note(FastIoCall* call, DEVICE_OBJECT* device) {
    call->device = device;  // the last one: for FastIoDetachDevice the target
}
void Note(FastIoCall* call, IO_STATUS_BLOCK* result) {
    call->result = result;
}
void Note(FastIoCall* call, LARGE_INTEGER* offset) {
    if (call->offset == nullptr) call->offset = offset;
}
template <typename T>
void Note(FastIoCall*, T) {}

template <uint8_t function>
struct Function {};

template <typename F, typename... Arguments>
void NoteBuffers(F, FastIoCall*, Arguments...) {}

void NoteBuffers(Function<kFastIoRead>, FastIoCall* call, PFILE_OBJECT, PLARGE_INTEGER, ULONG length, BOOLEAN, ULONG,
                 PVOID buffer, PIO_STATUS_BLOCK, PDEVICE_OBJECT) {
    call->output = buffer;
    call->outputLength = length;
}
void NoteBuffers(Function<kFastIoWrite>, FastIoCall* call, PFILE_OBJECT, PLARGE_INTEGER, ULONG length, BOOLEAN, ULONG,
                 PVOID buffer, PIO_STATUS_BLOCK, PDEVICE_OBJECT) {
    call->input = buffer;
    call->inputLength = length;
}
void NoteBuffers(Function<kFastIoDeviceControl>, FastIoCall* call, PFILE_OBJECT, BOOLEAN, PVOID input,
                 ULONG inputLength, PVOID output, ULONG outputLength, ULONG code, PIO_STATUS_BLOCK, PDEVICE_OBJECT) {
    call->input = input;
    call->inputLength = inputLength;
    call->output = output;
    call->outputLength = outputLength;
    call->code = code;
}

template <typename T>
constexpr bool kIsVoid = false;
template <>
constexpr bool kIsVoid<void> = true;

#ifdef DRIVERMON_SIM
// Nothing raises there.
template <typename Result, typename Original, typename... Arguments>
Result CallGuarded(uint64_t, const FastIoCall&, Stay&, Original original, Arguments... arguments) {
    return original(arguments...);
}
#else
struct Unfinished {
    uint64_t handle;
    const FastIoCall* call;
    Stay* stay;
};
void Abandoned(void* context) {
    auto* unfinished = static_cast<Unfinished*>(context);
    if (unfinished->handle != 0) EndFastIo(unfinished->handle, *unfinished->call, FastIoOutcome::kRaised);
    unfinished->stay->End();
}

template <typename T>
ULONG_PTR Word(T* pointer) {
    return reinterpret_cast<ULONG_PTR>(pointer);
}
inline ULONG_PTR Word(ULONG_PTR integer) {
    return integer;
}

template <typename Result, typename Original, typename... Arguments>
Result CallGuarded(uint64_t handle, const FastIoCall& call, Stay& stay, Original original, Arguments... arguments) {
    static_assert(sizeof...(Arguments) <= DRIVERMON_GUARDED_ARGUMENTS, "guarded_call.h");
    ULONG_PTR words[DRIVERMON_GUARDED_ARGUMENTS] = {Word(arguments)...};
    Unfinished unfinished = {handle, &call, &stay};
    return static_cast<Result>(DrivermonGuardedCall(reinterpret_cast<void*>(original), words, Abandoned, &unfinished));
}
#endif

template <uint8_t function, auto member, typename Routine>
struct FastIoBody;

template <uint8_t function, auto member, typename Result, typename... Arguments>
struct FastIoBody<function, member, Result(NTAPI*)(Arguments...)> {
    // Apart from the thunk, so that the 64 copies of the thunk stay small.
    static DRIVERMON_NOINLINE Result Call(Slot& slot, Arguments... arguments) {
        Stay stay;
        auto original = slot.originalFastIo.*member;
        FastIoCall call = {};
        call.function = function;
        (Note(&call, arguments), ...);
        NoteBuffers(Function<function>{}, &call, arguments...);
        uint64_t handle = ArriveFastIo(slot, call);
        // Nothing of ours is held, and an exception may pass as it likes.
        if (handle == 0 && !stay.counted()) return original(arguments...);
        return Finish(handle, call, stay, original, arguments...);
    }

 private:
    static Result Finish(uint64_t handle, const FastIoCall& call, Stay& stay, Result(NTAPI* original)(Arguments...),
                         Arguments... arguments) {
        if constexpr (kIsVoid<Result>) {
            original(arguments...);
            if (handle != 0) EndFastIo(handle, call, FastIoOutcome::kHandled);
        } else {
            Result handled = CallGuarded<Result>(handle, call, stay, original, arguments...);
            if (handle != 0) {
                EndFastIo(handle, call, handled ? FastIoOutcome::kHandled : FastIoOutcome::kFellThrough);
            }
            return handled;
        }
    }
};

template <uint32_t slot, uint8_t function, auto member, typename Routine>
struct FastIoThunk;

template <uint32_t slot, uint8_t function, auto member, typename Result, typename... Arguments>
struct FastIoThunk<slot, function, member, Result(NTAPI*)(Arguments...)> {
    static Result NTAPI Routine(Arguments... arguments) {
        return FastIoBody<function, member, Result(NTAPI*)(Arguments...)>::Call(slots[slot], arguments...);
    }
};

// ---- The tables ----

#define DRIVERMON_4(X, n) X(n) X(n + 1) X(n + 2) X(n + 3)
#define DRIVERMON_16(X, n) DRIVERMON_4(X, n) DRIVERMON_4(X, n + 4) DRIVERMON_4(X, n + 8) DRIVERMON_4(X, n + 12)

template <uint32_t slot>
constexpr SlotThunks MakeThunks() {
    SlotThunks made = {};
#define DRIVERMON_MAJOR(n) made.major[n] = DispatchThunk<slot, n>;
    DRIVERMON_16(DRIVERMON_MAJOR, 0)
    DRIVERMON_4(DRIVERMON_MAJOR, 16)
    DRIVERMON_4(DRIVERMON_MAJOR, 20)
    DRIVERMON_4(DRIVERMON_MAJOR, 24)
    static_assert(kMajorFunctionCount == 28, "one thunk each");
#define DRIVERMON_FAST(function, member) \
    made.fastIo.member =                 \
        FastIoThunk<slot, function, &FAST_IO_DISPATCH::member, decltype(FAST_IO_DISPATCH::member)>::Routine;
    DRIVERMON_FAST_IO(DRIVERMON_FAST)
    made.unload = UnloadThunk<slot>;
    return made;
}

template <uint32_t slot>
constexpr SlotThunks kSlotThunks = MakeThunks<slot>();

}  // namespace

#define DRIVERMON_SLOT(n) &kSlotThunks<n>,
const SlotThunks* const thunks[] = {DRIVERMON_16(DRIVERMON_SLOT, 0) DRIVERMON_16(DRIVERMON_SLOT, 16)
                                        DRIVERMON_16(DRIVERMON_SLOT, 32) DRIVERMON_16(DRIVERMON_SLOT, 48)};
static_assert(kMaxHookedDrivers == 64, "one table each");

}  // namespace drivermon
