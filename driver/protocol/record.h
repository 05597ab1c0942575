// record.h: what the driver tells user mode, one record at a time.
//
// A stream is records back to back, each a multiple of 8 bytes long and 8-aligned:
//
//   0        4    5    6         8          12         16                 24
//   +--------+----+----+---------+----------+----------+------------------+-- - - ---+-- - - - - -+
//   | size   |type|irql|processor| sequence | driverId | timestamp        | fields   | payload …  |
//   +--------+----+----+---------+----------+----------+------------------+-- - - ---+-- - - - - -+
//   '------------------------- RecordHeader --------------------------- -'
//
// - size counts the whole record: header, fields, payload, padding up to 8.
// - A reader skips a type that it does not know by its size. A reader must check size before anything else.
// - timestamp is in QPC ticks; Hello gives the frequency and an anchor to UTC.
// - sequence counts, per processor, the records *offered* to that processor's ring, dropped ones included:
//   it is the witness against which Loss records can be checked. It wraps at 2^32.
// - Records of one batch are ordered by timestamp as far as they were committed when the batch was taken;
//   a RequestEnd may still be seen before its RequestStart when the two ran on different processors.
//   A RequestStart that was held back until its request ended (see Predicates) comes right before its RequestEnd, with
//   its own time of arrival: it is older than its neighbours.
//
// Only explicitly sized types. Little-endian. Nothing here may include anything but <stdint.h>.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace drivermon {

enum RecordType : uint8_t {
    kRecordPadding = 0,  // fills a ring up to its end; never leaves the driver
    kRecordRequestStart = 1,
    kRecordRequestEnd = 2,
    kRecordLoss = 3,
    kRecordDriverHooked = 4,
    kRecordDriverUnhooked = 5,
    kRecordProcess = 6,
};

// Bits of RequestStart::flags and RequestEnd::flags.
enum RequestFlags : uint32_t {
    kRequestFastIo = 1u << 0,            // `major` is a FastIoFunction, and `irp` is 0
    kRequestFellThrough = 1u << 1,       // End: the fast-I/O routine returned FALSE, or TRUE of a read or write with a
                                         // status that is not taken for an answer; an IRP follows
    kRequestPended = 1u << 2,            // End: the dispatch routine returned STATUS_PENDING
    kRequestSynchronous = 1u << 3,       // Start: IRP_SYNCHRONOUS_API or a synchronous file object
    kRequestPaging = 1u << 4,            // Start: IRP_PAGING_IO
    kRequestCancelled = 1u << 5,         // End: Irp->Cancel was set
    kRequestPayloadTruncated = 1u << 6,  // payloadLength < payloadTotal because of the snap length
    kRequestPayloadMissed = 1u << 7,     // there were bytes, but they could not be read (see Loss)
    kRequestPayloadIsName = 1u << 8,     // Start of CREATE: the payload is the file name, UTF-16LE; without it,
                                         // it is the file's id (FILE_OPEN_BY_FILE_ID)
    kRequestUnseen = 1u << 9,            // End: the dispatch returned without a completion that we could see;
                                         // status and information are what it returned, not what the IRP ended with
    kRequestUncaptured = 1u << 10,       // Start: the completion will not be recorded (quota; see Loss)
    kRequestAssociated = 1u << 11,       // Start: an associated IRP of a master IRP
    // With kRequestPayloadMissed: by rule, not by accident, hence no loss. The bytes of METHOD_NEITHER (and of reads and
    // writes that are neither buffered nor direct) lie at the requestor's own address, which can be read only in its own
    // process and only until the dispatch routine returns: the output of a request that pended never can.
    kRequestPayloadBeyondReach = 1u << 12,
    kRequestContinues = 1u << 13,  // Start: the IRP of a fast-I/O call that fell through; `continues` says of which
};

enum ProcessorMode : uint8_t { kModeKernel = 0, kModeUser = 1 };

struct RecordHeader {
    uint32_t size;       //  0 bytes, multiple of 8
    uint8_t type;        //  4 RecordType
    uint8_t irql;        //  5 IRQL at which it was made
    uint16_t processor;  //  6
    uint32_t sequence;   //  8
    uint32_t driverId;   // 12 given by AddDriver, never reused within one load; 0 = none
    uint64_t timestamp;  // 16 QPC ticks
};
static_assert(sizeof(RecordHeader) == 24, "ABI");

// A request has arrived at a hooked dispatch routine or fast-I/O routine.
// The payload is the input (or the file name for CREATE).
struct RequestStart {
    RecordHeader header;          //   0 timestamp = arrival
    uint64_t requestId;           //  24 unique in one load, < 2^53 so that it is exact as a double
    uint64_t irp;                 //  32 address; recurs
    uint64_t deviceObject;        //  40 address
    uint64_t fileObject;          //  48 address or 0
    uint32_t processId;           //  56 the current process
    uint32_t threadId;            //  60
    uint32_t requestorProcessId;  //  64 process of the IRP's thread; 0 = unknown
    uint8_t major;                //  68 IRP_MJ_*, or FastIoFunction with kRequestFastIo
    uint8_t minor;                //  69
    uint8_t requestorMode;        //  70 ProcessorMode
    uint8_t stackLocation;        //  71 Irp->CurrentLocation
    uint32_t flags;               //  72 RequestFlags
    uint32_t irpFlags;            //  76 Irp->Flags
    uint32_t code;                //  80 IOCTL/FSCTL code; CREATE: Options (disposition << 24 | options); else 0
    uint32_t inputLength;         //  84 bytes offered: InputBufferLength, or Write.Length
    uint32_t outputLength;        //  88 bytes asked for: OutputBufferLength, or Read.Length
    uint32_t payloadLength;       //  92 bytes that follow this struct
    uint64_t byteOffset;          //  96 READ/WRITE: the offset; CREATE: DesiredAccess | ShareAccess << 32
    uint32_t payloadTotal;        // 104 bytes there were to capture
    uint32_t continues;           // 108 with kRequestContinues: the lower half of the call's requestId; it is the last
                                  //     one with this half of the same thread
};
static_assert(sizeof(RequestStart) == 112, "ABI");

