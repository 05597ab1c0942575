#include "process.h"

#include <algorithm>
#include <mutex>

#include "processor.h"
#include "verifier.h"

namespace drivermon::sim {
namespace {

struct Process : Object<_EPROCESS> {
    Process() : Object(&processType) {}
};

struct Thread : Object<_ETHREAD> {
    Thread() : Object(&threadType) {}
    ~Thread() override { ObfDereferenceObject(body.process); }
};

std::mutex lock;
std::mutex notifyLock;
std::vector<PEPROCESS> processes;  // referenced
std::vector<PCREATE_PROCESS_NOTIFY_ROUTINE_EX> notifyRoutines;
std::vector<PCREATE_PROCESS_NOTIFY_ROUTINE> olderRoutines;
PEPROCESS systemProcess, ownProcess;
std::atomic<uint32_t> lastId;
std::atomic<uint32_t> nextProcessor;
// Counts boots: a thread that outlives a machine must not go on with that machine's process.
std::atomic<uint32_t> boots;

PETHREAD NewThread(PEPROCESS process, uint32_t processor, uint32_t threadId) {
    auto* thread = new Thread;
    ObfReferenceObject(process);
    thread->body.process = process;
    thread->body.id = threadId ? threadId : NextId();
    thread->body.processor = ProcessorAt(processor);
    return &thread->body;
}

// The calling thread's own identity, for as long as the thread or the machine lives.
struct OwnIdentity {
    ~OwnIdentity() { Forget(); }
    void Forget() {
        if (thread && boot == boots.load()) ObfDereferenceObject(thread);
        thread = nullptr;
    }
    PETHREAD thread = nullptr;
    uint32_t boot = 0;
};
thread_local OwnIdentity own;

void Notify(PEPROCESS process, bool created) {
    // Under a lock: to remove a routine waits for the notifications that are on their way.
    std::lock_guard notifying(notifyLock);
    std::u16string path = u"\\Device\\HarddiskVolume3\\Program Files\\" + process->name;
    UNICODE_STRING image{static_cast<USHORT>(path.size() * 2), static_cast<USHORT>(path.size() * 2 + 2), path.data()};
    PS_CREATE_NOTIFY_INFO info{};
    info.Size = sizeof(info);
    info.ParentProcessId = reinterpret_cast<HANDLE>(uintptr_t{process->parentId});
    info.ImageFileName = &image;
    const auto processId = reinterpret_cast<HANDLE>(uintptr_t{process->id});
    for (auto routine : notifyRoutines) routine(process, processId, created ? &info : nullptr);
    for (auto routine : olderRoutines) routine(info.ParentProcessId, processId, created);
}

// Adds a routine to a list, once, or takes it out.
template <typename Routine>
NTSTATUS SetRoutine(std::vector<Routine>& routines, Routine routine, BOOLEAN remove) {
    RequireIrql(PASSIVE_LEVEL, "PsSetCreateProcessNotifyRoutine");
    std::lock_guard guard(notifyLock);
    auto found = std::find(routines.begin(), routines.end(), routine);
    if (remove ? found == routines.end() : found != routines.end()) return STATUS_INVALID_PARAMETER;
    if (remove) {
        routines.erase(found);
    } else {
        routines.push_back(routine);
    }
    return STATUS_SUCCESS;
}

}  // namespace

bool imagesAreChecked = true;

PETHREAD OwnThread() {
    if (!own.thread || own.boot != boots.load(std::memory_order_relaxed)) {
        own.boot = boots.load();
        own.thread = NewThread(ownProcess, nextProcessor++ % ProcessorCount(), 0);
    }
    return own.thread;
}

Ref<_ETHREAD> CreateThread(PEPROCESS process, uint32_t processor, uint32_t threadId) {
    return Ref<_ETHREAD>::Adopt(NewThread(process, processor, threadId));
}

void ActAs::CheckAtRest(PETHREAD thread) {
    if (thread->irql != PASSIVE_LEVEL) Violation("thread ended raised", "IRQL %u", thread->irql);
    if (thread->fastMutexes) Violation("fast mutex kept", "a thread ended with one");
}

uint32_t NextId() {
    return lastId.fetch_add(4, std::memory_order_relaxed) + 4;
}

Ref<_EPROCESS> CreateProcess(const std::u16string& name, uint32_t parentId, uint32_t id) {
    auto* process = new Process;
    process->body.id = id ? id : NextId();
    process->body.parentId = parentId;
    process->body.name = name;
    ObfReferenceObject(&process->body);  // the list's
    {
        std::lock_guard guard(lock);
        processes.push_back(&process->body);
    }
    Notify(&process->body, true);
    return Ref<_EPROCESS>::Adopt(&process->body);
}

void ExitProcess(PEPROCESS process) {
    Notify(process, false);
    {
        std::lock_guard guard(lock);
        auto found = std::find(processes.begin(), processes.end(), process);
        if (found == processes.end()) return;
        processes.erase(found);
    }
    ObfDereferenceObject(process);
}

std::vector<Ref<_EPROCESS>> Processes() {
    std::lock_guard guard(lock);
    std::vector<Ref<_EPROCESS>> result;
    for (PEPROCESS process : processes) result.push_back(Ref<_EPROCESS>::Share(process));
    return result;
}

void BootProcesses() {
    boots++;
    nextProcessor = 0;
    lastId = 400;
    systemProcess = CreateProcess(u"System", 0, 4).release();
    ownProcess = CreateProcess(u"drivermon.exe", 4, 396).release();
}

void ShutDownProcesses() {
    own.Forget();
    boots++;
    for (PEPROCESS* process : {&ownProcess, &systemProcess}) {
        ExitProcess(*process);
        ObfDereferenceObject(std::exchange(*process, nullptr));
    }
}

PEPROCESS SystemProcess() {
    return systemProcess;
}

}  // namespace drivermon::sim

