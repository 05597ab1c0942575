// held_starts.h: start records that wait for the end of their request, which decides whether they are written.
//
// Each keeps its fields and, while there is a block left, at most kMaxHeldInput bytes of input. The memory is taken
// when a predicate first asks for it, and stays.
#pragma once

#include "payload.h"

namespace drivermon {

// A fixed number of T, taken and given back without a lock: a stack of free ones, whose head carries a tag, so that a
// head that has been away and is back is not taken for unchanged.
template <typename T>
class BlockPool {
 public:
    // PASSIVE_LEVEL. Idempotent. False without memory.
    bool Initialize(uint32_t count) {
        if (blocks_.count() != 0) return true;
        if (!next_.Allocate(count) || !blocks_.Allocate(count)) return false;
        for (uint32_t i = 0; i < count; i++) next_[i].StoreRelaxed(i + 1 < count ? i + 2 : 0);
        head_.StoreRelease(1);
        return true;
    }
    // Any IRQL. Null when none is left.
    T* Take() {
        for (;;) {
            uint64_t head = head_.LoadAcquire();
            uint32_t first = static_cast<uint32_t>(head);
            if (first == 0) return nullptr;
            uint64_t next = next_[first - 1].LoadAcquire();
            if (head_.CompareExchange(head, ((head >> 32) + 1) << 32 | next)) return &blocks_[first - 1];
        }
    }
    void Give(T* block) {
        uint64_t freed = static_cast<uint64_t>(block - blocks_.data()) + 1;
        for (;;) {
            uint64_t head = head_.LoadAcquire();
            next_[freed - 1].StoreRelease(static_cast<uint32_t>(head));
            if (head_.CompareExchange(head, ((head >> 32) + 1) << 32 | freed)) return;
        }
    }

 private:
    PoolArray<T> blocks_;
    PoolArray<Atomic<uint32_t>> next_;  // of a free one: the next free one, counted from 1
    Atomic<uint64_t> head_ = {};        // tag << 32 | the first free one, counted from 1
};

struct HeldInput {
    uint8_t bytes[kMaxHeldInput];
};

struct HeldStart {
    RequestStart start;
    HeldInput* input;  // start.payloadLength bytes; null: none
    PayloadLoss loss;
    KIRQL irql;
};

class HeldStarts {
 public:
    // PASSIVE_LEVEL. Idempotent.
    NTSTATUS Initialize(const Platform& platform) {
        bool there = starts_.Initialize(platform.requestCapacity) && inputs_.Initialize(platform.requestCapacity / 16);
        return there ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
    }

    // Section. Null when none is left. `*whole`: all of the payload is kept.
    HeldStart* Hold(const RequestStart& start, const Payload& payload, KIRQL irql, bool* whole) {
        HeldStart* held = starts_.Take();
        if (held == nullptr) return nullptr;
        held->start = start;
        held->loss = payload.loss();
        held->irql = irql;
        held->input = payload.length() != 0 ? inputs_.Take() : nullptr;
        uint8_t* to = held->input != nullptr ? held->input->bytes : nullptr;
        uint32_t kept = 0;
        for (uint32_t i = 0; to != nullptr && i < payload.pieceCount(); i++) {
            const Bytes& piece = payload.pieces()[i];
            uint32_t room = kMaxHeldInput - kept;
            uint32_t bytes = piece.length < room ? piece.length : room;
            RtlCopyMemory(to + kept, piece.address, bytes);
            kept += bytes;
        }
        *whole = kept == payload.length();
        held->start.payloadLength = kept;
        if (!*whole) held->start.flags |= kRequestPayloadTruncated;
        return held;
    }

    // Any IRQL.
    void Release(HeldStart* held) {
        if (held->input != nullptr) inputs_.Give(held->input);
        starts_.Give(held);
    }

 private:
    BlockPool<HeldStart> starts_;
    BlockPool<HeldInput> inputs_;
};

}  // namespace drivermon
