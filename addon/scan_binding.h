// scan_binding.h: binding.ts' `scan`.
#pragma once

#include <napi.h>

namespace drivermon {

Napi::Object DefineScan(Napi::Env env);

}  // namespace drivermon
