// hook_table.cpp: see hook_table.h for the order of things.
#include "hook_table.h"

#include "fast_io.h"
#include "presence.h"
#include "thunks.h"

namespace drivermon {

Slot slots[kMaxHookedDrivers];
Atomic<Capture*> hookedCapture;

namespace {

HookTable* theTable;

uint32_t SlotIndex(const Slot& slot) {
    return static_cast<uint32_t>(&slot - slots);
}

// Exchanges a routine pointer in a driver object. True if it was `expected`.
template <typename Routine>
bool Exchange(Routine* place, Routine desired, Routine expected) {
    return InterlockedCompareExchangePointer(reinterpret_cast<PVOID volatile*>(place), reinterpret_cast<PVOID>(desired),
                                             reinterpret_cast<PVOID>(expected)) == reinterpret_cast<PVOID>(expected);
}

template <typename Routine>
Routine Current(Routine* place) {
    return reinterpret_cast<Atomic<Routine>*>(place)->LoadAcquire();
}

// Puts `ours` on top of what is there, unless that is nothing. `isIn`: it is in the table already, or below somebody
// else's hook. Returns whether it is now.
template <typename Routine>
bool PutIn(Routine* place, Routine ours, Atomic<Routine>* original, bool isIn) {
    for (;;) {
        Routine current = Current(place);
        if (current == nullptr) return isIn;
        if (current == ours) return true;
        // Still below somebody else's hook: to swap again would make a loop.
        if (isIn && current != original->LoadRelaxed()) return true;
        isIn = false;
        original->StoreRelease(current);
        if (Exchange(place, ours, current)) return true;
    }
}

// True: `ours` is in the table no more, and below nobody's hook. False: it is, and stays.
template <typename Routine>
bool TakeOut(Routine* place, Routine ours, Routine original) {
    return Exchange(place, original, ours) || Current(place) == original;
}

bool IsInChain(const Slot& slot) {
    return slot.ours != 0 || slot.oursFastIo || slot.oursUnload;
}

bool IsFree(const Slot& slot) {
    return slot.watch.LoadRelaxed() == nullptr && !IsInChain(slot) && !slot.referenced;
}

// A copy of a driver's table in the driver's own size, at most ours. False: there is none, or its size cannot be right:
// the I/O manager calls FastIoDeviceControl without asking for it, so that there are tables with a size of 0, or with
// their number of entries. A clone by such a size would take the fast path from the driver.
bool CopyFastIo(const FAST_IO_DISPATCH* table, FAST_IO_DISPATCH* copy) {
    if (table == nullptr) return false;
    ULONG size = table->SizeOfFastIoDispatch;
    if (size < offsetof(FAST_IO_DISPATCH, FastIoDeviceControl) + sizeof(table->FastIoDeviceControl)) return false;
    if (size > sizeof(FAST_IO_DISPATCH)) size = sizeof(FAST_IO_DISPATCH);
    RtlZeroMemory(copy, sizeof(*copy));
    RtlCopyMemory(copy, table, size);
    copy->SizeOfFastIoDispatch = size;
    return true;
}

// The table that stands in for the slot's original one: our thunks for requests, the driver's own routines for others.
void MakeClone(const Slot& slot, FAST_IO_DISPATCH* clone) {
    const FAST_IO_DISPATCH& ours = thunks[SlotIndex(slot)]->fastIo;
    RtlCopyMemory(clone, &slot.originalFastIo, sizeof(*clone));
#define DRIVERMON_CLONE(function, member) \
    if (clone->member != nullptr) clone->member = ours.member;
    DRIVERMON_FAST_IO(DRIVERMON_CLONE)
#undef DRIVERMON_CLONE
}

// The slot's thunks may serve this table: they do already, or they have never been in anybody's. No other: who comes
// late reads the table without a lock.
bool FitsFastIo(const Slot& slot, const FAST_IO_DISPATCH& copy) {
    return slot.originalFastIo.SizeOfFastIoDispatch == 0 || RtlEqualMemory(&copy, &slot.originalFastIo, sizeof(copy));
}

// The routines a late caller of this slot's thunks would reach are the driver's own of today.
bool OriginalsAreCurrent(const Slot& slot, DRIVER_OBJECT* driver) {
    for (uint32_t major = 0; major < kMajorFunctionCount; major++) {
        if (slot.original[major].LoadRelaxed() != Current(&driver->MajorFunction[major])) return false;
    }
    FAST_IO_DISPATCH copy;
    return !CopyFastIo(Current(&driver->FastIoDispatch), &copy) || FitsFastIo(slot, copy);
}

// Whether its DriverEntry has returned. Before that the driver itself writes its table, over whatever is there: what we
// put in and found gone would be in a chain for good. Drivers that the kernel has made itself were never loaded.
bool HasStarted(const DRIVER_OBJECT& driver) {
    return (driver.Flags & (DRVO_INITIALIZED | DRVO_BUILTIN_DRIVER)) != 0;
}

uint32_t FastIoBits(const FAST_IO_DISPATCH& table) {
    uint32_t bits = 0;
#define DRIVERMON_BIT(function, member) \
    if (table.member != nullptr) bits |= 1u << function;
    DRIVERMON_FAST_IO(DRIVERMON_BIT)
#undef DRIVERMON_BIT
    return bits;
}

}  // namespace

HookTable::~HookTable() {
    RemoveAll(kUnhookRequested);
    // Only where nothing of ours is in any table, and nobody in any thunk, may slots forget whom they served.
    RtlZeroMemory(static_cast<void*>(slots), sizeof(slots));
    while (watches_ != nullptr) {
        Watch* watch = watches_;
        watches_ = watch->next;
        FreeWatch(watch);
    }
    theTable = nullptr;
    hookedCapture.StoreRelease(nullptr);
}

void HookTable::Initialize(Capture* capture, ControlLock* lock, Residence* residence, DRIVER_OBJECT* self) {
    capture_ = capture;
    lock_ = lock;
    residence_ = residence;
    self_ = self;
    theTable = this;
    hookedCapture.StoreRelease(capture);
}

Watch* HookTable::FindWatch(uint32_t driverId) const {
    for (Watch* watch = watches_; watch != nullptr; watch = watch->next) {
        if (!watch->retired && watch->driverId == driverId) return watch;
    }
    return nullptr;
}

// A slot's thunks may still be called by somebody who fetched them long ago; what they would reach must stay right.
// So in this order: where this driver's thunks are in a chain already; where they would reach the same routines;
// never used; rested the longest.
Slot* HookTable::ChooseSlot(DRIVER_OBJECT* driver) {
    for (Slot& slot : slots) {
        if (slot.referenced && slot.driver == driver) return &slot;
    }
    for (Slot& slot : slots) {
        if (slot.everUsed && IsFree(slot) && slot.driver == driver && OriginalsAreCurrent(slot, driver)) return &slot;
    }
    for (Slot& slot : slots) {
        if (!slot.everUsed) return &slot;
    }
    LARGE_INTEGER frequency;
    uint64_t now = static_cast<uint64_t>(KeQueryPerformanceCounter(&frequency).QuadPart);
    uint64_t rest = static_cast<uint64_t>(frequency.QuadPart) * capture_->recorder.platform().slotRestMs / 1000;
    Slot* oldest = nullptr;
    for (Slot& slot : slots) {
        if (IsFree(slot) && (oldest == nullptr || slot.freedTicks < oldest->freedTicks)) oldest = &slot;
    }
    if (oldest == nullptr || now - oldest->freedTicks < rest) return nullptr;
    // Nobody comes late any more.
    RtlZeroMemory(&oldest->originalFastIo, sizeof(oldest->originalFastIo));
    return oldest;
}

NTSTATUS HookTable::Add(const uint16_t* name, uint32_t nameBytes, AddDriverReply* reply) {
    UNICODE_STRING string;
    string.Length = static_cast<USHORT>(nameBytes);
    string.MaximumLength = static_cast<USHORT>(nameBytes);
    string.Buffer = reinterpret_cast<PWSTR>(const_cast<uint16_t*>(name));
    void* object = nullptr;
    NTSTATUS status = ObReferenceObjectByName(&string, OBJ_CASE_INSENSITIVE, nullptr, 0, *IoDriverObjectType,
                                              KernelMode, nullptr, &object);
    if (!NT_SUCCESS(status)) {
        // Not there, not a driver, or not a name: for the caller all the same.
        return status == STATUS_INSUFFICIENT_RESOURCES || status == STATUS_ACCESS_DENIED ? status
                                                                                         : STATUS_OBJECT_NAME_NOT_FOUND;
    }
    auto* driver = static_cast<DRIVER_OBJECT*>(object);
    Slot* slot = nullptr;
    if (driver == self_) {
        status = STATUS_ACCESS_DENIED;
    } else if ((driver->Flags & DRVO_UNLOAD_INVOKED) != 0) {
        status = STATUS_DELETE_PENDING;
    } else if (capture_->recorder.platform().marksStarted && !HasStarted(*driver)) {
        status = STATUS_DEVICE_NOT_READY;
    } else if ((slot = ChooseSlot(driver)) == nullptr) {
        status = STATUS_INSUFFICIENT_RESOURCES;
    } else if (slot->watch.LoadRelaxed() != nullptr) {
        status = STATUS_OBJECT_NAME_COLLISION;
    } else {
        status = capture_->PrepareToHook();
    }
    void* memory = nullptr;
    if (NT_SUCCESS(status)) {
        if (watchCount_ < kMaxWatches) memory = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(Watch), kPoolTag);
        if (memory == nullptr) status = STATUS_INSUFFICIENT_RESOURCES;
    }
    Watch* watch = nullptr;
    if (NT_SUCCESS(status)) {
        RtlZeroMemory(memory, sizeof(Watch));
        watch = new (Placement{memory}) Watch;
        if (!watch->cells.Allocate(capture_->recorder.shardCount())) {
            status = STATUS_INSUFFICIENT_RESOURCES;
        } else if (!residence_->Settle()) {
            status = STATUS_DELETE_PENDING;
        }
        if (!NT_SUCCESS(status)) {
            watch->~Watch();
            ExFreePoolWithTag(watch, kPoolTag);
        }
    }
    if (!NT_SUCCESS(status)) {
        ObDereferenceObject(driver);
        return status;
    }

