// afd_protocol.h: the part of AFD's interface that the simulated callers use.
//
// Codes and structures are those that Winsock's helper sends to \Device\Afd on x64, as Wine and others document them.
// Two simplifications, so that a watcher who knows nothing of AFD sees the bytes: the data of a send lies directly
// behind its AfdSendInfo and counts into the input length; the data of a receive goes to the output buffer, to which
// its one AfdBuffer points as well.
#pragma once

#include <stdint.h>

namespace drivermon::targets {

#define DRIVERMON_AFD_DRIVER_NAME u"\\Driver\\AFD"
#define DRIVERMON_AFD_ENDPOINT_PATH u"\\Device\\Afd\\Endpoint"

constexpr uint32_t AfdCode(uint32_t n, uint32_t method) {
    return (0x12u << 12) | (n << 2) | method;
}

constexpr uint32_t kAfdBind = AfdCode(0, 3);
constexpr uint32_t kAfdConnect = AfdCode(1, 3);
constexpr uint32_t kAfdReceive = AfdCode(5, 3);
constexpr uint32_t kAfdReceiveDatagram = AfdCode(6, 3);
constexpr uint32_t kAfdSend = AfdCode(7, 3);
constexpr uint32_t kAfdSendDatagram = AfdCode(8, 3);
constexpr uint32_t kAfdPoll = AfdCode(9, 0);
constexpr uint32_t kAfdPartialDisconnect = AfdCode(10, 3);
constexpr uint32_t kAfdGetAddress = AfdCode(11, 3);
constexpr uint32_t kAfdSetContext = AfdCode(17, 3);
constexpr uint32_t kAfdGetInformation = AfdCode(30, 3);
static_assert(kAfdBind == 0x12003 && kAfdConnect == 0x12007 && kAfdReceive == 0x12017 && kAfdSend == 0x1201F, "AFD");
static_assert(kAfdReceiveDatagram == 0x1201B && kAfdSendDatagram == 0x12023 && kAfdPoll == 0x12024, "AFD");
static_assert(kAfdGetAddress == 0x1202F && kAfdSetContext == 0x12047 && kAfdGetInformation == 0x1207B, "AFD");

struct AfdAddress {  // SOCKADDR_IN
    uint16_t family;
    uint16_t port;  // big-endian
    uint8_t address[4];
    uint8_t zero[8];
};

struct AfdBindInfo {
    uint32_t shareAccess;
    AfdAddress address;
};

struct AfdConnectInfo {
    uint64_t sanActive;
    uint64_t rootEndpoint;
    uint64_t connectEndpoint;
    AfdAddress remote;
};

struct AfdBuffer {
    uint32_t length;
    uint32_t padding;
    uint64_t data;
};

struct AfdTransferInfo {  // of sends and receives
    uint64_t buffers;
    uint32_t bufferCount;
    uint32_t afdFlags;
    uint32_t tdiFlags;
    uint32_t padding;
    AfdBuffer buffer;
};
static_assert(sizeof(AfdTransferInfo) == 40, "protocol");

struct AfdPollHandle {
    uint64_t handle;
    uint32_t events;
    int32_t status;
};
struct AfdPollInfo {
    int64_t timeout;  // relative, negative, 100 ns
    uint32_t handleCount;
    uint32_t unique;
    AfdPollHandle handles[1];
};

// The extended attribute of a CREATE.
struct AfdOpenPacket {
    uint32_t nextEntryOffset;
    uint8_t flags;
    uint8_t nameLength;
    uint16_t valueLength;
    char name[16];  // "AfdOpenPacketXX"
    uint32_t endpointFlags;
    uint32_t groupId;
    uint32_t addressFamily;
    uint32_t socketType;  // 1 stream, 2 datagram
    uint32_t protocol;
    uint32_t transportNameLength;
};
constexpr char kAfdOpenPacketName[16] = "AfdOpenPacketXX";

// Who answers is decided by the port, so that callers know what to expect.
constexpr uint16_t kAfdPortHttp = 80;         // text
constexpr uint16_t kAfdPortTds = 1433;        // binary
constexpr uint16_t kAfdPortRefused = 81;      // STATUS_CONNECTION_REFUSED
constexpr uint16_t kAfdPortSilent = 7;        // never sends: receives pend until cancelled
constexpr uint32_t kAfdFastSendBytes = 8192;  // longer sends fall through to an IRP, and pend

}  // namespace drivermon::targets
