// wake_model_test.cpp: a model of how a record gets from the ring to the client, explored in every order of steps that
// the memory model allows, because tests by running cannot find a wake that is lost once in a million.
//
//   producer (a section)             client's GetData (control lock)      DPC (timer's tick, or Ring)
//   ─────────────────────            ───────────────────────────────      ───────────────────────────
//   recording?   no: leave           Take: heads, acquire                 armed?   no: end
//   room?  tail, acquire, if full          copy, tail release             HasRecords: tails, heads   no: end
//   write the bytes                        something: complete            TakeWaiting, complete
//   head, release                    quiet: complete END_OF_FILE
//   tail, acquire: consumed?         Wait: set cancel routine             IoCancelIrp
//   armed?   plain: the hint               cancelled?  take it back       ───────────
//   leave; Ring if it was                  waiting_, Arm                  Cancel := true
//                                          HasRecords: TakeWaiting,       take the routine; had one:
//   Stop (control lock)                        complete                   OnCancel: waiting_, Disarm, complete
//   ───────────────────
//   recording := 0, DrainSections, quiet, TakeWaiting + complete, stop the timer
//
// Memory. A place's stores have an order, and every store a number in it. A thread has a *view*: per place the number
// of the newest store it knows of. A load may return any store that is not older than that: this is what store buffers
// and early loads come to, so everything x86-TSO does is covered, and the reordering of Arm as well (but no load that
// returns a store which depends on it). A release puts the view into the store, an acquire joins it. The records'
// bytes are no atomics: to touch them without knowing, by one's view, what the other side did to them last is a
// violation, as in the language. The control lock, DrainSections and the queueing of a DPC hand views on; the
// delivery's lock and interlocked values do too, but nothing may depend on it: here they don't.
//
// Time. Stores do not hang about for ever: a tick is when everyone sees what was stored before. (A store takes a part
// of a microsecond to arrive, a scan comes every few milliseconds: "one scan" counts from the arrival.)
//
// Left out: padding, losses' records, the threshold of the hint (one record rings: the best case for the hint alone).
// The order of time across rings and a full output buffer are one free choice: Take takes any part, but something.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <deque>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_set>

namespace drivermon::test {
namespace {

// What is modelled, and what may be broken in it to see that the explorer notices.
struct Protocol {
    uint8_t producers = 1;
    uint8_t records = 2;      // that each of them offers
    uint8_t ringRecords = 1;  // that fit into a ring
    uint8_t cancels = 0;
    bool stop = false;
    bool timer = true;
    bool fences = false;  // between Publish and the hint, and between Arm and the look: what we do not pay for
    bool headRelease = true, headAcquire = true, tailRelease = true, tailAcquire = true;
    bool scans = true;          // the DPC looks at the rings
    bool drains = true;         // Stop waits for the sections
    bool looksAtCancel = true;  // Wait does, after it has set the routine
    bool takesRoutine = true;   // TakeWaiting does, before it completes
};

constexpr uint8_t kMaxProducers = 2;
constexpr uint8_t kMaxRecords = 3;

// The places. The value of a head or tail is the number of its store (records, not bytes); `armed` is odd when armed;
// `recording` is over once there was a store. kWritten and kRead count what was done to a ring's bytes.
enum Place : uint8_t { kHead, kTail, kWritten, kRead, kPlacesOfRing };
constexpr uint8_t kArmed = kMaxProducers * kPlacesOfRing;
constexpr uint8_t kRecording = kArmed + 1;
constexpr uint8_t kPlaces = kArmed + 2;
constexpr uint8_t At(uint8_t ring, Place place) {
    return ring * kPlacesOfRing + place;
}

using View = std::array<uint8_t, kPlaces>;
// Of `armed` only a fence and a DPC tell: nobody relies on more, to forget it is the weaker memory, and far fewer
// states.
void Join(View& view, const View& other) {
    for (uint8_t i = 0; i < kPlaces; i++) {
        if (i != kArmed) view[i] = std::max(view[i], other[i]);
    }
}
void JoinAll(View& view, const View& other) {
    Join(view, other);
    view[kArmed] = std::max(view[kArmed], other[kArmed]);
}

enum Thread : uint8_t { kProducer0, kProducer1, kClient, kDpc, kStopper, kCanceller, kThreads };
constexpr uint8_t kNobody = kThreads;

enum class Step : uint8_t {
    kIdle,
    kDone,
    // A producer's section
    kPlace,
    kWriteAndPublish,
    kUsedAtLeast,
    kHint,
    kLeave,
    // GetData, and what it shares with the DPC and Stop
    kTakeHeads,
    kCopyAndRelease,
    kWaitSetRoutine,
    kWaitLookAtCancel,
    kWaitArm,
    kHasRecords,
    kTakeWaiting,
    kReturn,
    // The DPC
    kLookAtArmed,
    // Stop
    kDrain,
    // IoCancelIrp
    kTakeRoutine,
    kOnCancel,
};

// Bytes only, so that states are compared and hashed as memory.
struct State {
    Step step[kThreads];
    uint8_t ring[kThreads];  // which one a thread that goes through the rings has got to
    View view[kThreads];

