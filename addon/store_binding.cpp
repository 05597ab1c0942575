// store_binding.cpp: what native code does for the store and its capture files, as JavaScript functions. The parts are
// looked up in the arrays that JavaScript passes, each when it is first needed; the arrays keep them alive until the
// call returns, and nothing of them outlives it.
#include "store_binding.h"

#include "ingest.h"
#include "loops_binding.h"
#include "packets.h"

namespace drivermon {
namespace {

using store::Words;

// Empty if it is no such array. Plain Node-API: some ten look-ups per batch are felt.
template <typename Element>
std::span<Element> ArrayOf(napi_env env, napi_value value, napi_typedarray_type wanted) {
    bool isTypedArray = false;
    if (napi_is_typedarray(env, value, &isTypedArray) != napi_ok || !isTypedArray) return {};
    napi_typedarray_type type;
    size_t length;
    void* data;
    if (napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr) != napi_ok) return {};
    return type == wanted ? std::span<Element>(static_cast<Element*>(data), length) : std::span<Element>();
}

Words WordsOf(napi_env env, napi_value value) {
    return ArrayOf<uint32_t>(env, value, napi_uint32_array);
}

// Doubles as what they stand for.
template <typename Each>
std::span<Each> DoublesOf(napi_env env, napi_value value) {
    const std::span<double> doubles = ArrayOf<double>(env, value, napi_float64_array);
    return {reinterpret_cast<Each*>(doubles.data()), doubles.size_bytes() / sizeof(Each)};
}

class JavaScriptParts : public store::Parts {
 public:
    JavaScriptParts(napi_env env, napi_value capture, napi_value chunks)
        : env_(env), capture_(capture), chunks_(chunks) {}

    Words OfCapture(store::CapturePart part) override { return WordsOf(env_, Element(capture_, part)); }

    size_t Chunks() override {
        uint32_t count = 0;
        return chunks_ && napi_get_array_length(env_, chunks_, &count) == napi_ok ? count : 0;
    }

    Words OfChunk(size_t chunk, store::ChunkPart part) override {
        return WordsOf(env_, Element(Element(chunks_, static_cast<uint32_t>(chunk)), part));
    }

 private:
    napi_value Element(napi_value array, uint32_t index) {
        napi_value element = nullptr;
        if (!array || napi_get_element(env_, array, index, &element) != napi_ok) return nullptr;
        return element;
    }

    napi_env env_;
    napi_value capture_;
    napi_value chunks_;
};

// ingest(records, at, captureParts, chunkParts)
Napi::Value Ingest(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (!info[0].IsTypedArray() || !info[1].IsNumber() || !info[2].IsArray() || !info[3].IsArray()) {
        throw Napi::TypeError::New(env, "ingest takes a Uint32Array, a number and two arrays of Uint32Arrays");
    }
    JavaScriptParts parts(env, info[2], info[3]);
    const size_t next = store::Ingest(WordsOf(env, info[0]), info[1].As<Napi::Number>().Uint32Value(), parts);
    return Napi::Number::New(env, static_cast<double>(next));
}

// writePackets(records, at, out, state, interfaces, received)
Napi::Value WritePacketsOf(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const Words records = WordsOf(env, info[0]);
    const Words out = WordsOf(env, info[2]);
    const std::span<PacketState> state = DoublesOf<PacketState>(env, info[3]);
    const Words interfaces = WordsOf(env, info[4]);
    const std::span<double> received = DoublesOf<double>(env, info[5]);
    if (!info[1].IsNumber() || state.size() != 1) {
        throw Napi::TypeError::New(env,
                                   "writePackets takes a Uint32Array, a number, a Uint32Array, a Float64Array, a "
                                   "Uint32Array and a Float64Array");
    }
    const size_t next =
        WritePackets(records, info[1].As<Napi::Number>().Uint32Value(), out, state[0], interfaces, received);
    return Napi::Number::New(env, static_cast<double>(next));
}

}  // namespace

Napi::Object DefineStore(Napi::Env env) {
    Napi::Object store = Napi::Object::New(env);
    store.Set("ingest", Napi::Function::New<Ingest>(env, "ingest"));
    store.Set("loops", DefineLoops(env));
    store.Set("writePackets", Napi::Function::New<WritePacketsOf>(env, "writePackets"));
    return store;
}

}  // namespace drivermon
