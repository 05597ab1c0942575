// ingest.cpp: see ingest.h. Each record is checked for all that could stop it before anything of it is written; an
// entry that was made in a dictionary for a record that stops after all is the one that TypeScript would make.
#include "ingest.h"

#include <string.h>

#include <array>
#include <bit>

#include "protocol/record.h"

namespace drivermon::store {
namespace {

constexpr double kTwo32 = 4294967296.0;
// Ticks below 2^53 are exact as doubles.
constexpr uint64_t kExact = uint64_t{1} << 53;
constexpr int64_t kNone = -1;

uint32_t Low(uint64_t value) {
    return static_cast<uint32_t>(value);
}
uint32_t High(uint64_t value) {
    return static_cast<uint32_t>(value >> 32);
}

// What a part begins with; null if the part is too small for it.
template <typename T>
T* At(Words part, size_t count = 1) {
    if (part.size_bytes() < sizeof(T) * count || reinterpret_cast<uintptr_t>(part.data()) % alignof(T) != 0)
        return nullptr;
    return reinterpret_cast<T*>(part.data());
}

uint32_t RowInChunk(double position) {
    return static_cast<uint32_t>(static_cast<uint64_t>(position)) & (kChunkRows - 1);
}

uint64_t Pair(uint32_t low, uint32_t high) {
    return low | (uint64_t{high} << 32);
}

// A tuple of a dictionary, two words at a time: it is made, hashed and compared in registers.
template <typename Tuple>
struct Key {
    std::array<uint64_t, sizeof(Tuple) / 8> pairs;
};

// Two, four or six words, as dictionary.ts does it.
template <typename Tuple>
uint32_t HashOf(const Key<Tuple>& key) {
    constexpr size_t kPairs = sizeof(key.pairs) / sizeof(uint64_t);
    static_assert(kPairs >= 1 && kPairs <= 3);
    const auto& pairs = key.pairs;
    uint32_t hash = Low(pairs[0]) * 0x9e3779b1u + High(pairs[0]) * 0x85ebca6bu;
    if constexpr (kPairs > 1) hash += Low(pairs[1]) * 0xc2b2ae35u + High(pairs[1]) * 0x27d4eb2fu;
    if constexpr (kPairs > 2) hash += Low(pairs[2]) * 0x165667b1u + High(pairs[2]) * 0xfd7046c5u;
    return (hash ^ (hash >> 15)) * 0x2c1b3c6du;
}

constexpr uint32_t kNoIndex[2] = {};

template <typename Tuple>
class Dictionary {
 public:
    // False if that is no dictionary. One without an index (sealed, or empty) can be read only.
    bool Open(Words part) {
        constexpr size_t kWidth = sizeof(Tuple) / 4;
        header_ = At<DictionaryHeader>(part);
        if (!header_) return false;
        const size_t capacity = header_->capacity;
        const uint32_t slots = header_->slots;
        if (part.size() != 4 + capacity * kWidth + slots || header_->size > capacity) return false;
        entries_ = part.data() + 4;
        if (slots == 0) return header_->size == capacity;
        if (slots <= capacity || !std::has_single_bit(slots)) return false;
        index_ = part.data() + 4 + capacity * kWidth;
        mask_ = slots - 1;
        shift_ = 1 + std::countl_zero(slots);
        return true;
    }

    // A code that the store has given out.
    Tuple operator[](uint32_t code) const {
        Tuple tuple;
        memcpy(&tuple, EntryOf(code < header_->size ? code : 0), sizeof(tuple));
        return tuple;
    }

    // The key's code, or kNone.
    int64_t Find(const Key<Tuple>& key) const { return static_cast<int64_t>(index_[SlotOf(key)]) - 1; }

