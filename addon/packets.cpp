// packets.cpp: see packets.h.
#include "packets.h"

#include <string.h>

#include <cmath>

#include "protocol/record.h"

namespace drivermon {
namespace {

constexpr uint32_t kEnhancedPacket = 6;
// Block header, packet header, and the total length at the end.
constexpr size_t kPacketOverhead = 32;
// Tag 12 (dissector name, 8 bytes, `drvmon`), then the end tag: big-endian, as Wireshark defines them.
constexpr uint8_t kTag[16] = {0, 12, 0, 8, 'd', 'r', 'v', 'm', 'o', 'n'};
constexpr size_t kHeadWords = 7;

constexpr double kTwo32 = 4294967296.0;
// Beyond it 100 ns do not fit into what a packet has for them.
constexpr double kMostUnits = 9e18;

bool IsRequest(uint32_t type) {
    return type == kRecordRequestStart || type == kRecordRequestEnd;
}

}  // namespace

size_t WritePackets(std::span<const uint32_t> records, size_t at, std::span<uint32_t> out, PacketState& state,
                    std::span<const uint32_t> interfaces, std::span<double> received) {
    constexpr size_t kHeaderWords = sizeof(RecordHeader) / 4;
    if (!(state.used >= 0 && state.used <= static_cast<double>(out.size())) || !(std::abs(state.anchorHigh) < kTwo32)) {
        return at;
    }
    size_t used = static_cast<size_t>(state.used);
    while (at < records.size() && records.size() - at >= kHeaderWords) {
        RecordHeader header;
        memcpy(&header, &records[at], sizeof(header));
        if (!IsRequest(header.type) || header.size < sizeof(header) || header.size % 4 != 0) break;
        const size_t length = header.size / 4;
        if (length > records.size() - at || header.driverId >= interfaces.size()) break;
        // Of none it is the largest number there is.
        const uint32_t number = interfaces[header.driverId] - 1;
        if (number >= received.size()) break;
        const double ticks = static_cast<double>(header.timestamp);
        const size_t total = kPacketOverhead + sizeof(kTag) + header.size;
        if (ticks >= state.endTicks || state.fileBytes + static_cast<double>(total) > state.mostFileBytes) break;
        if (total / 4 > out.size() - used) break;
        const double low = state.anchorLow + std::floor((ticks - state.anchorTicks) / state.ticksPerUnit);
        if (!(low > -kMostUnits && low < kMostUnits)) break;
        const double carry = std::floor(low / kTwo32);
        const uint32_t head[kHeadWords] = {
            kEnhancedPacket,
            static_cast<uint32_t>(total),
            number,
            static_cast<uint32_t>(static_cast<int64_t>(state.anchorHigh + carry)),
            static_cast<uint32_t>(static_cast<int64_t>(low - carry * kTwo32)),
            static_cast<uint32_t>(sizeof(kTag) + header.size),
            static_cast<uint32_t>(sizeof(kTag) + header.size),
        };
        auto* to = reinterpret_cast<uint8_t*>(&out[used]);
        memcpy(to, head, sizeof(head));
        memcpy(to + sizeof(head), kTag, sizeof(kTag));
        memmove(to + sizeof(head) + sizeof(kTag), &records[at], header.size);
        memcpy(to + total - 4, &head[1], 4);
        used += total / 4;
        state.fileBytes += static_cast<double>(total);
        state.lastTicks = ticks;
        state.records++;
        received[number]++;
        at += length;
    }
    state.used = static_cast<double>(used);
    return at;
}

}  // namespace drivermon