    View latest;                                     // the number of each place's newest store
    View seen;                                       // ... that everyone sees by now
    View headStore[kMaxProducers][kMaxRecords + 1];  // the views that released stores carry
    View tailStore[kMaxProducers][kMaxRecords + 1];
    View controlLockView, dpcView, fenceView;

    uint8_t offered[kMaxProducers], dropped[kMaxProducers], knownTail[kMaxProducers], wake[kMaxProducers];
    uint8_t takeTo[kMaxProducers];      // Take's snapshot of the heads, then the part of it that it takes
    uint8_t controlLock, deliveryLock;  // the thread that has it
    uint8_t quiet, waiting, dpcQueued, timerRuns, ended, cancels;
    uint8_t irpCancel, irpRoutine, irpCompleted;
    uint8_t owed;  // a request and a record waited at the tick

    bool operator==(const State& other) const { return std::memcmp(this, &other, sizeof(State)) == 0; }
};
static_assert(std::has_unique_object_representations_v<State>);

struct Hash {
    size_t operator()(const State& state) const {
        return std::hash<std::string_view>()({reinterpret_cast<const char*>(&state), sizeof(state)});
    }
};

class Explorer {
 public:
    explicit Explorer(const Protocol& protocol) : protocol_(protocol) {}

    // The first violation on the shortest way, or "".
    std::string Run() {
        Add(Initial());
        while (!queue_.empty() && violation_.empty()) {
            const State& state = *queue_.front();
            queue_.pop_front();
            moved_ = false;
            for (uint8_t thread = 0; thread < kThreads; thread++) Advance(state, thread);
            if (!moved_ && violation_.empty()) AtRest(state);
            if (state.timerRuns && !state.dpcQueued && state.step[kDpc] == Step::kIdle) Tick(state);
        }
        return violation_;
    }
    size_t states() const { return known_.size(); }

 private:
    State Initial() const {
        State state;
        std::memset(static_cast<void*>(&state), 0, sizeof(state));
        for (uint8_t p = protocol_.producers; p < kMaxProducers; p++) state.step[kProducer0 + p] = Step::kDone;
        if (!protocol_.stop) state.step[kStopper] = Step::kDone;
        state.controlLock = state.deliveryLock = kNobody;
        state.timerRuns = protocol_.timer;
        state.cancels = protocol_.cancels;
        state.irpCompleted = 1;
        return state;
    }

    void Violation(const char* what) {
        if (violation_.empty()) violation_ = what;
    }

    // ---- Memory ----

