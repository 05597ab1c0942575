// sort.h: the innermost loop of orders, natively: the rows of a chunk by a key. As `sort` in src/model/loops.ts.
#pragma once

#include <cstddef>
#include <cstdint>

namespace drivermon {

constexpr size_t kMostSorted = 32768;

// Key and row in one word, so that each pass moves both at once.
struct SortSpace {
    uint64_t pairs[2][kMostSorted];
};

// Sorts keys, and the row that belongs to each, in place; equal keys stay as they were. `count` is at most kMostSorted.
// Any thread that has the space to itself.
void SortByKey(uint32_t* keys, uint16_t* rows, size_t count, SortSpace& space);

}  // namespace drivermon