// A request has ended: its completion routine ran, or the fast-I/O routine returned.
// The payload is the output.
struct RequestEnd {
    RecordHeader header;        //  0 timestamp = completion
    uint64_t requestId;         // 24
    uint64_t arrivalTimestamp;  // 32 QPC ticks; latency needs no join
    uint64_t information;       // 40 IoStatus.Information
    uint32_t status;            // 48 NTSTATUS
    uint32_t flags;             // 52 RequestFlags
    uint32_t processId;         // 56 current process at completion: often not the requestor's
    uint32_t threadId;          // 60
    uint8_t major;              // 64
    uint8_t minor;              // 65
    uint16_t reserved;          // 66
    uint32_t payloadLength;     // 68 bytes that follow this struct
    uint32_t payloadTotal;      // 72 bytes there were to capture
    uint32_t reserved2;         // 76
};
static_assert(sizeof(RequestEnd) == 80, "ABI");

// Why something was lost. Counted since the last Loss record of the same processor (so a reader adds them up).
enum LossReason : uint32_t {
    kLossRingFull = 0,          // a record found no room
    kLossRecordTooLarge = 1,    // a record could never fit
    kLossPayloadNoScratch = 2,  // the record is there, its payload is not: no scratch block was left
    kLossPayloadFault = 3,      // the record is there, its payload is not: the caller's memory could not be read
    kLossCompletionQuota = 4,   // the arrival is there, its completion will not be: too many outstanding
    kLossReasonCount = 5,
};

// Written as soon as there is room again, before the next ordinary record of that processor.
struct LossRecord {
    RecordHeader header;                // 0
    uint32_t starts[kLossReasonCount];  // 24
    uint32_t ends[kLossReasonCount];    // 44
    uint32_t others;                    // 64 dropped records that are neither start nor end
    uint32_t reserved;                  // 68
};
static_assert(sizeof(LossRecord) == 72, "ABI");

enum UnhookReason : uint32_t {
    kUnhookRequested = 0,
    kUnhookClientClosed = 1,    // the session's handle was closed
    kUnhookDriverUnloaded = 2,  // the monitored driver's own unload routine ran
};

// Bits of DriverRecord::functions are IRP_MJ_* that were swapped; of fastIo, FastIoFunctions.
// After an unhook they are those left in place because another hook was chained on top.
// The payload is the driver's name, UTF-16LE, without a terminator.
struct DriverRecord {
    RecordHeader header;    //  0 kRecordDriverHooked or kRecordDriverUnhooked; driverId says which
    uint64_t driverObject;  // 24 address
    uint32_t functions;     // 32
    uint32_t fastIo;        // 36
    uint32_t reason;        // 40 UnhookReason
    uint32_t nameLength;    // 44 bytes that follow
};
static_assert(sizeof(DriverRecord) == 48, "ABI");

enum ProcessEvent : uint32_t {
    kProcessSnapshot = 0,  // existed when it was first needed
    kProcessCreated = 1,
    kProcessExited = 2,
};

// A name for a process id from this time on. The payload is the image's path or name, UTF-16LE.
struct ProcessRecord {
    RecordHeader header;       //  0
    uint32_t processId;        // 24
    uint32_t parentProcessId;  // 28
    uint32_t event;            // 32 ProcessEvent
    uint32_t nameLength;       // 36 bytes that follow
};
static_assert(sizeof(ProcessRecord) == 40, "ABI");

// The order of FAST_IO_DISPATCH, AcquireFileForNtCreateSection and the like left out where they are not requests.
enum FastIoFunction : uint8_t {
    kFastIoCheckIfPossible = 0,
    kFastIoRead = 1,
    kFastIoWrite = 2,
    kFastIoQueryBasicInfo = 3,
    kFastIoQueryStandardInfo = 4,
    kFastIoLock = 5,
    kFastIoUnlockSingle = 6,
    kFastIoUnlockAll = 7,
    kFastIoUnlockAllByKey = 8,
    kFastIoDeviceControl = 9,
    kFastIoDetachDevice = 10,
    kFastIoQueryNetworkOpenInfo = 11,
    kFastIoMdlRead = 12,
    kFastIoMdlReadComplete = 13,
    kFastIoPrepareMdlWrite = 14,
    kFastIoMdlWriteComplete = 15,
    kFastIoReadCompressed = 16,
    kFastIoWriteCompressed = 17,
    kFastIoMdlReadCompleteCompressed = 18,
    kFastIoMdlWriteCompleteCompressed = 19,
    kFastIoQueryOpen = 20,
    kFastIoFunctionCount = 21,
};

constexpr uint32_t kMajorFunctionCount = 28;  // IRP_MJ_MAXIMUM_FUNCTION + 1
// Counters and charts number functions in one range: majors first, then fast-I/O routines.
constexpr uint32_t kFunctionCount = kMajorFunctionCount + kFastIoFunctionCount;

constexpr uint32_t kRecordAlignment = 8;
constexpr uint32_t kMaxSnapLength = 65536;
constexpr uint32_t kMaxRecordSize = sizeof(RequestStart) + kMaxSnapLength;
static_assert(kMaxRecordSize % kRecordAlignment == 0, "ABI");

}  // namespace drivermon