    // Every store that the thread's load of a place may return.
    template <typename Then>
    void Load(const State& state, uint8_t thread, uint8_t place, Then then) {
        uint8_t oldest = std::max(state.view[thread][place], state.seen[place]);
        for (uint8_t store = oldest; store <= state.latest[place]; store++) {
            State next = state;
            next.view[thread][place] = store;
            then(next, store);
        }
    }
    void LoadHead(const State& state, uint8_t thread, uint8_t ring, auto then) {
        Load(state, thread, At(ring, kHead), [&](State& next, uint8_t head) {
            if (protocol_.headAcquire) Join(next.view[thread], next.headStore[ring][head]);
            then(next, head);
        });
    }
    void LoadTail(const State& state, uint8_t thread, uint8_t ring, auto then) {
        Load(state, thread, At(ring, kTail), [&](State& next, uint8_t tail) {
            if (next.tailStore[ring][tail][At(ring, kTail)] != tail) return;  // Take has skipped this value
            if (protocol_.tailAcquire) Join(next.view[thread], next.tailStore[ring][tail]);
            then(next, tail);
        });
    }
    static void Store(State& state, uint8_t thread, uint8_t place, uint8_t store) {
        state.latest[place] = state.view[thread][place] = store;
    }
    // A head or tail: carries the thread's view, or that there is such a store, no more.
    static void Store(State& state, uint8_t thread, uint8_t place, uint8_t store, View& carried, bool release) {
        Store(state, thread, place, store);
        if (release) carried = state.view[thread];
        carried[place] = store;
    }
    void Fence(State& state, uint8_t thread) const {
        if (!protocol_.fences) return;
        JoinAll(state.view[thread], state.fenceView);
        state.fenceView = state.view[thread];
    }
    // armed changes under the delivery's lock only, so its stores alternate, and their order is the lock's.
    static void ToggleArmed(State& state, uint8_t thread) { Store(state, thread, kArmed, state.latest[kArmed] + 1); }

    // ---- Locks and the request ----

    static void TakeControlLock(State& state, uint8_t thread) {
        state.controlLock = thread;
        Join(state.view[thread], state.controlLockView);
    }
    static void LeaveControlLock(State& state, uint8_t thread) {
        state.controlLock = kNobody;
        state.controlLockView = state.view[thread];
    }
    void Complete(State& state) {
        if (state.irpCompleted) Violation("a request was completed twice");
        state.irpCompleted = 1;
        state.irpCancel = state.owed = 0;
        // Its routine was gone before: the canceller will find none.
        if (state.step[kCanceller] == Step::kTakeRoutine) state.step[kCanceller] = Step::kIdle;
    }
    // Delivery::TakeWaiting and the completion. The lock is free.
    void TakeWaiting(State& state, uint8_t thread) {
        if (state.waiting && (state.irpRoutine || !protocol_.takesRoutine)) {
            state.irpRoutine = state.waiting = 0;
            ToggleArmed(state, thread);
            Complete(state);
        }
    }
    bool RecordWaits(const State& state) const {
        for (uint8_t p = 0; p < protocol_.producers; p++) {
            if (state.latest[At(p, kHead)] != state.latest[At(p, kTail)]) return true;
        }
        return false;
    }

    // ---- The threads: one access to what others see per step. The bytes go with the head or tail that hands them
    // over: views, not the order of steps, tell who may touch them. ----

    void Go(State& next, uint8_t thread, Step step) {
        next.step[thread] = step;
        moved_ = true;
        Add(next);
    }

    void Advance(const State& state, uint8_t thread) {
        if (state.step[thread] == Step::kDone) return;
        switch (thread) {
            case kProducer0:
            case kProducer1:
                return Produce(state, thread, thread - kProducer0);
            case kClient:
                return GetData(state);
            case kDpc:
                return OnDpc(state);
            case kStopper:
                return Stop(state);
            case kCanceller:
                return Cancel(state);
        }
    }

