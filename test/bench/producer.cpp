// producer.cpp: what one record costs its producer: the driver's recorder, its ring alone, the predecessor's way, and
// the floor below which nobody can be: a time stamp and a copy of 64 bytes. They take turns; medians are printed as
// one JSON object, in nanoseconds.
//
// Three situations: alone (bursts; the ring is emptied between them, unmeasured), flat out beside a consumer with one
// and with two producers (processor time per record that came through, since others use this machine too), and at 4 million records a second.
#include <time.h>
#include <x86intrin.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <thread>

#include "bare_kernel.h"
#include "core/recorder.h"
#include "predecessor.h"

using namespace drivermon;
using namespace drivermon::bench;

namespace {

using Clock = std::chrono::steady_clock;

constexpr uint32_t kBurst = 8192;
constexpr uint32_t kBurstRing = 1u << 20;
constexpr uint32_t kBatch = 128 * 1024;
constexpr double kOfferedPerSecond = 4e6;

struct alignas(64) Record {
    RecordHeader header = {};
    uint8_t fields[40] = {};
};
static_assert(sizeof(Record) == 64);

double ticksPerNs = 1;

void MeasureClock() {
    const auto begin = Clock::now();
    const uint64_t ticks = __rdtsc();
    while (Clock::now() - begin < std::chrono::milliseconds(100)) {
    }
    const double ns = std::chrono::duration<double, std::nano>(Clock::now() - begin).count();
    ticksPerNs = static_cast<double>(__rdtsc() - ticks) / ns;
}

double ThreadCpuNs() {
    timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// Not merged with the next round's by the compiler.
void Keep(void* memory) {
    asm volatile("" : : "r"(memory) : "memory");
}

// ---- Alone -----------------------------------------------------------------------------------------------------

double Median(std::vector<double> values) {
    std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(values.size() / 2), values.end());
    return values[values.size() / 2];
}

// The median of many bursts: what caches cost is in all of them, a burst that was preempted is not.
double Bursts(uint32_t bursts, const std::function<void()>& burst, const std::function<void()>& empty) {
    std::vector<double> ns(bursts);
    for (double& each : ns) {
        const uint64_t begin = __rdtsc();
        burst();
        each = static_cast<double>(__rdtsc() - begin) / ticksPerNs / kBurst;
        empty();
    }
    return Median(std::move(ns));
}

class Alone {
 public:
    explicit Alone(uint32_t bursts) : bursts_(bursts), memory_(kBurstRing), batch_(Predecessor::kRingBytes) {
        ring_.Attach(memory_.data(), kBurstRing);
        if (!NT_SUCCESS(recorder_.Initialize(kNtPlatform)) || !NT_SUCCESS(recorder_.Prepare(kBurstRing))) abort();
    }

    double Floor(uint32_t bytes) {
        uint32_t at = 0;
        return Bursts(
            bursts_,
            [&] {
                uint8_t record[sizeof(RequestStart)] = {};
                for (uint32_t i = 0; i < kBurst; i++) {
                    reinterpret_cast<RecordHeader*>(record)->timestamp = __rdtsc();
                    Keep(record);
                    // Both sizes are constants where this is inlined, as in the drivers.
                    if (bytes == 64) {
                        memcpy(&memory_[at], record, 64);
                        at = (at + 64) & (kBurstRing - 1);
                    } else {
                        memcpy(&memory_[at], record, sizeof(RequestStart));
                        at = (at + 128) & (kBurstRing - 1);
                    }
                }
            },
            [] {});
    }

    double RingAlone() {
        return Bursts(
            bursts_,
            [&] {
                Record record;
                for (uint32_t i = 0; i < kBurst; i++) {
                    record.header.timestamp = __rdtsc();
                    Keep(&record);
                    uint8_t* at = ring_.Place(sizeof(record));
                    if (at == nullptr) abort();
                    memcpy(at, &record, sizeof(record));
                    ring_.Publish();
                }
            },
            [&] { ring_.Release(ring_.Head()); });
    }

    double RecorderWrites(uint32_t bytes) {
        return Bursts(
            bursts_, [&] { RecordBurst(bytes); },
            [&] {
                while (TakeBatch() != 0) {
                }
            });
    }

    // The other end: merged by time and copied out.
    double RecorderTakes(uint32_t bytes) {
        RecordBurst(bytes);
        const double ns = Bursts(
            bursts_,
            [&] {
                while (TakeBatch() != 0) {
                }
            },
            [&] { RecordBurst(bytes); });
        while (TakeBatch() != 0) {
        }
        return ns;
    }

