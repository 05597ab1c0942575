// platform.h: what this kernel can be relied on for, found out once at load.
//
// The three kernels that core runs on differ in a few facts, not in code paths: every difference is a field here.
#pragma once

#include "nt.h"
#include "protocol/control.h"

namespace drivermon {

struct Platform {
    KernelKind kernel;
    bool raiseIrql;  // a raised IRQL keeps this processor to ourselves. On Wine it is a fiction (and costs 5 us)
    bool lockRings;  // it does not: every ring takes its spin lock
    bool wakeByDpc;  // KeInsertQueueDpc runs the routine. On Wine it says so and does not; a timer's does
    bool readUser;   // the requestor's memory can be read under an exception handler
    bool knowsCurrent;  // PsGetCurrentThread and PsGetCurrentProcess are the caller's, and the mapped memory's. On Wine they
                        // are the drivers' own; ids are the caller's, and a request's thread is there as long as it is
    bool askMode;       // ExGetPreviousMode tells where the thread came from. On Wine it ends the drivers' process
    bool marksStarted;  // a driver's flags tell whether its DriverEntry has returned. On Wine they stay 0

    // Limits, here so that a test can reach them with few requests.
    uint32_t requestCapacity;  // requests in flight that can be followed, all drivers
    uint32_t requestQuota;     // ... of one driver
    uint32_t slotRestMs;       // before a hook's slot may serve another driver
    uint32_t oldRequestMs;     // in flight for longer, a request may lose its context to another (see request_table.h)

    // KeQuerySystemTimePrecise, as Windows 8 and later have it; else null: what time it is, is known as of the last
    // clock interrupt.
    void(NTAPI* preciseTime)(PLARGE_INTEGER time) = nullptr;
};

// The simulator says what it simulates before it loads us; null on a real kernel. Its `kernel` is kKernelSimulated.
extern const Platform* platformOverride;

constexpr Platform kNtPlatform = {
    .kernel = kKernelNt,
    .raiseIrql = true,
    .lockRings = false,
    .wakeByDpc = true,
    .readUser = true,
    .knowsCurrent = true,
    .askMode = true,
    .marksStarted = true,
    .requestCapacity = 1u << 16,
    .requestQuota = 1u << 15,
    .slotRestMs = 10'000,
    .oldRequestMs = 600'000,
};
constexpr Platform kWinePlatform = {
    .kernel = kKernelWine,
    .raiseIrql = false,
    .lockRings = true,
    .wakeByDpc = false,
    .readUser = true,
    .knowsCurrent = false,
    .askMode = false,
    .marksStarted = false,
    .requestCapacity = 1u << 14,
    .requestQuota = 1u << 13,
    .slotRestMs = 10'000,
    .oldRequestMs = 600'000,
};

// PASSIVE_LEVEL.
Platform DetectPlatform();

// Any IRQL.
inline uint64_t NowTicks() {
    return static_cast<uint64_t>(KeQueryPerformanceCounter(nullptr).QuadPart);
}

}  // namespace drivermon