    void Produce(const State& state, uint8_t me, uint8_t ring) {
        State next = state;
        uint8_t placed = state.latest[At(ring, kWritten)];  // the producer's own
        switch (state.step[me]) {
            case Step::kIdle:  // enters the section, looks whether the capture records
                if (state.offered[ring] == protocol_.records) {
                    return Go(next, me, Step::kDone);
                }
                return Load(state, me, kRecording, [&](State& entered, uint8_t stopped) {
                    if (stopped) return Go(entered, me, Step::kDone);
                    entered.offered[ring]++;
                    bool room = placed - state.knownTail[ring] < protocol_.ringRecords;
                    Go(entered, me, room ? Step::kWriteAndPublish : Step::kPlace);
                });
            case Step::kPlace:
                return LoadTail(state, me, ring, [&](State& looked, uint8_t tail) {
                    looked.knownTail[ring] = tail;
                    if (placed - tail < protocol_.ringRecords) return Go(looked, me, Step::kWriteAndPublish);
                    looked.dropped[ring]++;
                    Go(looked, me, Step::kLeave);
                });
            case Step::kWriteAndPublish:
                if (placed >= protocol_.ringRecords &&
                    state.view[me][At(ring, kRead)] + protocol_.ringRecords <= placed)
                    return Violation("a record was overwritten while it may still be read");
                if (state.ended) return Violation("a record was published after END_OF_FILE");
                Store(next, me, At(ring, kWritten), ++placed);
                Store(next, me, At(ring, kHead), placed, next.headStore[ring][placed], protocol_.headRelease);
                Fence(next, me);
                return Go(next, me, Step::kUsedAtLeast);
            case Step::kUsedAtLeast:
                return LoadTail(state, me, ring, [&](State& looked, uint8_t tail) {
                    looked.knownTail[ring] = tail;
                    Go(looked, me, tail == placed ? Step::kLeave : Step::kHint);
                });
            case Step::kHint:
                return Load(state, me, kArmed, [&](State& looked, uint8_t armed) {
                    looked.wake[ring] = armed & 1;
                    Go(looked, me, Step::kLeave);
                });
            case Step::kLeave:
                if (state.wake[ring]) {
                    next.wake[ring] = 0;
                    next.dpcQueued = 1;
                    JoinAll(next.dpcView, next.view[me]);
                }
                return Go(next, me, Step::kIdle);
            default:
                return;
        }
    }

