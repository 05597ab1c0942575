#include "scripts.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <vector>

#include "targets/afd_protocol.h"
#include "targets/echo_protocol.h"

namespace drivermon::sim {
namespace {

using namespace targets;

// ---- Sockets ---------------------------------------------------------------------------------------------------

constexpr uint32_t kOutputBytes = 8192;
constexpr uint32_t kLongestSend = 24 * 1024;

const std::u16string kEndpointPath = DRIVERMON_AFD_ENDPOINT_PATH;
const std::u16string kEchoPath = DRIVERMON_ECHO_USER_PATH;

enum SocketType : uint32_t { kStream = 1, kDatagram = 2 };

// What a thread that uses sockets keeps in memory. Declared before the requests that use it.
struct SocketMemory {
    explicit SocketMemory(SocketType type) : input(sizeof(AfdTransferInfo) + kLongestSend), output(kOutputBytes) {
        std::memcpy(openPacket.name, kAfdOpenPacketName, sizeof(openPacket.name));
        openPacket.nameLength = sizeof(openPacket.name) - 1;
        openPacket.valueLength = 24;
        openPacket.addressFamily = 2;
        openPacket.socketType = type;
        openPacket.protocol = type == kStream ? 6 : 17;
        open.ea = &openPacket;
        open.eaBytes = sizeof(openPacket);
    }

