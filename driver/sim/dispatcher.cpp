// dispatcher.cpp: events, waits and fast mutexes. One lock for all, as NT once had: nothing here is on the path of
// a request that completes at once.
#include "dispatcher.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "process.h"
#include "processor.h"
#include "verifier.h"

namespace drivermon::sim {
namespace {

enum WaitType : UCHAR { kNotification = NotificationEvent, kSynchronization = SynchronizationEvent };

std::mutex lock;
std::condition_variable changed;

std::chrono::steady_clock::time_point Deadline(LARGE_INTEGER timeout) {
    LONGLONG ticks = -timeout.QuadPart;
    if (timeout.QuadPart > 0) {
        LARGE_INTEGER now;
        KeQuerySystemTimePrecise(&now);
        ticks = timeout.QuadPart - now.QuadPart;
    }
    return std::chrono::steady_clock::now() + std::chrono::nanoseconds(ticks * 100);
}

}  // namespace

void Signal(DISPATCHER_HEADER* header) {
    {
        std::lock_guard guard(lock);
        header->SignalState = 1;
    }
    changed.notify_all();
}

void Unsignal(DISPATCHER_HEADER* header) {
    std::lock_guard guard(lock);
    header->SignalState = 0;
}

}  // namespace drivermon::sim

using namespace drivermon::sim;

void KeInitializeEvent(PRKEVENT event, EVENT_TYPE type, BOOLEAN state) {
    event->Header = {static_cast<UCHAR>(type == SynchronizationEvent ? kSynchronization : kNotification), state};
}

LONG KeSetEvent(PRKEVENT event, KPRIORITY, BOOLEAN) {
    RequireIrql(DISPATCH_LEVEL, "KeSetEvent");
    LONG before;
    {
        // The waiter may free the event as soon as it is signalled: nothing of it is touched after the lock.
        std::lock_guard guard(lock);
        before = event->Header.SignalState;
        event->Header.SignalState = 1;
    }
    changed.notify_all();
    return before;
}

LONG KeResetEvent(PRKEVENT event) {
    std::lock_guard guard(lock);
    return std::exchange(event->Header.SignalState, 0);
}
void KeClearEvent(PRKEVENT event) {
    KeResetEvent(event);
}
LONG KeReadStateEvent(PRKEVENT event) {
    std::lock_guard guard(lock);
    return event->Header.SignalState;
}

NTSTATUS KeWaitForSingleObject(PVOID object, KWAIT_REASON, KPROCESSOR_MODE, BOOLEAN, PLARGE_INTEGER timeout) {
    RequireIrql(timeout && timeout->QuadPart == 0 ? DISPATCH_LEVEL : APC_LEVEL, "KeWaitForSingleObject");
    auto* header = static_cast<DISPATCHER_HEADER*>(object);
    const auto signalled = [header] { return header->SignalState != 0; };
    std::unique_lock guard(lock);
    if (!timeout) {
        changed.wait(guard, signalled);
    } else if (!changed.wait_until(guard, Deadline(*timeout), signalled)) {
        return STATUS_TIMEOUT;
    }
    if (header->Type == kSynchronization) header->SignalState = 0;
    return STATUS_SUCCESS;
}

NTSTATUS KeDelayExecutionThread(KPROCESSOR_MODE, BOOLEAN, PLARGE_INTEGER interval) {
    RequireIrql(APC_LEVEL, "KeDelayExecutionThread");
    std::this_thread::sleep_until(Deadline(*interval));
    return STATUS_SUCCESS;
}

// ---- Fast mutexes: raise to APC_LEVEL --------------------------------------------------------------------------

void ExInitializeFastMutex(PFAST_MUTEX mutex) {
    *mutex = {1, nullptr, PASSIVE_LEVEL};
}

BOOLEAN ExTryToAcquireFastMutex(PFAST_MUTEX mutex) {
    RequireIrql(APC_LEVEL, "ExTryToAcquireFastMutex");
    PETHREAD thread = CurrentThread();
    std::lock_guard guard(lock);
    if (mutex->Count != 1) return FALSE;
    mutex->Count = 0;
    mutex->Owner = thread;
    mutex->OldIrql = KfRaiseIrql(APC_LEVEL);
    thread->fastMutexes++;
    return TRUE;
}

void ExAcquireFastMutex(PFAST_MUTEX mutex) {
    RequireIrql(APC_LEVEL, "ExAcquireFastMutex");
    PETHREAD thread = CurrentThread();
    std::unique_lock guard(lock);
    if (mutex->Count != 1 && mutex->Owner == thread) Violation("fast mutex taken twice", "by one thread: deadlock");
    changed.wait(guard, [mutex] { return mutex->Count == 1; });
    mutex->Count = 0;
    mutex->Owner = thread;
    mutex->OldIrql = KfRaiseIrql(APC_LEVEL);
    thread->fastMutexes++;
}

void ExReleaseFastMutex(PFAST_MUTEX mutex) {
    PETHREAD thread = CurrentThread();
    KIRQL irql;
    {
        std::lock_guard guard(lock);
        if (mutex->Count == 1 || mutex->Owner != thread) {
            Violation("fast mutex not held", "released by a thread that does not hold it");
        }
        irql = mutex->OldIrql;
        mutex->Owner = nullptr;
        mutex->Count = 1;
        thread->fastMutexes--;
    }
    changed.notify_all();
    KfLowerIrql(irql);
}

// Special kernel APCs are what these keep out; the simulator has none.
void KeEnterCriticalRegion() {
    RequireIrql(APC_LEVEL, "KeEnterCriticalRegion");
}
void KeLeaveCriticalRegion() {
    RequireIrql(APC_LEVEL, "KeLeaveCriticalRegion");
}
