// hook_table.h: which drivers are hooked, and how a hook is put in and taken out.
//
// The order is what keeps it safe:
//   in:   reference the driver → fill the slot (originals, watch) → swap each entry by compare-exchange
//   out:  put each entry back by compare-exchange → clear the watch → wait for all sections → release the driver
// An entry that somebody has hooked on top of us is left alone: our thunk stays in that chain as a pass-through, and
// with it the reference, which our unload thunk gives back when the driver goes.
#pragma once

#include "capture.h"
#include "control_lock.h"
#include "residence.h"
#include "slot.h"

namespace drivermon {

// All but OnMonitoredDriverUnload: PASSIVE_LEVEL, control lock held.
class HookTable {
 public:
    ~HookTable();

    // `self` is our own driver object: it cannot be hooked, and loses its unload routine with the first hook.
    void Initialize(Capture* capture, ControlLock* lock, Residence* residence, DRIVER_OBJECT* self);

    NTSTATUS Add(const uint16_t* name, uint32_t nameBytes, AddDriverReply* reply);
    NTSTATUS Remove(uint32_t driverId, RemoveDriverReply* reply);
    void RemoveAll(UnhookReason reason);

    // Fills in up to `capacity` entries; returns how many there are.
    uint32_t List(HookedDriver* entries, uint32_t capacity) const;
    // Fills in up to `capacity` entries, one per function that saw a request; returns how many there are. Adds up the
    // requests of all that have arrived and not ended.
    uint32_t Counters(FunctionCounters* entries, uint32_t capacity, uint64_t* outstanding) const;

    // Before recording starts: forgets the drivers of the last capture, zeroes counters.
    void BeginEpoch();
    // Tells the stream which drivers are hooked. No one records yet.
    void Announce();

    // PASSIVE_LEVEL, no lock held: in the unload thunk of a monitored driver.
    void OnUnload(Slot& slot, DRIVER_OBJECT* driver);

 private:
    Watch* FindWatch(uint32_t driverId) const;
    Slot* ChooseSlot(DRIVER_OBJECT* driver);
    void HookMajors(Slot& slot);
    void PrepareFastIo(Slot& slot);
    void HookFastIo(Slot& slot);
    // Puts back what can be put back; what cannot remains in slot.ours, slot.oursFastIo and slot.oursUnload.
    void Restore(Slot& slot);
    void RecordHooking(Shard& shard, const Watch& watch, RecordType type, uint32_t reason, KIRQL irql);
    void RecordUnhooked(const Watch& watch, UnhookReason reason);
    void RemoveWatch(Watch* watch, UnhookReason reason);
    void RestIfUnhooked();
    bool IsOver(const Watch& watch) const;
    void FreeRetired();
    void CompactRetired();
    void FreeWatch(Watch* watch);

    Capture* capture_ = nullptr;
    ControlLock* lock_ = nullptr;
    Residence* residence_ = nullptr;
    DRIVER_OBJECT* self_ = nullptr;
    // Oldest first. Those removed while recording stay for their totals: hence a limit on hooking over and over.
    static constexpr uint32_t kMaxWatches = 1u << 14;
    Watch* watches_ = nullptr;
    uint32_t watchCount_ = 0;
    uint32_t lastDriverId_ = 0;
};

// The body of every unload thunk. PASSIVE_LEVEL.
void OnMonitoredDriverUnload(Slot& slot, DRIVER_OBJECT* driver);

}  // namespace drivermon
