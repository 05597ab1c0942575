// scan_avx2.cpp: the loop for processors with AVX2: 32 rows at a time, about as fast as memory gives them.
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

// Rows that are looked at together: what one scan leaves nothing of, the next ones need not fetch from memory.
constexpr size_t kGroupWords = 8;
// The processor fetches ahead by itself, but not beyond a page.
constexpr size_t kFetchAhead = 2048;

void FetchAhead(const void* from) {
    _mm_prefetch(static_cast<const char*>(from) + kFetchAhead, _MM_HINT_T0);
}

// A scan made ready: what is looked at for each row is in registers or in the first-level cache.
struct Prepared {
    enum class Kind { FewCodes, ManyCodes, Ranges16, Ranges32 };
    Kind kind;
    const Scan* scan;
    // Every code has a bit, so that none can lead outside.
    alignas(16) uint32_t answers[kMostCodes / 32];

    const uint16_t* Halves(size_t row) const { return static_cast<const uint16_t*>(scan->cells) + row; }
    const uint32_t* Words(size_t row) const { return static_cast<const uint32_t*>(scan->cells) + row; }
    const uint32_t* Range(size_t index) const { return static_cast<const uint32_t*>(scan->wanted) + 2 * index; }
};

void Prepare(const Scan& scan, Prepared& prepared) {
    prepared.scan = &scan;
    if (scan.kind != Scan::Kind::Codes) {
        prepared.kind = scan.kind == Scan::Kind::Ranges16 ? Prepared::Kind::Ranges16 : Prepared::Kind::Ranges32;
        return;
    }
    // Code 255 stands for those above it: it must not be given out.
    const bool few = scan.count < 256;
    prepared.kind = few ? Prepared::Kind::FewCodes : Prepared::Kind::ManyCodes;
    const size_t used = few ? 256 / 32 : kMostCodes / 32;
    for (size_t i = 0; i < used; i++) prepared.answers[i] = 0;
    for (size_t code = 0; code < scan.count && code < kMostCodes; code++) {
        const uint32_t answer = static_cast<const uint8_t*>(scan.wanted)[code] != 0;
        prepared.answers[code / 32] |= answer << (code % 32);
    }
}

// Each of these narrows the bits of `words` times 32 rows.

// Ranges: value - low <= high - low, unsigned, which is the value itself if it is the lesser of the two.
void Ranges16(const Prepared& prepared, size_t row, size_t words, uint32_t* bits) {
    for (size_t at = 0; at < words; at++) {
        const uint16_t* from = prepared.Halves(row + at * kWordRows);
        FetchAhead(from);
        const __m256i first = Load(from);
        const __m256i second = Load(from + 16);
        __m256i firstInside = _mm256_setzero_si256();
        __m256i secondInside = _mm256_setzero_si256();
        for (size_t i = 0; i < prepared.scan->count; i++) {
            const uint32_t* range = prepared.Range(i);
            if (range[0] > UINT16_MAX || range[0] > range[1]) continue;
            const uint32_t high = range[1] < UINT16_MAX ? range[1] : UINT16_MAX;
            const __m256i low = _mm256_set1_epi16(static_cast<short>(range[0]));
            const __m256i width = _mm256_set1_epi16(static_cast<short>(high - range[0]));
            const __m256i a = _mm256_sub_epi16(first, low);
            const __m256i b = _mm256_sub_epi16(second, low);
            firstInside = _mm256_or_si256(firstInside, _mm256_cmpeq_epi16(_mm256_min_epu16(a, width), a));
            secondInside = _mm256_or_si256(secondInside, _mm256_cmpeq_epi16(_mm256_min_epu16(b, width), b));
        }
        bits[at] &= MaskOf16(firstInside, secondInside);
    }
}

void Ranges32(const Prepared& prepared, size_t row, size_t words, uint32_t* bits) {
    for (size_t at = 0; at < words; at++) {
        const uint32_t* from = prepared.Words(row + at * kWordRows);
        FetchAhead(from);
        FetchAhead(from + 16);
        uint32_t word = 0;
        for (size_t i = 0; i < prepared.scan->count; i++) {
            const uint32_t* range = prepared.Range(i);
            if (range[0] > range[1]) continue;
            const __m256i low = _mm256_set1_epi32(static_cast<int>(range[0]));
            const __m256i width = _mm256_set1_epi32(static_cast<int>(range[1] - range[0]));
            for (size_t part = 0; part < 4; part++) {
                const __m256i distance = _mm256_sub_epi32(Load(from + part * 8), low);
                const __m256i inside = _mm256_cmpeq_epi32(_mm256_min_epu32(distance, width), distance);
                word |= MaskOf32(inside) << (part * 8);
            }
        }
        bits[at] &= word;
    }
}

