// registry.h: the values that drivers find under their service's key.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace drivermon::sim {

struct RegistryValue {
    uint32_t type;  // REG_DWORD, …
    std::vector<uint8_t> data;
};

// Under …\Services\service; it lasts until it is removed, over boots as on disk. The second is a REG_DWORD.
void SetServiceValue(const std::u16string& service, const std::u16string& name, RegistryValue value);
void SetServiceValue(const std::u16string& service, const std::u16string& name, uint32_t value);
void RemoveServiceValue(const std::u16string& service, const std::u16string& name);

}  // namespace drivermon::sim
