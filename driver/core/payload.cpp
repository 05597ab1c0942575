// payload.cpp: see payload.h.
#include "payload.h"

#include "guarded_copy.h"
#include "mdl.h"

namespace drivermon {

namespace {

// The highest user address of a 64-bit process, and one more. A constant because MmUserProbeAddress is garbage on Wine.
constexpr uint64_t kUserSpaceEnd = 0x7FFFFFFF0000ull;

}  // namespace

NTSTATUS ScratchPool::Initialize(uint32_t processors) {
    if (taken_.count() != 0) return STATUS_SUCCESS;
    uint32_t blocks = processors * 4;
    if (blocks < 16) blocks = 16;
    if (blocks > 128) blocks = 128;
    if (!memory_.Allocate(static_cast<size_t>(blocks) * kMaxSnapLength) || !taken_.Allocate(blocks)) {
        memory_.Free();
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    return STATUS_SUCCESS;
}

uint8_t* ScratchPool::Take() {
    uint32_t count = static_cast<uint32_t>(taken_.count());
    if (count == 0) return nullptr;
    // Each processor begins its search elsewhere, so that they seldom meet.
    uint32_t start = KeGetCurrentProcessorNumberEx(nullptr) * 4;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t block = (start + i) % count;
        if (taken_[block].LoadRelaxed() == 0 && taken_[block].CompareExchange(0, 1)) {
            return memory_.data() + static_cast<size_t>(block) * kMaxSnapLength;
        }
    }
    return nullptr;
}

void ScratchPool::Give(uint8_t* block) {
    taken_[static_cast<size_t>(block - memory_.data()) / kMaxSnapLength].StoreRelease(0);
}

uint32_t Payload::Admit(uint32_t bytes) {
    // A total beyond 32 bits cannot be told; two lengths of a request may add up to more.
    total_ = total_ + bytes < total_ ? ~0u : total_ + bytes;
    uint32_t left = room_ - length_;
    return bytes < left ? bytes : left;
}

void Payload::Push(const void* address, uint32_t bytes) {
    pieces_[pieceCount_++] = {address, bytes};
    length_ += bytes;
}

uint8_t* Payload::Scratch(uint32_t bytes) {
    if (block_ == nullptr) block_ = pool_.Take();
    if (block_ == nullptr) {
        loss_.missed = true;
        loss_.reason = kLossPayloadNoScratch;
        return nullptr;
    }
    uint8_t* at = block_ + blockUsed_;
    blockUsed_ += bytes;
    return at;
}

void Payload::AddResident(const void* address, uint32_t bytes) {
    uint32_t kept = Admit(bytes);
    if (kept != 0) Push(address, kept);
}


void Payload::AddUser(const void* address, uint32_t bytes) {
    uint64_t start = reinterpret_cast<uint64_t>(address);
    if (start + bytes < start || start + bytes > kUserSpaceEnd) {
        Miss(bytes, kLossPayloadFault);
        return;
    }
    AddPaged(address, bytes);
}

// Guarded even where the address is a kernel's: a driver may have put a user's there.
void Payload::AddPaged(const void* address, uint32_t bytes) {
    uint32_t kept = Admit(bytes);
    if (kept == 0) return;
    uint8_t* scratch = Scratch(kept);
    if (scratch == nullptr) return;
    if (!DrivermonGuardedCopy(scratch, address, kept)) {
        blockUsed_ -= kept;
        loss_.missed = true;
        loss_.reason = kLossPayloadFault;
        return;
    }
    Push(scratch, kept);
}

void Payload::AddMdl(MDL* mdl, uint32_t bytes) {
    uint32_t readable = ReadableMdlBytes(mdl);
    if (readable == 0) {
        Miss(bytes, kLossPayloadFault);
        return;
    }
    uint32_t kept = Admit(bytes);
    if (kept > readable) kept = readable;
    if (kept == 0) return;
    const void* address = MdlAddress(mdl);
    if (address == nullptr) {
        loss_.missed = true;
        loss_.reason = kLossPayloadFault;
        return;
    }
    Push(address, kept);
}

void Payload::Miss(uint32_t bytes, LossReason reason) {
    uint32_t kept = Admit(bytes);
    if (kept == 0) return;
    loss_.missed = true;
    loss_.reason = reason;
}

void Payload::BeyondReach(uint32_t bytes) {
    if (Admit(bytes) != 0) loss_.beyondReach = true;
}

uint32_t Payload::flags() const {
    if (loss_.beyondReach) return kRequestPayloadMissed | kRequestPayloadBeyondReach;
    if (loss_.missed) return kRequestPayloadMissed;
    return length_ < total_ ? static_cast<uint32_t>(kRequestPayloadTruncated) : 0;
}

uint32_t ReadableMdlBytes(const MDL* mdl) {
    if (mdl == nullptr || (mdl->MdlFlags & MDL_IO_SPACE) != 0) return 0;
    if ((mdl->MdlFlags & (MDL_MAPPED_TO_SYSTEM_VA | MDL_SOURCE_IS_NONPAGED_POOL)) == 0) {
        // To be mapped. A part of another MDL has that one's pages locked; but it may not be mapped twice.
        if ((mdl->MdlFlags & (MDL_PAGES_LOCKED | MDL_PARTIAL)) == 0) return 0;
        if ((mdl->MdlFlags & MDL_PARTIAL_HAS_BEEN_MAPPED) != 0) return 0;
    }
    return MmGetMdlByteCount(mdl);
}

}  // namespace drivermon