// The answers in one register: a code's upper five bits say which byte of it, its lower three which bit of that byte.
void FewCodes(const Prepared& prepared, size_t row, size_t words, uint32_t* bits) {
    const __m128i* answers = reinterpret_cast<const __m128i*>(prepared.answers);
    const __m256i lowerBytes = _mm256_broadcastsi128_si256(_mm_load_si128(answers));
    const __m256i upperBytes = _mm256_broadcastsi128_si256(_mm_load_si128(answers + 1));
    const __m256i bitOf = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ull));
    const __m256i most = _mm256_set1_epi16(0xFF);
    for (size_t at = 0; at < words; at++) {
        const uint16_t* from = prepared.Halves(row + at * kWordRows);
        FetchAhead(from);
        const __m256i first = _mm256_min_epu16(Load(from), most);
        const __m256i second = _mm256_min_epu16(Load(from + 16), most);
        const __m256i code = _mm256_permute4x64_epi64(_mm256_packus_epi16(first, second), 0xD8);
        const __m256i bit = _mm256_shuffle_epi8(bitOf, _mm256_and_si256(code, _mm256_set1_epi8(7)));
        const __m256i byte = _mm256_and_si256(_mm256_srli_epi16(code, 3), _mm256_set1_epi8(31));
        // A shuffle gives 0 where the index has its top bit: from 16 on for the one half, below 16 for the other.
        const __m256i lower = _mm256_shuffle_epi8(lowerBytes, _mm256_adds_epu8(byte, _mm256_set1_epi8(0x70)));
        const __m256i upper = _mm256_shuffle_epi8(upperBytes, _mm256_sub_epi8(byte, _mm256_set1_epi8(16)));
        const __m256i answered = _mm256_and_si256(_mm256_or_si256(lower, upper), bit);
        bits[at] &= static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(answered, bit)));
    }
}

void ManyCodes(const Prepared& prepared, size_t row, size_t words, uint32_t* bits) {
    for (size_t at = 0; at < words; at++) {
        if (bits[at] == 0) continue;
        uint32_t word = 0;
        for (size_t part = 0; part < 4; part++) {
            const uint16_t* from = prepared.Halves(row + at * kWordRows + part * 8);
            const __m256i code = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
            const __m256i answers =
                _mm256_i32gather_epi32(reinterpret_cast<const int*>(prepared.answers), _mm256_srli_epi32(code, 5), 4);
            const __m256i place =
                _mm256_sub_epi32(_mm256_set1_epi32(31), _mm256_and_si256(code, _mm256_set1_epi32(31)));
            word |= MaskOf32(_mm256_sllv_epi32(answers, place)) << (part * 8);
        }
        bits[at] &= word;
    }
}

void Narrow(const Prepared& prepared, size_t row, size_t words, uint32_t* bits) {
    switch (prepared.kind) {
        case Prepared::Kind::FewCodes:
            return FewCodes(prepared, row, words, bits);
        case Prepared::Kind::ManyCodes:
            return ManyCodes(prepared, row, words, bits);
        case Prepared::Kind::Ranges16:
            return Ranges16(prepared, row, words, bits);
        case Prepared::Kind::Ranges32:
            return Ranges32(prepared, row, words, bits);
    }
}

bool IsEmpty(const uint32_t* bits, size_t words) {
    uint32_t any = 0;
    for (size_t at = 0; at < words; at++) any |= bits[at];
    return any == 0;
}

// Rows behind the last whole word are for the plain loop.
void RestOf(const Scan* scans, size_t scanCount, size_t rows, uint32_t* bits, Combine combine) {
    const size_t done = rows - rows % kWordRows;
    Scan rest[kMostScans];
    for (size_t at = 0; at < scanCount; at++) {
        rest[at] = scans[at];
        const size_t cellBytes = scans[at].kind == Scan::Kind::Ranges32 ? 4 : 2;
        rest[at].cells = static_cast<const char*>(scans[at].cells) + done * cellBytes;
    }
    PortableScan(rest, scanCount, rows - done, bits + done / kWordRows, combine);
}

void ScanByAvx2(const Scan* scans, size_t scanCount, size_t rows, uint32_t* bits, Combine combine) {
    Prepared prepared[kMostScans];
    for (size_t at = 0; at < scanCount; at++) Prepare(scans[at], prepared[at]);
    const size_t whole = rows / kWordRows;
    for (size_t word = 0; word < whole; word += kGroupWords) {
        const size_t words = whole - word < kGroupWords ? whole - word : kGroupWords;
        uint32_t passing[kGroupWords];
        for (size_t at = 0; at < words; at++) passing[at] = combine == Combine::And ? bits[word + at] : UINT32_MAX;
        for (size_t at = 0; at < scanCount && !IsEmpty(passing, words); at++) {
            Narrow(prepared[at], word * kWordRows, words, passing);
        }
        for (size_t at = 0; at < words; at++) StoreBits(bits[word + at], passing[at], combine);
    }
    RestOf(scans, scanCount, rows, bits, combine);
}

}  // namespace
}  // namespace drivermon

#if defined(__clang__)
#pragma clang attribute pop
#elif defined(__GNUC__)
#pragma GCC pop_options
#endif

namespace drivermon {

ScanRows Avx2Scan() {
#if defined(_MSC_VER)
    int leaf[4];
    __cpuid(leaf, 1);
    constexpr int kOsSavesRegisters = 1 << 27;
    const bool saved = (leaf[2] & kOsSavesRegisters) != 0 && (_xgetbv(0) & 6) == 6;
    __cpuidex(leaf, 7, 0);
    return saved && (leaf[1] & (1 << 5)) != 0 ? ScanByAvx2 : nullptr;
#else
    return __builtin_cpu_supports("avx2") ? ScanByAvx2 : nullptr;
#endif
}

}  // namespace drivermon

#else

namespace drivermon {

ScanRows Avx2Scan() {
    return nullptr;
}

}  // namespace drivermon

#endif
