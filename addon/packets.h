// packets.h: the innermost loop of capture files, natively: ordinary records become packet blocks.
//
// What src/formats/packets.ts does in TypeScript, to the same bytes; that file says what each number means. Pure: no
// Node-API, no allocation, no state of its own; so it runs under sanitizers, too.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <span>

namespace drivermon {

struct PacketState {
    double used;
    double fileBytes;
    double mostFileBytes;
    double records;
    double lastTicks;
    double endTicks;
    double anchorTicks;
    double ticksPerUnit;
    double anchorHigh;
    double anchorLow;
};
static_assert(sizeof(PacketState) == 10 * 8, "packets.ts");

// Returns the word of the first record that is left to the caller, or the length of `records`. Any thread that has
// `out`, `state` and `received` to itself.
size_t WritePackets(std::span<const uint32_t> records, size_t at, std::span<uint32_t> out, PacketState& state,
                    std::span<const uint32_t> interfaces, std::span<double> received);

}  // namespace drivermon