    // The key's code; kNone if it would be a new one for which there is no room.
    int64_t Intern(const Key<Tuple>& key) {
        const uint32_t slot = SlotOf(key);
        if (index_[slot] != 0) [[likely]]
            return index_[slot] - 1;
        const uint32_t code = header_->size;
        if (code >= header_->capacity) return kNone;
        header_->size = code + 1;
        index_[slot] = code + 1;
        memcpy(EntryOf(code), &key, sizeof(Tuple));
        return code;
    }

 private:
    uint32_t* EntryOf(uint32_t code) const { return entries_ + size_t{code} * (sizeof(Tuple) / 4); }

    // Without a branch per pair, as nearly always they are equal.
    bool Holds(uint32_t code, const Key<Tuple>& key) const {
        Key<Tuple> held;
        memcpy(&held, EntryOf(code), sizeof(held));
        uint64_t difference = 0;
        for (size_t i = 0; i < key.pairs.size(); i++) difference |= held.pairs[i] ^ key.pairs[i];
        return difference == 0;
    }

    uint32_t SlotOf(const Key<Tuple>& key) const {
        uint32_t slot = HashOf(key) >> shift_;
        for (uint32_t held = index_[slot]; held != 0; held = index_[slot]) {
            if (Holds(held - 1, key)) [[likely]]
                break;
            slot = (slot + 1) & mask_;
        }
        return slot;
    }

    DictionaryHeader* header_ = nullptr;
    uint32_t* entries_ = nullptr;
    // Where there is none, one in which nothing is found: never written, as there is no room for an entry either.
    uint32_t* index_ = const_cast<uint32_t*>(kNoIndex);
    uint32_t mask_ = 1;
    uint32_t shift_ = 31;
};

// pairing.ts, without growth.
class Pairing {
 public:
    bool Open(Words table, Words lost) {
        table_ = At<PairingHeader>(table);
        lost_ = At<PairingHeader>(lost);
        if (!table_ || !lost_) return false;
        const size_t slots = (table.size_bytes() - sizeof(PairingHeader)) / sizeof(PairingSlot);
        lostCount_ = static_cast<uint32_t>((lost.size_bytes() - sizeof(PairingHeader)) / sizeof(PairingSlot));
        if (slots < 2 || slots > (size_t{1} << 31) || !std::has_single_bit(slots) || lostCount_ == 0) return false;
        slots_ = reinterpret_cast<PairingSlot*>(table_ + 1);
        lostSlots_ = reinterpret_cast<PairingSlot*>(lost_ + 1);
        mask_ = static_cast<uint32_t>(slots - 1);
        mostIds_ = static_cast<double>(slots / SlotsPerId(static_cast<uint32_t>(slots)));
        shift_ = 1 + std::countl_zero(static_cast<uint32_t>(slots));
        return true;
    }

    bool HasRoom() const { return table_->number < mostIds_; }

    uint32_t SlotOf(uint32_t low, uint32_t high) const {
        uint32_t slot = Home(low, high);
        while (slots_[slot].row != 0 && (slots_[slot].idLow != low || slots_[slot].idHigh != high)) {
            slot = (slot + 1) & mask_;
        }
        return slot;
    }

    // The position of the row at a slot that SlotOf found, or -1.
    double RowAt(uint32_t slot) const { return slots_[slot].row - 1; }

    // The slot is free and SlotOf found it for this id. There must be room.
    void Fill(uint32_t slot, uint32_t low, uint32_t high, double row) {
        table_->number++;
        slots_[slot] = {low, high, row + 1};
    }

    // Whether an end without its start can be set: the oldest of those makes room.
    bool HasRoomForLost() const { return HasRoom() || OldestLostSlot() != kNone; }

    // For an id that is not in the table. There must be room.
    void SetLost(uint32_t low, uint32_t high, double row) {
        const int64_t slot = OldestLostSlot();
        if (slot != kNone) Delete(static_cast<uint32_t>(slot));
        OldestLost() = {low, high, row + 1};
        lost_->number = (NextLost() + 1) % lostCount_;
        Fill(SlotOf(low, high), low, high, row);
    }

