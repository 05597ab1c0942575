// store_binding.h: binding.ts' `store`.
#pragma once

#include <napi.h>

namespace drivermon {

Napi::Object DefineStore(Napi::Env env);

}  // namespace drivermon
