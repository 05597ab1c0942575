// handover_addon.cpp: three ways to bring records from a native thread to JavaScript, for the bench alone.
//
//   slots      the product's own pump, on a source that has its batches ready
//   external   each batch as an ArrayBuffer over native memory, one call per batch
//   copied     each batch copied into an ArrayBuffer of JavaScript's, one call per batch
//   calls      one call per record, with ten numbers
//
// Each sends the same batches `times` over, and then calls once more with nothing.
#include <napi.h>

#include <cstring>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "../../addon/pump.h"
#include "protocol/record.h"

namespace drivermon::bench {
namespace {

using Batches = std::vector<std::vector<std::byte>>;

Batches CopyBatches(const Napi::Array& array) {
    Batches batches;
    for (uint32_t i = 0; i < array.Length(); i++) {
        const auto bytes = array.Get(i).As<Napi::Uint8Array>();
        const auto* data = reinterpret_cast<const std::byte*>(bytes.Data());
        batches.emplace_back(data, data + bytes.ByteLength());
    }
    return batches;
}

// ---- Slots -----------------------------------------------------------------------------------------------------

class PrefilledSource final : public Source {
 public:
    PrefilledSource(Batches batches, uint32_t times) : batches_(std::move(batches)), times_(times) {}

    std::unique_ptr<Receiver> OpenReceiver() override { return std::make_unique<PrefilledReceiver>(*this); }
    size_t Control(uint32_t, std::span<const std::byte>, std::span<std::byte>) override { return 0; }
    std::vector<DriverListing> Drivers() override { return {}; }
    std::vector<ProcessListing> Processes() override { return {}; }

 private:
    class PrefilledReceiver final : public Receiver {
     public:
        explicit PrefilledReceiver(const PrefilledSource& source) : source_(source) {}
        Received Receive(std::span<std::byte> buffer) override {
            const size_t count = source_.batches_.size();
            if (next_ == count * source_.times_) return {Receipt::kEnd, 0};
            const auto& batch = source_.batches_[next_++ % count];
            std::memcpy(buffer.data(), batch.data(), batch.size());
            return {Receipt::kData, batch.size()};
        }
        void Cancel() override {}

     private:
        const PrefilledSource& source_;
        size_t next_ = 0;
    };

    const Batches batches_;
    const uint32_t times_;
};

struct Pumping {
    Pumping(Batches batches, uint32_t times) : source(std::move(batches), times) {}
    PrefilledSource source;
    Napi::Reference<Napi::Uint8Array> memory;
    Napi::ThreadSafeFunction bell;
    std::optional<Pump> pump;
};

std::unique_ptr<Pumping> pumping;

// slots(batches, times, memory, slotCount, slotBytes, bell)
void StartSlots(const Napi::CallbackInfo& info) {
    pumping = std::make_unique<Pumping>(CopyBatches(info[0].As<Napi::Array>()), info[1].ToNumber().Uint32Value());
    auto memory = info[2].As<Napi::Uint8Array>();
    pumping->memory = Napi::Persistent(memory);
    pumping->bell = Napi::ThreadSafeFunction::New(info.Env(), info[5].As<Napi::Function>(), "bench-slots", 1, 1);
    std::span bytes(reinterpret_cast<std::byte*>(memory.Data()), memory.ByteLength());
    SlotRing ring(bytes, info[3].ToNumber().Uint32Value(), info[4].ToNumber().Uint32Value());
    pumping->pump.emplace(pumping->source, ring, [] {
        pumping->bell.NonBlockingCall();  // full queue of one: it is rung already
    });
}
void Released(const Napi::CallbackInfo&) {
    pumping->pump->Released();
}
Napi::Value SlotsEnded(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), pumping->pump->Ended());
}
void EndSlots(const Napi::CallbackInfo&) {
    pumping->pump->Stop();
    pumping->bell.Release();
    pumping.reset();
}

// ---- External buffers and calls: a thread that waits when JavaScript is behind ----------------------------------

