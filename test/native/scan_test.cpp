// The loop of filters, for any processor and for AVX2, against what it is to mean.
#include "../../addon/scan.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace drivermon {
namespace {

constexpr Combine kWays[] = {Combine::Set, Combine::And, Combine::Or};

uint32_t Combined(uint32_t there, uint32_t word, Combine combine) {
    return combine == Combine::Set ? word : combine == Combine::And ? there & word : there | word;
}

// Exactly as long as they are said to be, so that AddressSanitizer sees a step beyond.
struct Question {
    std::vector<uint16_t> codes;
    std::vector<uint32_t> wide;
    std::vector<uint8_t> answers;
    std::vector<uint32_t> ranges;
    std::vector<uint32_t> bits;
    Combine combine;
};

Question MakeQuestion(std::mt19937& random) {
    const auto below = [&](uint32_t bound) { return static_cast<uint32_t>(random() % bound); };
    Question question;
    const size_t rows = below(700);
    const uint32_t sizes[] = {below(20), 250 + below(12), below(65537)};
    question.answers.resize(sizes[below(3)]);
    for (uint8_t& answer : question.answers) answer = below(3) == 0;
    const uint32_t most = below(2) == 0 ? 65536 : static_cast<uint32_t>(question.answers.size()) + 2;
    for (uint32_t i = 0; i < 2 * below(4); i++) {
        question.ranges.push_back(below(4) == 0 ? UINT32_MAX - below(3) : below(70000));
    }
    if (question.ranges.size() % 2 != 0) question.ranges.pop_back();
    for (size_t i = 0; i < rows; i++) {
        question.codes.push_back(static_cast<uint16_t>(below(std::min(most, 65536u))));
        const bool atEnd = !question.ranges.empty() && below(2) == 0;
        question.wide.push_back(atEnd ? question.ranges[below(static_cast<uint32_t>(question.ranges.size()))]
                                      : random());
    }
    const uint32_t words[] = {0, UINT32_MAX, static_cast<uint32_t>(random())};
    for (size_t i = 0; i < (rows + 31) / 32; i++) question.bits.push_back(words[below(3)]);
    question.combine = kWays[below(3)];
    return question;
}

template <typename Passes>
std::vector<uint32_t> Expected(const Question& question, Passes passes) {
    std::vector<uint32_t> bits = question.bits;
    for (size_t at = 0; at < bits.size(); at++) {
        uint32_t word = 0;
        for (size_t row = 32 * at; row < std::min(32 * at + 32, question.codes.size()); row++) {
            word |= static_cast<uint32_t>(passes(row)) << (row % 32);
        }
        bits[at] = Combined(bits[at], word, question.combine);
    }
    return bits;
}

bool Passes(const Scan& scan, size_t row) {
    if (scan.kind == Scan::Kind::Codes) {
        const uint16_t code = static_cast<const uint16_t*>(scan.cells)[row];
        return code < scan.count && static_cast<const uint8_t*>(scan.wanted)[code] != 0;
    }
    const uint32_t value = scan.kind == Scan::Kind::Ranges16 ? static_cast<const uint16_t*>(scan.cells)[row]
                                                             : static_cast<const uint32_t*>(scan.cells)[row];
    const uint32_t* ranges = static_cast<const uint32_t*>(scan.wanted);
    for (size_t i = 0; i < scan.count; i++) {
        if (value >= ranges[2 * i] && value <= ranges[2 * i + 1]) return true;
    }
    return false;
}

void Check(ScanRows scanRows) {
    std::mt19937 random(20261122);
    for (int round = 0; round < 3000; round++) {
        const Question question = MakeQuestion(random);
        CAPTURE(round);
        const size_t ranges = question.ranges.size() / 2;
        const Scan kinds[] = {
            {Scan::Kind::Codes, question.codes.data(), question.answers.data(), question.answers.size()},
            {Scan::Kind::Ranges16, question.codes.data(), question.ranges.data(), ranges},
            {Scan::Kind::Ranges32, question.wide.data(), question.ranges.data(), ranges},
        };
        // Each alone, then some together.
        std::vector<std::vector<Scan>> asked = {{kinds[0]}, {kinds[1]}, {kinds[2]}, {}};
        const size_t together = 1 + random() % kMostScans;
        while (asked[3].size() < together) asked[3].push_back(kinds[random() % 3]);
        for (const std::vector<Scan>& scans : asked) {
            std::vector<uint32_t> bits = question.bits;
            scanRows(scans.data(), scans.size(), question.codes.size(), bits.data(), question.combine);
            REQUIRE(bits == Expected(question, [&](size_t row) {
                        return std::all_of(scans.begin(), scans.end(),
                                           [&](const Scan& scan) { return Passes(scan, row); });
                    }));
        }
    }
}

}  // namespace

TEST_CASE("scan: the loop for any processor") {
    Check(PortableScan);
}

TEST_CASE("scan: the loop for AVX2") {
    if (const ScanRows scan = Avx2Scan()) Check(scan);
}

}  // namespace drivermon
