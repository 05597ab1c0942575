// script.h: what a simulated caller does, as a coroutine that a worker resumes.
//
// A script stops at two kinds of points: where it wants to send its next request (it then waits for a slot), and where
// it needs a request to be finished.
#pragma once

#include <coroutine>
#include <exception>
#include <memory>
#include <utility>

#include "machine.h"

namespace drivermon::sim {

class Script {
 public:
    struct promise_type {
        // One of the two while the script stops; neither once it has ended.
        uint32_t wantsSlots = 0;  // requests that it is about to commit itself to
        UserHandle::Pending* waitsFor = nullptr;

        Script get_return_object() { return Script(std::coroutine_handle<promise_type>::from_promise(*this)); }
        std::suspend_always initial_suspend() { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { std::terminate(); }
    };

    explicit Script(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
    Script(Script&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Script& operator=(Script&&) = delete;
    ~Script() {
        if (handle_) handle_.destroy();
    }

    void Resume() {
        handle_.promise().wantsSlots = 0;
        handle_.promise().waitsFor = nullptr;
        handle_.resume();
    }
    bool Ended() const { return handle_.done(); }
    uint32_t WantsSlots() const { return handle_.promise().wantsSlots; }
    // It waits for a request, and that has finished.
    bool CanGoOn() const {
        UserHandle::Pending* request = handle_.promise().waitsFor;
        return request && request->Wait(0);
    }

 private:
    std::coroutine_handle<promise_type> handle_;
};

// co_await Slot{}: until the schedule lets the next request go.
struct Slot {
    uint32_t requests = 1;
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<Script::promise_type> script) const {
        script.promise().wantsSlots = requests;
    }
    void await_resume() const {}
};

// co_await Finished(request). Not an aggregate: g++ 12 destroys one twice when it is initialized by a co_await.
class Finished {
 public:
    explicit Finished(std::unique_ptr<UserHandle::Pending> request) : request_(std::move(request)) {}
    bool await_ready() const { return request_->Wait(0); }
    void await_suspend(std::coroutine_handle<Script::promise_type> script) const {
        script.promise().waitsFor = request_.get();
    }
    Status await_resume() const { return request_->Result(nullptr); }

 private:
    std::unique_ptr<UserHandle::Pending> request_;
};

}  // namespace drivermon::sim
