// recorder.cpp: see recorder.h for the arithmetic and for what a section is.
#include "recorder.h"

namespace drivermon {

namespace {

constexpr uint32_t kMaxSharedRingBytes = 1u << 16;

struct DrainDpc {
    KDPC dpc;
    KEVENT passed;
};

KDEFERRED_ROUTINE SectionPassed;
void NTAPI SectionPassed(PKDPC, PVOID context, PVOID, PVOID) {
    KeSetEvent(&static_cast<DrainDpc*>(context)->passed, IO_NO_INCREMENT, FALSE);
}

}  // namespace

Section::Section(Recorder& recorder) : recorder_(recorder), entered_(PASSIVE_LEVEL) {
    if (recorder.platform().raiseIrql) KeRaiseIrql(DISPATCH_LEVEL, &entered_);
    uint32_t processor = KeGetCurrentProcessorNumberEx(nullptr);
    uint32_t last = recorder.shardCount() - 1;
    shard_ = &recorder.shard(processor < last ? processor : last);
    if (shard_->locked) KeAcquireSpinLockAtDpcLevel(&shard_->lock);
}

Section::~Section() {
    bool wake = shard_->wake;
    shard_->wake = false;
    if (shard_->locked) KeReleaseSpinLockFromDpcLevel(&shard_->lock);
    if (wake) recorder_.doorbell().Ring();
    if (recorder_.platform().raiseIrql) KeLowerIrql(entered_);
}

void Shard::CountLoss(Offered what, LossReason reason) {
    lossCounted = true;
    // A missing payload is told by its record's own flag: the count may wait, lest a driver whose buffers cannot be
    // read fill the ring with Loss records.
    if (reason != kLossPayloadNoScratch && reason != kLossPayloadFault) lossWaits = true;
    switch (what) {
        case Offered::kStart:
            loss.starts[reason]++;
            totals.dropsStart[reason].AddByOwner(1);
            break;
        case Offered::kEnd:
            loss.ends[reason]++;
            totals.dropsEnd[reason].AddByOwner(1);
            break;
        case Offered::kOther:
            loss.others++;
            totals.dropsOther.AddByOwner(1);
            break;
    }
}

NTSTATUS Recorder::Initialize(const Platform& platform) {
    platform_ = platform;
    doorbell_.Initialize(platform);
    uint32_t processors = KeQueryActiveProcessorCountEx(ALL_PROCESSOR_GROUPS);
    if (processors > Shard::kMaxShards - 1) processors = Shard::kMaxShards - 1;
    if (!shards_.Allocate(processors + 1) || !cursors_.Allocate(processors + 1)) return STATUS_INSUFFICIENT_RESOURCES;
    for (uint32_t i = 0; i <= processors; i++) {
        Shard& shard = shards_[i];
        shard.index = static_cast<uint16_t>(i);
        shard.locked = platform.lockRings || i == processors;
        KeInitializeSpinLock(&shard.lock);
    }
    return STATUS_SUCCESS;
}

void Recorder::Empty(Shard& shard, uint8_t* memory, uint32_t bytes) {
    shard.ring.Attach(memory, bytes);
    shard.lossCounted = false;
    shard.lossWaits = false;
    shard.sampleTurn = 0;
    RtlZeroMemory(&shard.loss, sizeof(shard.loss));
    RtlZeroMemory(static_cast<void*>(&shard.totals), sizeof(shard.totals));
}

NTSTATUS Recorder::Prepare(uint32_t ringBytes) {
    // The shared ring is hardly ever used.
    uint32_t sharedBytes = ringBytes < kMaxSharedRingBytes ? ringBytes : kMaxSharedRingBytes;
    size_t bytes = static_cast<size_t>(ringBytes) * processors() + sharedBytes;
    if (memory_.count() != bytes) {
        // The old rings go first: both at once may be more than the machine can spare.
        Discard();
        if (!memory_.Allocate(bytes)) return STATUS_INSUFFICIENT_RESOURCES;
    }
    for (uint32_t i = 0; i < shardCount(); i++) {
        Empty(shards_[i], memory_.data() + static_cast<size_t>(i) * ringBytes,
              i < processors() ? ringBytes : sharedBytes);
    }
    wakeBytes_ = ringBytes / 8;
    return STATUS_SUCCESS;
}

void Recorder::Discard() {
    for (uint32_t i = 0; i < shardCount(); i++) Empty(shards_[i], nullptr, 0);
    memory_.Free();
}

void Recorder::DrainSections() {
    for (uint32_t i = 0; i < shardCount(); i++) {
        Shard& shard = shards_[i];
        if (shard.locked) {
            KIRQL irql;
            KeAcquireSpinLock(&shard.lock, &irql);
            KeReleaseSpinLock(&shard.lock, irql);
            continue;
        }
        // A DPC cannot preempt code at DISPATCH_LEVEL: once it has run on the processor, the section has ended.
        PROCESSOR_NUMBER number;
        if (!NT_SUCCESS(KeGetProcessorNumberFromIndex(i, &number))) continue;  // went away: so did its section
        DrainDpc drain;
        KeInitializeEvent(&drain.passed, NotificationEvent, FALSE);
        KeInitializeDpc(&drain.dpc, SectionPassed, &drain);
        KeSetTargetProcessorDpcEx(&drain.dpc, &number);
        KeSetImportanceDpc(&drain.dpc, HighImportance);
        KeInsertQueueDpc(&drain.dpc, nullptr, nullptr);
        KeWaitForSingleObject(&drain.passed, Executive, KernelMode, FALSE, nullptr);
    }
}

LossReason Recorder::Write(Shard& shard, RecordHeader* record, uint32_t fixedBytes, const Bytes* pieces,
                           uint32_t pieceCount, KIRQL irql, Offered what) {
    uint32_t length = fixedBytes;
    for (uint32_t i = 0; i < pieceCount; i++) length += pieces[i].length;
    uint32_t size = (length + kRecordAlignment - 1) & ~(kRecordAlignment - 1);

    record->size = size;
    record->irql = irql;
    record->processor = shard.index;
    record->sequence = static_cast<uint32_t>(shard.totals.offered.LoadRelaxed());
    shard.totals.offered.AddByOwner(1);

    Ring& ring = shard.ring;
    if (size > ring.MaxRecord()) {
        shard.CountLoss(what, kLossRecordTooLarge);
        return kLossRecordTooLarge;
    }
    uint64_t mark = ring.Placed();
    uint8_t* lossAt = nullptr;
    if (shard.lossWaits && (lossAt = ring.Place(sizeof(LossRecord))) == nullptr) {
        shard.CountLoss(what, kLossRingFull);
        return kLossRingFull;
    }
    uint8_t* at = ring.Place(size);
    if (at == nullptr) {
        ring.Rewind(mark);
        shard.CountLoss(what, kLossRingFull);
        return kLossRingFull;
    }
    if (lossAt != nullptr) {
        RecordHeader& header = shard.loss.header;
        header = *record;
        header.size = sizeof(LossRecord);
        header.type = kRecordLoss;
        header.driverId = 0;
        RtlCopyMemory(lossAt, &shard.loss, sizeof(LossRecord));
        RtlZeroMemory(&shard.loss, sizeof(LossRecord));
        shard.lossCounted = false;
        shard.lossWaits = false;
    }
    RtlCopyMemory(at, record, fixedBytes);
    uint8_t* to = at + fixedBytes;
    for (uint32_t i = 0; i < pieceCount; i++) {
        RtlCopyMemory(to, pieces[i].address, pieces[i].length);
        to += pieces[i].length;
    }
    while (to < at + size) *to++ = 0;
    ring.Publish();
    shard.totals.written.AddByOwner(1);
    shard.totals.bytesWritten.AddByOwner(size);
    if (ring.UsedAtLeast(wakeBytes_) && doorbell_.armed()) shard.wake = true;
    return kNotLost;
}

void Recorder::WriteWaitingLoss(Shard& shard) {
    if (!shard.lossCounted) return;
    uint8_t* at = shard.ring.Place(sizeof(LossRecord));
    if (at == nullptr) return;
    RecordHeader& header = shard.loss.header;
    header.size = sizeof(LossRecord);
    header.type = kRecordLoss;
    header.irql = PASSIVE_LEVEL;
    header.processor = shard.index;
    header.sequence = static_cast<uint32_t>(shard.totals.offered.LoadRelaxed());
    header.driverId = 0;
    header.timestamp = NowTicks();
    RtlCopyMemory(at, &shard.loss, sizeof(LossRecord));
    RtlZeroMemory(&shard.loss, sizeof(LossRecord));
    shard.lossCounted = false;
    shard.lossWaits = false;
    shard.ring.Publish();
}

bool Recorder::HasRecords() const {
    for (uint32_t i = 0; i < shardCount(); i++) {
        if (shards_[i].ring.Used() != 0) return true;
    }
    return false;
}

// Steps over padding to the next record; false when the ring has no more below its snapshot of the head.
bool Recorder::Load(Cursor* cursor) {
    while (cursor->position != cursor->head) {
        const RecordHeader* header = cursor->ring->At(cursor->position);
        if (header->type != kRecordPadding) {
            cursor->timestamp = header->timestamp;
            return true;
        }
        cursor->position += header->size;
        cursor->ring->Release(cursor->position);
    }
    return false;
}

void Recorder::Sift(uint32_t from, uint32_t count) {
    Cursor moved = cursors_[from];
    for (;;) {
        uint32_t child = 2 * from + 1;
        if (child >= count) break;
        if (child + 1 < count && cursors_[child + 1].timestamp < cursors_[child].timestamp) child++;
        if (moved.timestamp <= cursors_[child].timestamp) break;
        cursors_[from] = cursors_[child];
        from = child;
    }
    cursors_[from] = moved;
}

uint32_t Recorder::Take(uint8_t* out, uint32_t capacity, bool quiet) {
    // The clock first, then the heads: what was committed before T0 is in the snapshot, and what is younger waits for
    // the next call, so that no ring runs ahead of another.
    uint64_t watermark = NowTicks();
    uint32_t count = 0;
    for (uint32_t i = 0; i < shardCount(); i++) {
        Ring& ring = shards_[i].ring;
        if (quiet) WriteWaitingLoss(shards_[i]);
        Cursor cursor = {0, ring.Tail(), ring.Head(), &ring};
        if (Load(&cursor)) cursors_[count++] = cursor;
    }
    for (uint32_t i = count / 2; i-- > 0;) Sift(i, count);
    // The oldest record always goes, and everything when nobody writes any more: a clock that disagrees between
    // processors must not stall the stream.
    if (quiet) watermark = ~0ull;
    if (count != 0 && cursors_[0].timestamp > watermark) watermark = cursors_[0].timestamp;

    uint32_t used = 0;
    while (count != 0) {
        Cursor& first = cursors_[0];
        // Runs, not records: everything from this ring that is older than the next ring's oldest.
        uint64_t limit = watermark;
        if (count > 1 && cursors_[1].timestamp < limit) limit = cursors_[1].timestamp;
        if (count > 2 && cursors_[2].timestamp < limit) limit = cursors_[2].timestamp;
        bool more = true;
        bool full = false;
        while (more && first.timestamp <= limit) {
            const RecordHeader* record = first.ring->At(first.position);
            if (record->size > capacity - used) {
                full = true;
                break;
            }
            RtlCopyMemory(out + used, record, record->size);
            used += record->size;
            first.position += record->size;
            more = Load(&first);
        }
        first.ring->Release(first.position);
        if (full) break;
        if (!more) cursors_[0] = cursors_[--count];
        if (count == 0) break;
        Sift(0, count);
        if (cursors_[0].timestamp > watermark) break;
    }
    return used;
}

}  // namespace drivermon
