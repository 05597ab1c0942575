// loops_binding.cpp: the loops of scan.h and sort.h as JavaScript functions. Whatever is passed, nothing outside of it
// is touched.
#include "loops_binding.h"

#include <memory>

#include "scan.h"
#include "sort.h"

namespace drivermon {
namespace {

constexpr size_t kWordRows = 32;
// Words whose bits a 16-bit count can hold.
constexpr size_t kMostCounted = UINT16_MAX / kWordRows;

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

// What is looked for in a column: answers of its codes, or ranges of its values. False for anything else.
bool MakeScan(const Column& cells, const Column& wanted, size_t first, Scan& scan) {
    const bool isHalf = cells.type == napi_uint16_array;
    if (!isHalf && cells.type != napi_uint32_array) return false;
    scan.cells = isHalf ? static_cast<const void*>(cells.At<uint16_t>(first)) : cells.At<uint32_t>(first);
    scan.wanted = wanted.data;
    if (wanted.type == napi_uint8_array && isHalf) {
        scan.kind = Scan::Kind::Codes;
        scan.count = wanted.length;
        return true;
    }
    scan.kind = isHalf ? Scan::Kind::Ranges16 : Scan::Kind::Ranges32;
    scan.count = wanted.length / 2;
    return wanted.type == napi_uint32_array && wanted.length % 2 == 0;
}

Column ElementOf(napi_env env, napi_value array, uint32_t index) {
    napi_value element = nullptr;
    return napi_get_element(env, array, index, &element) == napi_ok ? ColumnOf(env, element) : Column{};
}

// (columns, wanted, first, count, bits, combine). False if anything does not fit.
bool ScanAll(napi_env env, napi_callback_info info) {
    size_t argc = 6;
    napi_value argv[6];
    if (napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr) != napi_ok) return false;
    uint32_t scanCount = 0;
    uint32_t wantedCount = 0;
    uint32_t first = 0;
    uint32_t count = 0;
    uint32_t combine = 0;
    const Column bits = ColumnOf(env, argv[4]);
    const bool valid =
        napi_get_array_length(env, argv[0], &scanCount) == napi_ok &&
        napi_get_array_length(env, argv[1], &wantedCount) == napi_ok && scanCount == wantedCount && scanCount >= 1 &&
        scanCount <= kMostScans && napi_get_value_uint32(env, argv[2], &first) == napi_ok &&
        napi_get_value_uint32(env, argv[3], &count) == napi_ok &&
        napi_get_value_uint32(env, argv[5], &combine) == napi_ok && combine <= 2 && first % kWordRows == 0 &&
        bits.type == napi_uint32_array && bits.length >= (size_t{first} + count + kWordRows - 1) / kWordRows;
    if (!valid) return false;
    Scan scans[kMostScans];
    for (uint32_t at = 0; at < scanCount; at++) {
        const Column cells = ElementOf(env, argv[0], at);
        if (first > cells.length || count > cells.length - first) return false;
        if (!MakeScan(cells, ElementOf(env, argv[1], at), first, scans[at])) return false;
    }
    BestScan()(scans, scanCount, count, bits.At<uint32_t>(first / kWordRows), static_cast<Combine>(combine));
    return true;
}

napi_value ScanRowsOf(napi_env env, napi_callback_info info) {
    if (!ScanAll(env, info)) {
        napi_throw_type_error(env, nullptr,
                              "scan takes 1 to 8 columns, what to look for in each, rows, bits for them, and 0 to 2");
    }
    return nullptr;
}

// (bits, counts, first, end)
napi_value Count(napi_env env, napi_callback_info info) {
    size_t argc = 4;
    napi_value argv[4];
    if (napi_get_cb_info(env, info, &argc, argv, nullptr, nullptr) != napi_ok) return nullptr;
    const Column bits = ColumnOf(env, argv[0]);
    const Column counts = ColumnOf(env, argv[1]);
    uint32_t first = 0;
    uint32_t end = 0;
    const bool valid = bits.type == napi_uint32_array && counts.type == napi_uint16_array && counts.length > 0 &&
                       bits.length % counts.length == 0 && bits.length / counts.length <= kMostCounted &&
                       napi_get_value_uint32(env, argv[2], &first) == napi_ok &&
                       napi_get_value_uint32(env, argv[3], &end) == napi_ok && first <= end && end <= counts.length;
    if (!valid) {
        napi_throw_type_error(env, nullptr,
                              "count takes a Uint32Array of bits, a Uint16Array that divides it, and counts of it");
        return nullptr;
    }
    const size_t wordsEach = bits.length / counts.length;
    CountBits(bits.At<uint32_t>(first * wordsEach), wordsEach, counts.At<uint16_t>(first), end - first);
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
    loops.Set("scan", FunctionOf(env, "scan", ScanRowsOf));
    loops.Set("count", FunctionOf(env, "count", Count));
    loops.Set("sort", FunctionOf(env, "sort", Sort));
    return loops;
}

}  // namespace drivermon