    AfdOpenPacket openPacket{};
    OpenOptions open;
    std::vector<uint8_t> input, output;
    AfdBindInfo bind{};
    AfdConnectInfo connect{};
    AfdTransferInfo receive{};
    AfdPollInfo poll{};
    AfdAddress address{};
    uint64_t context = 0x5AC1;
    uint32_t information[4]{};
};

AfdAddress Address(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port) {
    return {2, static_cast<uint16_t>(port << 8 | port >> 8), {a, b, c, d}, {}};
}

void PrepareReceive(SocketMemory& memory) {
    memory.receive = {};
    memory.receive.buffers = reinterpret_cast<uint64_t>(&memory.receive.buffer);
    memory.receive.bufferCount = 1;
    memory.receive.tdiFlags = 0x20;  // TDI_RECEIVE_NORMAL
    memory.receive.buffer = {kOutputBytes, 0, reinterpret_cast<uint64_t>(memory.output.data())};
}

// The data to send is in place; puts the header before it. The input's size.
uint32_t PrepareSend(SocketMemory& memory, uint32_t bytes) {
    AfdTransferInfo info{};
    info.buffers = reinterpret_cast<uint64_t>(memory.input.data()) + offsetof(AfdTransferInfo, buffer);
    info.bufferCount = 1;
    info.buffer = {bytes, 0, reinterpret_cast<uint64_t>(memory.input.data()) + sizeof(AfdTransferInfo)};
    std::memcpy(memory.input.data(), &info, sizeof(info));
    return static_cast<uint32_t>(sizeof(info)) + bytes;
}

// Written a million times a second: put together from pieces, not formatted.
char* Append(char* to, std::string_view text) {
    return std::copy(text.begin(), text.end(), to);
}
char* AppendHex(char* to, uint32_t value) {
    for (int shift = 28; shift >= 0; shift -= 4) *to++ = "0123456789abcdef"[value >> shift & 15];
    return to;
}

uint32_t PrepareHttpRequest(SocketMemory& memory, Random& random) {
    static constexpr std::string_view kPaths[] = {"/", "/api/v2/items?page=3", "/static/app.js", "/favicon.ico",
                                                  "/search?q=irp+stack+location"};
    static constexpr std::string_view kHosts[] = {"contoso.example", "fabrikam.example", "cdn.northwind.example"};
    auto* const begin = reinterpret_cast<char*>(memory.input.data() + sizeof(AfdTransferInfo));
    char* to = Append(begin, "GET ");
    to = Append(to, kPaths[random.Below(std::size(kPaths))]);
    to = Append(to, " HTTP/1.1\r\nHost: ");
    to = Append(to, kHosts[random.Below(std::size(kHosts))]);
    to = Append(to,
                "\r\nUser-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64)\r\n"
                "Accept: text/html,application/json;q=0.9\r\nX-Request-Id: ");
    to = AppendHex(to, static_cast<uint32_t>(random.Next()));
    to = Append(to, "\r\n\r\n");
    return PrepareSend(memory, static_cast<uint32_t>(to - begin));
}

uint32_t PrepareBytes(SocketMemory& memory, Random& random, uint32_t bytes) {
    uint8_t* data = memory.input.data() + sizeof(AfdTransferInfo);
    for (uint32_t i = 0; i + 8 <= bytes; i += 64) {
        const uint64_t value = random.Next();
        std::memcpy(data + i, &value, sizeof(value));
    }
    return PrepareSend(memory, bytes);
}

uint32_t PrepareDnsQuery(SocketMemory& memory, Random& random) {
    static constexpr uint8_t kQuery[] = {0x00, 0x00, 0x01, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00,
                                         0x00, 7,    'c',  'o',  'n',  't',  'o',  's',  'o',  7,    'e',
                                         'x',  'a',  'm',  'p',  'l',  'e',  0,    0x00, 0x01, 0x00, 0x01};
    uint8_t* data = memory.input.data() + sizeof(AfdTransferInfo);
    std::memcpy(data, kQuery, sizeof(kQuery));
    const uint64_t id = random.Next();
    std::memcpy(data, &id, 2);
    return PrepareSend(memory, sizeof(kQuery));
}

// A browser's connection: made, used for some requests and answers, given up. Some are refused.
Script Browse(Caller& caller) {
    Random& random = caller.random();
    SocketMemory memory(kStream);
    for (;;) {
        Device socket = co_await Opening(caller, kEndpointPath, memory.open);
        memory.bind.address = Address(0, 0, 0, 0, 0);
        co_await Finished(co_await Sending(caller, socket, kAfdBind, &memory.bind, sizeof(memory.bind), &memory.address,
                                           sizeof(memory.address)));
        const bool refused = random.OneIn(12);
        memory.connect.remote = Address(203, 0, 113, static_cast<uint8_t>(random.Between(1, 250)),
                                        refused ? kAfdPortRefused : kAfdPortHttp);
        const Status status = co_await Finished(
            co_await Sending(caller, socket, kAfdConnect, &memory.connect, sizeof(memory.connect), nullptr, 0));
        if (!NT_SUCCESS(status) && caller.MayReopen()) continue;
        co_await Finished(
            co_await Sending(caller, socket, kAfdSetContext, &memory.context, sizeof(memory.context), nullptr, 0));

        for (uint32_t exchanges = random.Between(20, 200); exchanges || !caller.MayReopen(); exchanges -= !!exchanges) {
            const uint32_t bytes = PrepareHttpRequest(memory, random);
            co_await Finished(co_await Sending(caller, socket, kAfdSend, memory.input.data(), bytes, nullptr, 0));
            // An answer is read in one or two pieces; now and then the caller asks before it is there.
            for (uint32_t pieces = random.OneIn(16) ? 3 : random.Between(1, 2); pieces; pieces--) {
                PrepareReceive(memory);
                co_await Finished(co_await Sending(caller, socket, kAfdReceive, &memory.receive, sizeof(memory.receive),
                                                   memory.output.data(), 500));
            }
            if (random.OneIn(8)) {
                co_await Finished(co_await Sending(caller, socket, kAfdGetInformation, nullptr, 0, memory.information,
                                                   sizeof(memory.information)));
            }
        }
        co_await Finished(co_await Sending(caller, socket, kAfdPartialDisconnect, nullptr, 0, nullptr, 0));
    }
}

// A database server's thread: one connection for good, binary packets both ways, some of them long.
Script ServeRows(Caller& caller) {
    Random& random = caller.random();
    SocketMemory memory(kStream);
    Device socket = co_await Opening(caller, kEndpointPath, memory.open);
    memory.connect.remote = Address(10, 0, 0, static_cast<uint8_t>(random.Between(2, 60)), kAfdPortTds);
    co_await Finished(
        co_await Sending(caller, socket, kAfdConnect, &memory.connect, sizeof(memory.connect), nullptr, 0));
    for (;;) {
        // One in sixteen is too long for the fast path.
        const uint32_t length =
            random.OneIn(16) ? random.Between(kAfdFastSendBytes + 1, kLongestSend) : random.Between(48, 2048);
        const uint32_t bytes = PrepareBytes(memory, random, length);
        co_await Finished(co_await Sending(caller, socket, kAfdSend, memory.input.data(), bytes, nullptr, 0));
        // Now and then it is back before the client has asked again.
        for (uint32_t receives = random.OneIn(12) ? 2 : 1; receives; receives--) {
            PrepareReceive(memory);
            co_await Finished(co_await Sending(caller, socket, kAfdReceive, &memory.receive, sizeof(memory.receive),
                                               memory.output.data(), 4096));
        }
    }
}

// An event loop: a poll is outstanding most of the time, and the socket is read when it ends.
Script PollAndReceive(Caller& caller) {
    Random& random = caller.random();
    SocketMemory memory(kStream);
    Device socket = co_await Opening(caller, kEndpointPath, memory.open);
    memory.connect.remote = Address(127, 0, 0, 1, kAfdPortHttp);
    co_await Finished(
        co_await Sending(caller, socket, kAfdConnect, &memory.connect, sizeof(memory.connect), nullptr, 0));
    for (;;) {
        memory.poll = {-10LL * random.Between(200, 20'000), 1, 0, {{0x1A4, 0x0181, 0}}};
        std::unique_ptr<UserHandle::Pending> poll = co_await Sending(
            caller, socket, kAfdPoll, &memory.poll, sizeof(memory.poll), &memory.poll, sizeof(memory.poll));
        for (uint32_t sends = random.Between(4, 24); sends; sends--) {
            const uint32_t bytes = PrepareHttpRequest(memory, random);
            co_await Finished(co_await Sending(caller, socket, kAfdSend, memory.input.data(), bytes, nullptr, 0));
            PrepareReceive(memory);
            co_await Finished(co_await Sending(caller, socket, kAfdReceive, &memory.receive, sizeof(memory.receive),
                                               memory.output.data(), kOutputBytes));
        }
        co_await Finished(std::move(poll));
    }
}

// A resolver: a datagram out, one back.
Script Resolve(Caller& caller) {
    Random& random = caller.random();
    SocketMemory memory(kDatagram);
    for (;;) {
        Device socket = co_await Opening(caller, kEndpointPath, memory.open);
        memory.bind.address = Address(0, 0, 0, 0, 0);
        co_await Finished(co_await Sending(caller, socket, kAfdBind, &memory.bind, sizeof(memory.bind), &memory.address,
                                           sizeof(memory.address)));
        for (uint32_t queries = random.Between(8, 40); queries || !caller.MayReopen(); queries -= !!queries) {
            const uint32_t bytes = PrepareDnsQuery(memory, random);
            co_await Finished(
                co_await Sending(caller, socket, kAfdSendDatagram, memory.input.data(), bytes, nullptr, 0));
            PrepareReceive(memory);
            co_await Finished(co_await Sending(caller, socket, kAfdReceiveDatagram, &memory.receive,
                                               sizeof(memory.receive), memory.output.data(), 512));
            if (random.OneIn(6)) {
                co_await Finished(co_await Sending(caller, socket, kAfdGetAddress, nullptr, 0, &memory.address,
                                                   sizeof(memory.address)));
            }
        }
    }
}

// A push client: waits for a server that never speaks, and cancels to send a sign of life.
Script WaitForPush(Caller& caller) {
    Random& random = caller.random();
    SocketMemory memory(kStream);
    Device socket = co_await Opening(caller, kEndpointPath, memory.open);
    memory.connect.remote = Address(198, 51, 100, 7, kAfdPortSilent);
    co_await Finished(
        co_await Sending(caller, socket, kAfdConnect, &memory.connect, sizeof(memory.connect), nullptr, 0));
    for (;;) {
        PrepareReceive(memory);
        std::unique_ptr<UserHandle::Pending> push = co_await Sending(
            caller, socket, kAfdReceive, &memory.receive, sizeof(memory.receive), memory.output.data(), 1024);
        for (uint32_t pings = random.Between(1, 6); pings; pings--) {
            const uint32_t bytes = PrepareBytes(memory, random, 16);
            co_await Finished(co_await Sending(caller, socket, kAfdSend, memory.input.data(), bytes, nullptr, 0));
        }
        push->Cancel();
        co_await Finished(std::move(push));
    }
}

// ---- Echo ------------------------------------------------------------------------------------------------------

// A tool that tries every way a request can end.
Script TryEverything(Caller& caller) {
    Random& random = caller.random();
    std::vector<uint8_t> input(1024), output(1024);
    const OpenOptions options;
    const OpenOptions synchronous{true, nullptr, 0};
    for (;;) {
        Device echo = co_await Opening(caller, kEchoPath, random.OneIn(2) ? options : synchronous);
        for (uint32_t rounds = random.Between(40, 160); rounds || !caller.MayReopen(); rounds -= !!rounds) {
            const uint32_t bytes = random.Between(8, 512);
            char* text = Append(reinterpret_cast<char*>(input.data()), "echo ");
            text = AppendHex(text, static_cast<uint32_t>(random.Next()));
            text = Append(text, ": The quick brown fox. ");
            for (auto* to = reinterpret_cast<uint8_t*>(text); to < input.data() + bytes; to++) {
                *to = static_cast<uint8_t>(to - input.data());
            }
            switch (random.Below(12)) {
                case 0:
                case 1:
                case 2:
                    co_await Finished(
                        co_await Sending(caller, echo, kEchoBuffered, input.data(), bytes, output.data(), bytes));
                    break;
                case 3:
                    std::memcpy(output.data(), input.data(), bytes);
                    co_await Finished(
                        co_await Sending(caller, echo, kEchoInDirect, input.data(), bytes, output.data(), bytes));
                    break;
                case 4:
                    co_await Finished(
                        co_await Sending(caller, echo, kEchoOutDirect, input.data(), bytes, output.data(), bytes));
                    break;
                case 5:
                    co_await Finished(
                        co_await Sending(caller, echo, kEchoNeither, input.data(), bytes, output.data(), bytes));
                    break;
                case 6:
                case 7: {
                    const EchoPendRequest request{random.Between(50, 4000), STATUS_SUCCESS};
                    std::memcpy(input.data(), &request, sizeof(request));
                    co_await Finished(
                        co_await Sending(caller, echo, kEchoPend, input.data(), bytes, output.data(), bytes));
                    break;
                }
                case 8: {
                    const EchoFailRequest request{random.OneIn(2) ? STATUS_ACCESS_DENIED : STATUS_BUFFER_OVERFLOW, 0};
                    std::memcpy(input.data(), &request, sizeof(request));
                    co_await Finished(
                        co_await Sending(caller, echo, kEchoFail, input.data(), bytes, output.data(), bytes));
                    break;
                }
                case 9: {
                    std::unique_ptr<UserHandle::Pending> held =
                        co_await Sending(caller, echo, kEchoHold, nullptr, 0, nullptr, 0);
                    held->Cancel();
                    co_await Finished(std::move(held));
                    break;
                }
                case 10:
                    co_await Slot{};
                    caller.Commit(1);
                    caller.CountSent(1);
                    echo->Write(input.data(), bytes, 0, nullptr);
                    break;
                case 11:
                    co_await Slot{};
                    caller.Commit(1);
                    caller.CountSent(1);
                    echo->Read(output.data(), bytes, 0, nullptr);
                    break;
            }
        }
    }
}

constexpr Program kPrograms[] = {
    {u"services.exe", 812, 4},     {u"svchost.exe", 1044, 812},   {u"svchost.exe", 2212, 812},
    {u"sqlservr.exe", 3380, 812},  {u"explorer.exe", 4968, 4},    {u"msedge.exe", 6120, 4968},
    {u"msedge.exe", 6284, 6120},   {u"chrome.exe", 7432, 4968},   {u"node.exe", 8856, 4968},
    {u"OneDrive.exe", 9020, 4968}, {u"echotool.exe", 9644, 4968},
};

constexpr const char16_t* kAfd = DRIVERMON_AFD_DRIVER_NAME;
constexpr const char16_t* kEcho = DRIVERMON_ECHO_DRIVER_NAME;

constexpr Role kRoles[] = {
    {6284, 6300, kAfd, Browse, 6},         {9644, 9652, kEcho, TryEverything, 3}, {3380, 3412, kAfd, ServeRows, 8},
    {2212, 2240, kAfd, Resolve, 2},        {8856, 8860, kAfd, PollAndReceive, 4}, {9020, 9036, kAfd, WaitForPush, 1},
    {7432, 7448, kAfd, Browse, 5},         {3380, 3416, kAfd, ServeRows, 8},      {9644, 9656, kEcho, TryEverything, 2},
    {1044, 1060, kAfd, PollAndReceive, 3}, {6284, 6304, kAfd, Browse, 4},         {3380, 3420, kAfd, ServeRows, 6},
    {6120, 6132, kAfd, PollAndReceive, 2}, {8856, 8868, kAfd, Browse, 3},
};

}  // namespace

std::span<const Program> Programs() {
    return kPrograms;
}
std::span<const Role> Roles() {
    return kRoles;
}

}  // namespace drivermon::sim
