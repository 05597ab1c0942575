#include "memory.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <new>
#include <vector>

#include "process.h"
#include "processor.h"
#include "verifier.h"

namespace drivermon::sim {
namespace {

constexpr int64_t kNever = -1;
std::atomic<int64_t> allocationsUntilFailure{kNever};
std::atomic<ULONG> failedTag{0};

std::atomic<ULONG> awaitedTag{0};
std::function<void()> duringAllocation;

// Counted per thread group, so that a hot path does not share a cache line with every other.
struct alignas(64) Count {
    std::atomic<int64_t> value{0};
};
constexpr size_t kCounts = 16;
Count counts[kCounts];
std::atomic<uint32_t> nextCount;
constinit thread_local Count* myCount = nullptr;

struct Range {
    const char* begin;
    const char* end;
};
std::mutex rangesLock;
std::vector<Range> unreadable;
std::atomic<bool> anyUnreadable{false};

struct alignas(16) PoolHeader {
    static constexpr uint32_t kMagic = 0x6c6f6f50;  // "Pool"
    uint32_t magic;
    uint32_t tag;
    void* block;
};
static_assert(sizeof(PoolHeader) == 16);

}  // namespace

FailAllocation::FailAllocation(int64_t n) {
    failedTag = 0;
    allocationsUntilFailure = n;
}
FailAllocation::~FailAllocation() {
    allocationsUntilFailure = kNever;
}
bool FailAllocation::Happened() const {
    return allocationsUntilFailure == 0;
}

ULONG FailAllocation::Tag() const {
    return failedTag;
}

DuringAllocation::DuringAllocation(ULONG tag, std::function<void()> what) {
    duringAllocation = std::move(what);
    awaitedTag = tag;
}
DuringAllocation::~DuringAllocation() {
    awaitedTag = 0;
    duringAllocation = nullptr;
}

bool AllocationFails(ULONG tag) {
    if (allocationsUntilFailure.load(std::memory_order_relaxed) <= 0) return false;
    if (allocationsUntilFailure.fetch_sub(1) != 1) return false;
    failedTag = tag;
    return true;
}

void CountAllocation(int change) {
    if (!myCount) myCount = &counts[nextCount++ % kCounts];
    myCount->value.fetch_add(change, std::memory_order_relaxed);
}

int64_t OutstandingAllocations() {
    int64_t sum = 0;
    for (Count& count : counts) sum += count.value;
    return sum;
}

UnreadableUserMemory::UnreadableUserMemory(const void* address, size_t bytes) {
    std::lock_guard guard(rangesLock);
    const auto* begin = static_cast<const char*>(address);
    unreadable.push_back({begin, begin + bytes});
    anyUnreadable = true;
}

UnreadableUserMemory::~UnreadableUserMemory() {
    std::lock_guard guard(rangesLock);
    unreadable.pop_back();
    anyUnreadable = !unreadable.empty();
}

bool UserMemoryIsReadable(const void* address, size_t bytes) {
    constexpr uintptr_t kFirstPages = 0x10000, kEndOfUserSpace = 0x7FFFFFFEFFFF;
    const auto first = reinterpret_cast<uintptr_t>(address);
    if (first < kFirstPages || first > kEndOfUserSpace || bytes > kEndOfUserSpace - first) return false;
    if (!anyUnreadable.load(std::memory_order_relaxed)) return true;
    const auto* begin = static_cast<const char*>(address);
    std::lock_guard guard(rangesLock);
    return std::none_of(unreadable.begin(), unreadable.end(),
                        [=](const Range& range) { return begin < range.end && range.begin < begin + bytes; });
}

}  // namespace drivermon::sim

using namespace drivermon::sim;

// ---- Pool ------------------------------------------------------------------------------------------------------

PVOID ExAllocatePoolWithTag(POOL_TYPE type, SIZE_T bytes, ULONG tag) {
    RequireIrql(type == PagedPool ? APC_LEVEL : DISPATCH_LEVEL, "ExAllocatePoolWithTag");
    if (bytes == 0) Violation("allocation of nothing", "tag %08x", tag);
    // Paged pool has its uses; but nobody here would see who touches it at DISPATCH_LEVEL.
    if (type != NonPagedPoolNx) Violation("pool that is paged or executable", "type %d, tag %08x", type, tag);
    if (awaitedTag.load(std::memory_order_relaxed) == tag && awaitedTag.exchange(0) == tag) duringAllocation();
    if (AllocationFails(tag)) return nullptr;
    // A block of a page or more begins on a page.
    const size_t alignment = bytes >= PAGE_SIZE ? PAGE_SIZE : sizeof(PoolHeader);
    auto* block =
        static_cast<char*>(alignment == sizeof(PoolHeader) ? ::operator new(bytes + sizeof(PoolHeader), std::nothrow)
                                                           : ::operator new(bytes + 2 * alignment, std::nothrow));
    if (!block) return nullptr;
    const uintptr_t body = (reinterpret_cast<uintptr_t>(block) + sizeof(PoolHeader) + alignment - 1) & ~(alignment - 1);
    new (reinterpret_cast<char*>(body) - sizeof(PoolHeader)) PoolHeader{PoolHeader::kMagic, tag, block};
    CountAllocation(1);
    return reinterpret_cast<void*>(body);
}

