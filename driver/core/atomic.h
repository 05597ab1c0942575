// atomic.h: loads and stores with an order, and compare-exchange.
//
// core may not use the C++ library (the WDK has none), and the order of each access is part of the argument why the
// rings need no lock, so it is spelled out at every use. Trivial: a zeroed Atomic is valid and needs no constructor.
#pragma once

#include <stdint.h>

#ifdef _MSC_VER
#include <intrin.h>
#endif

namespace drivermon {

template <typename T>
class Atomic {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "a machine word");

 public:
#ifdef _MSC_VER
    // x64 orders loads with loads and stores with stores; the barriers stop the compiler.
    T LoadRelaxed() const {
        return *static_cast<const volatile T*>(&value_);
    }
    T LoadAcquire() const {
        T value = *static_cast<const volatile T*>(&value_);
        _ReadWriteBarrier();
        return value;
    }
    void StoreRelaxed(T value) {
        *static_cast<volatile T*>(&value_) = value;
    }
    void StoreRelease(T value) {
        _ReadWriteBarrier();
        *static_cast<volatile T*>(&value_) = value;
    }
    // Full barrier. True if it was `expected` and is `desired` now.
    bool CompareExchange(T expected, T desired) {
        if (sizeof(T) == 8) {
            return _InterlockedCompareExchange64((volatile __int64*)&value_, (__int64)desired, (__int64)expected) ==
                   (__int64)expected;
        }
        return _InterlockedCompareExchange((volatile long*)&value_, (long)desired, (long)expected) == (long)expected;
    }
    // Full barrier.
    void Add(T amount) {
        static_assert(sizeof(T) == 8, "nobody adds less");
        _InterlockedExchangeAdd64((volatile __int64*)&value_, (__int64)amount);
    }
#else
    T LoadRelaxed() const {
        return __atomic_load_n(&value_, __ATOMIC_RELAXED);
    }
    T LoadAcquire() const {
        return __atomic_load_n(&value_, __ATOMIC_ACQUIRE);
    }
    void StoreRelaxed(T value) {
        __atomic_store_n(&value_, value, __ATOMIC_RELAXED);
    }
    void StoreRelease(T value) {
        __atomic_store_n(&value_, value, __ATOMIC_RELEASE);
    }
    // Full barrier. True if it was `expected` and is `desired` now.
    bool CompareExchange(T expected, T desired) {
        return __atomic_compare_exchange_n(&value_, &expected, desired, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
    // Full barrier.
    void Add(T amount) {
        __atomic_fetch_add(&value_, amount, __ATOMIC_SEQ_CST);
    }
#endif

    // For a value that has one writer at a time: no locked instruction. A reader elsewhere sees it grow.
    void AddByOwner(T amount) {
        StoreRelease(LoadRelaxed() + amount);
    }

 private:
    T value_;
};

}  // namespace drivermon
