// loops_binding.cpp: the loops of scan.h and sort.h as JavaScript functions. Whatever is passed, nothing outside of it is touched.
#include "loops_binding.h"

#include <memory>

#include "scan.h"
#include "sort.h"

namespace drivermon {
namespace {

constexpr size_t kWordRows = 32;

// A typed array, as long as the call lasts. Plain Node-API: a filter asks a thousand times.
struct Column {
    napi_typedarray_type type = napi_int8_array;
    size_t length = 0;
    void* data = nullptr;

    template <typename Element>
    Element* At(size_t index) const {
        return static_cast<Element*>(data) + index;
    }
};

Column ColumnOf(napi_env env, napi_value value) {
    bool isTypedArray = false;
    Column column;
    if (napi_is_typedarray(env, value, &isTypedArray) != napi_ok || !isTypedArray) return {};
    if (napi_get_typedarray_info(env, value, &column.type, &column.length, &column.data, nullptr, nullptr) != napi_ok) {
        return {};
    }
    return column;
}

// (column, first, count, answers or ranges, bits, combine), checked.
struct Arguments {
    Column column;
    uint32_t first = 0;
    uint32_t count = 0;
    Column wanted;
    Column bits;
    uint32_t combine = 0;

    Arguments(napi_env env, napi_callback_info info) {
        size_t argc = 6;
        napi_value argv[6];
        if (napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr) != napi_ok) return;
        column = ColumnOf(env, argv[0]);
        wanted = ColumnOf(env, argv[3]);
        bits = ColumnOf(env, argv[4]);
        valid = napi_get_value_uint32(env, argv[1], &first) == napi_ok &&
                napi_get_value_uint32(env, argv[2], &count) == napi_ok &&
                napi_get_value_uint32(env, argv[5], &combine) == napi_ok && combine <= 2 && first % kWordRows == 0 &&
                first <= column.length && count <= column.length - first && bits.type == napi_uint32_array &&
                bits.length >= (size_t{first} + count + kWordRows - 1) / kWordRows;
    }

    bool valid = false;
    uint32_t* Bits() const { return bits.At<uint32_t>(first / kWordRows); }
    Combine How() const { return static_cast<Combine>(combine); }
};

napi_value Refuse(napi_env env) {
    napi_throw_type_error(env, nullptr, "a scan takes a column, its rows, what to look for, bits for them, and 0 to 2");
    return nullptr;
}

napi_value Codes(napi_env env, napi_callback_info info) {
    const Arguments arguments(env, info);
    const Column& answers = arguments.wanted;
    if (!arguments.valid || arguments.column.type != napi_uint16_array || answers.type != napi_uint8_array) {
        return Refuse(env);
    }
    BestScan().codes(arguments.column.At<uint16_t>(arguments.first), arguments.count, answers.At<uint8_t>(0),
                     answers.length, arguments.Bits(), arguments.How());
    return nullptr;
}

napi_value Ranges(napi_env env, napi_callback_info info) {
    const Arguments arguments(env, info);
    const Column& ranges = arguments.wanted;
    if (!arguments.valid || ranges.type != napi_uint32_array || ranges.length % 2 != 0) return Refuse(env);
    const uint32_t* pairs = ranges.At<uint32_t>(0);
    const size_t count = ranges.length / 2;
    if (arguments.column.type == napi_uint16_array) {
        BestScan().ranges16(arguments.column.At<uint16_t>(arguments.first), arguments.count, pairs, count,
                            arguments.Bits(), arguments.How());
    } else if (arguments.column.type == napi_uint32_array) {
        BestScan().ranges32(arguments.column.At<uint32_t>(arguments.first), arguments.count, pairs, count,
                            arguments.Bits(), arguments.How());
    } else {
        return Refuse(env);
    }
    return nullptr;
}

napi_value Sort(napi_env env, napi_callback_info info) {
    size_t argc = 2;
    napi_value argv[2];
    if (napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr) != napi_ok) return nullptr;
    const Column keys = ColumnOf(env, argv[0]);
    const Column rows = ColumnOf(env, argv[1]);
    if (keys.type != napi_uint32_array || rows.type != napi_uint16_array || keys.length != rows.length ||
        keys.length > kMostSorted) {
        napi_throw_type_error(env, nullptr, "sort takes a Uint32Array and a Uint16Array of one length, 32768 at most");
        return nullptr;
    }
    // As large as it may get: no call but the first allocates.
    thread_local const auto space = std::make_unique<SortSpace>();
    SortByKey(keys.At<uint32_t>(0), rows.At<uint16_t>(0), keys.length, *space);
    return nullptr;
}

napi_value FunctionOf(napi_env env, const char* name, napi_callback callback) {
    napi_value function = nullptr;
    napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function);
    return function;
}

}  // namespace

Napi::Object DefineLoops(Napi::Env env) {
    Napi::Object loops = Napi::Object::New(env);
    loops.Set("codes", FunctionOf(env, "codes", Codes));
    loops.Set("ranges", FunctionOf(env, "ranges", Ranges));
    loops.Set("sort", FunctionOf(env, "sort", Sort));
    return loops;
}

}  // namespace drivermon
