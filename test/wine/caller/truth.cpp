// truth.cpp: see truth.h.
#include "truth.h"

#include <algorithm>
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

Request Truth::Begin(const std::string& driver, Major major) {
    Request request;
    request.order = next_++;
    request.thread = CurrentThreadId();
    request.driver = driver;
    request.major = major;
    return request;
}

void Truth::Tell(const Request& r) {
    const std::lock_guard guard(lock_);
    std::fprintf(
        file_.get(),
        "{\"order\":%u,\"thread\":%u,\"driver\":%s,\"major\":%u,\"code\":%u,\"input\":\"%s\",\"outputLength\":%u,"
        "\"status\":%u,\"information\":%u,\"output\":\"%s\",\"pended\":%s,\"cancelled\":%s}\n",
        r.order, r.thread, Quoted(r.driver).c_str(), static_cast<unsigned>(r.major), r.code, Hex(r.input).c_str(),
        r.outputLength, r.status, r.information, Hex(r.output).c_str(), Json(r.pended), Json(r.cancelled));
}

void Truth::TellAnswer(const std::string& api, const std::string& answer) {
    const std::lock_guard guard(lock_);
    std::fprintf(file_.get(), "{\"api\":%s,\"answer\":%s}\n", Quoted(api).c_str(), Quoted(answer).c_str());
}

Handle::Handle(Truth& truth, Opener open, const std::string& driver, const std::u16string& path)
    : truth_(truth), driver_(driver) {
    Request request = truth_.Begin(driver_, Major::Create);
    sim::Status status = 0;
    handle_ = open(path, &status);
    End(request, status, 0, {});
    truth_.Tell(request);
    if (!handle_) throw std::runtime_error("cannot open " + std::string(path.begin(), path.end()));
}

Handle::~Handle() {
    const Request request = truth_.Begin(driver_, Major::Close);
    handle_.reset();
    truth_.Tell(request);
}

void Handle::Control(uint32_t code, const Bytes& input, uint32_t outputBytes) {
    Request request = truth_.Begin(driver_, Major::DeviceControl);
    request.code = code;
    request.input = input;
    request.outputLength = outputBytes;
    Bytes output(outputBytes);
    uint32_t returned = 0;
    const sim::Status status = handle_->Control(code, input.data(), static_cast<uint32_t>(input.size()), output.data(),
                                                outputBytes, &returned);
    End(request, status, returned, std::move(output));
    truth_.Tell(request);
}

void Handle::ControlInDirect(uint32_t code, const Bytes& input, const Bytes& more) {
    Request request = truth_.Begin(driver_, Major::DeviceControl);
    request.code = code;
    request.input = input;
    request.input.insert(request.input.end(), more.begin(), more.end());
    request.outputLength = static_cast<uint32_t>(more.size());
    Bytes second = more;
    uint32_t returned = 0;
    const sim::Status status = handle_->Control(code, input.data(), static_cast<uint32_t>(input.size()), second.data(),
                                                request.outputLength, &returned);
    End(request, status, returned, {});
    truth_.Tell(request);
}

void Handle::Read(uint32_t bytes, uint64_t offset) {
    Request request = truth_.Begin(driver_, Major::Read);
    request.outputLength = bytes;
    Bytes output(bytes);
    uint32_t returned = 0;
    const sim::Status status = handle_->Read(output.data(), bytes, offset, &returned);
    End(request, status, returned, std::move(output));
    truth_.Tell(request);
}

void Handle::Write(const Bytes& input, uint64_t offset) {
    Request request = truth_.Begin(driver_, Major::Write);
    request.input = input;
    uint32_t returned = 0;
    const sim::Status status = handle_->Write(input.data(), static_cast<uint32_t>(input.size()), offset, &returned);
    End(request, status, returned, {});
    truth_.Tell(request);
}

void Handle::CancelAll() {
    handle_->CancelAll();
}

Handle::Pended::Pended(Handle& handle, uint32_t code, Bytes input, uint32_t outputBytes)
    : truth_(handle.truth_), request_(truth_.Begin(handle.driver_, Major::DeviceControl)), output_(outputBytes) {
    request_.code = code;
    request_.input = std::move(input);
    request_.outputLength = outputBytes;
    request_.pended = true;
    pending_ = handle.handle_->BeginControl(code, request_.input.data(), static_cast<uint32_t>(request_.input.size()),
                                            output_.data(), outputBytes);
}

void Handle::Pended::Cancel() {
    pending_->Cancel();
}

void Handle::Pended::Finish() {
    if (!pending_->Wait(60'000)) throw std::runtime_error("a request did not end");
    uint32_t returned = 0;
    const sim::Status status = pending_->Result(&returned);
    End(request_, status, returned, std::move(output_));
    truth_.Tell(request_);
}

}  // namespace drivermon::caller
