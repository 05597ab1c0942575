// scenario.cpp: see scenario.h.
#include "scenario.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <thread>

#include "targets/echo_protocol.h"

namespace drivermon::caller {

using namespace drivermon::targets;

const Device kEcho = {DRIVERMON_ECHO_USER_PATH, {"\\Driver\\DrivermonEcho"}};
const Device kLayered = {DRIVERMON_ECHO_STACK_USER_PATH,
                         {"\\Driver\\DrivermonLayer", "\\Driver\\DrivermonLayer", "\\Driver\\DrivermonEcho"}};

Bytes Payload(size_t count, uint32_t seed) {
    Bytes bytes(count);
    uint32_t x = seed * 2654435761u + 1;
    for (uint8_t& byte : bytes) {
        x = x * 1664525u + 1013904223u;
        byte = static_cast<uint8_t>(x >> 24);
    }
    return bytes;
}

std::unique_ptr<Handle::Pended> Hold(Handle& echo, uint32_t seed) {
    return echo.BeginControl(kEchoHold, Payload(16, seed), 16);
}

namespace {

constexpr int32_t kSuccess = 0;
constexpr int32_t kMoreEntries = 0x00000105;
constexpr int32_t kBufferOverflow = static_cast<int32_t>(0x80000005);
constexpr int32_t kUnsuccessful = static_cast<int32_t>(0xC0000001);
constexpr int32_t kAccessDenied = static_cast<int32_t>(0xC0000022);
constexpr int32_t kDeviceBusy = static_cast<int32_t>(0x80000011);
constexpr int32_t kEndOfFile = static_cast<int32_t>(0xC0000011);

constexpr uint32_t kOneMinuteUs = 60'000'000;

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
    echo.Write({}, 0);
    echo.Read(0, 0);
    for (const uint32_t size : {1u, 100u, 2048u}) {
        echo.Write(Payload(size, size), 0);
        echo.Read(size, 0);
        echo.Read(size / 2, 0);
        echo.Read(size + 10, 0x1'0000'0000);
    }
}

// Far beyond what is kept of a payload, and beyond what the echo driver stores.
void AskMuch(Handle& echo) {
    for (const uint32_t code : {kEchoBuffered, kEchoOutDirect, kEchoNeither}) {
        echo.Control(code, Payload(150'000, code), 150'000);
    }
    echo.Write(Payload(70'000, 5), 0);
    echo.Read(70'000, 0);
}

// The caller waits for each; on a synchronous handle the system does that for it.
void AskLaterAndWait(Handle& echo) {
    for (const int32_t status : {kSuccess, kUnsuccessful, kBufferOverflow}) {
        echo.Control(kEchoPend, Behind(EchoPendRequest{400, status}, Payload(20, 8)), 16, Ends::Later);
    }
    echo.Write(Payload(300, 6), kEchoLater + 300, Ends::Later);
    echo.Read(300, kEchoLater + 300, Ends::Later);
}

// Requests that overlap: more than one is under way.
void AskLater(Handle& echo) {
    for (const int32_t status : {kSuccess, kUnsuccessful, kBufferOverflow}) {
        echo.BeginControl(kEchoPend, Behind(EchoPendRequest{500, status}, Payload(20, 9)), 16)->Finish();
    }
    std::vector<std::unique_ptr<Handle::Pended>> many;
    // The last one is to end first.
    for (uint32_t i = 0; i < 8; i++) {
        const EchoPendRequest request{(8 - i) * 3'000, kSuccess};
        many.push_back(echo.BeginControl(kEchoPend, Behind(request, Payload(32, i)), 32));
    }
    echo.Write(Payload(64, 1), 0);
    for (uint32_t i = 0; i < 3; i++) many.push_back(echo.BeginRead(64, kEchoLater + 1'000 * i + 500));
    many.push_back(echo.BeginRead(48, 0, Ends::AtOnce));
    many.push_back(echo.BeginControl(kEchoBuffered, Payload(9, 2), 9, Ends::AtOnce));
    for (const auto& pended : many) pended->Finish();
    echo.BeginWrite(Payload(80, 2), kEchoLater + 500)->Finish();
    echo.BeginWrite(Payload(81, 3), 0, Ends::AtOnce)->Finish();
}

void AskAndCancel(Handle& echo) {
    const auto late = echo.BeginControl(kEchoPend, Behind(EchoPendRequest{kOneMinuteUs, kSuccess}, Payload(8, 3)), 8);
    const auto held = echo.BeginControl(kEchoHold, Payload(48, 4), 48);
    const auto read = echo.BeginRead(32, kEchoLater + kOneMinuteUs);
    const auto write = echo.BeginWrite(Payload(24, 5), kEchoLater + kOneMinuteUs);
    for (const auto& pended : {&held, &late, &read, &write}) {
        (*pended)->Cancel();
        (*pended)->Finish();
    }

    std::vector<std::unique_ptr<Handle::Pended>> many;
    for (uint32_t i = 0; i < 4; i++) many.push_back(echo.BeginControl(kEchoHold, Payload(4, i), 0));
    echo.CancelAll();
    for (const auto& pended : many) pended->Finish();
}

// Runs what another thread does to its end; throws what it threw.
template <typename Work>
void OnAnotherThread(Work work) {
    std::exception_ptr failure;
    std::thread([&] {
        try {
            work();
        } catch (...) {
            failure = std::current_exception();
        }
    }).join();
    if (failure) std::rethrow_exception(failure);
}

// A thread cancels what it has sent, and nothing else.
void CancelOwn(Handle& echo) {
    const auto mine = Hold(echo, 1);
    OnAnotherThread([&] {
        const auto others = Hold(echo, 2);
        echo.CancelOwn();
        others->Finish();
    });
    const auto later = Hold(echo, 3);
    mine->Cancel();
    mine->Finish();
    echo.CancelOwn();
    later->Finish();
}

// In each manner in which layers pass requests on.
void AskThroughLayers(Truth& truth, Handle::Opener open) {
    for (const LayerManner manner : {kLayerSkip, kLayerCopy, kLayerAgain, kLayerWhole}) {
        {
            Handle echo(truth, open, kLayered);
            echo.Use(manner);
            AskAtOnce(echo);
            AskInDirect(echo);
            AskToFail(echo);
            ReadAndWrite(echo);
            AskLater(echo);
            AskAndCancel(echo);
        }
        Handle synchronous(truth, open, kLayered, true);
        synchronous.Use(manner);
        ReadAndWrite(synchronous);
        AskLaterAndWait(synchronous);
    }
}

}  // namespace

void AskEcho(Truth& truth, Handle::Opener open) {
    std::exception_ptr failure;
    std::thread other([&] {
        try {
            Handle echo(truth, open, kEcho);
            for (uint32_t i = 0; i < 100; i++) echo.Control(kEchoBuffered, Payload(8 + i % 64, 1000 + i), 32);
        } catch (...) {
            failure = std::current_exception();
        }
    });
    try {
        for (const bool synchronous : {false, true}) {
            Handle echo(truth, open, kEcho, synchronous);
            AskAtOnce(echo);
            AskInDirect(echo);
            AskToFail(echo);
            ReadAndWrite(echo);
            AskMuch(echo);
            AskLaterAndWait(echo);
            if (synchronous) continue;
            AskLater(echo);
            AskAndCancel(echo);
            CancelOwn(echo);
        }
        AskThroughLayers(truth, open);
    } catch (...) {
        other.join();
        throw;
    }
    other.join();
    if (failure) std::rethrow_exception(failure);
}

}  // namespace drivermon::caller
