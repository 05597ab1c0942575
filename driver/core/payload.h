// payload.h: the bytes of a request that go into its record, gathered before the section that writes them.
//
// Inside a section nothing may fault, so every byte is either known to be resident (locked, nonpaged), or has been
// copied to a scratch block beforehand. Blocks are preallocated; when none is left the record goes without its payload,
// and that is counted.
#pragma once

#include "nt.h"
#include "recorder.h"

namespace drivermon {

// A fixed number of blocks of kMaxSnapLength bytes.
class ScratchPool {
 public:
    // PASSIVE_LEVEL. Idempotent.
    NTSTATUS Initialize(uint32_t processors);
    // Any IRQL <= DISPATCH_LEVEL, no lock. Null when none is left.
    uint8_t* Take();
    void Give(uint8_t* block);

 private:
    PoolArray<uint8_t> memory_;
    PoolArray<Atomic<uint32_t>> taken_;
};

// Why the record has less payload than it should.
struct PayloadLoss {
    bool missed;
    LossReason reason;
    bool beyondReach;

    // Section. For the record's processor.
    void Count(Shard& shard, Offered what) const {
        if (missed) shard.CountLoss(what, reason);
        if (beyondReach) shard.totals.payloadsBeyondReach.AddByOwner(1);
    }
};

class Payload {
 public:
    Payload(ScratchPool& pool, uint32_t snapLength) : pool_(pool), room_(snapLength) {}
    ~Payload() {
        if (block_ != nullptr) pool_.Give(block_);
    }
    Payload(const Payload&) = delete;
    Payload& operator=(const Payload&) = delete;

    // Each adds up to `bytes` bytes. Order is kept.
    // Resident: may be touched at DISPATCH_LEVEL until the record is written.
    void AddResident(const void* address, uint32_t bytes);
    // <= APC_LEVEL. A kernel address that is valid now, but perhaps paged.
    void AddPaged(const void* address, uint32_t bytes);
    // <= APC_LEVEL, in the process that owns the address. It is checked to be a user address.
    void AddUser(const void* address, uint32_t bytes);
    // Whatever the IRQL. Maps it if something of it is to be kept; only the first MDL of a chain.
    void AddMdl(MDL* mdl, uint32_t bytes);
    // There are bytes, but they cannot be had.
    void Miss(uint32_t bytes, LossReason reason);
    // There are bytes, but by rule they cannot be had here and now: kRequestPayloadBeyondReach.
    void BeyondReach(uint32_t bytes);

    const Bytes* pieces() const { return pieces_; }
    uint32_t pieceCount() const { return pieceCount_; }
    uint32_t length() const { return length_; }
    uint32_t total() const { return total_; }
    // kRequestPayload* bits.
    uint32_t flags() const;
    const PayloadLoss& loss() const { return loss_; }

 private:
    // What of `bytes` more there is room for.
    uint32_t Admit(uint32_t bytes);
    uint8_t* Scratch(uint32_t bytes);
    void Push(const void* address, uint32_t bytes);

    ScratchPool& pool_;
    uint32_t room_;
    uint32_t length_ = 0;
    uint32_t total_ = 0;
    uint32_t pieceCount_ = 0;
    uint32_t blockUsed_ = 0;
    PayloadLoss loss_ = {false, kLossPayloadFault, false};
    uint8_t* block_ = nullptr;
    Bytes pieces_[2];
};

// Bytes that an MDL lets us read without harm; 0 if we must not touch it.
uint32_t ReadableMdlBytes(const MDL* mdl);

}  // namespace drivermon
