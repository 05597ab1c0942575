#include "registry.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "object.h"
#include "processor.h"
#include "verifier.h"

namespace drivermon::sim {
namespace {

const std::u16string kServices = u"\\Registry\\Machine\\System\\CurrentControlSet\\Services\\";

using Key = std::map<std::u16string, RegistryValue>;

std::mutex lock;
std::map<std::u16string, Key> keys;
std::multiset<const Key*> open;

}  // namespace

void SetServiceValue(const std::u16string& service, const std::u16string& name, RegistryValue value) {
    std::lock_guard guard(lock);
    keys[kServices + service][name] = std::move(value);
}

void SetServiceValue(const std::u16string& service, const std::u16string& name, uint32_t value) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
    SetServiceValue(service, name, RegistryValue{REG_DWORD, {bytes, bytes + sizeof(value)}});
}

void RemoveServiceValue(const std::u16string& service, const std::u16string& name) {
    std::lock_guard guard(lock);
    keys[kServices + service].erase(name);
}

}  // namespace drivermon::sim

using namespace drivermon::sim;

NTSTATUS ZwOpenKey(PHANDLE handle, ACCESS_MASK, POBJECT_ATTRIBUTES attributes) {
    RequireIrql(PASSIVE_LEVEL, "ZwOpenKey");
    if (!(attributes->Attributes & OBJ_KERNEL_HANDLE)) Violation("handle", "a driver's handle that user mode can use");
    std::lock_guard guard(lock);
    auto found = keys.find(ToString(attributes->ObjectName));
    if (found == keys.end()) return STATUS_OBJECT_NAME_NOT_FOUND;
    open.insert(&found->second);
    *handle = &found->second;
    return STATUS_SUCCESS;
}

NTSTATUS ZwQueryValueKey(HANDLE handle, PUNICODE_STRING name, KEY_VALUE_INFORMATION_CLASS, PVOID information,
                         ULONG length, PULONG needed) {
    RequireIrql(PASSIVE_LEVEL, "ZwQueryValueKey");
    std::lock_guard guard(lock);
    const auto* key = static_cast<const Key*>(handle);
    if (!open.count(key)) return STATUS_INVALID_HANDLE;
    auto value = key->find(ToString(name));
    if (value == key->end()) return STATUS_OBJECT_NAME_NOT_FOUND;
    const auto& [type, data] = value->second;
    *needed = static_cast<ULONG>(offsetof(KEY_VALUE_PARTIAL_INFORMATION, Data) + data.size());
    if (length < *needed) return STATUS_BUFFER_OVERFLOW;
    auto* partial = static_cast<PKEY_VALUE_PARTIAL_INFORMATION>(information);
    partial->TitleIndex = 0;
    partial->Type = type;
    partial->DataLength = static_cast<ULONG>(data.size());
    std::copy(data.begin(), data.end(), partial->Data);
    return STATUS_SUCCESS;
}

NTSTATUS ZwClose(HANDLE handle) {
    RequireIrql(PASSIVE_LEVEL, "ZwClose");
    std::lock_guard guard(lock);
    auto found = open.find(static_cast<const Key*>(handle));
    if (found == open.end()) return STATUS_INVALID_HANDLE;
    open.erase(found);
    return STATUS_SUCCESS;
}