    // From here on code of ours may be called at any time, by anyone.
    bool chained = slot->referenced;
    if (chained) {
        // Our thunks are still in a chain of this driver, and so is our reference.
        ObDereferenceObject(driver);
        for (Watch* old = watches_; old != nullptr; old = old->next) {
            if (old->slot == slot && old->state == kHookPassThrough) old->retired = true;
        }
    }
    slot->driver = driver;
    slot->referenced = true;
    slot->everUsed = true;

    watch->driverId = ++lastDriverId_;
    watch->state = kHookActive;
    watch->slot = slot;
    watch->driver = driver;
    watch->nameLength = nameBytes;
    RtlCopyMemory(watch->name, name, nameBytes);
    CompactRetired();
    Watch** last = &watches_;
    while (*last != nullptr) last = &(*last)->next;
    *last = watch;
    watchCount_++;

    // What will be hooked is known beforehand, so the stream learns of the driver before its first request.
    for (uint32_t major = 0; major < kMajorFunctionCount; major++) {
        if (Current(&driver->MajorFunction[major]) != nullptr) watch->functions |= 1u << major;
    }
    PrepareFastIo(*slot);
    if (slot->driversFastIo != nullptr) watch->fastIo = FastIoBits(slot->originalFastIo);
    if (capture_->recording()) {
        Section section(capture_->recorder);
        RecordHooking(section.shard(), *watch, kRecordDriverHooked, 0, section.irql());
    }

