// scan.cpp: the loops for any processor.
#include "scan.h"

namespace drivermon {
namespace {

constexpr size_t kWordRows = 32;

bool IsInside(uint32_t value, const uint32_t* ranges, size_t rangeCount) {
    for (size_t i = 0; i < rangeCount; i++) {
        if (value >= ranges[2 * i] && value <= ranges[2 * i + 1]) return true;
    }
    return false;
}

bool Passes(const Scan& scan, size_t row) {
    switch (scan.kind) {
        case Scan::Kind::Codes: {
            const uint16_t code = static_cast<const uint16_t*>(scan.cells)[row];
            return code < scan.count && static_cast<const uint8_t*>(scan.wanted)[code] != 0;
        }
        case Scan::Kind::Ranges16:
            return IsInside(static_cast<const uint16_t*>(scan.cells)[row], static_cast<const uint32_t*>(scan.wanted),
                            scan.count);
        case Scan::Kind::Ranges32:
            return IsInside(static_cast<const uint32_t*>(scan.cells)[row], static_cast<const uint32_t*>(scan.wanted),
                            scan.count);
    }
    return false;
}

// By halves, as no processor needs to be asked for it; compilers do eight words at a time.
uint32_t BitsIn(uint32_t word) {
    word -= (word >> 1) & 0x55555555u;
    word = (word & 0x33333333u) + ((word >> 2) & 0x33333333u);
    return (((word + (word >> 4)) & 0x0F0F0F0Fu) * 0x01010101u) >> 24;
}

}  // namespace

void CountBits(const uint32_t* bits, size_t wordsEach, uint16_t* counts, size_t countCount) {
    for (size_t at = 0; at < countCount; at++) {
        uint32_t count = 0;
        for (size_t i = 0; i < wordsEach; i++) count += BitsIn(bits[at * wordsEach + i]);
        counts[at] = static_cast<uint16_t>(count);
    }
}

void PortableScan(const Scan* scans, size_t scanCount, size_t rows, uint32_t* bits, Combine combine) {
    for (size_t first = 0; first < rows; first += kWordRows) {
        uint32_t& there = bits[first / kWordRows];
        const size_t count = rows - first < kWordRows ? rows - first : kWordRows;
        const uint32_t all = count == kWordRows ? UINT32_MAX : (1u << count) - 1;
        uint32_t word = combine == Combine::And ? there & all : all;
        for (size_t at = 0; at < scanCount && word != 0; at++) {
            for (size_t i = 0; i < count; i++) {
                word &= ~(static_cast<uint32_t>(!Passes(scans[at], first + i)) << i);
            }
        }
        StoreBits(there, word, combine);
    }
}

}  // namespace drivermon