    void GetData(const State& state) {
        constexpr uint8_t me = kClient;
        State next = state;
        uint8_t ring = state.ring[me];
        switch (state.step[me]) {
            case Step::kIdle:  // the client asks again, whatever the status was
                if (state.ended || !state.irpCompleted || state.controlLock != kNobody) return;
                next.irpCancel = next.irpRoutine = next.irpCompleted = 0;
                TakeControlLock(next, me);
                return Go(next, me, Step::kTakeHeads);
            case Step::kTakeHeads:
                return LoadHead(state, me, ring, [&](State& looked, uint8_t head) {
                    looked.takeTo[ring] = head;
                    if (++looked.ring[me] < protocol_.producers) return Go(looked, me, Step::kTakeHeads);
                    looked.ring[me] = 0;
                    ChooseWhatToTake(looked);
                });
            case Step::kCopyAndRelease:
                if (state.view[me][At(ring, kWritten)] < state.takeTo[ring])
                    return Violation("a record was read that may not have been written");
                Store(next, me, At(ring, kRead), state.takeTo[ring]);
                Store(next, me, At(ring, kTail), state.takeTo[ring], next.tailStore[ring][state.takeTo[ring]],
                      protocol_.tailRelease);
                return CopyFrom(next, ring + 1, true);
            case Step::kWaitSetRoutine:
                if (state.deliveryLock != kNobody) return;
                next.deliveryLock = me;
                next.irpRoutine = 1;
                return Go(next, me, Step::kWaitLookAtCancel);
            case Step::kWaitLookAtCancel:
                if (!protocol_.looksAtCancel || !state.irpCancel || !state.irpRoutine) {
                    return Go(next, me, Step::kWaitArm);
                }
                next.irpRoutine = 0;
                next.deliveryLock = kNobody;
                Complete(next);  // STATUS_CANCELLED
                return Return(next);
            case Step::kWaitArm:
                next.waiting = 1;
                ToggleArmed(next, me);
                next.deliveryLock = kNobody;
                Fence(next, me);
                return Go(next, me, Step::kHasRecords);
            case Step::kHasRecords:
                return HasRecords(state, me, [&](State& looked) { Return(looked); });
            case Step::kTakeWaiting:
                if (state.deliveryLock != kNobody) return;
                TakeWaiting(next, me);
                return Return(next);
            default:
                return;
        }
    }
    // Any part of what the heads say, but not nothing if there is something.
    void ChooseWhatToTake(const State& looked) {
        static_assert(kMaxProducers == 2);
        const View& latest = looked.latest;
        uint8_t tail0 = latest[At(0, kTail)], tail1 = latest[At(1, kTail)];
        uint8_t head0 = looked.takeTo[0], head1 = looked.takeTo[1];
        for (uint8_t to0 = tail0; to0 <= head0; to0++) {
            for (uint8_t to1 = tail1; to1 <= head1; to1++) {
                bool something = to0 != tail0 || to1 != tail1;
                if (!something && (head0 != tail0 || head1 != tail1)) continue;
                State next = looked;
                next.takeTo[0] = to0;
                next.takeTo[1] = to1;
                CopyFrom(next, 0, something);
            }
        }
    }
    void CopyFrom(State& next, uint8_t ring, bool something) {
        for (; ring < protocol_.producers; ring++) {
            if (next.takeTo[ring] == next.latest[At(ring, kTail)]) continue;
            next.ring[kClient] = ring;
            return Go(next, kClient, Step::kCopyAndRelease);
        }
        next.ring[kClient] = 0;
        next.takeTo[0] = next.takeTo[1] = 0;
        if (!something && !next.quiet) return Go(next, kClient, Step::kWaitSetRoutine);
        Complete(next);
        if (!something) {
            next.ended = 1;
            if (RecordWaits(next)) Violation("END_OF_FILE came before every record was handed out");
        }
        Return(next);
    }

    void Return(State& next) {
        LeaveControlLock(next, kClient);
        Go(next, kClient, Step::kIdle);
    }

    void HasRecords(const State& state, uint8_t me, auto no) {
        uint8_t ring = state.ring[me];
        LoadTail(state, me, ring, [&](State& tailLoaded, uint8_t tail) {
            LoadHead(tailLoaded, me, ring, [&](State& next, uint8_t head) {
                next.ring[me] = 0;
                if (head != tail) return Go(next, me, Step::kTakeWaiting);
                if (ring + 1 == protocol_.producers) return no(next);
                next.ring[me] = ring + 1;
                Go(next, me, Step::kHasRecords);
            });
        });
    }

    void OnDpc(const State& state) {
        constexpr uint8_t me = kDpc;
        State next = state;
        switch (state.step[me]) {
            case Step::kIdle:
                if (!state.dpcQueued) return;
                next.dpcQueued = 0;
                next.view[me] = state.dpcView;
                next.dpcView = {};
                return Go(next, me, Step::kLookAtArmed);
            case Step::kLookAtArmed:
                return Load(state, me, kArmed, [&](State& looked, uint8_t armed) {
                    if (armed & 1) return Go(looked, me, Step::kHasRecords);
                    EndOfDpc(looked);
                });
            case Step::kHasRecords:
                if (!protocol_.scans) return EndOfDpc(next);
                return HasRecords(state, me, [&](State& looked) { EndOfDpc(looked); });
            case Step::kTakeWaiting:
                if (state.deliveryLock != kNobody) return;
                TakeWaiting(next, me);
                return EndOfDpc(next);
            default:
                return;
        }
    }
    void EndOfDpc(State& next) {
        if (next.owed && next.irpRoutine) {
            Violation("a scan left a record and a request waiting");
        }
        next.owed = 0;
        next.view[kDpc] = {};  // the next one may run anywhere
        Go(next, kDpc, Step::kIdle);
    }
    void Tick(const State& state) {
        State next = state;
        next.seen = state.latest;
        next.dpcQueued = 1;
        next.owed = state.waiting && state.irpRoutine && RecordWaits(state);
        Add(next);
    }

