// The loop of capture files: whatever the records and the room for them, it keeps within both, and what it has written
// can be read back. That the bytes are those of the writer in TypeScript is for test/addon to say.
#include "../../addon/packets.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "protocol/record.h"

namespace drivermon {
namespace {

constexpr double kNoLimit = std::numeric_limits<double>::infinity();
constexpr size_t kFrameWords = 12;
constexpr size_t kHeadWords = 11;

TEST_CASE("packets keep within their records and their room, and hold what the records hold") {
    std::mt19937 random(7);
    const auto below = [&](uint32_t bound) { return static_cast<uint32_t>(random() % bound); };
    for (int round = 0; round < 3000; round++) {
        // Exactly as long as they are said to be, so that AddressSanitizer sees a step beyond.
        std::vector<uint32_t> records;
        while (below(8) != 0) {
            const size_t begin = records.size();
            records.resize(begin + sizeof(RecordHeader) / 4 + 2 * below(20));
            for (size_t i = begin; i < records.size(); i++) records[i] = random();
            RecordHeader header{};
            header.size = static_cast<uint32_t>((records.size() - begin) * 4);
            if (below(20) == 0) header.size = random();
            header.type = below(8) == 0 ? kRecordLoss : below(2) == 0 ? kRecordRequestStart : kRecordRequestEnd;
            header.driverId = below(6) == 0 ? random() : below(3);
            header.timestamp = below(4) == 0 ? random() * uint64_t{random()} : below(1000);
            std::memcpy(&records[begin], &header, sizeof(header));
        }
        std::vector<uint32_t> out(below(400));
        std::vector<uint32_t> interfaces(below(4));
        for (uint32_t& each : interfaces) each = below(8) == 0 ? random() : below(4);
        std::vector<double> received(below(4));
        PacketState state{};
        state.used = below(8) == 0 ? -1.0 : below(static_cast<uint32_t>(out.size()) + 2);
        state.mostFileBytes = below(2) == 0 ? kNoLimit : below(1500);
        state.endTicks = below(2) == 0 ? kNoLimit : below(1000);
        state.ticksPerUnit = below(8) == 0 ? 0 : 1;
        state.anchorHigh = below(20) == 0 ? 1e300 : 7;
        const PacketState before = state;

        const size_t end = WritePackets(records, 0, out, state, interfaces, received);

        REQUIRE(end <= records.size());
        REQUIRE(state.used - before.used == state.fileBytes / 4);
        REQUIRE((state.fileBytes == 0 || state.fileBytes <= state.mostFileBytes));
        REQUIRE(std::accumulate(received.begin(), received.end(), 0.0) == state.records);
        if (end == 0) continue;
        size_t at = static_cast<size_t>(before.used);
        for (size_t from = 0; from < end;) {
            const size_t length = records[from] / 4;
            REQUIRE(out[at] == 6);
            REQUIRE(out[at + 1] == (length + kFrameWords) * 4);
            REQUIRE(out[at + length + kHeadWords] == out[at + 1]);
            REQUIRE(std::equal(&records[from], &records[from] + length, &out[at + kHeadWords]));
            from += length;
            at += length + kFrameWords;
        }
        REQUIRE(static_cast<double>(at) == state.used);
    }
}

}  // namespace
}  // namespace drivermon
