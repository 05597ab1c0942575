// memory.h: pool, MDLs and user memory, and what a test may do to them.
//
// Pool is the host's heap, so that AddressSanitizer sees every misuse; a header carries the tag. Each allocation
// (pool, IRP, MDL, device) asks the same counter whether it is the one that has to fail.
#pragma once

#include <cstdint>
#include <functional>

#include "nt.h"

namespace drivermon::sim {

// While it lives, the n-th allocation from now (1 = the next) fails, on any thread.
class FailAllocation {
 public:
    explicit FailAllocation(int64_t n);
    ~FailAllocation();
    FailAllocation(const FailAllocation&) = delete;
    FailAllocation& operator=(const FailAllocation&) = delete;
    bool Happened() const;
    // Of the one that failed, if it was pool; else 0.
    ULONG Tag() const;
};

// While it lives, the next allocation from pool with this tag does something first, once: what happens elsewhere at
// that moment. For as long only one thread may allocate.
class DuringAllocation {
 public:
    DuringAllocation(ULONG tag, std::function<void()> what);
    ~DuringAllocation();
    DuringAllocation(const DuringAllocation&) = delete;
    DuringAllocation& operator=(const DuringAllocation&) = delete;
};

// For every allocator of the kernel: true when this one has to fail.
bool AllocationFails(ULONG tag = 0);

// Pool blocks, IRPs and MDLs that exist. Exact only while nothing runs.
int64_t OutstandingAllocations();
void CountAllocation(int change);

// While it lives, user code cannot read or write these bytes: a copy under an exception handler faults. The bytes
// must belong to the caller; kernel code that touches them without a handler reads them and gets away with it.
class UnreadableUserMemory {
 public:
    UnreadableUserMemory(const void* address, size_t bytes);
    ~UnreadableUserMemory();
    UnreadableUserMemory(const UnreadableUserMemory&) = delete;
    UnreadableUserMemory& operator=(const UnreadableUserMemory&) = delete;
};
// What __try around a copy of user memory amounts to: false, if it would fault.
bool UserMemoryIsReadable(const void* address, size_t bytes);

}  // namespace drivermon::sim