    slot->watch.StoreRelease(watch);
    HookMajors(*slot);
    HookFastIo(*slot);
    slot->oursUnload =
        PutIn(&driver->DriverUnload, thunks[SlotIndex(*slot)]->unload, &slot->originalUnload, slot->oursUnload);
    if ((driver->Flags & DRVO_UNLOAD_INVOKED) != 0) {
        // It began to unload while we hooked it, perhaps without our thunk in its way. What is chained stays listed.
        RemoveWatch(watch, kUnhookDriverUnloaded);
        return STATUS_DELETE_PENDING;
    }
    reply->driverId = watch->driverId;
    reply->functions = watch->functions;
    reply->fastIo = watch->fastIo;
    reply->reserved = 0;
    reply->driverObject = reinterpret_cast<uint64_t>(driver);
    return STATUS_SUCCESS;
}

void HookTable::HookMajors(Slot& slot) {
    const SlotThunks& ours = *thunks[SlotIndex(slot)];
    for (uint32_t major = 0; major < kMajorFunctionCount; major++) {
        bool isIn = (slot.ours & 1u << major) != 0;
        if (PutIn(&slot.driver->MajorFunction[major], ours.major[major], &slot.original[major], isIn)) {
            slot.ours |= 1u << major;
        }
    }
}