    // A slot that is not free.
    void Delete(uint32_t hole) {
        table_->number--;
        for (uint32_t next = (hole + 1) & mask_; slots_[next].row != 0; next = (next + 1) & mask_) {
            const uint32_t home = Home(slots_[next].idLow, slots_[next].idHigh);
            if (((next - home) & mask_) < ((next - hole) & mask_)) continue;
            slots_[hole] = slots_[next];
            hole = next;
        }
        slots_[hole] = {};
    }

 private:
    uint32_t NextLost() const { return lost_->number < lostCount_ ? static_cast<uint32_t>(lost_->number) : 0; }
    PairingSlot& OldestLost() const { return lostSlots_[NextLost()]; }

    // Where the id is that the next one in the ring overwrites; kNone if it has left the table.
    int64_t OldestLostSlot() const {
        const PairingSlot& oldest = OldestLost();
        if (oldest.row == 0) return kNone;
        const uint32_t slot = SlotOf(oldest.idLow, oldest.idHigh);
        return slots_[slot].row == oldest.row ? slot : kNone;
    }

    uint32_t Home(uint32_t low, uint32_t high) const { return ((low ^ (high * 0x85ebca6bu)) * 0x9e3779b1u) >> shift_; }

    PairingHeader* table_ = nullptr;
    PairingSlot* slots_ = nullptr;
    PairingHeader* lost_ = nullptr;
    PairingSlot* lostSlots_ = nullptr;
    uint32_t lostCount_ = 0;
    double mostIds_ = 0;
    uint32_t mask_ = 0;
    uint32_t shift_ = 0;
};

// A part that is looked for when it is first needed.
template <typename View>
class Lazily {
 public:
    // Null if it cannot be used.
    View* Get(Parts& parts, size_t chunk, ChunkPart part) {
        if (usable_) [[likely]]
            return &view_;
        if (!asked_) usable_ = view_.Open(parts.OfChunk(chunk, part));
        asked_ = true;
        return usable_ ? &view_ : nullptr;
    }

 private:
    bool usable_ = false;
    bool asked_ = false;
    View view_;
};

class Segment {
 public:
    bool Open(Words part) {
        words_ = part;
        return part.size() <= kMaxSegmentWords;
    }
    store::Words Words() const { return words_; }

 private:
    store::Words words_;
};

// What a record adds to the arena. Nothing is written before it is known that all of it fits.
struct Extra {
    ExtraKind kind;
    uint32_t second;
    uint32_t third;
    const void* payload;
    uint32_t payloadBytes;

    uint32_t PayloadWords() const { return ((payloadBytes + 7) & ~7u) >> 2; }
    uint32_t Words() const { return kExtraHeaderWords + PayloadWords(); }
};

class ChunkView {
 public:
    // False if there is no such chunk.
    bool Open(Parts& parts, size_t number) {
        parts_ = &parts;
        number_ = number;
        const Words part = parts.OfChunk(number, kColumns);
        columns_ = part.size_bytes() == sizeof(Columns) ? At<Columns>(part) : nullptr;
        kinds_ = {};
        callers_ = {};
        places_ = {};
        irps_ = {};
        outcomes_ = {};
        inputLengths_ = {};
        outputLengths_ = {};
        informations_ = {};
        segment_ = {};
        if (!columns_) return false;
        const ChunkState& state = columns_->state;
        takesRows_ = state.rows > 0 && state.closed == 0 && state.spread == 0;
        return true;
    }

    Columns& Rows() { return *columns_; }

    // Of a row that is in the pairing table: it waits for its end, or else for its start.
    bool IsInFlight(uint32_t row) const { return columns_->outcome[row] == kOutcomeInFlight; }

    bool FellThrough(uint32_t row) {
        const Dictionary<Outcome>* const outcomes = outcomes_.Get(*parts_, number_, kOutcomes);
        return outcomes && ((*outcomes)[columns_->outcome[row]].flags & kRequestFellThrough) != 0;
    }