    void Stop(const State& state) {
        constexpr uint8_t me = kStopper;
        State next = state;
        uint8_t ring = state.ring[me];
        switch (state.step[me]) {
            case Step::kIdle:
                if (state.controlLock != kNobody) return;
                TakeControlLock(next, me);
                Store(next, me, kRecording, 1);
                return Go(next, me, protocol_.drains ? Step::kDrain : Step::kTakeWaiting);
            case Step::kDrain: {
                // The ring's lock, or a DPC on its processor: whatever ran there before is known here, and vice versa.
                uint8_t producer = kProducer0 + ring;
                if (state.step[producer] != Step::kIdle && state.step[producer] != Step::kDone) return;
                Join(next.view[me], state.view[producer]);
                Join(next.view[producer], next.view[me]);
                next.ring[me] = ring + 1;
                return Go(next, me, ring + 1 == protocol_.producers ? Step::kTakeWaiting : Step::kDrain);
            }
            case Step::kTakeWaiting:
                if (state.deliveryLock != kNobody) return;
                next.quiet = 1;
                TakeWaiting(next, me);
                return Go(next, me, Step::kReturn);
            case Step::kReturn:
                next.timerRuns = 0;
                LeaveControlLock(next, me);
                return Go(next, me, Step::kDone);
            default:
                return;
        }
    }

    void Cancel(const State& state) {
        constexpr uint8_t me = kCanceller;
        State next = state;
        switch (state.step[me]) {
            case Step::kIdle:
                if (state.cancels == 0 || state.irpCompleted) return;
                next.cancels--;
                next.irpCancel = 1;
                return Go(next, me, Step::kTakeRoutine);
            case Step::kTakeRoutine:
                next.irpRoutine = 0;
                return Go(next, me, state.irpRoutine ? Step::kOnCancel : Step::kIdle);
            case Step::kOnCancel:
                if (state.deliveryLock != kNobody) return;
                next.waiting = 0;
                ToggleArmed(next, me);
                Complete(next);
                return Go(next, me, Step::kIdle);
            default:
                return;
        }
    }

    // ---- What must hold ----

    // No thread has anything left to do.
    void AtRest(const State& state) {
        if (protocol_.stop && !state.ended) Violation("END_OF_FILE never came");
        if (!state.timerRuns && state.waiting && RecordWaits(state)) {
            Violation("a record and a request wait, and nothing is coming");
        }
        for (uint8_t p = 0; p < protocol_.producers; p++) {
            if (state.latest[At(p, kHead)] + state.dropped[p] != state.offered[p]) {
                Violation("a record was neither published nor counted as dropped");
            }
        }
    }

    void Add(State state) {
        bool cancelled = state.irpCancel && state.step[kCanceller] == Step::kIdle;
        if (state.waiting && state.irpRoutine && cancelled) Violation("a request waits although it was cancelled");
        Normalize(state);
        auto [entry, isNew] = known_.insert(state);
        if (isNew) queue_.push_back(&*entry);
    }