// Fills the slot with its driver's fast-I/O table, if there is one that it may serve.
void HookTable::PrepareFastIo(Slot& slot) {
    if (slot.oursFastIo) return;  // in a chain: the same as ever
    PFAST_IO_DISPATCH table = Current(&slot.driver->FastIoDispatch);
    FAST_IO_DISPATCH copy;
    slot.driversFastIo = CopyFastIo(table, &copy) && FitsFastIo(slot, copy) ? table : nullptr;
    // The same table again is left untouched: somebody may be reading it.
    if (slot.driversFastIo == nullptr || slot.originalFastIo.SizeOfFastIoDispatch != 0) return;
    RtlCopyMemory(&slot.originalFastIo, &copy, sizeof(copy));
    MakeClone(slot, &slot.fastIoThunks);
}

void HookTable::HookFastIo(Slot& slot) {
    if (slot.driversFastIo == nullptr || slot.oursFastIo) return;
    slot.oursFastIo = Exchange(&slot.driver->FastIoDispatch, &slot.fastIoThunks, slot.driversFastIo);
}

void HookTable::Restore(Slot& slot) {
    const SlotThunks& ours = *thunks[SlotIndex(slot)];
    for (uint32_t major = 0; major < kMajorFunctionCount; major++) {
        if ((slot.ours & 1u << major) == 0) continue;
        if (TakeOut(&slot.driver->MajorFunction[major], ours.major[major], slot.original[major].LoadRelaxed())) {
            slot.ours &= ~(1u << major);
        }
    }
    if (slot.oursFastIo) {
        // Who hooks in our clone, which can be written, is on top of us, too.
        FAST_IO_DISPATCH made;
        MakeClone(slot, &made);
        bool edited = !RtlEqualMemory(&made, &slot.fastIoThunks, sizeof(made));
        PFAST_IO_DISPATCH* place = &slot.driver->FastIoDispatch;
        slot.oursFastIo =
            edited ? Current(place) != slot.driversFastIo : !TakeOut(place, &slot.fastIoThunks, slot.driversFastIo);
    }
    // While we are in a chain we keep the reference, and so must see the driver go. The unload routine may be below
    // somebody else's, too: it does its duty whenever it is called.
    if (slot.oursUnload && slot.ours == 0 && !slot.oursFastIo) {
        slot.oursUnload = !TakeOut(&slot.driver->DriverUnload, ours.unload, slot.originalUnload.LoadRelaxed());
    }
}

