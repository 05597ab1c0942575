// capture_session.h: a client of the driver on the simulated machine: it captures, and says what it got, request by
// request. Every CHECK here holds for any capture.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "protocol/control.h"
#include "sim/machine.h"

namespace drivermon::test {

struct Request {
    std::optional<RequestStart> start;
    std::optional<RequestEnd> end;
    std::vector<uint8_t> input, output;

    bool FellThrough() const { return end && (end->flags & kRequestFellThrough); }
};

struct ProcessSeen {
    ProcessRecord record;
    std::u16string name;
};

struct HookSeen {
    DriverRecord record;
    std::u16string name;
};

struct Captured {
    std::map<uint64_t, Request> requests;  // by id
    std::vector<uint64_t> order;           // ids in the order of their start records
    uint64_t lostStarts = 0, lostEnds = 0;
    std::vector<ProcessSeen> processes;
    std::vector<HookSeen> hooks;  // hooked and unhooked

    // Requests as they are counted: a fast-I/O call that fell through is none.
    uint64_t Arrivals() const;
    // Of this code, in order of arrival; fast-I/O calls that fell through left out.
    std::vector<Request> WithCode(uint32_t code) const;
    std::vector<Request> WithMajor(uint8_t major) const;  // IRPs only
};

struct Totals {
    CountersReply reply{};
    std::vector<FunctionCounters> functions;

    uint64_t Sum(uint64_t FunctionCounters::*field) const;
};

// Bytes that a test knows again; `which` tells one buffer from another.
void FillPattern(void* bytes, size_t count, uint8_t which);
// As many of them as can be recorded.
std::vector<uint8_t> Pattern(uint8_t which);

constexpr StartRequest kDefaultStart{1u << 20, 4096, 4096, 0};

class CaptureSession {
 public:
    // Opens the driver and says hello. Nearly every test wants its own requests recorded.
    enum class OwnRequests { kRecorded, kAsTheDriverHasIt };
    explicit CaptureSession(sim::Machine& machine, OwnRequests own = OwnRequests::kRecorded);
    ~CaptureSession();

    // Sets them as they are.
    sim::Status SetPredicates(const Predicates& predicates);
    sim::Status Start(const StartRequest& request = kDefaultStart);
    sim::Status AddDriver(const std::u16string& name, AddDriverReply* reply = nullptr);
    sim::Status RemoveDriver(uint32_t id, RemoveDriverReply* reply = nullptr);
    sim::Status Stop();
    Totals Counters();
    // What is in flight, as far as `capacity` entries go.
    std::vector<InFlightRequest> InFlight(uint32_t capacity = 64, uint32_t* total = nullptr);

    // Lets a thread fetch records while the capture runs; without it they wait in the rings.
    void Follow();
    // As a client with such a buffer does.
    void FetchBatchesOf(uint32_t bytes) { batchBytes_ = bytes; }
    // Everything since Start. The capture must be stopped.
    Captured Finish();

    sim::UserHandle& handle() { return *handle_; }
    // The client's process ends: its handle goes, whatever it had going.
    void Die();

 private:
    void Drain();

    std::unique_ptr<sim::UserHandle> handle_;
    uint32_t batchBytes_ = 2 * kMinDataBytes;
    std::vector<uint8_t> stream_;
    std::thread follower_;
};

}  // namespace drivermon::test
