// scan.cpp: the loops for any processor.
#include "scan.h"

namespace drivermon {
namespace {

constexpr size_t kWordRows = 32;

template <typename Passes>
void EachWord(size_t rows, uint32_t* bits, Combine combine, Passes passes) {
    for (size_t first = 0; first < rows; first += kWordRows) {
        uint32_t& there = bits[first / kWordRows];
        if (IsSettled(there, combine)) continue;
        const size_t count = rows - first < kWordRows ? rows - first : kWordRows;
        uint32_t word = 0;
        for (size_t i = 0; i < count; i++) word |= static_cast<uint32_t>(passes(first + i)) << i;
        StoreBits(there, word, combine);
    }
}

void Codes(const uint16_t* codes, size_t rows, const uint8_t* answers, size_t answerCount, uint32_t* bits,
           Combine combine) {
    EachWord(rows, bits, combine,
             [=](size_t row) { return codes[row] < answerCount && answers[codes[row]] != 0; });
}

template <typename Value>
void Ranges(const Value* values, size_t rows, const uint32_t* ranges, size_t rangeCount, uint32_t* bits,
            Combine combine) {
    EachWord(rows, bits, combine, [=](size_t row) {
        const uint32_t value = values[row];
        bool inside = false;
        for (size_t i = 0; i < rangeCount; i++) inside |= value >= ranges[2 * i] && value <= ranges[2 * i + 1];
        return inside;
    });
}

}  // namespace

const ScanLoops kPortableScan{Codes, Ranges<uint16_t>, Ranges<uint32_t>};

}  // namespace drivermon
