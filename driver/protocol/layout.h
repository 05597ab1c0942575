// layout.h: every struct of the ABI with its fields, once, as a list that code can walk.
//
// Two walk it: the layout hash that Hello compares (so that a driver and a client built from different headers
// refuse each other even when somebody forgot to raise the version), and emit_layout.cpp, which writes the
// TypeScript view from the compiler's own offsets.
#pragma once

#include "control.h"

// S(struct) opens a struct, F(struct, field) names a field of it. Reserved fields are left out.
#define DRIVERMON_LAYOUT(S, F)                      \
    S(RecordHeader)                                 \
    F(RecordHeader, size)                           \
    F(RecordHeader, type)                           \
    F(RecordHeader, irql)                           \
    F(RecordHeader, processor)                      \
    F(RecordHeader, sequence)                       \
    F(RecordHeader, driverId)                       \
    F(RecordHeader, timestamp)                      \
    S(RequestStart)                                 \
    F(RequestStart, requestId)                      \
    F(RequestStart, irp)                            \
    F(RequestStart, deviceObject)                   \
    F(RequestStart, fileObject)                     \
    F(RequestStart, processId)                      \
    F(RequestStart, threadId)                       \
    F(RequestStart, requestorProcessId)             \
    F(RequestStart, major)                          \
    F(RequestStart, minor)                          \
    F(RequestStart, requestorMode)                  \
    F(RequestStart, stackLocation)                  \
    F(RequestStart, flags)                          \
    F(RequestStart, irpFlags)                       \
    F(RequestStart, code)                           \
    F(RequestStart, inputLength)                    \
    F(RequestStart, outputLength)                   \
    F(RequestStart, payloadLength)                  \
    F(RequestStart, byteOffset)                     \
    F(RequestStart, payloadTotal)                   \
    F(RequestStart, continues)                      \
    S(RequestEnd)                                   \
    F(RequestEnd, requestId)                        \
    F(RequestEnd, arrivalTimestamp)                 \
    F(RequestEnd, information)                      \
    F(RequestEnd, status)                           \
    F(RequestEnd, flags)                            \
    F(RequestEnd, processId)                        \
    F(RequestEnd, threadId)                         \
    F(RequestEnd, major)                            \
    F(RequestEnd, minor)                            \
    F(RequestEnd, payloadLength)                    \
    F(RequestEnd, payloadTotal)                     \
    S(LossRecord)                                   \
    F(LossRecord, starts)                           \
    F(LossRecord, ends)                             \
    F(LossRecord, others)                           \
    S(DriverRecord)                                 \
    F(DriverRecord, driverObject)                   \
    F(DriverRecord, functions)                      \
    F(DriverRecord, fastIo)                         \
    F(DriverRecord, reason)                         \
    F(DriverRecord, nameLength)                     \
    S(ProcessRecord)                                \
    F(ProcessRecord, processId)                     \
    F(ProcessRecord, parentProcessId)               \
    F(ProcessRecord, event)                         \
    F(ProcessRecord, nameLength)                    \
    S(HelloRequest)                                 \
    F(HelloRequest, abiVersion)                     \
    F(HelloRequest, layoutHash)                     \
    S(HelloReply)                                   \
    F(HelloReply, abiVersion)                       \
    F(HelloReply, layoutHash)                       \
    F(HelloReply, accepted)                         \
    F(HelloReply, driverVersion)                    \
    F(HelloReply, kernel)                           \
    F(HelloReply, processors)                       \
    F(HelloReply, maxDrivers)                       \
    F(HelloReply, frequency)                        \
    F(HelloReply, anchorTicks)                      \
    F(HelloReply, anchorSystemTime)                 \
    S(StartRequest)                                 \
    F(StartRequest, ringBytes)                      \
    F(StartRequest, inputSnapLength)                \
    F(StartRequest, outputSnapLength)               \
    S(AddDriverRequest)                             \
    F(AddDriverRequest, flags)                      \
    F(AddDriverRequest, nameLength)                 \
    S(AddDriverReply)                               \
    F(AddDriverReply, driverId)                     \
    F(AddDriverReply, functions)                    \
    F(AddDriverReply, fastIo)                       \
    F(AddDriverReply, driverObject)                 \
    S(RemoveDriverRequest)                          \
    F(RemoveDriverRequest, driverId)                \
    S(RemoveDriverReply)                            \
    F(RemoveDriverReply, chainedFunctions)          \
    F(RemoveDriverReply, chainedFastIo)             \
    F(RemoveDriverReply, chainedUnload)             \
    S(FunctionCounters)                             \
    F(FunctionCounters, driverId)                   \
    F(FunctionCounters, function)                   \
    F(FunctionCounters, arrivals)                   \
    F(FunctionCounters, completions)                \
    F(FunctionCounters, unseen)                     \
    F(FunctionCounters, success)                    \
    F(FunctionCounters, warnings)                   \
    F(FunctionCounters, errors)                     \
    F(FunctionCounters, cancelled)                  \
    F(FunctionCounters, pended)                     \
    F(FunctionCounters, fellThrough)                \
    F(FunctionCounters, bytesIn)                    \
    F(FunctionCounters, bytesOut)                   \
    F(FunctionCounters, drops)                      \
    F(FunctionCounters, latency)                    \
    S(CountersReply)                                \
    F(CountersReply, timestamp)                     \
    F(CountersReply, epoch)                         \
    F(CountersReply, offered)                       \
    F(CountersReply, written)                       \
    F(CountersReply, bytesWritten)                  \
    F(CountersReply, dropsStart)                    \
    F(CountersReply, dropsEnd)                      \
    F(CountersReply, dropsOther)                    \
    F(CountersReply, outstanding)                   \
    F(CountersReply, ringUsed)                      \
    F(CountersReply, ringSize)                      \
    F(CountersReply, entries)                       \
    F(CountersReply, entriesTotal)                  \
    F(CountersReply, filteredStarts)                \
    F(CountersReply, sampledOut)                    \
    F(CountersReply, heldInputTruncated)            \
    F(CountersReply, dropsFellThrough)              \
    F(CountersReply, filteredFellThrough)           \
    F(CountersReply, sampledOutFellThrough)         \
    F(CountersReply, payloadsBeyondReach)           \
    F(CountersReply, staleCompletions)              \
    S(Predicates)                                   \
    F(Predicates, flags)                            \
    F(Predicates, sampleEvery)                      \
    F(Predicates, minimumLatency)                   \
    F(Predicates, leftOutFunctions)                 \
    F(Predicates, driverMode)                       \
    F(Predicates, driverCount)                      \
    F(Predicates, processMode)                      \
    F(Predicates, processCount)                     \
    F(Predicates, codeMode)                         \
    F(Predicates, codeCount)                        \
    F(Predicates, drivers)                          \
    F(Predicates, processes)                        \
    F(Predicates, codes)                            \
    S(InFlightRequest)                              \
    F(InFlightRequest, requestId)                   \
    F(InFlightRequest, arrival)                     \
    F(InFlightRequest, irp)                         \
    F(InFlightRequest, driverId)                    \
    F(InFlightRequest, processId)                   \
    F(InFlightRequest, threadId)                    \
    F(InFlightRequest, code)                        \
    F(InFlightRequest, major)                       \
    F(InFlightRequest, minor)                       \
    F(InFlightRequest, held)                        \
    F(InFlightRequest, fastIo)                      \
    S(InFlightReply)                                \
    F(InFlightReply, timestamp)                     \
    F(InFlightReply, count)                         \
    F(InFlightReply, total)                         \
    S(HookedDriver)                                 \
    F(HookedDriver, driverId)                       \
    F(HookedDriver, state)                          \
    F(HookedDriver, driverObject)                   \
    F(HookedDriver, functions)                      \
    F(HookedDriver, fastIo)                         \
    F(HookedDriver, outstanding)                    \
    F(HookedDriver, nameLength)                     \
    F(HookedDriver, name)                           \
    S(ListReply)                                    \
    F(ListReply, count)                             \
    F(ListReply, total)

namespace drivermon {

namespace layout_detail {
constexpr uint32_t Mix(uint32_t hash, uint32_t value) { return (hash ^ value) * 16777619u; }
constexpr uint32_t Hash() {
    uint32_t hash = 2166136261u;
#define DRIVERMON_S(s) hash = Mix(hash, sizeof(s));
#define DRIVERMON_F(s, f) hash = Mix(Mix(hash, offsetof(s, f)), sizeof(s::f));
    DRIVERMON_LAYOUT(DRIVERMON_S, DRIVERMON_F)
#undef DRIVERMON_S
#undef DRIVERMON_F
    return hash;
}
}  // namespace layout_detail

constexpr uint32_t kLayoutHash = layout_detail::Hash();

}  // namespace drivermon
