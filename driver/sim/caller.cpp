#include "caller.h"

#include "verifier.h"

namespace drivermon::sim {

Caller::Caller(PEPROCESS process, uint32_t threadId, uint32_t processor, std::u16string driver, ScriptFunction script,
               uint32_t weight, uint64_t seed)
    : thread_(CreateThread(process, processor, threadId)),
      processor_(processor),
      driver_(std::move(driver)),
      function_(script),
      weight_(weight),
      random_(seed) {}

void Caller::Begin(uint64_t quota) {
    left_ = quota;
    script_ = std::make_unique<Script>(function_(*this));
    ActAs self(thread_.get());
    script_->Resume();
}

bool Caller::GoOn() {
    ActAs self(thread_.get());
    while (!script_->Ended() && script_->CanGoOn()) script_->Resume();
    return !script_->Ended() && left_ >= script_->WantsSlots();
}

void Caller::UseSlot() {
    ActAs self(thread_.get());
    script_->Resume();
}

void Caller::End() {
    if (!script_) return;
    ActAs self(thread_.get());
    script_.reset();
}

Device::Device(Caller& caller, const std::u16string& path, const OpenOptions& options) : caller_(&caller) {
    NTSTATUS status;
    handle_ = OpenFile(path, options, &status);
    if (!handle_) Violation("traffic", "a caller could not open its device: %08x", static_cast<unsigned>(status));
    // CLEANUP and CLOSE are spent now, and counted as sent when they are.
    caller.Commit(3);
    caller.CountSent(1);
}

Device::~Device() {
    if (!handle_) return;
    handle_.reset();
    caller_->CountSent(2);
}

}  // namespace drivermon::sim
