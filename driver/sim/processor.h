// processor.h: simulated processors: who may run raised, deferred procedure calls, timers, the clock.
//
// A real thread is bound to a simulated processor. While one of its threads is at DISPATCH_LEVEL, no other code of
// that processor runs at or above it: raising takes the processor's lock. With a thread per processor that lock is
// never contended.
//
// DPCs run as on NT: on the processor they were queued to, at DISPATCH_LEVEL, in whatever thread is there: at once
// when it is below DISPATCH_LEVEL, else when it lowers. A processor's own DPC thread takes what others queue to it
// (timers, targeted DPCs).
#pragma once

#include <cstdint>

#include "nt.h"

namespace drivermon::sim {

struct Processor;

// `exclusive` false: IRQL is a fiction, as on Wine: it reads PASSIVE_LEVEL always and excludes nobody.
void CreateProcessors(uint32_t count, bool exclusive, uint64_t clockFrequency);
void DestroyProcessors();
// The DPC threads and the clock's. Need the system process. Stopping runs every queued DPC first; a timer that is still
// set is a violation.
void StartProcessorThreads();
void StopProcessorThreads();

// Skips time, for a test that would otherwise have to wait: every timer that falls due runs at its own time, in turn.
// IRQL = PASSIVE_LEVEL.
void AdvanceTime(uint32_t ms);

// Whether drivers find KeQuerySystemTimePrecise, which Windows has from version 8 on.
extern bool hasPreciseTime;

// Sets that processor's performance counter back by so much, until the machine ends.
void SetClockBack(uint32_t processor, uint64_t ticks);

// How many of them drivers are told of: the first ones. All, unless others are to appear later.
void SetActiveProcessors(uint32_t count);

uint32_t ProcessorCount();
Processor* ProcessorAt(uint32_t index);

// Binds the calling thread elsewhere. IRQL < DISPATCH_LEVEL.
void MoveToProcessor(uint32_t index);

// What the verifier goes by; KeGetCurrentIrql tells drivers the same, but on a machine where IRQL is a fiction.
KIRQL TrueIrql();
void RequireIrql(KIRQL most, const char* function);

}  // namespace drivermon::sim
