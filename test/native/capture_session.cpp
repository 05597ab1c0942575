#include "capture_session.h"

#include <doctest/doctest.h>

#include <cstring>
#include <utility>

#include "protocol/layout.h"

namespace drivermon::test {
namespace {

constexpr sim::Status kEndOfFile = static_cast<sim::Status>(0xC0000011);

template <typename T>
T Read(const std::vector<uint8_t>& stream, size_t at) {
    REQUIRE(at + sizeof(T) <= stream.size());
    T value;
    std::memcpy(&value, &stream[at], sizeof(T));
    return value;
}

std::vector<uint8_t> Payload(const std::vector<uint8_t>& stream, size_t at, size_t bytes, size_t recordEnd) {
    REQUIRE(at + bytes <= recordEnd);
    return {stream.begin() + static_cast<ptrdiff_t>(at), stream.begin() + static_cast<ptrdiff_t>(at + bytes)};
}

std::u16string Name(const std::vector<uint8_t>& stream, size_t at, size_t bytes, size_t recordEnd) {
    const auto name = Payload(stream, at, bytes, recordEnd);
    std::u16string text(name.size() / 2, u'\0');
    if (!name.empty()) std::memcpy(text.data(), name.data(), name.size());
    return text;
}

// Records that never were written.
uint64_t ToldBy(const LossRecord& loss) {
    uint64_t records = loss.others;
    for (LossReason reason : {kLossRingFull, kLossRecordTooLarge}) records += loss.starts[reason] + loss.ends[reason];
    return records;
}

Captured Parse(const std::vector<uint8_t>& stream) {
    Captured captured;
    // Of each processor: the sequence number expected next, and how many are missing that no Loss record has told of.
    struct Sequence {
        uint32_t next = 0;
        int64_t untold = 0;
    };
    std::map<uint16_t, Sequence> sequences;
    for (size_t at = 0; at < stream.size();) {
        const auto header = Read<RecordHeader>(stream, at);
        REQUIRE(header.size >= sizeof(RecordHeader));
        REQUIRE(header.size % kRecordAlignment == 0);
        REQUIRE(at + header.size <= stream.size());
        CHECK(header.type != kRecordPadding);
        // A Loss record has the number of the record after it.
        const bool isLoss = header.type == kRecordLoss;
        if (auto known = sequences.find(header.processor); known != sequences.end()) {
            CHECK(header.sequence >= known->second.next);
            known->second.untold += header.sequence - known->second.next;
            if (isLoss) known->second.untold -= static_cast<int64_t>(ToldBy(Read<LossRecord>(stream, at)));
        }
        sequences[header.processor].next = header.sequence + (isLoss ? 0 : 1);
        const size_t end = at + header.size;
        switch (header.type) {
            case kRecordRequestStart: {
                const auto start = Read<RequestStart>(stream, at);
                Request& request = captured.requests[start.requestId];
                CHECK_FALSE(request.start);
                request.start = start;
                request.input = Payload(stream, at + sizeof(start), start.payloadLength, end);
                captured.order.push_back(start.requestId);
                break;
            }
            case kRecordRequestEnd: {
                const auto done = Read<RequestEnd>(stream, at);
                Request& request = captured.requests[done.requestId];
                CHECK_FALSE(request.end);
                request.end = done;
                request.output = Payload(stream, at + sizeof(done), done.payloadLength, end);
                CHECK(done.arrivalTimestamp <= done.header.timestamp);
                break;
            }
            case kRecordProcess: {
                const auto process = Read<ProcessRecord>(stream, at);
                captured.processes.push_back(
                    {process, Name(stream, at + sizeof(process), process.nameLength, end)});
                break;
            }
            case kRecordDriverHooked:
            case kRecordDriverUnhooked: {
                const auto driver = Read<DriverRecord>(stream, at);
                captured.hooks.push_back({driver, Name(stream, at + sizeof(driver), driver.nameLength, end)});
                break;
            }
            case kRecordLoss: {
                const auto loss = Read<LossRecord>(stream, at);
                for (LossReason reason : {kLossRingFull, kLossRecordTooLarge}) {
                    captured.lostStarts += loss.starts[reason];
                    captured.lostEnds += loss.ends[reason];
                }
                break;
            }
        }
        at = end;
    }
    for (const auto& [processor, sequence] : sequences) {
        CAPTURE(processor);
        CHECK(sequence.untold == 0);
    }
    for (const auto& [id, request] : captured.requests) {
        if (!request.start || !request.end) continue;
        CHECK(request.end->arrivalTimestamp == request.start->header.timestamp);
        CHECK(request.end->major == request.start->major);
        CHECK(request.end->header.driverId == request.start->header.driverId);
    }
    return captured;
}

}  // namespace

uint64_t Captured::Arrivals() const {
    uint64_t count = 0;
    for (const auto& [id, request] : requests) count += request.start && !request.FellThrough();
    return count;
}

std::vector<Request> Captured::WithCode(uint32_t code) const {
    std::vector<Request> result;
    for (uint64_t id : order) {
        const Request& request = requests.at(id);
        if (request.start->code == code && !request.FellThrough()) result.push_back(request);
    }
    return result;
}

std::vector<Request> Captured::WithMajor(uint8_t major) const {
    std::vector<Request> result;
    for (uint64_t id : order) {
        const Request& request = requests.at(id);
        if (request.start->major == major && !(request.start->flags & kRequestFastIo)) result.push_back(request);
    }
    return result;
}

uint64_t Totals::Sum(uint64_t FunctionCounters::*field) const {
    uint64_t sum = 0;
    for (const FunctionCounters& counters : functions) sum += counters.*field;
    return sum;
}

void FillPattern(void* bytes, size_t count, uint8_t which) {
    for (size_t i = 0; i < count; i++) static_cast<uint8_t*>(bytes)[i] = static_cast<uint8_t>(i * 7 + i / 256 + which);
}

std::vector<uint8_t> Pattern(uint8_t which) {
    std::vector<uint8_t> bytes(kMaxSnapLength);
    FillPattern(bytes.data(), bytes.size(), which);
    return bytes;
}

CaptureSession::CaptureSession(sim::Machine& machine, OwnRequests own) {
    sim::Status status;
    handle_ = machine.Open(DRIVERMON_USER_PATH, &status);
    REQUIRE(handle_);
    const HelloRequest request{kAbiVersion, kLayoutHash};
    HelloReply reply{};
    uint32_t returned = 0;
    REQUIRE(handle_->Control(kControlHello, &request, sizeof(request), &reply, sizeof(reply), &returned) == 0);
    REQUIRE(returned == sizeof(reply));
    REQUIRE(reply.accepted == 1);
    CHECK(reply.kernel == kKernelSimulated);
    if (own == OwnRequests::kAsTheDriverHasIt) return;
    Predicates predicates{};
    predicates.flags = kPredicateOwnProcesses;
    REQUIRE(SetPredicates(predicates) == 0);
}

CaptureSession::~CaptureSession() {
    if (!handle_) return;
    Stop();
    if (follower_.joinable()) follower_.join();
}

sim::Status CaptureSession::SetPredicates(const Predicates& predicates) {
    return handle_->Control(kControlSetPredicates, &predicates, sizeof(predicates), nullptr, 0, nullptr);
}

sim::Status CaptureSession::Start(const StartRequest& request) {
    return handle_->Control(kControlStart, &request, sizeof(request), nullptr, 0, nullptr);
}

sim::Status CaptureSession::AddDriver(const std::u16string& name, AddDriverReply* reply) {
    const AddDriverRequest request{0, static_cast<uint32_t>(2 * name.size())};
    std::vector<uint8_t> input(sizeof(request) + request.nameLength);
    std::memcpy(input.data(), &request, sizeof(request));
    if (!name.empty()) std::memcpy(input.data() + sizeof(request), name.data(), request.nameLength);
    AddDriverReply ignored;
    return handle_->Control(kControlAddDriver, input.data(), static_cast<uint32_t>(input.size()),
                            reply ? reply : &ignored, sizeof(ignored), nullptr);
}

sim::Status CaptureSession::RemoveDriver(uint32_t id, RemoveDriverReply* reply) {
    const RemoveDriverRequest request{id, 0};
    RemoveDriverReply ignored;
    return handle_->Control(kControlRemoveDriver, &request, sizeof(request), reply ? reply : &ignored, sizeof(ignored),
                            nullptr);
}

sim::Status CaptureSession::Stop() {
    return handle_->Control(kControlStop, nullptr, 0, nullptr, 0, nullptr);
}

Totals CaptureSession::Counters() {
    std::vector<uint8_t> output(sizeof(CountersReply) + 256 * sizeof(FunctionCounters));
    uint32_t returned = 0;
    REQUIRE(handle_->Control(kControlGetCounters, nullptr, 0, output.data(), static_cast<uint32_t>(output.size()),
                             &returned) == 0);
    output.resize(returned);
    Totals totals;
    totals.reply = Read<CountersReply>(output, 0);
    REQUIRE(totals.reply.entries == totals.reply.entriesTotal);
    for (uint32_t i = 0; i < totals.reply.entries; i++) {
        totals.functions.push_back(
            Read<FunctionCounters>(output, sizeof(CountersReply) + i * sizeof(FunctionCounters)));
    }
    return totals;
}

std::vector<InFlightRequest> CaptureSession::InFlight(uint32_t capacity, uint32_t* total) {
    std::vector<uint8_t> output(sizeof(InFlightReply) + capacity * sizeof(InFlightRequest));
    uint32_t returned = 0;
    REQUIRE(handle_->Control(kControlGetInFlight, nullptr, 0, output.data(), static_cast<uint32_t>(output.size()),
                             &returned) == 0);
    const auto reply = Read<InFlightReply>(output, 0);
    REQUIRE(returned == sizeof(reply) + reply.count * sizeof(InFlightRequest));
    CHECK(reply.count <= reply.total);
    std::vector<InFlightRequest> requests(reply.count);
    if (reply.count) std::memcpy(requests.data(), &output[sizeof(reply)], reply.count * sizeof(InFlightRequest));
    if (total) *total = reply.total;
    return requests;
}

void CaptureSession::Drain() {
    std::vector<uint8_t> batch(batchBytes_);
    for (;;) {
        uint32_t returned = 0;
        const sim::Status status =
            handle_->Control(kControlGetData, nullptr, 0, batch.data(), static_cast<uint32_t>(batch.size()), &returned);
        if (status == kEndOfFile) return;
        REQUIRE(status == 0);
        stream_.insert(stream_.end(), batch.begin(), batch.begin() + returned);
    }
}

void CaptureSession::Follow() {
    follower_ = std::thread([this] { Drain(); });
}

Captured CaptureSession::Finish() {
    if (follower_.joinable()) {
        follower_.join();
    } else {
        Drain();
    }
    return Parse(std::exchange(stream_, {}));
}

void CaptureSession::Die() {
    handle_->CancelAll();
    handle_.reset();
}

}  // namespace drivermon::test