    int64_t Intern(const Key<Kind>& kind) { return InternIn(kinds_, kKinds, kind); }
    int64_t Intern(const Key<Caller>& caller) { return InternIn(callers_, kCallers, caller); }
    int64_t Intern(const Key<Place>& place) { return InternIn(places_, kPlaces, place); }
    int64_t Intern(const Key<Irp>& irp) { return InternIn(irps_, kIrps, irp); }
    int64_t Intern(const Key<Outcome>& outcome) { return InternIn(outcomes_, kOutcomes, outcome); }

    int64_t InputLength(uint32_t value) { return Cell(inputLengths_, kInputLengths, value); }
    int64_t OutputLength(uint32_t value) { return Cell(outputLengths_, kOutputLengths, value); }
    int64_t Information(uint64_t value) { return Cell(informations_, kInformations, value); }

    // Whether a row for this arrival can be added.
    bool TakesRow(double arrival) const {
        const ChunkState& state = columns_->state;
        const double delta = arrival - state.base;
        return takesRows_ && state.rows < kChunkRows && delta >= 0 && delta < kTwo32;
    }

    uint32_t AddRow(double arrival, uint32_t idLow) {
        ChunkState& state = columns_->state;
        const uint32_t row = static_cast<uint32_t>(state.rows);
        state.rows++;
        columns_->arrivalLow[row] = static_cast<uint32_t>(static_cast<uint64_t>(arrival - state.base));
        if (arrival < state.minArrival) state.minArrival = arrival;
        if (arrival > state.maxArrival) state.maxArrival = arrival;
        columns_->idLow[row] = idLow;
        columns_->outcome[row] = kOutcomeInFlight;
        columns_->latency[row] = kWideLatency;
        return row;
    }

    void SetLatency(uint32_t row, double ticks) {
        ChunkState& state = columns_->state;
        columns_->latency[row] = static_cast<uint32_t>(ticks);
        if (ticks < state.minLatency) state.minLatency = ticks;
        if (ticks > state.maxLatency) state.maxLatency = ticks;
    }

    bool HasRoomFor(uint32_t words) {
        if (words == 0) return true;
        const Segment* const segment = segment_.Get(*parts_, number_, kSegment);
        return segment && columns_->state.segments >= 1 &&
               columns_->state.free + words <= static_cast<double>(segment->Words().size());
    }

    void Add(uint32_t row, const Extra& extra) {
        ChunkState& state = columns_->state;
        const uint32_t at = static_cast<uint32_t>(state.free);
        const uint32_t number = static_cast<uint32_t>(state.segments) - 1;
        uint32_t* const to = segment_.Get(*parts_, number_, kSegment)->Words().data() + at;
        state.free += extra.Words();
        to[0] = columns_->extra[row];
        to[1] = extra.kind;
        to[2] = extra.second;
        to[3] = extra.third;
        if (extra.payloadBytes > 0) memcpy(to + kExtraHeaderWords, extra.payload, size_t{4} * extra.PayloadWords());
        columns_->extra[row] = ((number << kSegmentShift) | (at >> 1)) + 1;
    }

    void Touch(uint32_t row, double stamp) {
        columns_->state.changed[row >> kBlockShift] = stamp;
        columns_->state.lastChange = stamp;
    }

 private:
    template <typename Tuple>
    int64_t InternIn(Lazily<Dictionary<Tuple>>& dictionary, ChunkPart part, const Key<Tuple>& key) {
        Dictionary<Tuple>* const usable = dictionary.Get(*parts_, number_, part);
        return usable ? usable->Intern(key) : kNone;
    }

    int64_t Cell(Lazily<Dictionary<Quantity>>& dictionary, ChunkPart part, uint64_t value) {
        if (value < kLarge) return static_cast<int64_t>(value);
        const int64_t code = InternIn(dictionary, part, Key<Quantity>{{value}});
        return code == kNone ? kNone : kLarge + code;
    }

