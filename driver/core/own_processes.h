// own_processes.h: the client's process and its descendants: whose requests are left out of the records by default.
//
// Watching the disk below our own capture file must not feed itself. The hot path asks once per request, hence a bit per
// process id: no search, no lock. Descendants are those created since the client opened the device, where the kernel
// tells of processes.
#pragma once

#include "atomic.h"
#include "nt.h"

namespace drivermon {

class OwnProcesses {
 public:
    // PASSIVE_LEVEL.
    void Initialize() { KeInitializeSpinLock(&lock_); }

    // <= DISPATCH_LEVEL, all of them. Adopt: `id` and what it will create; nobody before it is ours any more.
    void Adopt(uint32_t id) {
        Hold hold(lock_);
        Empty();
        client_.StoreRelaxed(id);
        Put(id, true);
    }
    void Forget() {
        Hold hold(lock_);
        Empty();
    }
    void Created(uint32_t id, uint32_t parentId) {
        Hold hold(lock_);
        Put(id, Contains(parentId));
    }
    void Exited(uint32_t id) {
        Hold hold(lock_);
        Put(id, false);
    }

    // Any IRQL, no lock.
    bool Contains(uint32_t id) const {
        if (id >= kIdLimit) return id == client_.LoadRelaxed();
        return (bits_[id / 4 / 32].LoadRelaxed() & 1u << id / 4 % 32) != 0;
    }

 private:
    // Ids are multiples of four, given out from the lowest that are free. Beyond this limit only the client is ours.
    static constexpr uint32_t kIdLimit = 1u << 20;

    class Hold {
     public:
        explicit Hold(KSPIN_LOCK& lock) : lock_(lock) { KeAcquireSpinLock(&lock_, &irql_); }
        ~Hold() { KeReleaseSpinLock(&lock_, irql_); }
        Hold(const Hold&) = delete;
        Hold& operator=(const Hold&) = delete;

     private:
        KSPIN_LOCK& lock_;
        KIRQL irql_;
    };

    void Empty() {
        client_.StoreRelaxed(0);
        for (Atomic<uint32_t>& word : bits_) word.StoreRelaxed(0);
    }
    void Put(uint32_t id, bool ours) {
        if (id >= kIdLimit) return;
        Atomic<uint32_t>& word = bits_[id / 4 / 32];
        uint32_t bit = 1u << id / 4 % 32;
        word.StoreRelaxed(ours ? word.LoadRelaxed() | bit : word.LoadRelaxed() & ~bit);
    }

    KSPIN_LOCK lock_;
    Atomic<uint32_t> client_;
    Atomic<uint32_t> bits_[kIdLimit / 4 / 32] = {};
};

}  // namespace drivermon