    // Makes states equal that differ in nothing that can be observed, and their number finite: what everyone sees is
    // in every view, and `armed` is counted from there.
    static void Normalize(State& state) {
        const View seen = state.seen;
        const uint8_t base = seen[kArmed] & ~1;
        auto raise = [&](View& view) {
            for (uint8_t ring = 0; ring < kMaxProducers; ring++) {
                for (uint8_t place : {At(ring, kHead), At(ring, kTail)})
                    view[place] = std::max(view[place], seen[place]);
            }
            view[kRecording] = std::max(view[kRecording], seen[kRecording]);
            view[kArmed] = std::max(view[kArmed], seen[kArmed]) - base;
        };
        for (View& view : state.view) raise(view);
        for (uint8_t thread = 0; thread < kThreads; thread++) {
            bool looks = thread == kDpc || (thread < kClient && state.step[thread] != Step::kDone);
            if (!looks) state.view[thread][kArmed] = 0;
        }
        for (uint8_t ring = 0; ring < kMaxProducers; ring++) {
            for (uint8_t store = 0; store <= kMaxRecords; store++) {
                RaiseStore(state.headStore[ring][store], store < seen[At(ring, kHead)], raise);
                RaiseStore(state.tailStore[ring][store], store < seen[At(ring, kTail)], raise);
            }
        }
        for (View* view : {&state.latest, &state.controlLockView, &state.dpcView, &state.fenceView}) {
            raise(*view);
        }
        state.controlLockView[kArmed] = 0;
        state.seen[kArmed] -= base;
        for (uint8_t ring = 0; ring < kMaxProducers; ring++) {
            for (uint8_t place : {At(ring, kWritten), At(ring, kRead)}) {
                state.seen[place] = state.view[kDpc][place] = state.dpcView[place] = 0;  // no DPC touches the bytes
            }
        }
    }
    static void RaiseStore(View& carried, bool superseded, auto raise) {
        if (superseded) carried = {};
        raise(carried);
        carried[kArmed] = 0;
    }

    const Protocol protocol_;
    std::unordered_set<State, Hash> known_;
    std::deque<const State*> queue_;
    std::string violation_;
    bool moved_ = false;
};

std::string FirstViolation(const Protocol& protocol) {
    Explorer explorer(protocol);
    std::string violation = explorer.Run();
    INFO("states: ", explorer.states());
    CHECK(explorer.states() > 40);  // it did explore
    return violation;
}

}  // namespace

// The protocol as it is. A ring of one record is the hardest: every record meets a tail.
TEST_CASE("wake model: one scan tells of every committed record") {
    CHECK(FirstViolation({.records = 2}) == "");
}
TEST_CASE("wake model: END_OF_FILE comes, and after everything was handed out") {
    CHECK(FirstViolation({.records = 2, .stop = true}) == "");
}
TEST_CASE("wake model: a cancel is heard, completes once and loses nothing") {
    CHECK(FirstViolation({.records = 1, .cancels = 1, .stop = true}) == "");
}
TEST_CASE("wake model: two rings into one stream, and its end") {
    CHECK(FirstViolation({.producers = 2, .records = 1, .stop = true, .timer = false}) == "");
}

// What each part is for.
TEST_CASE("wake model: the hint alone loses wakes; fences that we do not pay for would mend it") {
    CHECK(FirstViolation({.timer = false}) == "a record and a request wait, and nothing is coming");
    CHECK(FirstViolation({.timer = false, .fences = true}) == "");
}
TEST_CASE("wake model: a DPC that does not look leaves records and requests waiting") {
    CHECK(FirstViolation({.scans = false}) == "a scan left a record and a request waiting");
}
TEST_CASE("wake model: head without its release or acquire shows bytes that were not written") {
    const char* violation = "a record was read that may not have been written";
    CHECK(FirstViolation({.headRelease = false}) == violation);
    CHECK(FirstViolation({.headAcquire = false}) == violation);
}
TEST_CASE("wake model: tail without its release or acquire lets bytes be overwritten that are being read") {
    const char* violation = "a record was overwritten while it may still be read";
    CHECK(FirstViolation({.tailRelease = false}) == violation);
    CHECK(FirstViolation({.tailAcquire = false}) == violation);
}
TEST_CASE("wake model: Stop without DrainSections ends before the last record") {
    CHECK(FirstViolation({.stop = true, .drains = false}) == "END_OF_FILE came before every record was handed out");
}
TEST_CASE("wake model: a cancel that came before the routine must be looked for, and the routine taken back") {
    CHECK(FirstViolation({.cancels = 1, .looksAtCancel = false}) == "a request waits although it was cancelled");
    CHECK(FirstViolation({.cancels = 1, .takesRoutine = false}) == "a request was completed twice");
}

}  // namespace drivermon::test
