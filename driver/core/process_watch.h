// process_watch.h: processes as they come and go: their names go into the stream, which outlives them, and the client's
// descendants are told from others (see own_processes.h).
//
// The kernel's notifications come from load to unload. One that gives names wants an image that was linked for integrity
// checks; where it refuses, the older one still tells who is whose child. Wine accepts and never notifies.
#pragma once

#include "capture.h"

namespace drivermon {

class ProcessWatch {
 public:
    // PASSIVE_LEVEL. Once everything else stands.
    void Begin(Capture* capture);
    // PASSIVE_LEVEL, no lock held: waits for notifications that are on their way. Idempotent.
    void End();

 private:
    enum class Notified { kNot, kWithNames, kWithoutNames };

    Notified notified_ = Notified::kNot;
};

}  // namespace drivermon
