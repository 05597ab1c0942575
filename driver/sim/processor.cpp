#include "processor.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "dispatcher.h"
#include "host_clock.h"
#include "process.h"
#include "verifier.h"

namespace drivermon::sim {
namespace {

// Between two looks at a lock that is held for less than a microsecond, unless the host took its holder's processor away.
class Patience {
 public:
    void Wait() {
        if (++looks_ % 64 != 0) return;
        if (looks_ < 64 * 64) {
            std::this_thread::yield();
        } else {
            std::this_thread::sleep_for(std::chrono::microseconds(50));
        }
    }

 private:
    uint32_t looks_ = 0;
};

// Taken several times per request: one locked instruction to get it, a plain store to give it back.
class SpinLock {
 public:
    void lock() {
        for (Patience patience; held_.exchange(true, std::memory_order_acquire);) {
            while (held_.load(std::memory_order_relaxed)) patience.Wait();
        }
    }
    void unlock() { held_.store(false, std::memory_order_release); }

 private:
    std::atomic<bool> held_{false};
};

}  // namespace

struct alignas(64) Processor {
    uint32_t index;
    SpinLock raised;                   // held by the thread that runs at DISPATCH_LEVEL or above
    std::atomic<uint32_t> waiting{0};  // queue.size(), for a look without the lock
    std::atomic<uint64_t> lateTicks{0};  // by which its performance counter lags behind

