// truth.cpp: see truth.h.
#include "truth.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace drivermon::caller {
namespace {

constexpr uint32_t kStatusCancelled = 0xC0000120;

std::string Hex(const Bytes& bytes) {
    static const char digits[] = "0123456789abcdef";
    std::string text;
    for (const uint8_t byte : bytes) {
        text += digits[byte >> 4];
        text += digits[byte & 15];
    }
    return text;
}

// Of ASCII text.
std::string Quoted(const std::string& text) {
    std::string quoted = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') quoted += '\\';
        quoted += c;
    }
    return quoted + '"';
}

const char* Json(bool value) {
    return value ? "true" : "false";
}

// An error leaves no output, whatever the buffer holds.
void End(Request& request, sim::Status status, uint32_t returned, Bytes output) {
    request.status = static_cast<uint32_t>(status);
    request.cancelled = request.status == kStatusCancelled;
    if (request.status >= 0xC0000000u) return;
    request.information = returned;
    output.resize(request.major == Major::Write ? 0 : std::min<size_t>(returned, output.size()));
    request.output = std::move(output);
}

}  // namespace

Truth::Truth(const std::string& path, uint32_t processId) : file_(std::fopen(path.c_str(), "w")) {
    if (!file_) throw std::runtime_error("cannot write " + path);
    std::fprintf(file_.get(), "{\"process\":%u}\n", processId);
}

Request Truth::Begin(Major major) {
    Request request;
    request.order = next_++;
    request.thread = CurrentThreadId();
    request.major = major;
    return request;
}

void Truth::Tell(const Request& r) {
    if (wanted_ && !wanted_(r)) return;
    const std::lock_guard guard(lock_);
    std::fprintf(
        file_.get(),
        "{\"order\":%u,\"thread\":%u,\"driver\":%s,\"major\":%u,\"code\":%u,\"input\":\"%s\",\"outputLength\":%u,"
        "\"status\":%s,\"information\":%u,\"output\":\"%s\",\"pended\":%s,\"cancelled\":%s}\n",
        r.order, r.thread, Quoted(r.driver).c_str(), static_cast<unsigned>(r.major), r.code, Hex(r.input).c_str(),
        r.outputLength, r.ended ? std::to_string(r.status).c_str() : "null", r.information, Hex(r.output).c_str(), Json(r.pended),
        Json(r.cancelled));
}

void Truth::TellAnswer(const std::string& api, const std::string& answer) {
    const std::lock_guard guard(lock_);
    std::fprintf(file_.get(), "{\"api\":%s,\"answer\":%s}\n", Quoted(api).c_str(), Quoted(answer).c_str());
    std::fflush(file_.get());
}

Handle::Handle(Truth& truth, Opener open, Device device, bool synchronous)
    : truth_(truth), drivers_(std::move(device.drivers)) {
    Request request = truth_.Begin(Major::Create);
    sim::Status status = 0;
    handle_ = open(device.path, synchronous, &status);
    End(request, status, 0, {});
    Tell(std::move(request));
    const std::u16string path = device.path;
    if (!handle_) throw std::runtime_error("cannot open " + std::string(path.begin(), path.end()));
}

Handle::~Handle() {
    Request request = truth_.Begin(Major::Close);
    handle_.reset();
    Tell(std::move(request));
}

// What each driver on the way has seen of it.
void Handle::Tell(Request request) const {
    const bool pended = request.pended;
    const Bytes output = request.output;
    for (size_t i = 0; i < drivers_.size(); i++) {
        // A layer that completes again has pended, and what the caller's own memory holds by then cannot be read.
        const bool again = manner_ == targets::kLayerAgain && i + 1 < drivers_.size();
        const bool callersMemory = request.major == Major::DeviceControl && (request.code & 3) == 3;
        request.driver = drivers_[i];
        request.pended = pended || again;
        request.output = again && callersMemory ? Bytes() : output;
        truth_.Tell(request);
    }
}

void Handle::Control(uint32_t code, const Bytes& input, uint32_t outputBytes, Ends ends) {
    Request request = truth_.Begin(Major::DeviceControl);
    request.code = code;
    request.input = input;
    request.outputLength = outputBytes;
    request.pended = ends == Ends::Later;
    Bytes output(outputBytes);
    uint32_t returned = 0;
    const sim::Status status = handle_->Control(code, input.data(), static_cast<uint32_t>(input.size()), output.data(),
                                                outputBytes, &returned);
    End(request, status, returned, std::move(output));
    Tell(std::move(request));
}

