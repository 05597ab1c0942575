// ingest_test.cpp: the store's native hot path beyond its ends: what must make it stop, and that it stays within its
// memory, which AddressSanitizer guards here. That it does what TypeScript does is tested in test/addon/ingest.test.ts.
#include <doctest/doctest.h>

#include <cstring>

#include "protocol/record.h"
#include "store_memory.h"

using namespace drivermon;
using namespace drivermon::store;

namespace {

class Records {
 public:
    RequestStart& Start(uint64_t id) { return Add<RequestStart>(kRecordRequestStart, id); }
    RequestEnd& End(uint64_t id) { return Add<RequestEnd>(kRecordRequestEnd, id); }

    std::span<const uint32_t> Words() const { return words_; }
    void Cut(size_t words) { words_.resize(words); }

 private:
    // Good until the next record.
    template <typename Record>
    Record& Add(uint8_t type, uint64_t id) {
        const size_t at = words_.size();
        words_.resize(at + sizeof(Record) / 4);
        auto& record = *reinterpret_cast<Record*>(words_.data() + at);
        record.header.size = sizeof(Record);
        record.header.type = type;
        record.header.timestamp = 1000 + id;
        record.requestId = id;
        record.header.driverId = 1;
        record.major = 14;
        return record;
    }
    std::vector<uint32_t> words_;
};

StoreMemory Ready(const StoreMemory::Sizes& sizes = {}) {
    StoreMemory memory(sizes);
    memory.LearnProcess(0, 7);
    memory.LearnFunction(1, 14);
    memory.AddChunk(1000);
    return memory;
}

constexpr size_t kStartWords = sizeof(RequestStart) / 4;

}  // namespace

TEST_CASE("ingest: a request is a row, its end is found, and the sums are right") {
    StoreMemory memory = Ready();
    Records records;
    records.Start(5).inputLength = 100;
    RequestEnd& end = records.End(5);
    end.arrivalTimestamp = 1005;
    end.header.timestamp = 1045;
    REQUIRE(Ingest(records.Words(), 0, memory) == records.Words().size());
    CHECK(memory.Count().endRow == 2);
    CHECK(memory.Count().inFlight == 0);
    CHECK(memory.Paired() == 0);
    CHECK(memory.Chunk(0).latency[1] == 40);
    CHECK(memory.Chunk(0).inputLength[1] == 100);
    CHECK(memory.TotalsOf(0).count == 1);
    CHECK(memory.TotalsOf(0).bytesIn == 100);
    CHECK(memory.TotalsOf(0).maxLatency == 40);
}

TEST_CASE("ingest: stops before what is not ordinary, and leaves nothing of it") {
    struct Case {
        const char* what;
        void (*spoil)(RequestStart&);
    };
    const Case cases[] = {
        {"a name", [](RequestStart& start) { start.flags = kRequestPayloadIsName; }},
        {"a process not met before", [](RequestStart& start) { start.processId = 4; }},
        {"a function not met before", [](RequestStart& start) { start.major = 3; }},
        {"a time beyond doubles", [](RequestStart& start) { start.header.timestamp = uint64_t{1} << 53; }},
        {"a time far from the chunk's", [](RequestStart& start) { start.header.timestamp = uint64_t{1} << 33; }},
        {"another type", [](RequestStart& start) { start.header.type = kRecordLoss; }},
        {"a size that is none", [](RequestStart& start) { start.header.size = sizeof(RequestStart) + 4; }},
        {"a size too small", [](RequestStart& start) { start.header.size = sizeof(RequestStart) - 8; }},
        {"no size", [](RequestStart& start) { start.header.size = 0; }},
        {"a size beyond the batch", [](RequestStart& start) { start.header.size = 4096; }},
        {"a payload beyond its record", [](RequestStart& start) { start.payloadLength = 8; }},
        {"a payload beyond everything", [](RequestStart& start) { start.payloadLength = UINT32_MAX; }},
    };
    for (const Case& each : cases) {
        CAPTURE(each.what);
        StoreMemory memory = Ready();
        Records records;
        records.Start(1);
        each.spoil(records.Start(2));
        CHECK(Ingest(records.Words(), 0, memory) == kStartWords);
        CHECK(memory.Count().endRow == 2);
        CHECK(memory.Count().starts == 1);
        CHECK(memory.Paired() == 1);
    }
}

TEST_CASE("ingest: a record that is cut off anywhere is left alone") {
    Records whole;
    whole.Start(1);
    whole.End(1);
    for (size_t words = 0; words < whole.Words().size(); words++) {
        StoreMemory memory = Ready();
        Records records = whole;
        records.Cut(words);
        CHECK(Ingest(records.Words(), 0, memory) == (words < kStartWords ? 0 : kStartWords));
    }
}

TEST_CASE("ingest: stops where memory must grow") {
    SUBCASE("a dictionary") {
        StoreMemory memory = Ready({.dictionary = 4});
        Records records;
        for (uint64_t id = 1; id <= 6; id++) records.Start(id).threadId = static_cast<uint32_t>(id);
        CHECK(Ingest(records.Words(), 0, memory) == 4 * kStartWords);
    }
    SUBCASE("a dictionary that is sealed") {
        StoreMemory memory = Ready({.dictionary = 0});
        Records records;
        records.Start(1);
        CHECK(Ingest(records.Words(), 0, memory) == 0);
    }
    SUBCASE("the pairing table") {
        StoreMemory memory = Ready({.pairing = 32});
        Records records;
        for (uint64_t id = 1; id <= 20; id++) records.Start(id);
        CHECK(Ingest(records.Words(), 0, memory) == 8 * kStartWords);
        CHECK(memory.Paired() == 8);
    }
    SUBCASE("the chunk") {
        StoreMemory memory = Ready({.pairing = 4 * kChunkRows});
        Records records;
        for (uint64_t id = 1; id <= kChunkRows; id++) records.Start(id);
        CHECK(Ingest(records.Words(), 0, memory) == (kChunkRows - 1) * kStartWords);
        memory.AddChunk(1000);
        CHECK(Ingest(records.Words(), (kChunkRows - 1) * kStartWords, memory) == records.Words().size());
    }
    SUBCASE("the arena, for both of a record's entries") {
        StoreMemory memory = Ready();
        memory.Chunk(0).state.free = StoreMemory::kSegmentWords - 2 * kExtraHeaderWords + 1;
        Records records;
        RequestStart& start = records.Start(1);
        start.byteOffset = 1;
        start.payloadTotal = 1;
        CHECK(Ingest(records.Words(), 0, memory) == 0);
        memory.Chunk(0).state.free--;
        CHECK(Ingest(records.Words(), 0, memory) == records.Words().size());
        CHECK(memory.Chunk(0).state.free == StoreMemory::kSegmentWords);
    }
}

TEST_CASE("ingest: ends without starts go round their ring and never fill the table") {
    StoreMemory memory = Ready({.pairing = 128, .lost = 32});
    Records records;
    for (uint64_t id = 1; id <= 1000; id++) records.End(id).arrivalTimestamp = 1000;
    CHECK(Ingest(records.Words(), 0, memory) == records.Words().size());
    CHECK(memory.Paired() == 32);
    CHECK(memory.Count().unpairedEnds == 1000);
    Records late;
    late.Start(1000);
    late.Start(1);
    CHECK(Ingest(late.Words(), 0, memory) == late.Words().size());
    CHECK(memory.Count().unpairedEnds == 999);
    CHECK(memory.Count().endRow == 1002);
}