    Parts* parts_ = nullptr;
    size_t number_ = 0;
    Columns* columns_ = nullptr;
    // As far as only TypeScript changes it.
    bool takesRows_ = false;
    Lazily<Dictionary<Kind>> kinds_;
    Lazily<Dictionary<Caller>> callers_;
    Lazily<Dictionary<Place>> places_;
    Lazily<Dictionary<Irp>> irps_;
    Lazily<Dictionary<Outcome>> outcomes_;
    Lazily<Dictionary<Quantity>> inputLengths_;
    Lazily<Dictionary<Quantity>> outputLengths_;
    Lazily<Dictionary<Quantity>> informations_;
    Lazily<Segment> segment_;
};

// The parts as one call sees them.
class Ingestion {
 public:
    explicit Ingestion(Parts& parts) : parts_(parts) { tags_.fill(SIZE_MAX); }

    bool Open() {
        counts_ = At<Counts>(parts_.OfCapture(kCounts));
        const Words processes = parts_.OfCapture(kProcesses);
        processes_ = At<ProcessSlot>(processes, kProcessSlots);
        const Words totals = parts_.OfCapture(kTotals);
        totals_ = At<Totals>(totals);
        totalsCount_ = totals.size_bytes() / sizeof(Totals);
        chunkCount_ = parts_.Chunks();
        if (!counts_ || !processes_ || !totals_ || chunkCount_ == 0) return false;
        if (!pairing_.Open(parts_.OfCapture(kPairing), parts_.OfCapture(kLost))) return false;
        if (!functions_.Open(parts_.OfCapture(kFunctions))) return false;
        ChunkView* const oldest = Chunk(0);
        if (!oldest) return false;
        firstPosition_ = oldest->Rows().state.position;
        last_ = Chunk(chunkCount_ - 1);
        if (!last_) return false;
        const ChunkState& newest = last_->Rows().state;
        return newest.first + newest.rows == counts_->endRow;
    }

    // Takes in the first record; returns its length in words, or 0 if it is not ordinary: nothing was taken in then.
    size_t Take(std::span<const uint32_t> records);

 private:
    // Whole records; false = not ordinary.
    bool Start(const RequestStart& start);
    bool End(const RequestEnd& end);

    // Null if it cannot be used. Good until the next look-up of another chunk but the last.
    ChunkView* Chunk(size_t number) {
        // The last has a place of its own: rows are added to it while others are looked up.
        const size_t at = number == chunkCount_ - 1 ? kViews : number % kViews;
        if (tags_[at] != number) {
            tags_[at] = views_[at].Open(parts_, number) ? number : SIZE_MAX;
        }
        return tags_[at] == number ? &views_[at] : nullptr;
    }

    // The chunk of a row from the pairing table. Null if the row has left.
    ChunkView* ChunkOf(double position) {
        const double number = (position - firstPosition_) / kChunkRows;
        return number >= 0 && number < static_cast<double>(chunkCount_) ? Chunk(static_cast<size_t>(number)) : nullptr;
    }

    // Null if the function has not been met before.
    Totals* TotalsOf(uint32_t driver, uint32_t function) {
        KnownFunction& known = known_[(driver * 8 + function) % known_.size()];
        if (known.totals && known.function == Function{driver, function}) [[likely]]
            return known.totals;
        const int64_t code = functions_.Find({{Pair(driver, function)}});
        if (code == kNone || static_cast<size_t>(code) >= totalsCount_) return nullptr;
        known = {{driver, function}, totals_ + code};
        return known.totals;
    }

    // The number of the name that a process has, or kNone.
    int64_t ProcessName(uint32_t processId, double at) const {
        const ProcessSlot& slot = processes_[(processId >> 2) & (kProcessSlots - 1)];
        return slot.name != 0 && slot.processId == processId && at >= slot.since ? slot.name - 1 : kNone;
    }

    // Enough for the chunks that requests of one batch end in; one more look-up is no disaster.
    static constexpr size_t kViews = 16;

