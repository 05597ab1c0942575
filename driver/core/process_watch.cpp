// process_watch.cpp: see process_watch.h.
#include "process_watch.h"

namespace drivermon {

namespace {

// Read by the notify routines, which run only while it is set.
Capture* told;

// UTF-16 units of a path that are kept: of a longer one the end, which is what it is known by.
constexpr uint32_t kMaxImageName = 260;

// PASSIVE_LEVEL. The name may be null.
void Tell(ProcessEvent event, uint32_t processId, uint32_t parentId, PCUNICODE_STRING image) {
    if (!told->recording()) return;
    // Out of pageable memory before the section.
    uint16_t name[kMaxImageName];
    uint32_t units = image != nullptr && image->Buffer != nullptr ? image->Length / 2u : 0;
    uint32_t skipped = units > kMaxImageName ? units - kMaxImageName : 0;
    if (units != 0) RtlCopyMemory(name, image->Buffer + skipped, (units - skipped) * 2);

    ProcessRecord record;
    RtlZeroMemory(&record, sizeof(record));
    record.header.type = kRecordProcess;
    record.processId = processId;
    record.parentProcessId = parentId;
    record.event = event;
    record.nameLength = (units - skipped) * 2;
    Bytes piece = {name, record.nameLength};
    Section section(told->recorder);
    if (!told->recording()) return;
    record.header.timestamp = NowTicks();
    told->recorder.Write(section.shard(), &record.header, sizeof(record), &piece, 1, section.irql(), Offered::kOther);
}

void Created(uint32_t processId, uint32_t parentId, PCUNICODE_STRING image) {
    told->filter.own.Created(processId, parentId);
    Tell(kProcessCreated, processId, parentId, image);
}

void Exited(uint32_t processId) {
    Tell(kProcessExited, processId, 0, nullptr);
    told->filter.own.Exited(processId);
}

void NTAPI OnProcessWithName(PEPROCESS, HANDLE processId, PPS_CREATE_NOTIFY_INFO info) {
    if (info == nullptr) {
        Exited(IdOf(processId));
    } else {
        Created(IdOf(processId), IdOf(info->ParentProcessId), info->ImageFileName);
    }
}

void NTAPI OnProcess(HANDLE parentId, HANDLE processId, BOOLEAN created) {
    if (created) {
        Created(IdOf(processId), IdOf(parentId), nullptr);
    } else {
        Exited(IdOf(processId));
    }
}

}  // namespace

void ProcessWatch::Begin(Capture* capture) {
    told = capture;
    if (NT_SUCCESS(PsSetCreateProcessNotifyRoutineEx(OnProcessWithName, FALSE))) {
        notified_ = Notified::kWithNames;
    } else if (NT_SUCCESS(PsSetCreateProcessNotifyRoutine(OnProcess, FALSE))) {
        notified_ = Notified::kWithoutNames;
    }
}

void ProcessWatch::End() {
    if (notified_ == Notified::kWithNames) PsSetCreateProcessNotifyRoutineEx(OnProcessWithName, TRUE);
    if (notified_ == Notified::kWithoutNames) PsSetCreateProcessNotifyRoutine(OnProcess, TRUE);
    notified_ = Notified::kNot;
}

}  // namespace drivermon
