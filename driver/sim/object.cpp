#include "object.h"

#include <map>
#include <mutex>

#include "processor.h"
#include "verifier.h"

namespace drivermon::sim {

_OBJECT_TYPE driverType{"Driver"}, deviceType{"Device"}, fileType{"File"}, processType{"Process"}, threadType{"Thread"},
    symbolicLinkType{"SymbolicLink"};
std::atomic<long> ObjectHeader::live[2];

namespace {

struct Named {
    std::u16string spelling;
    void* body;
};
std::mutex lock;
std::map<std::u16string, Named> names;  // by folded name

std::u16string Fold(std::u16string name) {
    for (char16_t& c : name) {
        if (c >= u'A' && c <= u'Z') c = static_cast<char16_t>(c + (u'a' - u'A'));
    }
    return name;
}

}  // namespace

ObjectHeader* HeaderOf(void* body) {
    static_assert(alignof(ObjectHeader) == 16 && sizeof(ObjectHeader) % 16 == 0, "bodies follow their header directly");
    return reinterpret_cast<ObjectHeader*>(static_cast<char*>(body) - sizeof(ObjectHeader));
}

NTSTATUS InsertName(const std::u16string& name, void* body) {
    std::lock_guard guard(lock);
    return names.try_emplace(Fold(name), Named{name, body}).second ? STATUS_SUCCESS : STATUS_OBJECT_NAME_COLLISION;
}

void* RemoveName(const std::u16string& name) {
    std::lock_guard guard(lock);
    auto found = names.find(Fold(name));
    if (found == names.end()) return nullptr;
    void* body = found->second.body;
    names.erase(found);
    return body;
}

void* ReferenceByName(const std::u16string& name, _OBJECT_TYPE* type, NTSTATUS* status) {
    std::lock_guard guard(lock);
    auto found = names.find(Fold(name));
    *status = STATUS_OBJECT_NAME_NOT_FOUND;
    if (found == names.end()) return nullptr;
    *status = STATUS_OBJECT_TYPE_MISMATCH;
    if (HeaderOf(found->second.body)->type != type) return nullptr;
    *status = STATUS_SUCCESS;
    ObfReferenceObject(found->second.body);
    return found->second.body;
}

std::vector<std::pair<std::u16string, void*>> NamesOfType(_OBJECT_TYPE* type) {
    std::lock_guard guard(lock);
    std::vector<std::pair<std::u16string, void*>> result;
    for (const auto& [folded, named] : names) {
        if (HeaderOf(named.body)->type == type) result.emplace_back(named.spelling, named.body);
    }
    return result;
}

std::u16string ToString(PCUNICODE_STRING string) {
    return {string->Buffer, string->Length / sizeof(char16_t)};
}

}  // namespace drivermon::sim

using namespace drivermon::sim;

static POBJECT_TYPE driverTypePointer = &driverType, fileTypePointer = &fileType;
POBJECT_TYPE* IoDriverObjectType = &driverTypePointer;
POBJECT_TYPE* IoFileObjectType = &fileTypePointer;

NTSTATUS ObReferenceObjectByName(PUNICODE_STRING name, ULONG, PACCESS_STATE, ACCESS_MASK, POBJECT_TYPE type,
                                 KPROCESSOR_MODE, PVOID, PVOID* object) {
    RequireIrql(PASSIVE_LEVEL, "ObReferenceObjectByName");
    NTSTATUS status;
    *object = ReferenceByName(ToString(name), type, &status);
    return status;
}

LONG_PTR ObfReferenceObject(PVOID body) {
    const LONG_PTR before = HeaderOf(body)->references.fetch_add(1, std::memory_order_relaxed);
    if (before <= 0)
        Violation("object is gone", "referenced an object of type %s at %ld", HeaderOf(body)->type->name,
                  static_cast<long>(before));
    return before + 1;
}

LONG_PTR ObfDereferenceObject(PVOID body) {
    ObjectHeader* header = HeaderOf(body);
    const LONG_PTR after = header->references.fetch_sub(1, std::memory_order_acq_rel) - 1;
    if (after < 0) Violation("object is gone", "dereferenced once too often: an object of type %s", header->type->name);
    if (after == 0) header->LastReferenceGone();
    return after;
}
