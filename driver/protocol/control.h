// control.h: what user mode may ask of the driver.
//
// One IOCTL each, in the order a client uses them. All are METHOD_BUFFERED but GetData, GetCounters and GetInFlight,
// whose output is direct (METHOD_OUT_DIRECT). Every call but Hello needs a Hello first. The device has one owner: the
// file object that opened it; a second open fails with STATUS_SHARING_VIOLATION.
//
//            open            Hello            Start             Stop
//   (closed) ─────► Opened ────────► Greeted ───────► Capturing ───────► Greeted
//                                      │  ▲ AddDriver, RemoveDriver, RemoveAll, SetPredicates, List, GetCounters, GetInFlight: in both
//                                      └──┘
// Closing the handle in any state stops the capture and unhooks every driver.
#pragma once

#include "record.h"
#include "version.h"

namespace drivermon {

// CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800 + n, method, FILE_READ_ACCESS | FILE_WRITE_ACCESS)
constexpr uint32_t ControlCode(uint32_t n, uint32_t method) {
    return (0x22u << 16) | (3u << 14) | ((0x800u + n) << 2) | method;
}
constexpr uint32_t kMethodBuffered = 0;
constexpr uint32_t kMethodOutDirect = 2;

constexpr uint32_t kControlHello = ControlCode(0, kMethodBuffered);
constexpr uint32_t kControlStart = ControlCode(1, kMethodBuffered);
constexpr uint32_t kControlStop = ControlCode(2, kMethodBuffered);
constexpr uint32_t kControlAddDriver = ControlCode(3, kMethodBuffered);
constexpr uint32_t kControlRemoveDriver = ControlCode(4, kMethodBuffered);
constexpr uint32_t kControlRemoveAll = ControlCode(5, kMethodBuffered);
constexpr uint32_t kControlGetData = ControlCode(6, kMethodOutDirect);
constexpr uint32_t kControlGetCounters = ControlCode(7, kMethodOutDirect);
constexpr uint32_t kControlList = ControlCode(8, kMethodBuffered);
constexpr uint32_t kControlSetPredicates = ControlCode(9, kMethodBuffered);
constexpr uint32_t kControlGetInFlight = ControlCode(10, kMethodOutDirect);

enum KernelKind : uint32_t { kKernelNt = 0, kKernelWine = 1, kKernelSimulated = 2 };

// Hello: the first call. A different version or layout hash is refused with STATUS_REVISION_MISMATCH *and* a
// filled HelloReply, so that the client can say which side is older. (The I/O manager copies output for a
// warning status, not for an error: the driver returns STATUS_SUCCESS and `accepted` 0.)
struct HelloRequest {
    uint32_t abiVersion;  //  0
    uint32_t layoutHash;  //  4
};
static_assert(sizeof(HelloRequest) == 8, "ABI");

struct HelloReply {
    uint32_t abiVersion;         //  0
    uint32_t layoutHash;         //  4
    uint32_t accepted;           //  8 0 = refused: nothing else will work on this handle
    uint32_t driverVersion;      // 12 major << 16 | minor << 8 | patch
    uint32_t kernel;             // 16 KernelKind
    uint32_t processors;         // 20 rings there will be
    uint32_t maxDrivers;         // 24 slots
    uint32_t reserved;           // 28
    uint64_t frequency;          // 32 QPC ticks per second
    uint64_t anchorTicks;        // 40 QPC, read together with:
    uint64_t anchorSystemTime;   // 48 100 ns since 1601-01-01 UTC
};
static_assert(sizeof(HelloReply) == 56, "ABI");

// Start: begins a new epoch: rings emptied, counters zeroed. STATUS_INVALID_DEVICE_STATE when already capturing,
// STATUS_INVALID_PARAMETER for a value out of range: nothing has changed. STATUS_INSUFFICIENT_RESOURCES: there is no
// capture, and what the one before has left is gone all the same, for old and new rings may not fit side by side.
struct StartRequest {
    uint32_t ringBytes;         //  0 per processor; power of two, kMinRingBytes..kMaxRingBytes
    uint32_t inputSnapLength;   //  4 bytes of input kept per request, 0..kMaxSnapLength
    uint32_t outputSnapLength;  //  8
    uint32_t reserved;          // 12 must be 0
};
static_assert(sizeof(StartRequest) == 16, "ABI");

constexpr uint32_t kMinRingBytes = 1u << 12;
constexpr uint32_t kMaxRingBytes = 1u << 28;
constexpr uint32_t kDefaultRingBytes = 1u << 23;
constexpr uint32_t kDefaultSnapLength = 256;

// SetPredicates: which requests are *recorded*, from now on; before Start or while capturing. Counters ignore it: they
// count every request. All zero, as after Hello, records everything but the client's own process tree.
// A request passes if it passes every one of them. STATUS_INVALID_PARAMETER for a count or mode out of range.
enum PredicateMode : uint32_t { kPredicateAny = 0, kPredicateOnly = 1, kPredicateAllBut = 2 };

enum PredicateFlags : uint32_t {
    // Decided at the end of a request: its start is held back until then. Held starts keep at most kMaxHeldInput bytes of
    // input (kRequestPayloadTruncated tells), and are in GetInFlight meanwhile.
    kPredicateErrorsOnly = 1u << 0,
    // Record the client's process and its children too.
    kPredicateOwnProcesses = 1u << 1,
};

constexpr uint32_t kMaxPredicateEntries = 64;
constexpr uint32_t kMaxHeldInput = 256;

struct Predicates {
    uint32_t flags;                            //   0 PredicateFlags
    uint32_t sampleEvery;                      //   4 record one request in so many; 0 and 1 = each
    uint64_t minimumLatency;                   //   8 QPC ticks; decided at the end, as kPredicateErrorsOnly; 0 = any
    uint64_t leftOutFunctions;                 //  16 bit per function (majors, then fast I/O) that is not recorded
    uint32_t driverMode;                       //  24 PredicateMode
    uint32_t driverCount;                      //  28
    uint32_t processMode;                      //  32 PredicateMode; compared with the current process and the requestor
    uint32_t processCount;                     //  36
    uint32_t codeMode;                         //  40 PredicateMode; a request without a control code passes
    uint32_t codeCount;                        //  44
    uint32_t drivers[kMaxPredicateEntries];    //  48 driver ids
    uint32_t processes[kMaxPredicateEntries];  // 304
    uint32_t codes[kMaxPredicateEntries];      // 560 IOCTL and FSCTL codes
};
static_assert(sizeof(Predicates) == 816, "ABI");
static_assert(kFunctionCount <= 64, "leftOutFunctions has a bit for each");

// GetInFlight: the requests of this epoch that have arrived and not ended, whether or not they are recorded.
// InFlightReply, then `count` × InFlightRequest; as many as fit.
struct InFlightRequest {
    uint64_t requestId;  //  0
    uint64_t arrival;    //  8 QPC ticks
    uint64_t irp;        // 16
    uint32_t driverId;   // 24
    uint32_t processId;  // 28
    uint32_t threadId;   // 32
    uint32_t code;       // 36
    uint8_t major;       // 40
    uint8_t minor;       // 41
    uint8_t held;        // 42 1 = its start is held back until it ends
    uint8_t fastIo;      // 43
    uint32_t reserved;   // 44
};
static_assert(sizeof(InFlightRequest) == 48, "ABI");

struct InFlightReply {
    uint64_t timestamp;  //  0 QPC ticks
    uint32_t count;      //  8
    uint32_t total;      // 12
};
static_assert(sizeof(InFlightReply) == 16, "ABI");

// Stop: no record is made after it returns. Idempotent. What is in the rings can still be fetched.

constexpr uint32_t kMaxDriverNameLength = 512;  // UTF-16 units

// AddDriver: hooks a driver by its object name, such as \Driver\AFD. Followed by the name, UTF-16LE.
// STATUS_OBJECT_NAME_NOT_FOUND no such driver; STATUS_OBJECT_NAME_COLLISION already hooked;
// STATUS_ACCESS_DENIED ours, or denied; STATUS_INSUFFICIENT_RESOURCES no slot; STATUS_NAME_TOO_LONG;
// STATUS_DELETE_PENDING it is unloading, or DriverMon itself will, once this handle is closed;
// STATUS_DEVICE_NOT_READY it is being loaded: try again.
struct AddDriverRequest {
    uint32_t flags;       //  0 must be 0
    uint32_t nameLength;  //  4 bytes that follow; even, 2..2 * kMaxDriverNameLength
};
static_assert(sizeof(AddDriverRequest) == 8, "ABI");

struct AddDriverReply {
    uint32_t driverId;      //  0
    uint32_t functions;     //  4 bit per IRP_MJ_* hooked
    uint32_t fastIo;        //  8 bit per FastIoFunction hooked; 0: it has none, or a table that we rather leave alone
    uint32_t reserved;      // 12
    uint64_t driverObject;  // 16
};
static_assert(sizeof(AddDriverReply) == 24, "ABI");

// RemoveDriver: STATUS_NOT_FOUND for an unknown id. The reply tells what could not be restored.
struct RemoveDriverRequest {
    uint32_t driverId;  // 0
    uint32_t reserved;  // 4
};
static_assert(sizeof(RemoveDriverRequest) == 8, "ABI");

struct RemoveDriverReply {
    uint32_t chainedFunctions;  // 0 majors left in place as pass-through, because another hook sits on top
    uint32_t chainedFastIo;     // 4 1 = the fast-I/O table was left in place
    uint32_t chainedUnload;     // 8 1 = the unload routine was left in place; so it is as long as anything else is
};
static_assert(sizeof(RemoveDriverReply) == 12, "ABI");

// RemoveAll: no input, no output.

// GetData: the inverted call. No input; output is at least kMinDataBytes and receives whole records, as laid out in record.h.
// Completes at once if a record waits; else pends until one does, and then completes with 0 bytes: ask again.
// One at a time: a second one fails with STATUS_DEVICE_BUSY. Cancelling it loses nothing.
// After Stop it hands out what is left, and then fails with STATUS_END_OF_FILE.
// However large its output is, one call fills at most kMaxDataBytes of it.
constexpr uint32_t kMinDataBytes = 128 * 1024;
constexpr uint32_t kMaxDataBytes = 4 * 1024 * 1024;
static_assert(kMinDataBytes >= kMaxRecordSize, "every record must fit into a client's buffer");

// GetCounters: exact totals since Start, independent of records but for `drops`. No input.
//   CountersReply, then `entries` × FunctionCounters, only functions that saw a request.
// If not all entries fit, as many as fit are written and `entries` < `entriesTotal`.
constexpr uint32_t kLatencyBuckets = 40;  // bucket b: floor(log2(ticks)) + 1 == b; bucket 0: 0 ticks; the last is open

struct FunctionCounters {
    uint32_t driverId;                    //   0
    uint32_t function;                    //   4 major, or kMajorFunctionCount + FastIoFunction
    uint64_t arrivals;                    //   8
    uint64_t completions;                 //  16 arrivals = completions + outstanding + unseen
    uint64_t unseen;                      //  24 no completion was seen, nor will be: returned without one; beyond the
                                          //     quota; or given up because others needed its place
    uint64_t success;                     //  32 status 0x00000000..0x7FFFFFFF
    uint64_t warnings;                    //  40 0x8…
    uint64_t errors;                      //  48 0xC…, cancelled ones left out
    uint64_t cancelled;                   //  56 STATUS_CANCELLED
    uint64_t pended;                      //  64
    uint64_t fellThrough;                 //  72 fast I/O that an IRP follows; counted in completions
    uint64_t bytesIn;                     //  80 bytes offered
    uint64_t bytesOut;                    //  88 Information of successful READ, IOCTL, FSCTL
    uint64_t drops;                       //  96 records of its starts and ends that found no room
    uint64_t latency[kLatencyBuckets];    // 104 completions by latency
};
static_assert(sizeof(FunctionCounters) == 104 + 8 * kLatencyBuckets, "ABI");

struct CountersReply {
    uint64_t timestamp;                   //   0 QPC ticks
    uint64_t epoch;                       //   8 counts Starts
    uint64_t offered;                     //  16 records; offered = written + dropped (at rest)
    uint64_t written;                     //  24
    uint64_t bytesWritten;                //  32
    uint64_t dropsStart[kLossReasonCount];  //  40
    uint64_t dropsEnd[kLossReasonCount];    //  80
    uint64_t dropsOther;                  // 120
    uint64_t outstanding;                 // 128 requests of this epoch whose completion is awaited
    uint64_t ringUsed;                    // 136 bytes waiting, all processors
    uint64_t ringSize;                    // 144 bytes, all processors
    uint32_t entries;                     // 152
    uint32_t entriesTotal;                // 156
    uint64_t filteredStarts;              // 160 requests that a predicate kept out of the records, at arrival or at the end
    uint64_t sampledOut;                  // 168 requests that sampling kept out
    uint64_t heldInputTruncated;          // 176 held starts that could not keep all of their input
    // A fast-I/O call that fell through is no request of its own: the IRP that follows is. Of the sum of fellThrough over
    // all functions, so many had a start that was dropped, kept out, sampled out; those of the others are in the records.
    uint64_t dropsFellThrough[kLossReasonCount];  // 184 of dropsStart
    uint64_t filteredFellThrough;         // 224 of filteredStarts
    uint64_t sampledOutFellThrough;       // 232 of sampledOut
    uint64_t payloadsBeyondReach;         // 240 records with kRequestPayloadBeyondReach, written or dropped
    uint64_t staleCompletions;            // 248 our routine was called for a request that had ended, or been given up
};
static_assert(sizeof(CountersReply) == 256, "ABI");

// List: the hooked drivers. ListReply, then `count` × HookedDriver.
struct HookedDriver {
    uint32_t driverId;                        //  0
    uint32_t state;                           //  4 HookState
    uint64_t driverObject;                    //  8
    uint32_t functions;                       // 16
    uint32_t fastIo;                          // 20
    uint32_t outstanding;                     // 24 requests whose completion is awaited
    uint32_t nameLength;                      // 28 bytes of name in use
    uint16_t name[kMaxDriverNameLength];      // 32 UTF-16LE
};
static_assert(sizeof(HookedDriver) == 32 + 2 * kMaxDriverNameLength, "ABI");

enum HookState : uint32_t {
    kHookActive = 1,
    kHookPassThrough = 2,  // removed, but another hook sits on top of ours
    kHookDead = 3,         // its driver has unloaded
};

struct ListReply {
    uint32_t count;     // 0 entries that follow
    uint32_t total;     // 4 entries there are
};
static_assert(sizeof(ListReply) == 8, "ABI");

constexpr uint32_t kMaxHookedDrivers = 64;

}  // namespace drivermon
