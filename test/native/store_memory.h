// store_memory.h: the store's memory as TypeScript would hand it to native code, each part an allocation of its own so
// that AddressSanitizer guards its ends. What TypeScript does when native code stops is played as far as tests need it.
#pragma once

#include <array>
#include <limits>
#include <vector>

#include "../../addon/ingest.h"

namespace drivermon::store {

class StoreMemory : public Parts {
 public:
    static constexpr uint32_t kSegmentWords = 128 * 1024 / 4;

    // Room in the pairing table (a power of two), in the ring of lost starts and in each dictionary (a power of two;
    // 0 = sealed).
    struct Sizes {
        uint32_t pairing = 1024;
        uint32_t lost = 64;
        uint32_t dictionary = 1024;
    };

    explicit StoreMemory(const Sizes& sizes) : sizes_(sizes) {
        capture_[kCounts].resize(sizeof(Counts) / 4);
        capture_[kPairing].resize((sizeof(PairingHeader) + sizeof(PairingSlot) * sizes.pairing) / 4);
        capture_[kLost].resize((sizeof(PairingHeader) + sizeof(PairingSlot) * sizes.lost) / 4);
        capture_[kProcesses].resize(sizeof(ProcessSlot) / 4 * kProcessSlots);
        capture_[kFunctions] = DictionaryOf(sizeof(Function) / 4, 64);
        capture_[kTotals].resize(sizeof(Totals) / 4 * 64);
        Count().stamp = 1;
    }

    Words OfCapture(CapturePart part) override { return capture_[part]; }
    size_t Chunks() override { return chunks_.size(); }
    Words OfChunk(size_t chunk, ChunkPart part) override { return chunks_.at(chunk)[part]; }

    Counts& Count() { return *reinterpret_cast<Counts*>(capture_[kCounts].data()); }
    Columns& Chunk(size_t chunk) { return *reinterpret_cast<Columns*>(chunks_.at(chunk)[kColumns].data()); }
    DictionaryHeader& Header(size_t chunk, ChunkPart part) {
        return *reinterpret_cast<DictionaryHeader*>(chunks_.at(chunk)[part].data());
    }
    Totals& TotalsOf(uint32_t code) { return reinterpret_cast<Totals*>(capture_[kTotals].data())[code]; }
    std::span<const PairingSlot> Pairs() {
        auto* const slots = reinterpret_cast<PairingSlot*>(capture_[kPairing].data() + sizeof(PairingHeader) / 4);
        return {slots, sizes_.pairing};
    }
    double Paired() { return reinterpret_cast<PairingHeader*>(capture_[kPairing].data())->number; }

    // A chunk that has one row, as TypeScript leaves it: native code adds to chunks that have begun.
    void AddChunk(double arrival) {
        Part columns(sizeof(Columns) / 4);
        auto* const rows = reinterpret_cast<Columns*>(columns.data());
        rows->state.rows = 1;
        rows->state.first = Count().endRow;
        rows->state.position = static_cast<double>(chunks_.size() << kChunkShift);
        rows->state.base = arrival - 2147483648.0;
        rows->state.minArrival = rows->state.minLatency = std::numeric_limits<double>::infinity();
        rows->state.maxArrival = rows->state.maxLatency = -std::numeric_limits<double>::infinity();
        rows->state.segments = 1;
        rows->outcome[0] = kOutcomeEndLost;
        auto& parts = chunks_.emplace_back();
        parts[kColumns] = std::move(columns);
        parts[kKinds] = DictionaryOf(6, sizes_.dictionary);
        parts[kCallers] = DictionaryOf(6, sizes_.dictionary);
        parts[kPlaces] = DictionaryOf(4, sizes_.dictionary);
        parts[kIrps] = DictionaryOf(2, sizes_.dictionary);
        parts[kOutcomes] = DictionaryOf(6, sizes_.dictionary);
        for (const ChunkPart part : {kInputLengths, kOutputLengths, kInformations}) {
            parts[part] = DictionaryOf(2, sizes_.dictionary);
        }
        parts[kSegment].resize(kSegmentWords);
        if (sizes_.dictionary > 0) Header(chunks_.size() - 1, kOutcomes).size = 2;
        Count().endRow++;
    }

    // TypeScript's answer to a segment that is full.
    void AddSegment() {
        chunks_.back()[kSegment].assign(kSegmentWords, 0);
        Chunk(chunks_.size() - 1).state.segments++;
        Chunk(chunks_.size() - 1).state.free = 0;
    }

    void LearnProcess(uint32_t processId, uint32_t name) {
        auto* const slots = reinterpret_cast<ProcessSlot*>(capture_[kProcesses].data());
        slots[(processId >> 2) & (kProcessSlots - 1)] = {processId, name + 1, 0};
    }

    // By the index's own rule; the test of equal memory (test/addon) holds it to TypeScript's.
    void LearnFunction(uint32_t driver, uint32_t function) {
        auto* const words = capture_[kFunctions].data();
        auto* const header = reinterpret_cast<DictionaryHeader*>(words);
        if (header->size == header->capacity) return;
        uint32_t hash = driver * 0x9e3779b1u + function * 0x85ebca6bu;
        hash = (hash ^ (hash >> 15)) * 0x2c1b3c6d;
        uint32_t* const index = words + 4 + 2 * header->capacity;
        uint32_t slot = hash >> (32 - 7);
        while (index[slot] != 0) slot = (slot + 1) % header->slots;
        words[4 + 2 * header->size] = driver;
        words[5 + 2 * header->size] = function;
        index[slot] = ++header->size;
    }

 private:
    using Part = std::vector<uint32_t>;

    static Part DictionaryOf(uint32_t width, uint32_t capacity) {
        Part part(4 + capacity * width + 2 * capacity);
        part[1] = capacity;
        part[2] = 2 * capacity;
        return part;
    }

    Sizes sizes_;
    std::array<Part, kTotals + 1> capture_;
    std::vector<std::array<Part, kSegment + 1>> chunks_;
};

}  // namespace drivermon::store
