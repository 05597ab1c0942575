// sort.cpp: by radix, least digit first, leaving out digits in which no keys differ.
#include "sort.h"

#include <algorithm>

namespace drivermon {
namespace {

constexpr unsigned kDigitBits = 11;
constexpr size_t kDigits = size_t{1} << kDigitBits;
constexpr unsigned kKeyShift = 16;

size_t DigitOf(uint64_t pair, unsigned shift) {
    return (pair >> (kKeyShift + shift)) & (kDigits - 1);
}

}  // namespace

void SortByKey(uint32_t* keys, uint16_t* rows, size_t count, SortSpace& space) {
    uint32_t differing = 0;
    uint64_t* from = space.pairs[0];
    uint64_t* to = space.pairs[1];
    for (size_t i = 0; i < count; i++) {
        differing |= keys[i] ^ keys[0];
        from[i] = uint64_t{keys[i]} << kKeyShift | rows[i];
    }
    for (unsigned shift = 0; shift < 32; shift += kDigitBits) {
        if (((differing >> shift) & (kDigits - 1)) == 0) continue;
        uint32_t places[kDigits] = {};
        for (size_t i = 0; i < count; i++) places[DigitOf(from[i], shift)]++;
        uint32_t sum = 0;
        for (uint32_t& place : places) {
            const uint32_t here = place;
            place = sum;
            sum += here;
        }
        for (size_t i = 0; i < count; i++) to[places[DigitOf(from[i], shift)]++] = from[i];
        std::swap(from, to);
    }
    for (size_t i = 0; i < count; i++) {
        keys[i] = static_cast<uint32_t>(from[i] >> kKeyShift);
        rows[i] = static_cast<uint16_t>(from[i]);
    }
}

}  // namespace drivermon
