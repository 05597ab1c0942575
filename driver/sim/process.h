// process.h: simulated processes and threads, and which of them the running code belongs to.
//
// Real threads carry the simulated ones: a thread says who it is with RunAs. One that never said so (the addon's, a
// test's) is a thread of the machine's own process and is given a processor in turn.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "object.h"

namespace drivermon::sim {
struct Processor;
}

struct _EPROCESS {
    uint32_t id;
    uint32_t parentId;
    std::u16string name;
};

struct _ETHREAD {
    PEPROCESS process;  // referenced
    PEPROCESS attachedTo = nullptr;  // whose memory is mapped instead of its own process's
    uint32_t id;
    drivermon::sim::Processor* processor;
    KIRQL irql = PASSIVE_LEVEL;
    // Locks held, for the check that a routine returns as it was called.
    int spinLocks = 0;
    int fastMutexes = 0;
};

namespace drivermon::sim {

// Who the calling thread is, as ActAs set it.
inline constinit thread_local PETHREAD actingAs = nullptr;
PETHREAD OwnThread();

inline PETHREAD CurrentThread() {
    return actingAs ? actingAs : OwnThread();
}

// A thread of `process` that runs on a processor. `threadId` 0: a fresh one.
Ref<_ETHREAD> CreateThread(PEPROCESS process, uint32_t processor, uint32_t threadId = 0);

// Makes the calling thread that thread until the end of the scope. IRQL = PASSIVE_LEVEL at both ends.
class ActAs {
 public:
    explicit ActAs(PETHREAD thread) : previous_(std::exchange(actingAs, thread)) {}
    ~ActAs() {
        CheckAtRest(actingAs);
        actingAs = previous_;
    }
    ActAs(const ActAs&) = delete;
    ActAs& operator=(const ActAs&) = delete;

 private:
    static void CheckAtRest(PETHREAD thread);

    PETHREAD previous_;
};

// Both in one.
class RunAs {
 public:
    RunAs(PEPROCESS process, uint32_t processor) : thread_(CreateThread(process, processor)), act_(thread_.get()) {}

 private:
    Ref<_ETHREAD> thread_;
    ActAs act_;
};

// Ids as on NT: multiples of four, from one sequence for processes and threads.
uint32_t NextId();

// Creates a process, tells the notify routines, and lists it. `id` 0: the next. IRQL = PASSIVE_LEVEL.
Ref<_EPROCESS> CreateProcess(const std::u16string& name, uint32_t parentId, uint32_t id = 0);
// Tells the notify routines and unlists it.
void ExitProcess(PEPROCESS process);
std::vector<Ref<_EPROCESS>> Processes();
// Whether images are linked for integrity checks, which PsSetCreateProcessNotifyRoutineEx wants of its caller's.
extern bool imagesAreChecked;

// The first two processes: System (4), and the one that the machine itself runs in.
void BootProcesses();
void ShutDownProcesses();
PEPROCESS SystemProcess();

}  // namespace drivermon::sim