    double PredecessorWrites() {
        return Bursts(
            bursts_,
            [&] {
                Record record;
                for (uint32_t i = 0; i < kBurst; i++) {
                    record.header.timestamp = __rdtsc();
                    if (!predecessor_.Write(&record, sizeof(record))) abort();
                }
            },
            [&] { predecessor_.TakeNow(batch_.data()); });
    }

 private:
    void RecordBurst(uint32_t bytes) {
        alignas(8) uint8_t memory[sizeof(RequestStart)] = {};
        auto* header = reinterpret_cast<RecordHeader*>(memory);
        header->type = kRecordRequestStart;
        for (uint32_t i = 0; i < kBurst; i++) {
            Section section(recorder_);
            header->timestamp = NowTicks();
            if (!recorder_.Write(section.shard(), header, bytes, nullptr, 0, section.irql(), Offered::kStart)) abort();
        }
    }
    uint32_t TakeBatch() { return recorder_.Take(batch_.data(), kBatch, false); }

    const uint32_t bursts_;
    std::vector<uint8_t> memory_;
    std::vector<uint8_t> batch_;
    Ring ring_;
    Recorder recorder_;
    Predecessor predecessor_;
};

// ---- Beside a consumer -----------------------------------------------------------------------------------------

struct Outcome {
    double nsPerRecord;  // that came through: to lose some is no way to be fast
    double offered = 0, taken = 0, lost = 0;
    double p999ns = 0;
};

class Histogram {
 public:
    void Add(uint64_t ticks) { buckets_[ticks < kBuckets ? ticks : kBuckets - 1]++; }
    double Percentile(double share) const {
        uint64_t all = 0;
        for (uint64_t count : buckets_) all += count;
        uint64_t seen = 0;
        for (uint32_t i = 0; i < kBuckets; i++) {
            seen += buckets_[i];
            if (static_cast<double>(seen) >= share * static_cast<double>(all)) return i / ticksPerNs;
        }
        return kBuckets / ticksPerNs;
    }

