// scenario.cpp: see scenario.h.
#include "scenario.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <thread>

#include "targets/echo_protocol.h"

namespace drivermon::caller {
namespace {

using namespace drivermon::targets;

constexpr char kDriver[] = "\\Driver\\DrivermonEcho";

constexpr int32_t kSuccess = 0;
constexpr int32_t kMoreEntries = 0x00000105;
constexpr int32_t kBufferOverflow = static_cast<int32_t>(0x80000005);
constexpr int32_t kUnsuccessful = static_cast<int32_t>(0xC0000001);
constexpr int32_t kAccessDenied = static_cast<int32_t>(0xC0000022);
constexpr int32_t kDeviceBusy = static_cast<int32_t>(0x80000011);
constexpr int32_t kEndOfFile = static_cast<int32_t>(0xC0000011);

constexpr uint32_t kOneMinuteUs = 60'000'000;

// Bytes that tell one request from another.
Bytes Payload(size_t count, uint32_t seed) {
    Bytes bytes(count);
    uint32_t x = seed * 2654435761u + 1;
    for (uint8_t& byte : bytes) {
        x = x * 1664525u + 1013904223u;
        byte = static_cast<uint8_t>(x >> 24);
    }
    return bytes;
}

template <typename Header>
Bytes Behind(const Header& header, const Bytes& tail) {
    Bytes bytes(sizeof(header) + tail.size());
    std::memcpy(bytes.data(), &header, sizeof(header));
    std::copy(tail.begin(), tail.end(), bytes.begin() + sizeof(header));
    return bytes;
}

void AskAtOnce(Handle& echo) {
    for (const uint32_t code : {kEchoBuffered, kEchoOutDirect, kEchoNeither}) {
        for (const uint32_t size : {1u, 16u, 255u, 256u, 257u, 4096u})
            echo.Control(code, Payload(size, code + size), size);
        echo.Control(code, Payload(64, code), 16);
        echo.Control(code, Payload(16, code), 64);
        echo.Control(code, Payload(24, code), 0);
        echo.Control(code, {}, 24);
        echo.Control(code, {}, 0);
    }
}

void AskInDirect(Handle& echo) {
    for (const uint32_t size : {0u, 1u, 300u}) {
        Bytes more = Payload(size, size);
        more.resize(size + 100, 0xAB);
        echo.ControlInDirect(kEchoInDirect, Payload(size, size), more);
    }
    echo.ControlInDirect(kEchoInDirect, Payload(20, 1), Payload(20, 2));  // must begin alike
    echo.ControlInDirect(kEchoInDirect, Payload(20, 1), Payload(10, 1));  // too short
}

void AskToFail(Handle& echo) {
    for (const int32_t status :
         {kUnsuccessful, kAccessDenied, kEndOfFile, kDeviceBusy, kBufferOverflow, kMoreEntries}) {
        echo.Control(kEchoFail, Behind(EchoFailRequest{status, 0}, Payload(40, 7)), 32);
    }
    echo.Control(kEchoFail, Payload(4, 1), 32);           // too short
    echo.Control(EchoCode(0x7F, 0), Payload(12, 2), 12);  // no such code
}

void ReadAndWrite(Handle& echo) {
    echo.Read(16, 0);
    for (const uint32_t size : {1u, 100u, 2048u}) {
        echo.Write(Payload(size, size), 0);
        echo.Read(size, 0);
        echo.Read(size / 2, 0);
        echo.Read(size + 10, 0x1'0000'0000);
    }
}

void AskLater(Handle& echo) {
    for (const int32_t status : {kSuccess, kUnsuccessful, kBufferOverflow}) {
        Handle::Pended pended(echo, kEchoPend, Behind(EchoPendRequest{500, status}, Payload(20, 9)), 16);
        pended.Finish();
    }
    // Several at once, the last one to end first.
    std::vector<std::unique_ptr<Handle::Pended>> many;
    for (uint32_t i = 0; i < 8; i++) {
        const EchoPendRequest request{(8 - i) * 3'000, kSuccess};
        many.push_back(std::make_unique<Handle::Pended>(echo, kEchoPend, Behind(request, Payload(32, i)), 32));
    }
    for (const auto& pended : many) pended->Finish();
}

void AskAndCancel(Handle& echo) {
    Handle::Pended late(echo, kEchoPend, Behind(EchoPendRequest{kOneMinuteUs, kSuccess}, Payload(8, 3)), 8);
    Handle::Pended held(echo, kEchoHold, Payload(48, 4), 48);
    held.Cancel();
    held.Finish();
    late.Cancel();
    late.Finish();

    std::vector<std::unique_ptr<Handle::Pended>> many;
    for (uint32_t i = 0; i < 4; i++) {
        many.push_back(std::make_unique<Handle::Pended>(echo, kEchoHold, Payload(4, i), 0));
    }
    echo.CancelAll();
    for (const auto& pended : many) pended->Finish();
}

void AskFromAnotherThread(Truth& truth, Handle::Opener open) {
    Handle echo(truth, open, kDriver, DRIVERMON_ECHO_USER_PATH);
    for (uint32_t i = 0; i < 100; i++) echo.Control(kEchoBuffered, Payload(8 + i % 64, 1000 + i), 32);
}

}  // namespace

void AskEcho(Truth& truth, Handle::Opener open) {
    std::exception_ptr failure;
    std::thread other([&] {
        try {
            AskFromAnotherThread(truth, open);
        } catch (...) {
            failure = std::current_exception();
        }
    });
    try {
        Handle echo(truth, open, kDriver, DRIVERMON_ECHO_USER_PATH);
        AskAtOnce(echo);
        AskInDirect(echo);
        AskToFail(echo);
        ReadAndWrite(echo);
        AskLater(echo);
        AskAndCancel(echo);
    } catch (...) {
        other.join();
        throw;
    }
    other.join();
    if (failure) std::rethrow_exception(failure);
}

}  // namespace drivermon::caller