void Handle::ControlInDirect(uint32_t code, const Bytes& input, const Bytes& more) {
    Request request = truth_.Begin(Major::DeviceControl);
    request.code = code;
    request.input = input;
    request.input.insert(request.input.end(), more.begin(), more.end());
    request.outputLength = static_cast<uint32_t>(more.size());
    Bytes second = more;
    uint32_t returned = 0;
    const sim::Status status = handle_->Control(code, input.data(), static_cast<uint32_t>(input.size()), second.data(),
                                                request.outputLength, &returned);
    End(request, status, returned, {});
    Tell(std::move(request));
}

void Handle::Read(uint32_t bytes, uint64_t offset, Ends ends) {
    Request request = truth_.Begin(Major::Read);
    request.outputLength = bytes;
    request.pended = ends == Ends::Later;
    Bytes output(bytes);
    uint32_t returned = 0;
    const sim::Status status = handle_->Read(output.data(), bytes, offset, &returned);
    End(request, status, returned, std::move(output));
    Tell(std::move(request));
}

void Handle::Write(const Bytes& input, uint64_t offset, Ends ends) {
    Request request = truth_.Begin(Major::Write);
    request.input = input;
    request.pended = ends == Ends::Later;
    uint32_t returned = 0;
    const sim::Status status = handle_->Write(input.data(), static_cast<uint32_t>(input.size()), offset, &returned);
    End(request, status, returned, {});
    Tell(std::move(request));
}

void Handle::Use(targets::LayerManner manner) {
    Request request = truth_.Begin(Major::DeviceControl);
    request.driver = drivers_.front();
    request.code = targets::kLayerUse;
    request.input.resize(sizeof(manner));
    std::memcpy(request.input.data(), &manner, sizeof(manner));
    uint32_t returned = 0;
    const sim::Status status =
        handle_->Control(request.code, &manner, static_cast<uint32_t>(sizeof(manner)), nullptr, 0, &returned);
    End(request, status, returned, {});
    truth_.Tell(request);
    manner_ = manner;
}

void Handle::CancelAll() {
    handle_->CancelAll();
}

void Handle::CancelOwn() {
    handle_->CancelOwn();
}

Handle::Pended::Pended(Handle& handle, Major major) : handle_(handle), request_(handle.truth_.Begin(major)) {}

std::unique_ptr<Handle::Pended> Handle::BeginControl(uint32_t code, Bytes input, uint32_t outputBytes, Ends ends) {
    std::unique_ptr<Pended> pended(new Pended(*this, Major::DeviceControl));
    Request& request = pended->request_;
    request.code = code;
    request.input = std::move(input);
    request.outputLength = outputBytes;
    request.pended = ends == Ends::Later;
    pended->output_.resize(outputBytes);
    pended->pending_ = handle_->BeginControl(code, request.input.data(), static_cast<uint32_t>(request.input.size()),
                                             pended->output_.data(), outputBytes);
    return pended;
}

std::unique_ptr<Handle::Pended> Handle::BeginRead(uint32_t bytes, uint64_t offset, Ends ends) {
    std::unique_ptr<Pended> pended(new Pended(*this, Major::Read));
    pended->request_.outputLength = bytes;
    pended->request_.pended = ends == Ends::Later;
    pended->output_.resize(bytes);
    pended->pending_ = handle_->BeginRead(pended->output_.data(), bytes, offset);
    return pended;
}

std::unique_ptr<Handle::Pended> Handle::BeginWrite(Bytes input, uint64_t offset, Ends ends) {
    std::unique_ptr<Pended> pended(new Pended(*this, Major::Write));
    Request& request = pended->request_;
    request.input = std::move(input);
    request.pended = ends == Ends::Later;
    pended->pending_ =
        handle_->BeginWrite(request.input.data(), static_cast<uint32_t>(request.input.size()), offset);
    return pended;
}

void Handle::Pended::Cancel() {
    pending_->Cancel();
}

sim::Status Handle::Pended::Wait(uint32_t* returned) {
    if (!pending_->Wait(60'000)) throw std::runtime_error("a request did not end");
    return pending_->Result(returned);
}

void Handle::Pended::Finish() {
    uint32_t returned = 0;
    const sim::Status status = Wait(&returned);
    End(request_, status, returned, std::move(output_));
    handle_.Tell(request_);
}

sim::Status Handle::Pended::FinishUnseen() {
    uint32_t returned = 0;
    const sim::Status status = Wait(&returned);
    request_.ended = false;
    request_.pended = false;
    handle_.Tell(request_);
    return status;
}

}  // namespace drivermon::caller