void HookTable::RecordHooking(Shard& shard, const Watch& watch, RecordType type, uint32_t reason, KIRQL irql) {
    DriverRecord record;
    RtlZeroMemory(&record, sizeof(record));
    record.header.type = type;
    record.header.driverId = watch.driverId;
    record.header.timestamp = NowTicks();
    record.driverObject = reinterpret_cast<uint64_t>(watch.driver);
    if (type == kRecordDriverHooked) {
        record.functions = watch.functions;
        record.fastIo = watch.fastIo;
    } else {
        record.functions = watch.slot->ours;
        record.fastIo = watch.slot->oursFastIo ? watch.fastIo : 0;
    }
    record.reason = reason;
    record.nameLength = watch.nameLength;
    Bytes name = {watch.name, watch.nameLength};
    capture_->recorder.Write(shard, &record.header, sizeof(record), &name, 1, irql, Offered::kOther);
}

void HookTable::RecordUnhooked(const Watch& watch, UnhookReason reason) {
    if (!capture_->recording()) return;
    Section section(capture_->recorder);
    RecordHooking(section.shard(), watch, kRecordDriverUnhooked, reason, section.irql());
}

void HookTable::RemoveWatch(Watch* watch, UnhookReason reason) {
    Slot& slot = *watch->slot;
    if (watch->state == kHookDead) {
        watch->retired = true;
        return;
    }
    bool wasActive = watch->state == kHookActive;
    Restore(slot);
    if (wasActive) {
        slot.watch.StoreRelease(nullptr);
        capture_->recorder.DrainSections();
        RecordUnhooked(*watch, reason);
    }
    if (IsInChain(slot)) {
        watch->state = kHookPassThrough;
        return;
    }
    watch->retired = true;
    slot.referenced = false;
    slot.freedTicks = NowTicks();
    ObDereferenceObject(slot.driver);
    RestIfUnhooked();
}

void HookTable::RestIfUnhooked() {
    for (const Slot& slot : slots) {
        if (slot.referenced) return;
    }
    residence_->Rest();
}

NTSTATUS HookTable::Remove(uint32_t driverId, RemoveDriverReply* reply) {
    Watch* watch = FindWatch(driverId);
    if (watch == nullptr) return STATUS_NOT_FOUND;
    bool dead = watch->state == kHookDead;
    RemoveWatch(watch, kUnhookRequested);
    reply->chainedFunctions = dead ? 0 : watch->slot->ours;
    reply->chainedFastIo = !dead && watch->slot->oursFastIo ? 1 : 0;
    reply->chainedUnload = !dead && watch->slot->oursUnload ? 1 : 0;
    return STATUS_SUCCESS;
}

void HookTable::RemoveAll(UnhookReason reason) {
    for (Watch* watch = watches_; watch != nullptr; watch = watch->next) {
        if (!watch->retired) RemoveWatch(watch, reason);
    }
    if (!capture_->recording()) FreeRetired();
}

void HookTable::FreeWatch(Watch* watch) {
    watch->~Watch();
    ExFreePoolWithTag(watch, kPoolTag);
    watchCount_--;
}

// A retired watch is out of every slot: only contexts and sections that run still point to it. The sections last: one
// that reports a request as unseen has its counters yet to write when the request's completion gives the context back.
bool HookTable::IsOver(const Watch& watch) const {
    if (!watch.retired || watch.Outstanding() != 0) return false;
    capture_->recorder.DrainSections();
    return true;
}

void HookTable::FreeRetired() {
    for (Watch** link = &watches_; *link != nullptr;) {
        Watch* watch = *link;
        if (!IsOver(*watch)) {
            link = &watch->next;
            continue;
        }
        *link = watch->next;
        FreeWatch(watch);
    }
}

