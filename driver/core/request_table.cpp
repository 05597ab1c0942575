// request_table.cpp: each processor keeps a small stock of free contexts (its magazine, guarded by its section), so
// that a request that starts and ends on one processor touches no shared line; stocks are levelled through one list.
#include "request_table.h"

namespace drivermon {

NTSTATUS RequestTable::Initialize(const Platform& platform) {
    if (contexts_.count() != 0) return STATUS_SUCCESS;
    quota_ = platform.requestQuota;
    KeInitializeSpinLock(&freeLock_);
    uint32_t capacity = platform.requestCapacity;
    if (!contexts_.Allocate(capacity)) return STATUS_INSUFFICIENT_RESOURCES;
    for (uint32_t i = 0; i < capacity; i++) {
        contexts_[i].nextGeneration = 1;
        contexts_[i].nextFree = i + 1 < capacity ? i + 1 : kNone;
    }
    firstFree_ = 0;
    return STATUS_SUCCESS;
}

void RequestTable::Refill(Magazine& magazine) {
    KeAcquireSpinLockAtDpcLevel(&freeLock_);
    while (magazine.count < kMagazineSize / 2 && firstFree_ != kNone) {
        magazine.index[magazine.count++] = firstFree_;
        firstFree_ = contexts_[firstFree_].nextFree;
    }
    KeReleaseSpinLockFromDpcLevel(&freeLock_);
}

void RequestTable::Empty(Magazine& magazine) {
    KeAcquireSpinLockAtDpcLevel(&freeLock_);
    while (magazine.count > kMagazineSize / 2) {
        uint32_t index = magazine.index[--magazine.count];
        contexts_[index].nextFree = firstFree_;
        firstFree_ = index;
    }
    KeReleaseSpinLockFromDpcLevel(&freeLock_);
}

Context* RequestTable::Take(Shard& shard, Watch* watch) {
    DriverCells& cells = watch->cells[shard.index];
    // The processors are added up only when this one has used up what it was granted the last time: where requests end
    // on other processors than they begin on, taken and given drift apart for good, and must not be added up for each.
    if (cells.contextsGranted == 0) {
        uint64_t outstanding = watch->Outstanding();
        if (outstanding >= quota_) {
            usedUp_.StoreRelaxed(1);
            return nullptr;
        }
        cells.contextsGranted = (quota_ - outstanding) / watch->cells.count();
        if (cells.contextsGranted == 0) cells.contextsGranted = 1;
    }
    Magazine& magazine = shard.magazine;
    if (magazine.count == 0) Refill(magazine);
    if (magazine.count == 0) {
        usedUp_.StoreRelaxed(1);
        return nullptr;
    }
    Context* context = &contexts_[magazine.index[--magazine.count]];
    magazine.taken.AddByOwner(1);
    context->watch = watch;
    cells.contextsTaken.AddByOwner(1);
    cells.contextsGranted--;
    return context;
}

uint64_t RequestTable::HandleOf(const Context* context) const {
    uint64_t index = static_cast<uint64_t>(context - contexts_.data());
    return (context->nextGeneration << kIndexBits | index) & ~kTicketFlags;
}

void RequestTable::Give(Shard& shard, Context* context) {
    Watch* watch = context->watch;
    context->nextGeneration++;
    context->ticket.StoreRelease(0);
    Magazine& magazine = shard.magazine;
    if (magazine.count == kMagazineSize) Empty(magazine);
    magazine.index[magazine.count++] = static_cast<uint32_t>(context - contexts_.data());
    magazine.given.AddByOwner(1);
    // Last: the watch may be freed once every context of it has been given back.
    watch->cells[shard.index].contextsGiven.AddByOwner(1);
}

uint32_t RequestTable::List(uint64_t epoch, InFlightRequest* entries, uint32_t capacity) const {
    uint32_t total = 0;
    for (size_t i = 0; i < contexts_.count(); i++) {
        const Context& context = contexts_[i];
        uint64_t ticket = context.ticket.LoadAcquire();
        // Given up and deferred ones have ended.
        if (ticket == 0 || (ticket & (kGivenUp | kDeferred)) != 0 || context.epoch.LoadAcquire() != epoch) continue;
        InFlightRequest entry;
        RtlZeroMemory(&entry, sizeof(entry));
        entry.requestId = context.requestId.LoadAcquire();
        entry.arrival = context.arrivalTicks.LoadAcquire();
        IRP* irp = context.irp.LoadAcquire();
        entry.irp = reinterpret_cast<uint64_t>(irp);
        entry.driverId = context.driverId.LoadAcquire();
        entry.processId = context.processId.LoadAcquire();
        entry.threadId = context.threadId.LoadAcquire();
        entry.code = context.code.LoadAcquire();
        entry.major = context.major();
        entry.minor = context.minor();
        entry.held = context.IsHeld() ? 1 : 0;
        entry.fastIo = irp == nullptr ? 1 : 0;
        // The generation is part of the ticket: still the same request, or none of the above counts.
        if ((context.ticket.LoadAcquire() & ~kReturned) != (ticket & ~kReturned)) continue;
        if (total < capacity) entries[total] = entry;
        total++;
    }
    return total;
}

// Those given back are added up first: each of them had been taken by then.
bool RequestTable::IsEmpty(const Recorder& recorder) const {
    if (abandoned_.LoadAcquire() != 0) return false;
    uint64_t given = 0;
    uint64_t taken = 0;
    for (uint32_t i = 0; i < recorder.shardCount(); i++) given += recorder.shard(i).magazine.given.LoadAcquire();
    for (uint32_t i = 0; i < recorder.shardCount(); i++) taken += recorder.shard(i).magazine.taken.LoadAcquire();
    return taken == given;
}

namespace {

// An IRP at a stack location: kernel addresses agree in their upper bits, so that the location finds room there.
uint64_t PlaceOf(const IRP* irp, uint32_t kind) {
    return reinterpret_cast<uint64_t>(irp) ^ static_cast<uint64_t>(kind >> 24) << 56;
}

}  // namespace

RequestTable::Reclaiming::Reclaiming(RequestTable& table, uint64_t epoch, uint64_t now, uint64_t oldTicks)
    : table_(table), epoch_(epoch), oldBefore_(now > oldTicks ? now - oldTicks : 0) {
    uint32_t count = static_cast<uint32_t>(table.contexts_.count());
    if (!table.usedUp_.CompareExchange(1, 0)) {
        next_ = count;
        return;
    }
    uint32_t entries = 1;
    while (entries < 2 * count) entries *= 2;
    if (!latest_.Allocate(entries)) return;
    for (uint32_t i = 0; i < count; i++) {
        const Context& context = table.contexts_[i];
        uint64_t ticket = context.ticket.LoadAcquire();
        const IRP* irp = context.irp.LoadAcquire();
        uint32_t kind = context.kind.LoadAcquire();
        uint64_t arrival = context.arrivalTicks.LoadAcquire();
        // Below a hook that has passed its own location on, the other context is alive, and called by this one.
        if (ticket == 0 || irp == nullptr || (kind & Context::kRoutineIsOurs) != 0) continue;
        if ((context.ticket.LoadAcquire() & ~kTicketFlags) != (ticket & ~kTicketFlags)) continue;
        Latest& latest = Find(PlaceOf(irp, kind));
        latest.place = PlaceOf(irp, kind);
        if (latest.arrival < arrival) latest.arrival = arrival;
    }
}

RequestTable::Reclaiming::Latest& RequestTable::Reclaiming::Find(uint64_t place) const {
    uint64_t mask = latest_.count() - 1;
    for (uint64_t i = place * 0x9E3779B97F4A7C15ull >> 32;; i++) {
        Latest& latest = latest_[i & mask];
        if (latest.place == place || latest.place == 0) return latest;
    }
}

Context* RequestTable::Reclaiming::Next() {
    while (next_ < table_.contexts_.count()) {
        Context& context = table_.contexts_[next_++];
        uint64_t ticket = context.ticket.LoadAcquire();
        const IRP* irp = context.irp.LoadAcquire();
        uint32_t kind = context.kind.LoadAcquire();
        uint64_t arrival = context.arrivalTicks.LoadAcquire();
        bool ofThisEpoch = context.epoch.LoadAcquire() == epoch_;
        if (ticket == 0 || (ticket & (kGivenUp | kDeferred)) != 0) continue;
        // A fast-I/O call ends in its own thread, and soon.
        if (irp == nullptr || (kind & Context::kHasRoutine) != 0) continue;
        bool dead = latest_.count() != 0 && arrival < Find(PlaceOf(irp, kind)).arrival;
        if (!dead && ofThisEpoch && arrival >= oldBefore_) continue;
        // The generation is part of the ticket: all of the above was true of this request, or it is not ours now.
        if (!context.ticket.CompareExchange(ticket, 0)) continue;
        if (!dead) table_.abandoned_.StoreRelease(1);
        return &context;
    }
    return nullptr;
}

Context* RequestTable::Find(uint64_t handle) const {
    uint64_t index = handle & ((1u << kIndexBits) - 1);
    return index < contexts_.count() ? &contexts_[index] : nullptr;
}

}  // namespace drivermon
