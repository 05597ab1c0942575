// The sorting of a chunk's rows, against the standard library's.
#include "../../addon/sort.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

namespace drivermon {

TEST_CASE("sort: by key, equal ones as they were, whatever digits the keys differ in") {
    std::mt19937 random(20261122);
    const auto space = std::make_unique<SortSpace>();
    for (int round = 0; round < 400; round++) {
        CAPTURE(round);
        const size_t count = round == 0 ? kMostSorted : random() % (round % 40 == 0 ? kMostSorted : 200);
        // A few bits in some place: many equal keys, and digits that may be left out.
        const uint32_t mask = (round % 3 == 0 ? UINT32_MAX : 0xFFu << (random() % 25));
        std::vector<std::pair<uint32_t, uint16_t>> expected;
        std::vector<uint32_t> keys;
        std::vector<uint16_t> rows;
        for (size_t i = 0; i < count; i++) {
            keys.push_back(static_cast<uint32_t>(random()) & mask);
            rows.push_back(static_cast<uint16_t>(random()));
            expected.emplace_back(keys.back(), rows.back());
        }
        std::stable_sort(expected.begin(), expected.end(),
                         [](const auto& a, const auto& b) { return a.first < b.first; });
        SortByKey(keys.data(), rows.data(), count, *space);
        for (size_t i = 0; i < count; i++) REQUIRE((keys[i] == expected[i].first && rows[i] == expected[i].second));
    }
}

}  // namespace drivermon