template <typename Send>
void RunThread(const Napi::CallbackInfo& info, size_t queue, Send send) {
    auto batches = CopyBatches(info[0].As<Napi::Array>());
    const uint32_t times = info[1].ToNumber().Uint32Value();
    auto call = Napi::ThreadSafeFunction::New(info.Env(), info[2].As<Napi::Function>(), "bench-handover", queue, 1);
    std::thread([call, times, batches = std::move(batches), send]() mutable {
        for (uint32_t i = 0; i < times; i++) {
            for (const auto& batch : batches) send(call, batch);
        }
        call.BlockingCall([](Napi::Env, Napi::Function function) { function.Call(std::initializer_list<napi_value>{}); });
        call.Release();
    }).detach();
}

void StartExternal(const Napi::CallbackInfo& info) {
    RunThread(info, 64, [](Napi::ThreadSafeFunction& call, const std::vector<std::byte>& batch) {
        auto* copy = new std::vector<std::byte>(batch);  // what the driver's bytes would be read into
        call.BlockingCall(copy, [](Napi::Env env, Napi::Function function, std::vector<std::byte>* bytes) {
            function.Call({Napi::ArrayBuffer::New(
                env, bytes->data(), bytes->size(),
                [](Napi::Env, void*, std::vector<std::byte>* owner) { delete owner; }, bytes)});
        });
    });
}

void StartCopied(const Napi::CallbackInfo& info) {
    RunThread(info, 64, [](Napi::ThreadSafeFunction& call, const std::vector<std::byte>& batch) {
        auto* copy = new std::vector<std::byte>(batch);
        call.BlockingCall(copy, [](Napi::Env env, Napi::Function function, std::vector<std::byte>* bytes) {
            auto buffer = Napi::ArrayBuffer::New(env, bytes->size());
            std::memcpy(buffer.Data(), bytes->data(), bytes->size());
            delete bytes;
            function.Call({buffer});
        });
    });
}

// Room for either; the larger one's size, as it is sent.
union AnyRecord {
    RequestStart start;
    RequestEnd end;
};

void CallWith(Napi::Env env, Napi::Function function, AnyRecord* record) {
    const RecordHeader& header = record->start.header;
    const auto number = [&](double value) -> napi_value { return Napi::Number::New(env, value); };
    const auto call = [&](const auto& request, double first, double second) {
        function.Call({number(header.type), number(header.processor), number(header.sequence),
                       number(static_cast<double>(header.timestamp)), number(static_cast<double>(request.requestId)),
                       number(request.processId), number(request.threadId), number(request.major), number(first),
                       number(second)});
    };
    if (header.type == kRecordRequestStart) {
        call(record->start, record->start.code, record->start.inputLength);
    } else {
        call(record->end, static_cast<uint32_t>(record->end.status), static_cast<double>(record->end.information));
    }
    delete record;
}

void StartCalls(const Napi::CallbackInfo& info) {
    RunThread(info, 8192, [](Napi::ThreadSafeFunction& call, const std::vector<std::byte>& batch) {
        for (size_t at = 0; at < batch.size();) {
            RecordHeader header;
            std::memcpy(&header, &batch[at], sizeof(header));
            auto* record = new AnyRecord;
            std::memcpy(record, &batch[at], header.size < sizeof(AnyRecord) ? header.size : sizeof(AnyRecord));
            call.BlockingCall(record, CallWith);
            at += header.size;
        }
    });
}

Napi::Object Initialize(Napi::Env env, Napi::Object exports) {
    exports.Set("slots", Napi::Function::New(env, StartSlots));
    exports.Set("released", Napi::Function::New(env, Released));
    exports.Set("ended", Napi::Function::New(env, SlotsEnded));
    exports.Set("endSlots", Napi::Function::New(env, EndSlots));
    exports.Set("external", Napi::Function::New(env, StartExternal));
    exports.Set("copied", Napi::Function::New(env, StartCopied));
    exports.Set("calls", Napi::Function::New(env, StartCalls));
    return exports;
}

}  // namespace
}  // namespace drivermon::bench

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
    return drivermon::bench::Initialize(env, exports);
}
NODE_API_MODULE(NODE_GYP_MODULE_NAME, Init)