 private:
    static constexpr uint32_t kBuckets = 1u << 16;
    std::vector<uint64_t> buckets_ = std::vector<uint64_t>(kBuckets);
};

// `write` is called `records` times on each of `producers` threads, at `perSecond` (0: flat out).
Outcome Race(uint32_t producers, uint64_t records, double perSecond, const std::function<bool()>& write,
             const std::function<void(const std::atomic<bool>& stop)>& consume) {
    std::atomic<bool> stop{false};
    std::thread consumer([&] { consume(stop); });
    std::vector<std::thread> threads;
    std::vector<double> ns(producers);
    std::vector<uint64_t> lost(producers);
    Histogram histogram;
    for (uint32_t p = 0; p < producers; p++) {
        threads.emplace_back([&, p] {
            RunOn(p);
            const double begin = ThreadCpuNs();
            if (perSecond == 0) {
                for (uint64_t i = 0; i < records; i++) lost[p] += !write();
                ns[p] = (ThreadCpuNs() - begin) / static_cast<double>(records - lost[p]);
                return;
            }
            const double ticksPerRecord = ticksPerNs * 1e9 / perSecond;
            const uint64_t start = __rdtsc();
            for (uint64_t i = 0; i < records; i++) {
                const uint64_t due = start + static_cast<uint64_t>(static_cast<double>(i) * ticksPerRecord);
                uint64_t before = __rdtsc();
                while (before < due) before = __rdtsc();
                lost[p] += !write();
                histogram.Add(__rdtsc() - before);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    stop = true;
    consumer.join();
    Outcome outcome = {*std::max_element(ns.begin(), ns.end())};
    outcome.offered = static_cast<double>(records * producers);
    for (uint64_t count : lost) outcome.lost += static_cast<double>(count);
    outcome.p999ns = perSecond == 0 ? 0 : histogram.Percentile(0.999);
    return outcome;
}

Outcome RaceOurs(uint32_t producers, uint64_t records, double perSecond) {
    SetProcessors(producers);
    Recorder recorder;
    if (!NT_SUCCESS(recorder.Initialize(kNtPlatform)) || !NT_SUCCESS(recorder.Prepare(kDefaultRingBytes))) abort();
    uint64_t taken = 0, told = 0;
    const auto take = [&](std::vector<uint8_t>& batch, bool quiet) {
        const uint32_t bytes = recorder.Take(batch.data(), kBatch, quiet);
        for (uint32_t at = 0; at < bytes;) {
            const auto* header = reinterpret_cast<const RecordHeader*>(&batch[at]);
            if (header->type == kRecordLoss) {
                told += reinterpret_cast<const LossRecord*>(header)->starts[kLossRingFull];
            } else {
                taken++;
            }
            at += header->size;
        }
        return bytes;
    };
    Outcome outcome = Race(
        producers, records, perSecond,
        [&] {
            alignas(8) Record record;
            record.header.type = kRecordRequestStart;
            Section section(recorder);
            record.header.timestamp = NowTicks();
            return recorder.Write(section.shard(), &record.header, sizeof(record), nullptr, 0, section.irql(),
                                  Offered::kStart);
        },
        [&](const std::atomic<bool>& stop) {
            std::vector<uint8_t> batch(kBatch);
            while (!stop) {
                if (take(batch, false) == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
            }
            while (take(batch, true) != 0) {
            }
        });
    outcome.taken = static_cast<double>(taken);
    // The loss that the stream tells is the loss there was.
    if (static_cast<double>(told) != outcome.lost) outcome.taken = -1;
    return outcome;
}

Outcome RacePredecessor(uint32_t producers, uint64_t records, double perSecond) {
    Predecessor predecessor;
    uint64_t taken = 0;
    Outcome outcome = Race(
        producers, records, perSecond,
        [&] {
            Record record;
            record.header.timestamp = __rdtsc();
            return predecessor.Write(&record, sizeof(record));
        },
        [&](const std::atomic<bool>& stop) {
            std::vector<uint8_t> batch(Predecessor::kRingBytes);
            std::thread waker([&] {
                while (!stop) std::this_thread::sleep_for(std::chrono::milliseconds(1));
                predecessor.Stop();
            });
            while (!stop) taken += predecessor.Take(batch.data()) / sizeof(Record);
            waker.join();
            taken += predecessor.TakeNow(batch.data()) / sizeof(Record);
        });
    outcome.taken = static_cast<double>(taken);
    return outcome;
}

// ---- Turns -----------------------------------------------------------------------------------------------------

}  // namespace

// usage: bench_producer ROUNDS
int main(int argc, char** argv) {
    const int rounds = argc > 1 ? atoi(argv[1]) : 9;
    MeasureClock();
    RunOn(0);
    SetProcessors(1);
    std::map<std::string, std::vector<double>> values;
    {
        Alone alone(50);
        for (int round = 0; round <= rounds; round++) {
            const std::map<std::string, double> turn = {
                {"floor64", alone.Floor(64)},
                {"ring64", alone.RingAlone()},
                {"recorder64", alone.RecorderWrites(64)},
                {"predecessor64", alone.PredecessorWrites()},
                {"floor112", alone.Floor(sizeof(RequestStart))},
                {"recorder112", alone.RecorderWrites(sizeof(RequestStart))},
                {"take112", alone.RecorderTakes(sizeof(RequestStart))},
            };
            if (round == 0) continue;
            for (const auto& [name, value] : turn) values[name].push_back(value);
        }
    }
    const auto put = [&](const std::string& name, const Outcome& outcome) {
        if (outcome.taken + outcome.lost != outcome.offered) {
            fprintf(stderr, "%s: %.0f offered, but %.0f taken and %.0f lost\n", name.c_str(), outcome.offered,
                    outcome.taken, outcome.lost);
            exit(1);
        }
        values[name].push_back(outcome.nsPerRecord);
        values[name + "Lost"].push_back(outcome.lost / outcome.offered);
        values[name + "P999"].push_back(outcome.p999ns);
    };
    constexpr uint64_t kRecords = 1'000'000;
    for (int round = 0; round < rounds; round++) {
        for (uint32_t producers : {1u, 2u}) {
            put("ours" + std::to_string(producers), RaceOurs(producers, kRecords, 0));
            put("predecessor" + std::to_string(producers), RacePredecessor(producers, kRecords, 0));
        }
        put("oursPaced", RaceOurs(1, 2 * kRecords, kOfferedPerSecond));
        put("predecessorPaced", RacePredecessor(1, 2 * kRecords, kOfferedPerSecond));
    }
    const char* separator = "{";
    for (const auto& [name, all] : values) {
        printf("%s\"%s\":%.6f", separator, name.c_str(), Median(all));
        separator = ",";
    }
    printf("}\n");
}