void ExFreePoolWithTag(PVOID body, ULONG tag) {
    RequireIrql(DISPATCH_LEVEL, "ExFreePoolWithTag");
    auto* header = static_cast<PoolHeader*>(body) - 1;
    if (header->magic != PoolHeader::kMagic) {
        Violation("bad pool free", "%p is no pool block, or was freed before", body);
        return;
    }
    if (tag && tag != header->tag) Violation("bad pool free", "tag %08x, allocated with %08x", tag, header->tag);
    header->magic = 0;
    CountAllocation(-1);
    ::operator delete(header->block);
}
void ExFreePool(PVOID body) {
    ExFreePoolWithTag(body, 0);
}

// ---- User memory -----------------------------------------------------------------------------------------------

// Under an exception handler these would raise; without one nothing stops them. Who needs the answer asks
// UserMemoryIsReadable.
void ProbeForRead(const volatile void*, SIZE_T, ULONG) {
    RequireIrql(APC_LEVEL, "ProbeForRead");
}
void ProbeForWrite(volatile void*, SIZE_T, ULONG) {
    RequireIrql(APC_LEVEL, "ProbeForWrite");
}
BOOLEAN MmIsAddressValid(PVOID address) {
    return UserMemoryIsReadable(address, 1);
}

// ---- MDLs ------------------------------------------------------------------------------------------------------

PMDL IoAllocateMdl(PVOID address, ULONG length, BOOLEAN secondary, BOOLEAN, PIRP irp) {
    RequireIrql(DISPATCH_LEVEL, "IoAllocateMdl");
    if (AllocationFails()) return nullptr;
    const auto va = reinterpret_cast<uintptr_t>(address);
    auto* mdl = new MDL{};
    mdl->Size = sizeof(MDL);
    mdl->StartVa = reinterpret_cast<PVOID>(va & ~uintptr_t{PAGE_SIZE - 1});
    mdl->ByteOffset = static_cast<ULONG>(va & (PAGE_SIZE - 1));
    mdl->ByteCount = length;
    CountAllocation(1);
    if (irp && !secondary) {
        irp->MdlAddress = mdl;
    } else if (irp) {
        PMDL* last = &irp->MdlAddress;
        while (*last) last = &(*last)->Next;
        *last = mdl;
    }
    return mdl;
}

void IoFreeMdl(PMDL mdl) {
    if (mdl->MdlFlags & MDL_PAGES_LOCKED) Violation("MDL freed locked", "%p", static_cast<void*>(mdl));
    CountAllocation(-1);
    delete mdl;
}

void MmBuildMdlForNonPagedPool(PMDL mdl) {
    mdl->MdlFlags |= MDL_SOURCE_IS_NONPAGED_POOL;
    mdl->MappedSystemVa = MmGetMdlVirtualAddress(mdl);
}

void MmProbeAndLockPages(PMDL mdl, KPROCESSOR_MODE, LOCK_OPERATION operation) {
    RequireIrql(APC_LEVEL, "MmProbeAndLockPages");
    mdl->Process = CurrentThread()->process;
    mdl->MdlFlags |= MDL_PAGES_LOCKED;
    if (operation != IoReadAccess) mdl->MdlFlags |= MDL_WRITE_OPERATION;
}

void MmUnlockPages(PMDL mdl) {
    if (!(mdl->MdlFlags & MDL_PAGES_LOCKED)) Violation("MDL not locked", "unlocked %p", static_cast<void*>(mdl));
    mdl->MappedSystemVa = nullptr;
    mdl->MdlFlags &= ~(MDL_PAGES_LOCKED | MDL_MAPPED_TO_SYSTEM_VA | MDL_WRITE_OPERATION);
}

PVOID MmMapLockedPagesSpecifyCache(PMDL mdl, KPROCESSOR_MODE, MEMORY_CACHING_TYPE, PVOID, ULONG, ULONG priority) {
    RequireIrql(DISPATCH_LEVEL, "MmMapLockedPagesSpecifyCache");
    if (!(priority & MdlMappingNoExecute)) Violation("executable mapping", "of MDL %p", static_cast<void*>(mdl));
    // Whoever asks for the address next gets this mapping, and may have to write through it.
    if (priority & MdlMappingNoWrite) Violation("read-only mapping", "of MDL %p", static_cast<void*>(mdl));
    if (!(mdl->MdlFlags & (MDL_PAGES_LOCKED | MDL_PARTIAL))) {
        Violation("MDL not locked", "mapped %p", static_cast<void*>(mdl));
    }
    if (mdl->MdlFlags & (MDL_MAPPED_TO_SYSTEM_VA | MDL_SOURCE_IS_NONPAGED_POOL | MDL_PARTIAL_HAS_BEEN_MAPPED)) {
        Violation("MDL mapped twice", "%p", static_cast<void*>(mdl));
    }
    if (AllocationFails()) return nullptr;
    mdl->MappedSystemVa = MmGetMdlVirtualAddress(mdl);
    mdl->MdlFlags |= MDL_MAPPED_TO_SYSTEM_VA;
    if (mdl->MdlFlags & MDL_PARTIAL) mdl->MdlFlags |= MDL_PARTIAL_HAS_BEEN_MAPPED;
    return mdl->MappedSystemVa;
}

void MmUnmapLockedPages(PVOID, PMDL mdl) {
    mdl->MappedSystemVa = nullptr;
    mdl->MdlFlags &= ~(MDL_MAPPED_TO_SYSTEM_VA | MDL_PARTIAL_HAS_BEEN_MAPPED);
}