    Parts& parts_;
    Counts* counts_ = nullptr;
    ProcessSlot* processes_ = nullptr;
    Totals* totals_ = nullptr;
    size_t totalsCount_ = 0;
    Pairing pairing_;
    Dictionary<Function> functions_;
    // Those met in this call: a look-up less for each record.
    struct KnownFunction {
        Function function;
        Totals* totals;
    };
    std::array<KnownFunction, 64> known_{};
    size_t chunkCount_ = 0;
    double firstPosition_ = 0;
    ChunkView* last_ = nullptr;
    std::array<size_t, kViews + 1> tags_;
    std::array<ChunkView, kViews + 1> views_;
};

uint32_t FunctionOf(uint32_t major, uint32_t flags) {
    return (flags & kRequestFastIo) != 0 ? major + kMajorFunctionCount : major;
}

uint32_t ProcessorOf(const RecordHeader& header) {
    return header.processor | (uint32_t{header.irql} << 16);
}

bool Ingestion::Start(const RequestStart& start) {
    if ((start.flags & kRequestPayloadIsName) != 0 || start.header.timestamp >= kExact) return false;
    const double arrival = static_cast<double>(start.header.timestamp);
    const uint32_t idLow = Low(start.requestId);
    const uint32_t idHigh = High(start.requestId);
    const uint32_t function = FunctionOf(start.major, start.flags);
    const bool endComes = (start.flags & kRequestUncaptured) == 0;

    // Its end may have come first and made the row.
    const uint32_t slot = pairing_.SlotOf(idLow, idHigh);
    const double known = pairing_.RowAt(slot);
    const bool endSeen = known >= 0;
    ChunkView* const chunk = endSeen ? ChunkOf(known) : last_;
    if (!chunk) return false;
    if (endSeen ? chunk->IsInFlight(RowInChunk(known))
                : !chunk->TakesRow(arrival) || (endComes && !pairing_.HasRoom())) {
        return false;
    }
    Totals* const totals = TotalsOf(start.header.driverId, function);
    const int64_t process = ProcessName(start.processId, arrival);
    if (!totals || process == kNone) return false;

    const Extra offset{kExtraOffset, Low(start.byteOffset), High(start.byteOffset), nullptr, 0};
    const Extra continues{kExtraContinues, start.continues, 0, nullptr, 0};
    const Extra input{kExtraInput, start.payloadLength, start.payloadTotal, &start + 1, start.payloadLength};
    const bool hasOffset = start.byteOffset != 0;
    const bool hasInput = (start.payloadLength | start.payloadTotal) != 0;
    if (!chunk->HasRoomFor((hasOffset ? offset.Words() : 0) + (start.continues != 0 ? continues.Words() : 0) +
                           (hasInput ? input.Words() : 0))) {
        return false;
    }

    const int64_t kind = chunk->Intern(Key<Kind>{{
        Pair(start.header.driverId, (function & 0xff) | (uint32_t{start.minor} << 8) |
                                        (uint32_t{start.stackLocation} << 16) | ((start.requestorMode & 1u) << 24)),
        Pair(start.code, 0),
        Pair(start.flags, start.irpFlags),
    }});
    const int64_t caller = chunk->Intern(Key<Caller>{{
        Pair(start.processId, start.threadId),
        Pair(start.requestorProcessId, static_cast<uint32_t>(process)),
        Pair(ProcessorOf(start.header), idHigh),
    }});
    const int64_t place = chunk->Intern(Key<Place>{{start.deviceObject, start.fileObject}});
    const int64_t irp = chunk->Intern(Key<Irp>{{start.irp}});
    const int64_t inputLength = chunk->InputLength(start.inputLength);
    const int64_t outputLength = chunk->OutputLength(start.outputLength);
    if ((kind | caller | place | irp | inputLength | outputLength) < 0) return false;

    counts_->starts++;
    uint32_t row;
    if (endSeen) {
        row = RowInChunk(known);
        pairing_.Delete(slot);
        counts_->unpairedEnds--;
        if (chunk->FellThrough(row)) counts_->fellThrough++;
    } else {
        counts_->endRow++;
        row = chunk->AddRow(arrival, idLow);
        totals->count++;
        if (endComes) {
            pairing_.Fill(slot, idLow, idHigh, chunk->Rows().state.position + row);
            chunk->Rows().state.inFlight++;
            counts_->inFlight++;
            totals->inFlight++;
        } else {
            chunk->Rows().outcome[row] = kOutcomeEndLost;
            counts_->endsLost++;
        }
    }
    Columns& rows = chunk->Rows();
    rows.kind[row] = static_cast<uint16_t>(kind);
    rows.caller[row] = static_cast<uint16_t>(caller);
    rows.place[row] = static_cast<uint16_t>(place);
    rows.irp[row] = static_cast<uint16_t>(irp);
    rows.inputLength[row] = static_cast<uint16_t>(inputLength);
    rows.outputLength[row] = static_cast<uint16_t>(outputLength);
    if (hasOffset) chunk->Add(row, offset);
    if (start.continues != 0) chunk->Add(row, continues);
    if (hasInput) chunk->Add(row, input);
    chunk->Touch(row, counts_->stamp);
    totals->bytesIn += start.inputLength;
    return true;
}

// 0 to 31 have a bucket each; from there on 32 equal steps per power of two.
uint32_t BucketOf(uint32_t ticks) {
    if (ticks < 1u << kHistogramStepsLog2) return ticks;
    const uint32_t octave = 31 - std::countl_zero(ticks);
    return ((octave - kHistogramStepsLog2 + 1) << kHistogramStepsLog2) +
           ((ticks >> (octave - kHistogramStepsLog2)) & ((1u << kHistogramStepsLog2) - 1));
}

constexpr uint32_t kStatusCancelled = 0xC0000120;

void CountEnd(Totals& totals, const RequestEnd& end, uint32_t latency) {
    totals.pended += (end.flags & kRequestPended) / kRequestPended;
    if ((end.flags & kRequestUnseen) != 0) {
        totals.unseen++;
        return;
    }
    if (totals.latencies == 0 || latency > totals.maxLatency) totals.maxLatency = latency;
    totals.latencies++;
    totals.histogram[BucketOf(latency)]++;
    // No branches: how requests end is nothing that a processor could foresee.
    double* sum = &totals.bytesOut;
    double amount = (High(end.information) * kTwo32 + Low(end.information)) * totals.givesBytes;
    const bool fellThrough = (end.flags & kRequestFellThrough) != 0;
    const bool isError = end.status >> 30 == 3;
    sum = isError ? &totals.errors : sum;
    sum = end.status == kStatusCancelled ? &totals.cancelled : sum;
    sum = fellThrough ? &totals.fellThrough : sum;
    amount = sum == &totals.bytesOut ? amount : 1;
    *sum += amount;
}

bool Ingestion::End(const RequestEnd& end) {
    const uint64_t latency = end.header.timestamp - end.arrivalTimestamp;
    if (end.header.timestamp >= kExact || end.arrivalTimestamp >= kExact || latency >= 1u << 31) return false;
    const double arrival = static_cast<double>(end.arrivalTimestamp);
    const uint32_t idLow = Low(end.requestId);
    const uint32_t idHigh = High(end.requestId);
    const uint32_t function = FunctionOf(end.major, end.flags);

    const uint32_t slot = pairing_.SlotOf(idLow, idHigh);
    const double known = pairing_.RowAt(slot);
    const bool startSeen = known >= 0;
    ChunkView* const chunk = startSeen ? ChunkOf(known) : last_;
    if (!chunk) return false;
    if (startSeen ? !chunk->IsInFlight(RowInChunk(known)) : !chunk->TakesRow(arrival) || !pairing_.HasRoomForLost()) {
        return false;
    }
    Totals* const totals = TotalsOf(end.header.driverId, function);
    if (!totals) return false;

    const Extra output{kExtraOutput, end.payloadLength, end.payloadTotal, &end + 1, end.payloadLength};
    const bool hasOutput = (end.payloadLength | end.payloadTotal) != 0;
    if (!chunk->HasRoomFor(hasOutput ? output.Words() : 0)) return false;

    const int64_t outcome = chunk->Intern(Key<Outcome>{{
        Pair((end.flags & kRequestUnseen) != 0 ? kUnseen : kDone, end.status),
        Pair(end.flags, ProcessorOf(end.header)),
        Pair(end.processId, end.threadId),
    }});
    const int64_t information = chunk->Information(end.information);
    if ((outcome | information) < 0) return false;

    uint32_t row;
    Columns& rows = chunk->Rows();
    if (startSeen) {
        row = RowInChunk(known);
        pairing_.Delete(slot);
        if ((end.flags & kRequestFellThrough) != 0) counts_->fellThrough++;
        rows.state.inFlight--;
        counts_->inFlight--;
        totals->inFlight--;
    } else {
        // What an end alone tells of its start.
        const int64_t kind = chunk->Intern(Key<Kind>{{
            Pair(end.header.driverId, (function & 0xff) | (uint32_t{end.minor} << 8) | kStartMissing),
            Pair(0, 0),
            Pair(end.flags & kRequestFastIo, 0),
        }});
        const int64_t caller = chunk->Intern(Key<Caller>{{Pair(0, 0), Pair(0, 0), Pair(0, idHigh)}});
        const int64_t place = chunk->Intern(Key<Place>{});
        const int64_t irp = chunk->Intern(Key<Irp>{});
        if ((kind | caller | place | irp) < 0) return false;
        counts_->endRow++;
        row = chunk->AddRow(arrival, idLow);
        rows.kind[row] = static_cast<uint16_t>(kind);
        rows.caller[row] = static_cast<uint16_t>(caller);
        rows.place[row] = static_cast<uint16_t>(place);
        rows.irp[row] = static_cast<uint16_t>(irp);
        pairing_.SetLost(idLow, idHigh, rows.state.position + row);
        counts_->unpairedEnds++;
        totals->count++;
    }
    rows.outcome[row] = static_cast<uint16_t>(outcome);
    rows.information[row] = static_cast<uint16_t>(information);
    chunk->SetLatency(row, static_cast<double>(latency));
    if (hasOutput) chunk->Add(row, output);
    chunk->Touch(row, counts_->stamp);
    CountEnd(*totals, end, static_cast<uint32_t>(latency));
    return true;
}

size_t Ingestion::Take(std::span<const uint32_t> records) {
    const size_t left = records.size_bytes();
    if (left < sizeof(RequestEnd)) return 0;
    const auto& header = *reinterpret_cast<const RecordHeader*>(records.data());
    const uint32_t size = header.size;
    if (size > left || size > kMaxRecordSize || size % kRecordAlignment != 0) return 0;
    bool taken = false;
    if (header.type == kRecordRequestStart && size >= sizeof(RequestStart)) {
        const auto& start = reinterpret_cast<const RequestStart&>(header);
        taken = start.payloadLength <= size - sizeof(start) && Start(start);
    } else if (header.type == kRecordRequestEnd && size >= sizeof(RequestEnd)) {
        const auto& end = reinterpret_cast<const RequestEnd&>(header);
        taken = end.payloadLength <= size - sizeof(end) && End(end);
    }
    return taken ? size / 4 : 0;
}

}  // namespace

size_t Ingest(std::span<const uint32_t> records, size_t at, Parts& parts) {
    Ingestion ingestion(parts);
    const bool aligned = reinterpret_cast<uintptr_t>(records.data()) % kRecordAlignment == 0 && at % 2 == 0;
    if (!aligned || at >= records.size() || !ingestion.Open()) return at;
    while (const size_t length = ingestion.Take(records.subspan(at))) at += length;
    return at;
}

}  // namespace drivermon::store