    alignas(64) std::mutex queueLock;
    std::condition_variable wanted;   // its own thread has something to do
    std::condition_variable drained;  // `done` has grown
    std::deque<PKDPC> queue;
    uint64_t queued = 0, done = 0;
    bool stop = false;
    std::thread thread;
};

namespace {

std::vector<std::unique_ptr<Processor>> processors;
uint32_t activeProcessors = 0;
bool irqlExcludes = true;
HostClock performanceCounter;  // of the machine that is running

// ---- DPCs ------------------------------------------------------------------------------------------------------

// Runs what is queued to the calling thread's processor. IRQL = DISPATCH_LEVEL, so it is alone there.
void DrainDpcs(Processor* processor) {
    std::unique_lock guard(processor->queueLock);
    while (!processor->queue.empty()) {
        PKDPC dpc = processor->queue.front();
        processor->queue.pop_front();
        processor->waiting.store(static_cast<uint32_t>(processor->queue.size()), std::memory_order_relaxed);
        // From here on the KDPC may be queued again, or be freed by its routine.
        const KDPC call = *dpc;
        __atomic_store_n(&dpc->Queued, 0, __ATOMIC_RELEASE);
        guard.unlock();
        PETHREAD thread = CurrentThread();
        const int spinLocks = thread->spinLocks;
        call.DeferredRoutine(dpc, call.DeferredContext, call.SystemArgument1, call.SystemArgument2);
        if (thread->irql != DISPATCH_LEVEL) Violation("IRQL changed", "a DPC returned at %u", thread->irql);
        if (thread->spinLocks != spinLocks) Violation("spin lock kept", "a DPC returned with a spin lock");
        guard.lock();
        processor->done++;
        processor->drained.notify_all();
    }
}

void RunDpcThread(Processor* processor) {
    RunAs system(SystemProcess(), processor->index);
    std::unique_lock guard(processor->queueLock);
    for (;;) {
        processor->wanted.wait(guard, [&] { return processor->stop || !processor->queue.empty(); });
        if (processor->queue.empty()) return;
        guard.unlock();
        KfLowerIrql(KfRaiseIrql(DISPATCH_LEVEL));  // lowering drains
        guard.lock();
    }
}

bool Enqueue(PKDPC dpc, Processor* processor, PVOID argument1, PVOID argument2, bool wakeThread) {
    {
        std::lock_guard guard(processor->queueLock);
        if (__atomic_exchange_n(&dpc->Queued, 1, __ATOMIC_ACQ_REL)) return false;
        dpc->SystemArgument1 = argument1;
        dpc->SystemArgument2 = argument2;
        processor->queue.push_back(dpc);
        processor->waiting.store(static_cast<uint32_t>(processor->queue.size()), std::memory_order_relaxed);
        processor->queued++;
    }
    if (wakeThread) processor->wanted.notify_one();
    return true;
}

// ---- Timers ----------------------------------------------------------------------------------------------------

using Clock = std::chrono::steady_clock;

// What a test has skipped, so that it need not wait. Real time goes on beside it.
std::atomic<int64_t> skippedNs{0};
std::atomic<uint64_t> skippedTicks{0};

Clock::duration Skipped() {
    return std::chrono::nanoseconds(skippedNs.load(std::memory_order_relaxed));
}
Clock::time_point Now() {
    return Clock::now() + Skipped();
}
// timerLock is held.
void SkipTo(Clock::time_point time) {
    const int64_t ns = std::chrono::nanoseconds(time - Now()).count();
    if (ns <= 0) return;
    const int64_t skipped = skippedNs.load(std::memory_order_relaxed) + ns;
    skippedNs.store(skipped, std::memory_order_relaxed);
    const double seconds = static_cast<double>(skipped) / 1e9;
    skippedTicks.store(static_cast<uint64_t>(seconds * static_cast<double>(performanceCounter.frequency())),
                       std::memory_order_relaxed);
}

struct SetTimer {
    Clock::time_point due;
    uint64_t generation;  // orders timers with the same due time
    PKTIMER timer;
    Processor* processor;
    bool operator<(const SetTimer& other) const {
        return due != other.due ? due < other.due : generation < other.generation;
    }
};

std::mutex timerLock;  // before any processor's queueLock
std::condition_variable timersChanged;
std::set<SetTimer> timers;
uint64_t timerGeneration = 0;
bool timersStop = false;
std::thread timerThread;

bool RemoveTimer(PKTIMER timer) {
    if (timer->Generation == 0) return false;
    timers.erase({Clock::time_point(Clock::duration(timer->DueTime)), timer->Generation, timer, nullptr});
    timer->Generation = 0;
    return true;
}

// True: it is the first to be due.
bool InsertTimer(PKTIMER timer, Clock::time_point due, Processor* processor) {
    timer->DueTime = due.time_since_epoch().count();
    timer->Generation = ++timerGeneration;
    const auto inserted = timers.insert({due, timer->Generation, timer, processor}).first;
    return inserted == timers.begin();
}

// Takes the first timer out, or sets it anew, and does what it is for.
void Fire() {
    const SetTimer first = *timers.begin();
    timers.erase(timers.begin());
    PKTIMER timer = first.timer;
    if (timer->Period) {
        InsertTimer(timer, first.due + std::chrono::milliseconds(timer->Period), first.processor);
    } else {
        timer->Generation = 0;
    }
    // Under the lock: whoever found that the timer can no longer be cancelled must find its DPC queued.
    // The timer is read before: whoever waits for it may take it along.
    const PKDPC dpc = timer->Dpc;
    Signal(&timer->Header);
    if (dpc) Enqueue(dpc, first.processor, nullptr, nullptr, false);
}

// What timers queue is taken by a thread that is busy on that processor, when it next lowers its IRQL. Where nobody is,
// the processor's own thread is woken, a moment later: a busy machine is spared two wakes per timer.
constexpr auto kMoment = std::chrono::microseconds(50);

void RunTimerThread() {
    std::unique_lock guard(timerLock);
    while (!timersStop) {
        if (timers.empty()) {
            timersChanged.wait(guard);
            continue;
        }
        const auto now = Now();
        const auto due = timers.begin()->due;
        if (now < due) {
            timersChanged.wait_until(guard, due - Skipped());
            continue;
        }
        while (!timers.empty() && timers.begin()->due <= now) Fire();
        guard.unlock();
        std::this_thread::sleep_for(kMoment);
        for (auto& processor : processors) {
            if (processor->waiting.load(std::memory_order_relaxed)) processor->wanted.notify_one();
        }
        guard.lock();
    }
}

// ---- Spin locks ------------------------------------------------------------------------------------------------

void Acquire(PKSPIN_LOCK lock) {
    PETHREAD thread = CurrentThread();
    const auto self = reinterpret_cast<KSPIN_LOCK>(thread);
    for (Patience patience;; patience.Wait()) {
        KSPIN_LOCK free = 0;
        if (__atomic_compare_exchange_n(lock, &free, self, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) break;
        if (free == self) Violation("spin lock taken twice", "by one thread: deadlock");
    }
    thread->spinLocks++;
}

void Release(PKSPIN_LOCK lock) {
    PETHREAD thread = CurrentThread();
    if (__atomic_load_n(lock, __ATOMIC_RELAXED) != reinterpret_cast<KSPIN_LOCK>(thread)) {
        Violation("spin lock not held", "released by a thread that does not hold it");
    }
    thread->spinLocks--;
    __atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}

}  // namespace

bool hasPreciseTime = true;

void CreateProcessors(uint32_t count, bool exclusive, uint64_t clockFrequency) {
    irqlExcludes = exclusive;
    performanceCounter = HostClock(clockFrequency);
    skippedNs = 0;
    skippedTicks = 0;
    for (uint32_t i = 0; i < count; i++) {
        processors.push_back(std::make_unique<Processor>());
        processors.back()->index = i;
    }
    activeProcessors = count;
}

void StartProcessorThreads() {
    for (auto& processor : processors) {
        processor->stop = false;
        processor->thread = std::thread(RunDpcThread, processor.get());
    }
    timersStop = false;
    timerThread = std::thread(RunTimerThread);
}

void StopProcessorThreads() {
    KeFlushQueuedDpcs();
    {
        std::lock_guard guard(timerLock);
        if (!timers.empty()) Violation("timer left set", "%zu timers at shutdown", timers.size());
        timers.clear();
        timersStop = true;
    }
    timersChanged.notify_all();
    timerThread.join();
    for (auto& processor : processors) {
        {
            std::lock_guard guard(processor->queueLock);
            processor->stop = true;
        }
        processor->wanted.notify_one();
        processor->thread.join();
    }
}

void DestroyProcessors() {
    processors.clear();
}

// Each timer at its own time, and its DPC done before the next: as if the time had passed.
void AdvanceTime(uint32_t ms) {
    RequireIrql(PASSIVE_LEVEL, "AdvanceTime");
    std::unique_lock guard(timerLock);
    const auto target = Now() + std::chrono::milliseconds(ms);
    while (!timers.empty() && timers.begin()->due <= target) {
        SkipTo(timers.begin()->due);
        Fire();
        guard.unlock();
        KeFlushQueuedDpcs();
        guard.lock();
    }
    SkipTo(target);
    guard.unlock();
    timersChanged.notify_all();
}

void SetClockBack(uint32_t processor, uint64_t ticks) {
    ProcessorAt(processor)->lateTicks = ticks;
}

void SetActiveProcessors(uint32_t count) {
    activeProcessors = count;
}

uint32_t ProcessorCount() {
    return static_cast<uint32_t>(processors.size());
}
Processor* ProcessorAt(uint32_t index) {
    return processors[index % processors.size()].get();
}

void MoveToProcessor(uint32_t index) {
    RequireIrql(APC_LEVEL, "MoveToProcessor");
    CurrentThread()->processor = ProcessorAt(index);
}

KIRQL TrueIrql() {
    return CurrentThread()->irql;
}

void RequireIrql(KIRQL most, const char* function) {
    const KIRQL irql = TrueIrql();
    if (irql > most) Violation("IRQL too high", "%s at %u, allowed up to %u", function, irql, most);
}

}  // namespace drivermon::sim

using namespace drivermon::sim;

// ---- IRQL ------------------------------------------------------------------------------------------------------

KIRQL KeGetCurrentIrql() {
    return irqlExcludes ? TrueIrql() : PASSIVE_LEVEL;
}

KIRQL KfRaiseIrql(KIRQL irql) {
    PETHREAD thread = CurrentThread();
    const KIRQL old = thread->irql;
    if (irql < old) Violation("raised to a lower IRQL", "from %u to %u", old, irql);
    if (old < DISPATCH_LEVEL && irql >= DISPATCH_LEVEL && irqlExcludes) thread->processor->raised.lock();
    thread->irql = irql;
    return old;
}

void KfLowerIrql(KIRQL irql) {
    PETHREAD thread = CurrentThread();
    const KIRQL old = thread->irql;
    if (irql > old) Violation("lowered to a higher IRQL", "from %u to %u", old, irql);
    if (old < DISPATCH_LEVEL || irql >= DISPATCH_LEVEL) {
        thread->irql = irql;
        return;
    }
    if (thread->spinLocks) Violation("lowered with a spin lock", "%d held", thread->spinLocks);
    Processor* processor = thread->processor;
    thread->irql = DISPATCH_LEVEL;
    if (processor->waiting.load(std::memory_order_relaxed)) DrainDpcs(processor);
    thread->irql = irql;
    if (irqlExcludes) processor->raised.unlock();
}

ULONG KeGetCurrentProcessorNumberEx(PPROCESSOR_NUMBER number) {
    const uint32_t index = CurrentThread()->processor->index;
    if (number) *number = {0, static_cast<UCHAR>(index), 0};
    return index;
}
ULONG KeQueryActiveProcessorCountEx(USHORT) {
    return activeProcessors;
}
ULONG KeQueryMaximumProcessorCountEx(USHORT) {
    return ProcessorCount();
}
NTSTATUS KeGetProcessorNumberFromIndex(ULONG index, PPROCESSOR_NUMBER number) {
    if (index >= activeProcessors) return STATUS_INVALID_PARAMETER;
    *number = {0, static_cast<UCHAR>(index), 0};
    return STATUS_SUCCESS;
}

// ---- Spin locks ------------------------------------------------------------------------------------------------

void KeInitializeSpinLock(PKSPIN_LOCK lock) {
    *lock = 0;
}
KIRQL KeAcquireSpinLockRaiseToDpc(PKSPIN_LOCK lock) {
    RequireIrql(DISPATCH_LEVEL, "KeAcquireSpinLock");
    const KIRQL old = KfRaiseIrql(DISPATCH_LEVEL);
    Acquire(lock);
    return old;
}
void KeReleaseSpinLock(PKSPIN_LOCK lock, KIRQL irql) {
    Release(lock);
    KfLowerIrql(irql);
}
void KeAcquireSpinLockAtDpcLevel(PKSPIN_LOCK lock) {
    // Where IRQL is a fiction nobody is raised, and drivers that know it take their locks like this.
    if (irqlExcludes && TrueIrql() < DISPATCH_LEVEL) {
        Violation("IRQL too low", "KeAcquireSpinLockAtDpcLevel at %u", TrueIrql());
    }
    Acquire(lock);
}
void KeReleaseSpinLockFromDpcLevel(PKSPIN_LOCK lock) {
    Release(lock);
}
BOOLEAN KeTryToAcquireSpinLockAtDpcLevel(PKSPIN_LOCK lock) {
    KSPIN_LOCK free = 0;
    PETHREAD thread = CurrentThread();
    if (!__atomic_compare_exchange_n(lock, &free, reinterpret_cast<KSPIN_LOCK>(thread), false, __ATOMIC_ACQUIRE,
                                     __ATOMIC_RELAXED)) {
        return FALSE;
    }
    thread->spinLocks++;
    return TRUE;
}
void KeAcquireInStackQueuedSpinLock(PKSPIN_LOCK lock, PKLOCK_QUEUE_HANDLE handle) {
    handle->Lock = lock;
    handle->OldIrql = KeAcquireSpinLockRaiseToDpc(lock);
}
void KeReleaseInStackQueuedSpinLock(PKLOCK_QUEUE_HANDLE handle) {
    KeReleaseSpinLock(handle->Lock, handle->OldIrql);
}

// ---- DPCs ------------------------------------------------------------------------------------------------------

void KeInitializeDpc(PRKDPC dpc, PKDEFERRED_ROUTINE routine, PVOID context) {
    *dpc = {routine, context, nullptr, nullptr, -1, 0};
}
void KeSetImportanceDpc(PRKDPC, KDPC_IMPORTANCE) {}
void KeSetTargetProcessorDpc(PRKDPC dpc, CCHAR number) {
    dpc->TargetProcessor = number;
}
NTSTATUS KeSetTargetProcessorDpcEx(PKDPC dpc, PPROCESSOR_NUMBER number) {
    if (number->Number >= ProcessorCount()) return STATUS_INVALID_PARAMETER;
    dpc->TargetProcessor = number->Number;
    return STATUS_SUCCESS;
}

BOOLEAN KeInsertQueueDpc(PRKDPC dpc, PVOID argument1, PVOID argument2) {
    PETHREAD thread = CurrentThread();
    const bool here = dpc->TargetProcessor < 0 || ProcessorAt(dpc->TargetProcessor) == thread->processor;
    Processor* processor = here ? thread->processor : ProcessorAt(dpc->TargetProcessor);
    if (!Enqueue(dpc, processor, argument1, argument2, !here)) return FALSE;
    // The interrupt that NT would request: taken at once below DISPATCH_LEVEL, else by the lowering.
    if (here && thread->irql < DISPATCH_LEVEL) KfLowerIrql(KfRaiseIrql(DISPATCH_LEVEL));
    return TRUE;
}

BOOLEAN KeRemoveQueueDpc(PRKDPC dpc) {
    for (auto& processor : processors) {
        std::lock_guard guard(processor->queueLock);
        for (auto it = processor->queue.begin(); it != processor->queue.end(); ++it) {
            if (*it != dpc) continue;
            processor->queue.erase(it);
            processor->waiting.store(static_cast<uint32_t>(processor->queue.size()), std::memory_order_relaxed);
            processor->done++;
            processor->drained.notify_all();
            __atomic_store_n(&dpc->Queued, 0, __ATOMIC_RELEASE);
            return TRUE;
        }
    }
    return FALSE;
}

void KeFlushQueuedDpcs() {
    RequireIrql(PASSIVE_LEVEL, "KeFlushQueuedDpcs");
    { std::lock_guard guard(timerLock); }  // a timer that has fired has queued its DPC
    for (auto& processor : processors) {
        std::unique_lock guard(processor->queueLock);
        const uint64_t upTo = processor->queued;
        processor->wanted.notify_one();
        processor->drained.wait(guard, [&] { return processor->done >= upTo; });
    }
}

// ---- Timers ----------------------------------------------------------------------------------------------------

void KeInitializeTimer(PKTIMER timer) {
    *timer = {};
}
void KeInitializeTimerEx(PKTIMER timer, TIMER_TYPE) {
    *timer = {};
}

BOOLEAN KeSetTimerEx(PKTIMER timer, LARGE_INTEGER dueTime, LONG period, PKDPC dpc) {
    RequireIrql(DISPATCH_LEVEL, "KeSetTimer");
    using Ticks = std::chrono::duration<long long, std::ratio<1, 10'000'000>>;
    Clock::time_point due = Now();
    if (dueTime.QuadPart < 0) {
        due += Ticks(-dueTime.QuadPart);
    } else {
        LARGE_INTEGER now;
        KeQuerySystemTimePrecise(&now);
        // What is past is due at once.
        if (dueTime.QuadPart > now.QuadPart) due += Ticks(dueTime.QuadPart - now.QuadPart);
    }
    bool wasSet, isFirst;
    {
        std::lock_guard guard(timerLock);
        wasSet = RemoveTimer(timer);
        timer->Dpc = dpc;
        timer->Period = period;
        Unsignal(&timer->Header);
        isFirst = InsertTimer(timer, due, CurrentThread()->processor);
    }
    if (isFirst) timersChanged.notify_all();
    return wasSet;
}
BOOLEAN KeSetTimer(PKTIMER timer, LARGE_INTEGER dueTime, PKDPC dpc) {
    return KeSetTimerEx(timer, dueTime, 0, dpc);
}
BOOLEAN KeCancelTimer(PKTIMER timer) {
    RequireIrql(DISPATCH_LEVEL, "KeCancelTimer");
    std::lock_guard guard(timerLock);
    return RemoveTimer(timer);
}

// ---- Time ------------------------------------------------------------------------------------------------------

LARGE_INTEGER KeQueryPerformanceCounter(PLARGE_INTEGER frequency) {
    if (frequency) frequency->QuadPart = static_cast<LONGLONG>(performanceCounter.frequency());
    const uint64_t late = CurrentThread()->processor->lateTicks.load(std::memory_order_relaxed);
    LARGE_INTEGER now;
    now.QuadPart =
        static_cast<LONGLONG>(performanceCounter.Now() + skippedTicks.load(std::memory_order_relaxed) - late);
    return now;
}

void KeQuerySystemTimePrecise(PLARGE_INTEGER time) {
    constexpr LONGLONG kFrom1601To1970 = 116'444'736'000'000'000;
    const auto since1970 = (std::chrono::system_clock::now().time_since_epoch() + Skipped()) / std::chrono::nanoseconds(1);
    time->QuadPart = static_cast<LONGLONG>(since1970) / 100 + kFrom1601To1970;
}
// As of the last clock interrupt, of which there are 64 a second.
void KeQuerySystemTime(PLARGE_INTEGER time) {
    constexpr LONGLONG kBetweenInterrupts = 156'250;
    KeQuerySystemTimePrecise(time);
    time->QuadPart -= time->QuadPart % kBetweenInterrupts;
}

void KeStallExecutionProcessor(ULONG microseconds) {
    const auto until = Clock::now() + std::chrono::microseconds(microseconds);
    while (Clock::now() < until) {
    }
}
