// scan.h: the innermost loops of filtering, natively: a column goes in, a bit per row comes out.
//
// What src/model/loops.ts does in TypeScript, with the same results. Pure: no Node-API, no allocation, no state; so it
// runs under sanitizers, too. Several sets of the same loops, of which the best that this processor has is taken.
#pragma once

#include <cstddef>
#include <cstdint>

namespace drivermon {

// What becomes of the bits that are there already. Values as in loops.ts.
enum class Combine : uint32_t { Set, And, Or };

// Row i's bit is bit i % 32 of bits[i / 32]; bits behind the last row, in its word, become 0. `bits` has a word for each
// 32 rows begun. Any thread.
struct ScanLoops {
    // Rows whose code has an answer other than 0. Codes from `answerCount` on have the answer 0.
    void (*codes)(const uint16_t* codes, size_t rows, const uint8_t* answers, size_t answerCount, uint32_t* bits,
                  Combine combine);
    // Rows whose value lies in one of the ranges: pairs of low and high, both ends in it.
    void (*ranges16)(const uint16_t* values, size_t rows, const uint32_t* ranges, size_t rangeCount, uint32_t* bits,
                     Combine combine);
    void (*ranges32)(const uint32_t* values, size_t rows, const uint32_t* ranges, size_t rangeCount, uint32_t* bits,
                     Combine combine);
};

extern const ScanLoops kPortableScan;

// Null where the processor (or the compiler) has no AVX2.
const ScanLoops* Avx2Scan();

inline const ScanLoops& BestScan() {
    const ScanLoops* avx2 = Avx2Scan();
    return avx2 != nullptr ? *avx2 : kPortableScan;
}

// For the loops themselves: a word of new bits meets the one that is there.
inline void StoreBits(uint32_t& bits, uint32_t word, Combine combine) {
    if (combine == Combine::Set) {
        bits = word;
    } else if (combine == Combine::And) {
        bits &= word;
    } else {
        bits |= word;
    }
}

// Whether no word of new bits could change the one that is there.
inline bool IsSettled(uint32_t bits, Combine combine) {
    return (combine == Combine::And && bits == 0) || (combine == Combine::Or && bits == UINT32_MAX);
}

}  // namespace drivermon
