// sessions.h: captures one after the other with one client, each with a point of its own: what is recorded, what is in
// flight, what happens to requests when a capture or a hook ends before they do.
#pragma once

#include "truth.h"

namespace drivermon::caller {

// Leaves NAME.truth.jsonl and NAME.records in the folder for each. Throws std::runtime_error.
void RunSessions(const std::string& folder, uint32_t processId, Handle::Opener open);

// The same driver, as somebody finds it after another client has died: the truth and the records of a capture.
void LookAround(const std::string& folder, uint32_t processId, Handle::Opener open);

}  // namespace drivermon::caller
