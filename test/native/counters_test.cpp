// counters_test.cpp: the kernel's counters against the truth. A test that sends the requests itself knows how many of
// which function ended how, and with how many bytes; whether any record of them found room must not matter.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "scene.h"
#include "sim/process.h"
#include "sim/processor.h"

namespace drivermon::test {
namespace {

// How a request ends; what the driver answers is told by the request itself.
enum class Ending { kSuccess, kWarning, kError, kCancelled };
constexpr std::array kEndings{Ending::kSuccess, Ending::kWarning, Ending::kError, Ending::kCancelled};

NTSTATUS StatusOf(Ending ending) {
    switch (ending) {
        case Ending::kSuccess:
            return STATUS_SUCCESS;
        case Ending::kWarning:
            return STATUS_BUFFER_OVERFLOW;
        case Ending::kError:
            return STATUS_ACCESS_DENIED;
        case Ending::kCancelled:
            return STATUS_CANCELLED;
    }
    return STATUS_SUCCESS;
}

struct Sums {
    uint64_t requests = 0, pended = 0, bytesIn = 0, bytesOut = 0, fellThrough = 0;
    std::map<Ending, uint64_t> endings;
};

constexpr UCHAR kMajors[] = {IRP_MJ_READ, IRP_MJ_WRITE, IRP_MJ_DEVICE_CONTROL, IRP_MJ_FLUSH_BUFFERS, IRP_MJ_PNP};

uint32_t FunctionOf(uint32_t flags, uint8_t major) {
    return flags & kRequestFastIo ? kMajorFunctionCount + major : uint32_t{major};
}

// The latencies that the records of one function tell.
using Histogram = std::array<uint64_t, kLatencyBuckets>;
std::map<uint32_t, Histogram> HistogramsOf(const Captured& captured) {
    std::map<uint32_t, Histogram> result;
    for (const auto& [id, request] : captured.requests) {
        if (!request.end) continue;
        const RequestEnd& end = *request.end;
        const auto bucket = static_cast<size_t>(std::bit_width(end.header.timestamp - end.arrivalTimestamp));
        result[FunctionOf(end.flags, end.major)][std::min<size_t>(bucket, kLatencyBuckets - 1)]++;
    }
    return result;
}

// Answers as the test has it in mind for the request that it is sending.
struct Answer {
    Ending ending;
    bool pends;
    ULONG_PTR information;
    BOOLEAN handled;
};
Answer answer;

NTSTATUS Dispatch(PDEVICE_OBJECT, PIRP irp) {
    if (answer.pends) IoMarkIrpPending(irp);
    const NTSTATUS status = StatusOf(answer.ending);
    Complete(irp, status, answer.information);
    return answer.pends ? STATUS_PENDING : status;
}

BOOLEAN NTAPI FastControl(PFILE_OBJECT, BOOLEAN, PVOID, ULONG, PVOID, ULONG, ULONG, PIO_STATUS_BLOCK result,
                          PDEVICE_OBJECT) {
    if (!answer.handled) return FALSE;
    result->Status = StatusOf(answer.ending);
    result->Information = answer.information;
    return TRUE;
}

struct Outcome {
    std::map<uint32_t, Sums> truth;  // by function
    Totals totals;
    Captured captured;
};

constexpr uint64_t kRequests = 12'000;

// A multiset of requests, drawn from a seed, through rings of this size.
Outcome SendKnown(uint32_t ringBytes) {
    Outcome outcome;
    ScriptedDriver* driver = nullptr;
    FAST_IO_DISPATCH table{};
    table.SizeOfFastIoDispatch = sizeof(table);
    table.FastIoDeviceControl = FastControl;
    Scene scene({ringBytes, 0, 0, 0}, {kMajors[0], kMajors[1], kMajors[3], kMajors[4]});
    driver = &scene.driver;
    driver->onControl = Dispatch;
    REQUIRE(scene.session.RemoveDriver(scene.added.driverId) == STATUS_SUCCESS);
    driver->object()->FastIoDispatch = &table;
    REQUIRE(scene.session.AddDriver(driver->name(), &scene.added) == STATUS_SUCCESS);
    PFAST_IO_DEVICE_CONTROL fastControl = driver->object()->FastIoDispatch->FastIoDeviceControl;

    std::mt19937 random(20'250);
    const auto below = [&](uint32_t bound) { return static_cast<uint32_t>(random() % bound); };
    for (uint64_t i = 0; i < kRequests; i++) {
        const uint32_t in = below(5000), out = below(5000);
        answer = {kEndings[below(4)], below(3) == 0, below(out + 1), below(4) != 0};
        const bool succeeds = answer.ending == Ending::kSuccess;
        const uint32_t kind = below(6);
        Sums& sums = outcome.truth[kind < 5 ? uint32_t{kMajors[kind]} : kMajorFunctionCount + kFastIoDeviceControl];
        sums.requests++;
        if (kind == 5) {
            IO_STATUS_BLOCK result{};
            CHECK(fastControl(nullptr, TRUE, nullptr, in, nullptr, out, kCode, &result, driver->device()) ==
                  answer.handled);
            sums.bytesIn += in;
            // What fell through has ended, for the counters, in success; its IRP, which is not sent here, would tell.
            sums.fellThrough += !answer.handled;
            sums.endings[answer.handled ? answer.ending : Ending::kSuccess]++;
            if (answer.handled && succeeds) sums.bytesOut += answer.information;
            continue;
        }
        OwnRequest request(*driver, kMajors[kind]);
        if (kMajors[kind] == IRP_MJ_DEVICE_CONTROL) {
            request.SetControl(kCode, in, out);
            sums.bytesIn += in;
            if (succeeds) sums.bytesOut += answer.information;
        } else if (kMajors[kind] == IRP_MJ_WRITE) {
            request.location->Parameters.Write.Length = in;
            sums.bytesIn += in;
        } else if (kMajors[kind] == IRP_MJ_READ) {
            request.location->Parameters.Read.Length = out;
            if (succeeds) sums.bytesOut += answer.information;
        }
        sums.pended += answer.pends;
        sums.endings[answer.ending]++;
        request.Send();
    }
    REQUIRE(scene.session.Stop() == STATUS_SUCCESS);
    outcome.totals = scene.session.Counters();
    outcome.captured = scene.session.Finish();
    driver->object()->FastIoDispatch = &table;
    scene.session.Die();
    driver->object()->FastIoDispatch = nullptr;
    return outcome;
}

void CheckTruth(Outcome& outcome) {
    REQUIRE(outcome.totals.functions.size() == outcome.truth.size());
    for (const FunctionCounters& counted : outcome.totals.functions) {
        CAPTURE(counted.function);
        Sums& truth = outcome.truth.at(counted.function);
        CHECK(counted.arrivals == truth.requests);
        CHECK(counted.completions == truth.requests);
        CHECK(counted.unseen == 0);
        CHECK(counted.success == truth.endings[Ending::kSuccess]);
        CHECK(counted.warnings == truth.endings[Ending::kWarning]);
        CHECK(counted.errors == truth.endings[Ending::kError]);
        CHECK(counted.cancelled == truth.endings[Ending::kCancelled]);
        CHECK(counted.pended == truth.pended);
        CHECK(counted.fellThrough == truth.fellThrough);
        CHECK(counted.bytesIn == truth.bytesIn);
        CHECK(counted.bytesOut == truth.bytesOut);
        uint64_t inHistogram = 0;
        for (uint64_t bucket : counted.latency) inHistogram += bucket;
        CHECK(inHistogram == truth.requests);
    }
}

}  // namespace

TEST_CASE("a known multiset through a tiny ring: most records drop, and the counters are exact all the same") {
    Outcome outcome = SendKnown(kMinRingBytes);
    CheckTruth(outcome);
    const CountersReply& reply = outcome.totals.reply;
    uint64_t starts = 0, ends = 0;
    for (const auto& [id, request] : outcome.captured.requests) {
        starts += request.start.has_value();
        ends += request.end.has_value();
    }
    CHECK(starts + reply.dropsStart[kLossRingFull] == kRequests);
    CHECK(ends + reply.dropsEnd[kLossRingFull] == kRequests);
    CHECK(outcome.captured.lostStarts == reply.dropsStart[kLossRingFull]);
    CHECK(outcome.captured.lostEnds == reply.dropsEnd[kLossRingFull]);
    CHECK(reply.offered == reply.written + reply.dropsStart[kLossRingFull] + reply.dropsEnd[kLossRingFull] +
                               reply.dropsOther);
    CHECK(starts + ends < kRequests / 20);
    // What is missing is told of each function, and adds up to what was dropped.
    std::map<uint32_t, uint64_t> records;
    for (const auto& [id, request] : outcome.captured.requests) {
        if (request.start) records[FunctionOf(request.start->flags, request.start->major)]++;
        if (request.end) records[FunctionOf(request.end->flags, request.end->major)]++;
    }
    for (const FunctionCounters& counted : outcome.totals.functions) {
        CAPTURE(counted.function);
        CHECK(counted.drops == counted.arrivals + counted.completions - records[counted.function]);
    }
    CHECK(outcome.totals.Sum(&FunctionCounters::drops) ==
          reply.dropsStart[kLossRingFull] + reply.dropsEnd[kLossRingFull]);
    // Of the records that are there each is in its bucket.
    for (const FunctionCounters& counted : outcome.totals.functions) {
        const Histogram told = HistogramsOf(outcome.captured)[counted.function];
        for (size_t bucket = 0; bucket < kLatencyBuckets; bucket++) CHECK(counted.latency[bucket] >= told[bucket]);
    }
    MESSAGE(kRequests << " requests of " << outcome.truth.size() << " functions: " << starts << " starts and " << ends
                      << " ends recorded, " << reply.dropsStart[kLossRingFull] << " starts and "
                      << reply.dropsEnd[kLossRingFull] << " ends counted as dropped; function by outcome, bytes: exact");
}

TEST_CASE("the same multiset with room for every record: the histograms are those of the records") {
    Outcome outcome = SendKnown(1u << 24);
    CheckTruth(outcome);
    CHECK(outcome.captured.requests.size() == kRequests);
    CHECK(outcome.totals.reply.offered == outcome.totals.reply.written);
    auto told = HistogramsOf(outcome.captured);
    for (const FunctionCounters& counted : outcome.totals.functions) {
        CAPTURE(counted.function);
        for (size_t bucket = 0; bucket < kLatencyBuckets; bucket++) {
            CHECK(counted.latency[bucket] == told[counted.function][bucket]);
        }
    }
}

TEST_CASE("the clocks of two processors may differ: what ends before it has arrived took no time") {
    Scene scene;
    bool held = false;
    SUBCASE("recorded at once") {}
    SUBCASE("held for its latency") {
        held = true;
        Predicates predicates{};
        predicates.flags = kPredicateOwnProcesses;
        predicates.minimumLatency = 1;
        REQUIRE(scene.session.SetPredicates(predicates) == STATUS_SUCCESS);
    }
    scene.driver.onControl = [](PDEVICE_OBJECT, PIRP irp) {
        IoMarkIrpPending(irp);
        return STATUS_PENDING;
    };
    OwnRequest request(scene.driver, IRP_MJ_DEVICE_CONTROL);
    request.SetControl(kCode, 0, 0);
    sim::SetClockBack(1, 1'000'000);
    {
        const sim::RunAs arriving(sim::SystemProcess(), 0);
        CHECK(request.Send() == STATUS_PENDING);
    }
    {
        const sim::RunAs ending(sim::SystemProcess(), 1);
        Complete(request.irp, STATUS_SUCCESS);
    }
    const Captured captured = scene.Finish();
    const Totals totals = scene.session.Counters();
    const auto counted =
        std::find_if(totals.functions.begin(), totals.functions.end(),
                     [](const FunctionCounters& each) { return each.function == IRP_MJ_DEVICE_CONTROL; });
    REQUIRE(counted != totals.functions.end());
    CHECK(counted->completions == 1);
    CHECK(counted->latency[0] == 1);
    CHECK(totals.reply.filteredStarts == (held ? 1 : 0));
    const std::vector<Request> recorded = captured.WithCode(kCode);
    REQUIRE(recorded.size() == (held ? 0 : 1));
    if (!held) CHECK(recorded[0].end->header.timestamp == recorded[0].start->header.timestamp);
}

}  // namespace drivermon::test
