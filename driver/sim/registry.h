// registry.h: the values that drivers find under their service's key.
#pragma once

#include <cstdint>
#include <string>

namespace drivermon::sim {

// A REG_DWORD under …\Services\service; it lasts until it is removed, over boots as on disk.
void SetServiceValue(const std::u16string& service, const std::u16string& name, uint32_t value);
void RemoveServiceValue(const std::u16string& service, const std::u16string& name);

}  // namespace drivermon::sim
