// fall_throughs.h: which fast-I/O call an IRP continues.
//
// When a fast-I/O routine returns FALSE, or an answer that is not taken, the I/O manager creates an IRP for the same
// call and sends it to the same device, in the thread that made the call and before anything else of that call. The
// thread's last call that fell through is therefore kept here, for the next IRP of that thread, and a link is made only
// where nothing else can be true:
//   - the IRP is the current thread's own, names the file it was made for, and has a stack made for this device: the
//     I/O manager has just sent it. Beneath a filter it has not: whether the filter passed the call on or made one of
//     its own cannot be told, so there is no link;
//   - thread, device, file, function, code, lengths, and offset are the call's;
//   - both belong to one AddDriver and one capture;
//   - no other call came between: a fast-I/O call of the thread takes the note away when it arrives, and again when it
//     was handled, and any IRP that the thread itself sends takes it, whether or not it fits.
// A call that is made inside a routine ends before the routine does, so that it never finds the outer call's note.
// Only for device control, read and write: the other routines have too little in common with their IRPs to compare.
//
// A link that is not made is one that is not known. Two threads may share a place here: the later one has it.
#pragma once

#include "atomic.h"
#include "nt.h"

namespace drivermon {

// What a call and the IRP that continues it have in common.
struct CallIdentity {
    const DEVICE_OBJECT* device;
    const FILE_OBJECT* file;
    uint64_t offset;  // read and write, else 0
    uint32_t epoch;
    uint32_t driverId;
    uint32_t major;
    uint32_t code;  // device control, else 0
    uint32_t inputLength;
    uint32_t outputLength;

    bool operator==(const CallIdentity& other) const {
        return device == other.device && file == other.file && offset == other.offset && epoch == other.epoch &&
               driverId == other.driverId && major == other.major && code == other.code &&
               inputLength == other.inputLength && outputLength == other.outputLength;
    }
};

// <= APC_LEVEL for all; no lock, no wait: each is called by the thread that it is about.
class FallThroughs {
 public:
    // The call has just fallen through.
    void Note(uint32_t thread, uint64_t requestId, const CallIdentity& call) {
        Entry& entry = EntryOf(thread);
        uint64_t state = entry.state.LoadRelaxed();
        if ((state & kBusy) != 0 || !entry.state.CompareExchange(state, kBusy)) return;
        entry.requestId = requestId;
        entry.call = call;
        entry.state.StoreRelease(Full(thread));
    }
    // Whatever fell through before, the thread does something else now.
    void Forget(uint32_t thread) {
        Entry& entry = EntryOf(thread);
        if (entry.state.LoadRelaxed() == Full(thread)) entry.state.CompareExchange(Full(thread), 0);
    }
    bool Has(uint32_t thread) const { return EntryOf(thread).state.LoadRelaxed() == Full(thread); }
    // Takes the note. Returns the id of the call that `irp` continues; 0 = none known.
    uint64_t Take(uint32_t thread, const CallIdentity& irp) {
        Entry& entry = EntryOf(thread);
        if (!entry.state.CompareExchange(Full(thread), kBusy)) return 0;
        uint64_t requestId = entry.call == irp ? entry.requestId : 0;
        entry.state.StoreRelease(0);
        return requestId;
    }

 private:
    static constexpr uint32_t kEntries = 256;
    static constexpr uint64_t kBusy = 1;

    // The fields belong to whoever has made the state busy.
    struct alignas(64) Entry {
        Atomic<uint64_t> state;  // 0: empty, kBusy, or whose note it is
        uint64_t requestId;
        CallIdentity call;
    };
    static_assert(sizeof(Entry) == 64, "a line");

    static uint64_t Full(uint32_t thread) { return static_cast<uint64_t>(thread) << 1; }
    // Thread ids are multiples of four.
    Entry& EntryOf(uint32_t thread) { return entries_[thread / 4 % kEntries]; }
    const Entry& EntryOf(uint32_t thread) const { return entries_[thread / 4 % kEntries]; }

    Entry entries_[kEntries] = {};
};

}  // namespace drivermon
