// request_table.h: the requests whose end we await.
//
// A request's context is found again through a *handle*, index and generation, which travels in the Context field of
// the IRP's stack location. Never a pointer: drivers above and below copy stack locations, so a completion routine may
// fire twice, for another IRP, or long after its request was given up. The table's memory is never freed while we are
// loaded, so looking up any handle is safe, and its *ticket* tells whether the handle still means anything:
//
//   free                ticket 0
//   armed               ticket = handle
//   returned            ticket = handle | kReturned    dispatch has returned: the end may not be left to it any more
//   given up            ticket = handle | kGivenUp     reported as unseen, but holds a routine that must still be
//   called ended, not told     ticket = handle | kDeferred    the dispatching thread will write the end record
//
// Whoever changes the ticket from armed (by compare-exchange) owns the context until it stores the next state.
//
// Some ends never come: a driver may free its IRPs, or put a routine of its own where ours was. So that it does not use
// up its quota for good, contexts are reclaimed once a quota (or the table) has been found used up:
//   - dead: its IRP has arrived again at the same stack location, where our handle has been overwritten;
//   - of an earlier capture, which its end does not belong to any more;
//   - old: in flight for Platform::oldRequestMs. That may be wrong: then its end comes with a stale handle, and is passed
//     on as if nobody had hooked it.
// The request is reported as unseen. A context that holds a caller's routine is never reclaimed: it must yet be called.
#pragma once

#include "filter.h"
#include "held_starts.h"
#include "nt.h"
#include "recorder.h"
#include "watch.h"

namespace drivermon {

// kUser: at the requestor's own address, to be read before the dispatch routine returns. kBeyondReach: there, but its
// process is not the current one, or its address is not to be trusted.
enum class OutputKind : uint8_t { kNone, kSystemBuffer, kMdl, kUser, kBeyondReach };

struct Context {
    Atomic<uint64_t> ticket;
    uint64_t nextGeneration;
    uint32_t nextFree;

    // Set before the ticket is stored. Read by whoever owns the ticket; and, with the ticket looked at before and after,
    // by a list of what is in flight and by a completion that is not ours. Each store releases and each load acquires: a reader that sees a value of the next
    // request sees that the ticket has changed, too.
    Atomic<uint64_t> epoch;
    Atomic<uint64_t> requestId;
    Atomic<uint64_t> arrivalTicks;
    Atomic<IRP*> irp;  // null: fast I/O
    Atomic<uint32_t> driverId;
    Atomic<uint32_t> processId;
    Atomic<uint32_t> threadId;  // the arriving thread
    Atomic<uint32_t> code;
    Atomic<uint32_t> kind;  // major | minor << 8 | held << 16 | location << 24, and:
    static constexpr uint32_t kHeld = 1u << 16;
    static constexpr uint32_t kHasRoutine = 1u << 17;   // the caller's own is to be called after us
    static constexpr uint32_t kRoutineIsOurs = 1u << 18;  // ... and is ours: a hook of a layer above, with its own context

    Atomic<PIO_COMPLETION_ROUTINE> routine;  // the caller's own, to be called after us
    Atomic<void*> routineContext;
    Atomic<uint32_t> routineControl;  // SL_INVOKE_* of the caller's routine
    Atomic<int32_t> location;

    // Set before the ticket is stored, read by whoever owns the ticket.
    Watch* watch;
    void* output;  // where the output will be; valid while the IRP still says so
    uint32_t outputLength;
    LossReason startLoss;  // why its start record was dropped, or kNotLost
    Verdict verdict;    // whether it is recorded
    HeldStart* held;    // released by whoever records the end; null: not held
    uint8_t function;  // index of the counters
    OutputKind outputKind;
    bool outputFromIoManager;  // the system buffer, by its IRP's flags
    bool informationIsBytes;  // READ, DEVICE_CONTROL, FILE_SYSTEM_CONTROL: elsewhere Information may be anything

    // Set by the completion routine before it defers.
    uint32_t endStatus;
    uint32_t endFlags;
    uint64_t endInformation;
    uint64_t endTicks;

    uint8_t major() const { return static_cast<uint8_t>(kind.LoadAcquire()); }
    uint8_t minor() const { return static_cast<uint8_t>(kind.LoadAcquire() >> 8); }
    bool IsHeld() const { return (kind.LoadAcquire() & kHeld) != 0; }
    bool HasRoutine() const {
        return routine.LoadAcquire() != nullptr &&
               (routineControl.LoadAcquire() & (SL_INVOKE_ON_SUCCESS | SL_INVOKE_ON_ERROR | SL_INVOKE_ON_CANCEL)) != 0;
    }
};

constexpr uint64_t kReturned = 1ull << 63;
constexpr uint64_t kGivenUp = 1ull << 62;
constexpr uint64_t kDeferred = 1ull << 61;
constexpr uint64_t kTicketFlags = kReturned | kGivenUp | kDeferred;

class RequestTable {
 public:
    // PASSIVE_LEVEL. Idempotent.
    NTSTATUS Initialize(const Platform& platform);

    // Section. A context of `watch`, not yet armed; null when its quota or the table is used up.
    Context* Take(Shard& shard, Watch* watch);
    // The handle that will name the context once it is armed.
    uint64_t HandleOf(const Context* context) const;
    // Section. The caller owns the context.
    void Give(Shard& shard, Context* context);
    // PASSIVE_LEVEL. Lists those of `epoch` that have arrived and not ended: up to `capacity`; returns how many there
    // are. Requests come and go meanwhile: each entry was true at some time during the call.
    uint32_t List(uint64_t epoch, InFlightRequest* entries, uint32_t capacity) const;
    // <= DISPATCH_LEVEL, no lock. Nothing is awaited, in any epoch, and no IRP carries a handle that has been reclaimed.
    bool IsEmpty(const Recorder& recorder) const;

    // A search for contexts to be reclaimed. PASSIVE_LEVEL, one at a time.
    class Reclaiming {
     public:
        // Finds nothing unless Take has found no context since the last search.
        Reclaiming(RequestTable& table, uint64_t epoch, uint64_t now, uint64_t oldTicks);
        // The next one: its owner is whoever has asked, and gives it back. Null: no more.
        Context* Next();

     private:
        // The latest arrival of an IRP at a stack location.
        struct Latest {
            uint64_t place;  // 0: empty
            uint64_t arrival;
        };
        // Its entry, or the one it would have.
        Latest& Find(uint64_t place) const;

        RequestTable& table_;
        uint64_t epoch_;
        uint64_t oldBefore_;
        uint32_t next_ = 0;
        PoolArray<Latest> latest_;  // by hash; empty without memory: then only age counts
    };
    // Any handle whatsoever; null if it is none of ours.
    Context* Find(uint64_t handle) const;

 private:
    static constexpr uint32_t kIndexBits = 20;
    static constexpr uint32_t kNone = ~0u;

    void Refill(Magazine& magazine);
    void Empty(Magazine& magazine);

    PoolArray<Context> contexts_;
    KSPIN_LOCK freeLock_;
    uint32_t firstFree_ = kNone;
    uint32_t quota_ = 0;
    Atomic<uint32_t> usedUp_ = {};     // Take has found none
    Atomic<uint32_t> abandoned_ = {};  // a handle has been reclaimed that an IRP may still carry
};

}  // namespace drivermon
