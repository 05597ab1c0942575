// recorder.h: writes records, counts what could not be written, and hands them out in order of time.
//
// One shard per processor: a ring, the sequence of records offered to it, and the losses since the last Loss record.
// A *section* is the time for which a thread has its processor's shard to itself:
//   - where a raised IRQL is real, by DISPATCH_LEVEL alone: no lock, no fence;
//   - where it is not (Wine), and for processors that appeared after load, by the shard's spin lock.
//
// The arithmetic, per processor and at rest:
//   records offered = written + drops[kLossRingFull] + drops[kLossRecordTooLarge]     (starts, ends and others)
//   a record's sequence is the number of records offered before it. A Loss record is not offered: it carries the sequence
//   of the record that follows it, and takes no number.
// The other loss reasons tell of something missing in or after a record that is there.
#pragma once

#include "atomic.h"
#include "doorbell.h"
#include "platform.h"
#include "pool.h"
#include "protocol/control.h"
#include "ring.h"

namespace drivermon {

enum class Offered { kStart, kEnd, kOther };
constexpr LossReason kNotLost = kLossReasonCount;

struct Bytes {
    const void* address;
    uint32_t length;
};

// What a shard has counted since Start. One writer at a time, inside a section; anyone may read.
struct RecordTotals {
    Atomic<uint64_t> offered;
    Atomic<uint64_t> written;
    Atomic<uint64_t> bytesWritten;
    Atomic<uint64_t> dropsStart[kLossReasonCount];
    Atomic<uint64_t> dropsEnd[kLossReasonCount];
    Atomic<uint64_t> dropsOther;
    Atomic<uint64_t> filteredStarts;
    Atomic<uint64_t> sampledOut;
    Atomic<uint64_t> heldInputTruncated;
    // Of dropsStart, filteredStarts, sampledOut: fast-I/O calls that fell through, which is known only at their end.
    Atomic<uint64_t> dropsFellThrough[kLossReasonCount];
    Atomic<uint64_t> filteredFellThrough;
    Atomic<uint64_t> sampledOutFellThrough;
    Atomic<uint64_t> payloadsBeyondReach;
    Atomic<uint64_t> staleCompletions;
};

constexpr uint32_t kMagazineSize = 64;

// A processor's own stock of free request contexts (see request_table.h). Lives here because its guard is the section.
struct Magazine {
    uint32_t count;
    uint32_t index[kMagazineSize];
    // Contexts that went out and came back here; the sums over all processors differ by those that are out.
    Atomic<uint64_t> taken;
    Atomic<uint64_t> given;
};

struct alignas(kCacheLine) Shard {
    Ring ring;
    KSPIN_LOCK lock;
    bool locked;  // sections take the lock
    uint16_t index;
    uint64_t requests;  // ids given out; never reset
    LossRecord loss;    // counts since the last Loss record that was written
    bool lossCounted;   // there are any
    bool lossWaits;     // ... that belong before the next record
    bool wake;          // the section that is running now shall ring the doorbell
    uint32_t sampleTurn;  // of sampling: 0 is recorded
    RecordTotals totals;
    Magazine magazine;

    // Section. Unique in one load and below 2^53: processors use the low 11 bits.
    uint64_t NextRequestId() { return requests++ * kMaxShards + index + 1; }
    // Section. Something is missing although a record was not dropped.
    void CountLoss(Offered what, LossReason reason);

    static constexpr uint32_t kMaxShards = 2048;
};

class Recorder {
 public:
    // PASSIVE_LEVEL. Once, at load.
    NTSTATUS Initialize(const Platform& platform);

    // Start and Stop of recording. PASSIVE_LEVEL, control lock held.
    // Prepare: no one records. Empties the rings, zeroes totals. STATUS_INSUFFICIENT_RESOURCES: as Discard.
    NTSTATUS Prepare(uint32_t ringBytes);
    // No one records. Gives the rings' memory back, and with it what nobody has fetched.
    void Discard();
    // Waits until every section that is running now has ended.
    void DrainSections();

    // Writes one record: `fixedBytes` at `record` (header's size, processor, sequence and irql are filled in), then
    // `pieces`. Other than kNotLost: dropped, and counted. Section, or no one else records.
    LossReason Write(Shard& shard, RecordHeader* record, uint32_t fixedBytes, const Bytes* pieces, uint32_t pieceCount,
                     KIRQL irql, Offered what);

    // ---- The consumer. PASSIVE_LEVEL, control lock held ----

    // Copies whole records, merged by time; returns the bytes. Within a ring the order is that of writing, and a start
    // that was held until its request ended is older than its neighbours: the merge takes it as soon as it gets there. `quiet`: no one records any more, so that losses which
    // wait for a next record can be told as well.
    uint32_t Take(uint8_t* out, uint32_t capacity, bool quiet);
    // <= DISPATCH_LEVEL, no lock: a record waits.
    bool HasRecords() const;

    uint32_t processors() const { return shardCount() - 1; }
    // One per processor, and the shared one.
    uint32_t shardCount() const { return static_cast<uint32_t>(shards_.count()); }
    Shard& shard(uint32_t index) const { return shards_[index]; }
    const Platform& platform() const { return platform_; }
    Doorbell& doorbell() { return doorbell_; }

 private:
    struct Cursor {
        uint64_t timestamp;  // of the record at `position`
        uint64_t position;
        uint64_t head;
        Ring* ring;
    };

    bool Load(Cursor* cursor);
    void Sift(uint32_t from, uint32_t count);
    void WriteWaitingLoss(Shard& shard);
    void Empty(Shard& shard, uint8_t* memory, uint32_t bytes);

    Platform platform_;
    PoolArray<Shard> shards_;  // the last one is shared by processors that were not there at load
    PoolArray<uint8_t> memory_;
    PoolArray<Cursor> cursors_;  // a heap by timestamp while Take runs
    uint32_t wakeBytes_ = 0;     // a ring filled this far rings the doorbell before the timer would look
    Doorbell doorbell_;
};

// The section. <= DISPATCH_LEVEL; inside: DISPATCH_LEVEL where that means something. Must not nest.
class Section {
 public:
    explicit Section(Recorder& recorder);
    // Rings the doorbell if a record was written that is worth it: after the lock, not under it.
    ~Section();
    Section(const Section&) = delete;
    Section& operator=(const Section&) = delete;

    Shard& shard() const { return *shard_; }
    KIRQL irql() const { return entered_; }  // at which it was entered

 private:
    Recorder& recorder_;
    KIRQL entered_;
    Shard* shard_;
};

}  // namespace drivermon
