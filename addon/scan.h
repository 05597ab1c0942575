// scan.h: the innermost loops of filtering, natively: columns go in, a bit per row comes out, and how many are set.
//
// What src/model/loops.ts does in TypeScript, with the same results. Pure: no Node-API, no allocation, no state; so it
// runs under sanitizers, too. There are several of it, of which the best that this processor can run is taken.
#pragma once

#include <cstddef>
#include <cstdint>

namespace drivermon {

// What becomes of the bits that are there already. Values as in loops.ts.
enum class Combine : uint32_t { Set, And, Or };

// One question about a column of cells.
struct Scan {
    enum class Kind {
        Codes,     // 16-bit cells; `wanted`: an answer (uint8_t) for each code below `count`; the others' is 0
        Ranges16,  // 16-bit cells; `wanted`: `count` pairs (uint32_t) of low and high, both ends in it
        Ranges32,  // 32-bit cells; the same
    };
    Kind kind;
    const void* cells;
    const void* wanted;
    size_t count;
};

constexpr size_t kMostScans = 8;

// Rows that pass all of at most kMostScans scans. Row i's bit is bit i % 32 of bits[i / 32]; bits behind the last row,
// in its word, become 0. `bits` has a word for each 32 rows begun. Any thread.
using ScanRows = void (*)(const Scan* scans, size_t scanCount, size_t rows, uint32_t* bits, Combine combine);

void PortableScan(const Scan* scans, size_t scanCount, size_t rows, uint32_t* bits, Combine combine);

// How many bits are set: of each `wordsEach` words of bits, into a count of its own.
void CountBits(const uint32_t* bits, size_t wordsEach, uint16_t* counts, size_t countCount);

// Null where the processor (or the compiler) has no AVX2.
ScanRows Avx2Scan();

inline ScanRows BestScan() {
    const ScanRows avx2 = Avx2Scan();
    return avx2 != nullptr ? avx2 : PortableScan;
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

}  // namespace drivermon