// Hooked and unhooked while we record: the totals must stay, their cells need not. Removing has waited for the sections
// that knew the watch by its slot.
void HookTable::CompactRetired() {
    for (Watch** link = &watches_; *link != nullptr;) {
        Watch* watch = *link;
        if (!watch->compacted() && IsOver(*watch)) watch->Compact();
        if (!watch->retired || !watch->compacted() || watch->final.count() != 0) {
            link = &watch->next;
            continue;
        }
        *link = watch->next;
        FreeWatch(watch);
    }
}

void HookTable::BeginEpoch() {
    FreeRetired();
    for (Watch* watch = watches_; watch != nullptr; watch = watch->next) watch->ZeroTotals();
}

void HookTable::Announce() {
    for (Watch* watch = watches_; watch != nullptr; watch = watch->next) {
        if (!watch->retired && watch->state == kHookActive) {
            RecordHooking(capture_->recorder.shard(0), *watch, kRecordDriverHooked, 0, PASSIVE_LEVEL);
        }
    }
}

uint32_t HookTable::List(HookedDriver* entries, uint32_t capacity) const {
    uint32_t total = 0;
    for (const Watch* watch = watches_; watch != nullptr; watch = watch->next) {
        if (watch->retired) continue;
        if (total < capacity) {
            HookedDriver& entry = entries[total];
            RtlZeroMemory(&entry, sizeof(entry));
            entry.driverId = watch->driverId;
            entry.state = watch->state;
            entry.driverObject = reinterpret_cast<uint64_t>(watch->driver);
            entry.functions = watch->functions;
            entry.fastIo = watch->fastIo;
            entry.outstanding = static_cast<uint32_t>(watch->Outstanding());
            entry.nameLength = watch->nameLength;
            RtlCopyMemory(entry.name, watch->name, watch->nameLength);
        }
        total++;
    }
    return total;
}

uint32_t HookTable::Counters(FunctionCounters* entries, uint32_t capacity, uint64_t* outstanding) const {
    uint32_t total = 0;
    for (const Watch* watch = watches_; watch != nullptr; watch = watch->next) {
        watch->ForEachFunction([&](const FunctionCounters& counters) {
            if (total < capacity) entries[total] = counters;
            total++;
            *outstanding += counters.arrivals - counters.completions - counters.unseen;
        });
    }
    return total;
}

void HookTable::OnUnload(Slot& slot, DRIVER_OBJECT* driver) {
    bool referenced = false;
    {
        ControlLock::Hold hold(*lock_);
        if (slot.referenced && slot.driver == driver) {
            Restore(slot);
            // Who has hooked in our clone goes with it: the driver may free the table that it finds.
            if (slot.oursFastIo) Exchange(&driver->FastIoDispatch, slot.driversFastIo, &slot.fastIoThunks);
            slot.watch.StoreRelease(nullptr);
            capture_->recorder.DrainSections();
            for (Watch* watch = watches_; watch != nullptr; watch = watch->next) {
                if (watch->slot != &slot || watch->retired || watch->state == kHookDead) continue;
                if (watch->state == kHookActive) RecordUnhooked(*watch, kUnhookDriverUnloaded);
                watch->state = kHookDead;
            }
            // A chain on top of us goes with the driver's table.
            slot.ours = 0;
            slot.oursFastIo = false;
            slot.oursUnload = false;
            slot.referenced = false;
            slot.driver = nullptr;
            slot.freedTicks = NowTicks();
            referenced = true;
            RestIfUnhooked();
        }
    }
    PDRIVER_UNLOAD original = slot.originalUnload.LoadAcquire();
    original(driver);
    if (referenced) ObDereferenceObject(driver);
}

void OnMonitoredDriverUnload(Slot& slot, DRIVER_OBJECT* driver) {
    Stay stay;
    theTable->OnUnload(slot, driver);
}

}  // namespace drivermon
