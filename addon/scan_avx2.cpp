// scan_avx2.cpp: the loops for processors with AVX2: 32 rows at a time, as fast as memory gives them.
//
// Compiled for AVX2 whatever the rest is compiled for, so nothing from here may be inlined elsewhere: no header but the
// plainest is included.
#include "scan.h"

#if defined(__x86_64__) || defined(_M_X64)

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC target("avx2")
#endif
#include <immintrin.h>
#if defined(_MSC_VER)
#include <intrin.h>
#endif

namespace drivermon {
namespace {

constexpr size_t kWordRows = 32;
constexpr size_t kMostCodes = 0x10000;

__m256i Load(const void* from) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}

// A bit for each of 32 16-bit lanes that are all ones or all zeros.
uint32_t MaskOf16(__m256i low, __m256i high) {
    // Packing works within halves; the permutation puts the quarters in order.
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packs_epi16(low, high), 0xD8);
    return static_cast<uint32_t>(_mm256_movemask_epi8(packed));
}

uint32_t MaskOf32(__m256i lanes) {
    return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(lanes)));
}

// ---- Ranges: value - low <= high - low, unsigned, which is the value itself if it is the lesser of the two ----------

void Ranges16(const uint16_t* values, size_t rows, const uint32_t* ranges, size_t rangeCount, uint32_t* bits,
              Combine combine) {
    const size_t whole = rows / kWordRows;
    for (size_t at = 0; at < whole; at++) {
        if (IsSettled(bits[at], combine)) continue;
        const __m256i first = Load(values + at * kWordRows);
        const __m256i second = Load(values + at * kWordRows + 16);
        __m256i firstInside = _mm256_setzero_si256();
        __m256i secondInside = _mm256_setzero_si256();
        for (size_t i = 0; i < rangeCount; i++) {
            if (ranges[2 * i] > UINT16_MAX || ranges[2 * i] > ranges[2 * i + 1]) continue;
            const uint32_t high = ranges[2 * i + 1] < UINT16_MAX ? ranges[2 * i + 1] : UINT16_MAX;
            const __m256i low = _mm256_set1_epi16(static_cast<short>(ranges[2 * i]));
            const __m256i width = _mm256_set1_epi16(static_cast<short>(high - ranges[2 * i]));
            const __m256i a = _mm256_sub_epi16(first, low);
            const __m256i b = _mm256_sub_epi16(second, low);
            firstInside = _mm256_or_si256(firstInside, _mm256_cmpeq_epi16(_mm256_min_epu16(a, width), a));
            secondInside = _mm256_or_si256(secondInside, _mm256_cmpeq_epi16(_mm256_min_epu16(b, width), b));
        }
        StoreBits(bits[at], MaskOf16(firstInside, secondInside), combine);
    }
    kPortableScan.ranges16(values + whole * kWordRows, rows % kWordRows, ranges, rangeCount, bits + whole, combine);
}

void Ranges32(const uint32_t* values, size_t rows, const uint32_t* ranges, size_t rangeCount, uint32_t* bits,
              Combine combine) {
    const size_t whole = rows / kWordRows;
    for (size_t at = 0; at < whole; at++) {
        if (IsSettled(bits[at], combine)) continue;
        uint32_t word = 0;
        for (size_t part = 0; part < 4; part++) {
            const __m256i lanes = Load(values + at * kWordRows + part * 8);
            __m256i inside = _mm256_setzero_si256();
            for (size_t i = 0; i < rangeCount; i++) {
                if (ranges[2 * i] > ranges[2 * i + 1]) continue;
                const __m256i low = _mm256_set1_epi32(static_cast<int>(ranges[2 * i]));
                const __m256i width = _mm256_set1_epi32(static_cast<int>(ranges[2 * i + 1] - ranges[2 * i]));
                const __m256i distance = _mm256_sub_epi32(lanes, low);
                inside = _mm256_or_si256(inside, _mm256_cmpeq_epi32(_mm256_min_epu32(distance, width), distance));
            }
            word |= MaskOf32(inside) << (part * 8);
        }
        StoreBits(bits[at], word, combine);
    }
    kPortableScan.ranges32(values + whole * kWordRows, rows % kWordRows, ranges, rangeCount, bits + whole, combine);
}

// ---- Codes: the answers as bits, 256 of them in one register or all in the first-level cache ------------------------