using namespace drivermon::sim;

HANDLE PsGetCurrentProcessId() {
    return reinterpret_cast<HANDLE>(uintptr_t{CurrentThread()->process->id});
}
HANDLE PsGetCurrentThreadId() {
    return reinterpret_cast<HANDLE>(uintptr_t{CurrentThread()->id});
}
PEPROCESS PsGetCurrentProcess() {
    PETHREAD thread = CurrentThread();
    return thread->attachedTo ? thread->attachedTo : thread->process;
}
void KeStackAttachProcess(PEPROCESS process, PKAPC_STATE state) {
    state->Process = std::exchange(CurrentThread()->attachedTo, process);
}
void KeUnstackDetachProcess(PKAPC_STATE state) {
    CurrentThread()->attachedTo = state->Process;
}
PETHREAD PsGetCurrentThread() {
    return CurrentThread();
}
HANDLE PsGetThreadId(PETHREAD thread) {
    return reinterpret_cast<HANDLE>(uintptr_t{thread->id});
}
HANDLE PsGetProcessId(PEPROCESS process) {
    return reinterpret_cast<HANDLE>(uintptr_t{process->id});
}
PEPROCESS IoThreadToProcess(PETHREAD thread) {
    return thread->process;
}
PEPROCESS IoGetRequestorProcess(PIRP irp) {
    return irp->Tail.Overlay.Thread ? irp->Tail.Overlay.Thread->process : nullptr;
}
// Every simulated thread but the system's runs in user mode when it is not in a driver.
KPROCESSOR_MODE ExGetPreviousMode() {
    return CurrentThread()->process == SystemProcess() ? KernelMode : UserMode;
}

NTSTATUS PsLookupProcessByProcessId(HANDLE processId, PEPROCESS* process) {
    for (auto& candidate : Processes()) {
        if (candidate->id != reinterpret_cast<uintptr_t>(processId)) continue;
        *process = candidate.release();
        return STATUS_SUCCESS;
    }
    return STATUS_INVALID_PARAMETER;
}

NTSTATUS SeLocateProcessImageName(PEPROCESS process, PUNICODE_STRING* name) {
    const std::u16string path = u"\\Device\\HarddiskVolume3\\Program Files\\" + process->name;
    const auto bytes = static_cast<USHORT>(path.size() * sizeof(char16_t));
    auto* string = static_cast<PUNICODE_STRING>(
        ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(UNICODE_STRING) + bytes, 0x6e506553 /* SePn */));
    if (!string) return STATUS_INSUFFICIENT_RESOURCES;
    string->Length = string->MaximumLength = bytes;
    string->Buffer = reinterpret_cast<PWSTR>(string + 1);
    memcpy(string->Buffer, path.data(), bytes);
    *name = string;
    return STATUS_SUCCESS;
}

NTSTATUS PsSetCreateProcessNotifyRoutine(PCREATE_PROCESS_NOTIFY_ROUTINE routine, BOOLEAN remove) {
    return SetRoutine(olderRoutines, routine, remove);
}
NTSTATUS PsSetCreateProcessNotifyRoutineEx(PCREATE_PROCESS_NOTIFY_ROUTINE_EX routine, BOOLEAN remove) {
    if (!imagesAreChecked) return STATUS_ACCESS_DENIED;
    return SetRoutine(notifyRoutines, routine, remove);
}
