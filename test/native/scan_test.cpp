// The loops of filters: each set of them against the plainest one, and that one against what it is to mean.
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
    const size_t rows = below(300);
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
        question.wide.push_back(atEnd ? question.ranges[below(static_cast<uint32_t>(question.ranges.size()))] : random());
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

bool Inside(const Question& question, uint32_t value) {
    for (size_t i = 0; i < question.ranges.size(); i += 2) {
        if (value >= question.ranges[i] && value <= question.ranges[i + 1]) return true;
    }
    return false;
}

void Check(const ScanLoops& loops) {
    std::mt19937 random(20261122);
    for (int round = 0; round < 3000; round++) {
        const Question question = MakeQuestion(random);
        const size_t rows = question.codes.size();
        CAPTURE(round);

        std::vector<uint32_t> bits = question.bits;
        loops.codes(question.codes.data(), rows, question.answers.data(), question.answers.size(), bits.data(),
                    question.combine);
        REQUIRE(bits == Expected(question, [&](size_t row) {
            const uint16_t code = question.codes[row];
            return code < question.answers.size() && question.answers[code] != 0;
        }));

        bits = question.bits;
        loops.ranges16(question.codes.data(), rows, question.ranges.data(), question.ranges.size() / 2, bits.data(),
                       question.combine);
        REQUIRE(bits == Expected(question, [&](size_t row) { return Inside(question, question.codes[row]); }));

        bits = question.bits;
        loops.ranges32(question.wide.data(), rows, question.ranges.data(), question.ranges.size() / 2, bits.data(),
                       question.combine);
        REQUIRE(bits == Expected(question, [&](size_t row) { return Inside(question, question.wide[row]); }));
    }
}

}  // namespace

TEST_CASE("scan: the loops for any processor") {
    Check(kPortableScan);
}

TEST_CASE("scan: the loops for AVX2") {
    if (const ScanLoops* loops = Avx2Scan()) Check(*loops);
}

}  // namespace drivermon
