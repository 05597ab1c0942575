#include "bare_kernel.h"

#include <x86intrin.h>

#include <cstdlib>

#include "core/nt.h"

namespace {

uint32_t processors = 1;
thread_local uint32_t currentProcessor = 0;
thread_local KIRQL currentIrql = PASSIVE_LEVEL;

// The recorder's ways of waiting and of waking: no bench takes them.
[[noreturn]] void NotHere() {
    std::abort();
}

}  // namespace

namespace drivermon::bench {

void SetProcessors(uint32_t count) {
    processors = count;
}
void RunOn(uint32_t processor) {
    currentProcessor = processor;
}

}  // namespace drivermon::bench

KIRQL KfRaiseIrql(KIRQL irql) {
    const KIRQL old = currentIrql;
    currentIrql = irql;
    return old;
}
void KfLowerIrql(KIRQL irql) {
    currentIrql = irql;
}
ULONG KeGetCurrentProcessorNumberEx(PPROCESSOR_NUMBER) {
    return currentProcessor;
}
ULONG KeQueryActiveProcessorCountEx(USHORT) {
    return processors;
}
LARGE_INTEGER KeQueryPerformanceCounter(PLARGE_INTEGER) {
    LARGE_INTEGER now;
    now.QuadPart = static_cast<LONGLONG>(__rdtsc());
    return now;
}

PVOID ExAllocatePoolWithTag(POOL_TYPE, SIZE_T bytes, ULONG) {
    return std::malloc(bytes);
}
void ExFreePoolWithTag(PVOID memory, ULONG) {
    std::free(memory);
}

void KeInitializeSpinLock(PKSPIN_LOCK lock) {
    *lock = 0;
}
void KeInitializeDpc(PRKDPC, PKDEFERRED_ROUTINE, PVOID) {}
void KeInitializeTimer(PKTIMER) {}

void KeAcquireSpinLockAtDpcLevel(PKSPIN_LOCK) {
    NotHere();
}
void KeReleaseSpinLockFromDpcLevel(PKSPIN_LOCK) {
    NotHere();
}
KIRQL KeAcquireSpinLockRaiseToDpc(PKSPIN_LOCK) {
    NotHere();
}
void KeReleaseSpinLock(PKSPIN_LOCK, KIRQL) {
    NotHere();
}
BOOLEAN KeInsertQueueDpc(PRKDPC, PVOID, PVOID) {
    NotHere();
}
void KeSetImportanceDpc(PRKDPC, KDPC_IMPORTANCE) {
    NotHere();
}
NTSTATUS KeSetTargetProcessorDpcEx(PKDPC, PPROCESSOR_NUMBER) {
    NotHere();
}
NTSTATUS KeGetProcessorNumberFromIndex(ULONG, PPROCESSOR_NUMBER) {
    NotHere();
}
void KeFlushQueuedDpcs() {
    NotHere();
}
void KeInitializeEvent(PRKEVENT, EVENT_TYPE, BOOLEAN) {
    NotHere();
}
LONG KeSetEvent(PRKEVENT, KPRIORITY, BOOLEAN) {
    NotHere();
}
NTSTATUS KeWaitForSingleObject(PVOID, KWAIT_REASON, KPROCESSOR_MODE, BOOLEAN, PLARGE_INTEGER) {
    NotHere();
}
BOOLEAN KeSetTimerEx(PKTIMER, LARGE_INTEGER, LONG, PKDPC) {
    NotHere();
}
BOOLEAN KeCancelTimer(PKTIMER) {
    NotHere();
}
