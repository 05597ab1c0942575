// object.h: counted kernel objects and the names by which they are found.
//
// An object's body is the structure drivers know (DRIVER_OBJECT, FILE_OBJECT, …); a header in front of it holds the
// count. The namespace is flat: a map from full names to objects, which is all that drivers can tell.
#pragma once

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "nt.h"

// Object types are compared by address.
struct _OBJECT_TYPE {
    const char* name;
};

namespace drivermon::sim {

extern _OBJECT_TYPE driverType, deviceType, fileType, processType, threadType, symbolicLinkType;

struct alignas(16) ObjectHeader {
    explicit ObjectHeader(_OBJECT_TYPE* objectType) : type(objectType) { live[objectType == &fileType]++; }
    virtual ~ObjectHeader() { live[type == &fileType]--; }
    // The last reference has gone. May run at any IRQL up to DISPATCH_LEVEL. Deletes the object, now or later.
    virtual void LastReferenceGone() { delete this; }

    std::atomic<LONG_PTR> references{1};
    _OBJECT_TYPE* const type;

    static std::atomic<long> live[2];  // objects that exist: [1] files, [0] all others
};

// T's body, behind a header. Pointers to bodies are what the kernel hands out.
template <typename T>
struct Object : ObjectHeader {
    explicit Object(_OBJECT_TYPE* objectType) : ObjectHeader(objectType) {}
    alignas(16) T body{};  // not in the tail padding of the header
};

// The body of every object lies at the same distance from its header.
ObjectHeader* HeaderOf(void* body);

// A counted pointer to a body.
template <typename T>
class Ref {
 public:
    Ref() = default;
    // Takes over a reference that the caller has.
    static Ref Adopt(T* body) {
        Ref ref;
        ref.body_ = body;
        return ref;
    }
    static Ref Share(T* body) {
        if (body) ObfReferenceObject(body);
        return Adopt(body);
    }
    Ref(Ref&& other) noexcept : body_(std::exchange(other.body_, nullptr)) {}
    Ref& operator=(Ref&& other) noexcept {
        std::swap(body_, other.body_);
        return *this;
    }
    ~Ref() {
        if (body_) ObfDereferenceObject(body_);
    }
    T* get() const { return body_; }
    T* operator->() const { return body_; }
    explicit operator bool() const { return body_ != nullptr; }
    T* release() { return std::exchange(body_, nullptr); }

 private:
    T* body_ = nullptr;
};

// The namespace. Names compare case-insensitively, as with OBJ_CASE_INSENSITIVE. IRQL = PASSIVE_LEVEL.
NTSTATUS InsertName(const std::u16string& name, void* body);  // STATUS_OBJECT_NAME_COLLISION; adds no reference
void* RemoveName(const std::u16string& name);                 // the body, or NULL
void* ReferenceByName(const std::u16string& name, _OBJECT_TYPE* type, NTSTATUS* status);
std::vector<std::pair<std::u16string, void*>> NamesOfType(_OBJECT_TYPE* type);  // unreferenced

std::u16string ToString(PCUNICODE_STRING string);

}  // namespace drivermon::sim
