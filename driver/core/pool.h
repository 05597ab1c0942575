// pool.h: nonpaged memory that frees itself.
//
// Everything core touches above APC_LEVEL lives here: never executable, zeroed, on cache-line boundaries. Nothing is
// allocated on the path of a request.
#pragma once

#include "nt.h"

namespace drivermon {

constexpr ULONG kPoolTag = 'D' | 'M' << 8 | 'o' << 16 | 'n' << 24;
constexpr size_t kCacheLine = 64;

// Placement without the C++ library's <new>.
struct Placement {
    void* address;
};

// IRQL <= DISPATCH_LEVEL. Null when there is none; else cache-line aligned and zeroed; `*allocation` is what to free.
inline void* AllocateAligned(size_t bytes, void** allocation) {
    *allocation = ExAllocatePoolWithTag(NonPagedPoolNx, bytes + kCacheLine, kPoolTag);
    if (*allocation == nullptr) return nullptr;
    void* aligned = reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(*allocation) + kCacheLine - 1) &
                                            ~static_cast<uintptr_t>(kCacheLine - 1));
    RtlZeroMemory(aligned, bytes);
    return aligned;
}

// An array of T for which all bits zero is a valid start.
template <typename T>
class PoolArray {
 public:
    PoolArray() = default;
    PoolArray(const PoolArray&) = delete;
    PoolArray& operator=(const PoolArray&) = delete;
    ~PoolArray() { Free(); }

    // IRQL <= DISPATCH_LEVEL. Frees what was there. False, and empty, when there is no memory.
    bool Allocate(size_t count) {
        Free();
        data_ = static_cast<T*>(AllocateAligned(count * sizeof(T), &allocation_));
        count_ = data_ != nullptr ? count : 0;
        return data_ != nullptr;
    }
    void Free() {
        if (allocation_ != nullptr) ExFreePoolWithTag(allocation_, kPoolTag);
        allocation_ = nullptr;
        data_ = nullptr;
        count_ = 0;
    }
    // Exchanges contents: lets a caller allocate everything new before it lets go of the old.
    void Swap(PoolArray& other) {
        PoolArray held;
        held.Take(*this);
        Take(other);
        other.Take(held);
    }

    T* data() const { return data_; }
    size_t count() const { return count_; }
    T& operator[](size_t index) const { return data_[index]; }

 private:
    void Take(PoolArray& other) {
        allocation_ = other.allocation_;
        data_ = other.data_;
        count_ = other.count_;
        other.allocation_ = nullptr;
        other.data_ = nullptr;
        other.count_ = 0;
    }

    void* allocation_ = nullptr;
    T* data_ = nullptr;
    size_t count_ = 0;
};

}  // namespace drivermon

inline void* operator new(size_t, drivermon::Placement where) noexcept {
    return where.address;
}
inline void operator delete(void*, drivermon::Placement) noexcept {}