// A code's upper five bits say which byte of the register, its lower three which bit of that byte.
void FewCodes(const uint16_t* codes, size_t words, const uint8_t* answerBits, uint32_t* bits, Combine combine) {
    const __m256i lowerBytes = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(answerBits)));
    const __m256i upperBytes =
        _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(answerBits + 16)));
    const __m256i bitOf = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ull));
    const __m256i most = _mm256_set1_epi16(0xFF);
    for (size_t at = 0; at < words; at++) {
        if (IsSettled(bits[at], combine)) continue;
        const __m256i first = _mm256_min_epu16(Load(codes + at * kWordRows), most);
        const __m256i second = _mm256_min_epu16(Load(codes + at * kWordRows + 16), most);
        const __m256i code = _mm256_permute4x64_epi64(_mm256_packus_epi16(first, second), 0xD8);
        const __m256i bit = _mm256_shuffle_epi8(bitOf, _mm256_and_si256(code, _mm256_set1_epi8(7)));
        const __m256i byte = _mm256_and_si256(_mm256_srli_epi16(code, 3), _mm256_set1_epi8(31));
        // A shuffle gives 0 where the index has its top bit: from 16 on for the one half, below 16 for the other.
        const __m256i lower = _mm256_shuffle_epi8(lowerBytes, _mm256_adds_epu8(byte, _mm256_set1_epi8(0x70)));
        const __m256i upper = _mm256_shuffle_epi8(upperBytes, _mm256_sub_epi8(byte, _mm256_set1_epi8(16)));
        const __m256i answered = _mm256_and_si256(_mm256_or_si256(lower, upper), bit);
        StoreBits(bits[at], static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(answered, bit))), combine);
    }
}

void ManyCodes(const uint16_t* codes, size_t words, const uint32_t* answerBits, uint32_t* bits, Combine combine) {
    for (size_t at = 0; at < words; at++) {
        if (IsSettled(bits[at], combine)) continue;
        uint32_t word = 0;
        for (size_t part = 0; part < 4; part++) {
            const uint16_t* from = codes + at * kWordRows + part * 8;
            const __m256i code = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
            const __m256i answers =
                _mm256_i32gather_epi32(reinterpret_cast<const int*>(answerBits), _mm256_srli_epi32(code, 5), 4);
            const __m256i place = _mm256_sub_epi32(_mm256_set1_epi32(31), _mm256_and_si256(code, _mm256_set1_epi32(31)));
            word |= MaskOf32(_mm256_sllv_epi32(answers, place)) << (part * 8);
        }
        StoreBits(bits[at], word, combine);
    }
}

void Codes(const uint16_t* codes, size_t rows, const uint8_t* answers, size_t answerCount, uint32_t* bits,
           Combine combine) {
    const size_t whole = rows / kWordRows;
    // Every code has a bit, so that none can lead outside. Code 255 stands for those above it: it must not be given out.
    alignas(32) uint32_t answerBits[kMostCodes / 32];
    const bool few = answerCount < 256;
    const size_t used = few ? 256 / 32 : kMostCodes / 32;
    for (size_t i = 0; i < used; i++) answerBits[i] = 0;
    for (size_t code = 0; code < answerCount && code < kMostCodes; code++) {
        answerBits[code / 32] |= static_cast<uint32_t>(answers[code] != 0) << (code % 32);
    }
    if (few) {
        FewCodes(codes, whole, reinterpret_cast<const uint8_t*>(answerBits), bits, combine);
    } else {
        ManyCodes(codes, whole, answerBits, bits, combine);
    }
    kPortableScan.codes(codes + whole * kWordRows, rows % kWordRows, answers, answerCount, bits + whole, combine);
}

const ScanLoops kAvx2Scan{Codes, Ranges16, Ranges32};

}  // namespace
}  // namespace drivermon

#if defined(__clang__)
#pragma clang attribute pop
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif

namespace drivermon {

const ScanLoops* Avx2Scan() {
#if defined(_MSC_VER)
    int leaf[4];
    __cpuid(leaf, 1);
    constexpr int kOsSavesRegisters = 1 << 27;
    const bool saved = (leaf[2] & kOsSavesRegisters) != 0 && (_xgetbv(0) & 6) == 6;
    __cpuidex(leaf, 7, 0);
    return saved && (leaf[1] & (1 << 5)) != 0 ? &kAvx2Scan : nullptr;
#else
    return __builtin_cpu_supports("avx2") ? &kAvx2Scan : nullptr;
#endif
}

}  // namespace drivermon

#else

namespace drivermon {

const ScanLoops* Avx2Scan() {
    return nullptr;
}

}  // namespace drivermon

#endif
