// ring.h: a bounded ring of records with one producer at a time and one consumer.
//
//      tail (consumer)                     head (producer)
//        v                                   v
//   [    | record | record | pad | record    |            ]      positions only grow; offset = position & (size - 1)
//
// A record is contiguous; one that would straddle the end is preceded by padding. The producer places records at
// positions of its own and publishes them all by one store-release of `head`. A commit bit in every record's header
// would buy nothing: the producer of a ring is alone (a section, or the ring's lock), so records are finished in the
// order they were placed, and one release orders the bytes of all of them.
//
// The consumer works on kernel memory that only we write: the sizes in it can be trusted.
#pragma once

#include "atomic.h"
#include "pool.h"
#include "protocol/record.h"

namespace drivermon {

class alignas(kCacheLine) Ring {
 public:
    // No producer, no consumer. `bytes` is a power of two, or 0 for a ring that takes nothing.
    void Attach(uint8_t* memory, uint32_t bytes) {
        memory_ = memory;
        size_ = bytes;
        placed_ = 0;
        knownTail_ = 0;
        head_.StoreRelaxed(0);
        tail_.StoreRelaxed(0);
    }

    // ---- The producer ----

    // The largest record that is sure to fit into an empty ring, wherever its end lies, with a Loss record before it.
    uint32_t MaxRecord() const {
        uint32_t reserved = 2 * sizeof(LossRecord);
        return size_ / 2 > reserved ? size_ / 2 - reserved : 0;
    }

    // Room for `bytes` (a multiple of 8), or null. Invisible until Publish; Rewind gives it back.
    uint8_t* Place(uint32_t bytes) {
        uint32_t offset = static_cast<uint32_t>(placed_) & (size_ - 1);
        uint32_t padding = size_ - offset < bytes ? size_ - offset : 0;
        uint64_t end = placed_ + padding + bytes;
        if (end - knownTail_ > size_) {
            knownTail_ = tail_.LoadAcquire();
            if (end - knownTail_ > size_) return nullptr;
        }
        if (padding != 0) {
            // Padding may be as short as 8 bytes: only size and type are written.
            auto* header = reinterpret_cast<RecordHeader*>(memory_ + offset);
            header->size = padding;
            header->type = kRecordPadding;
            offset = 0;
        }
        placed_ = end;
        return memory_ + offset;
    }
    uint64_t Placed() const { return placed_; }
    void Rewind(uint64_t placed) { placed_ = placed; }
    void Publish() { head_.StoreRelease(placed_); }

    // Bytes that wait, as the producer sees it; looks at the consumer's line only beyond `threshold`.
    bool UsedAtLeast(uint32_t threshold) {
        if (placed_ - knownTail_ < threshold) return false;
        knownTail_ = tail_.LoadAcquire();
        return placed_ - knownTail_ >= threshold;
    }

    // ---- The consumer ----

    uint64_t Head() const { return head_.LoadAcquire(); }
    uint64_t Tail() const { return tail_.LoadRelaxed(); }
    const RecordHeader* At(uint64_t position) const {
        return reinterpret_cast<const RecordHeader*>(memory_ + (static_cast<uint32_t>(position) & (size_ - 1)));
    }
    void Release(uint64_t position) { tail_.StoreRelease(position); }

    // ---- Anyone ----

    uint64_t Used() const {
        uint64_t tail = tail_.LoadAcquire();
        return head_.LoadAcquire() - tail;
    }
    uint32_t size() const { return size_; }

 private:
    uint8_t* memory_;
    uint32_t size_;
    uint64_t placed_;     // the producer's own
    uint64_t knownTail_;  // the producer's memory of tail_, so that it seldom has to fetch the line
    Atomic<uint64_t> head_;
    alignas(kCacheLine) Atomic<uint64_t> tail_;
};

}  // namespace drivermon
