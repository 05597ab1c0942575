// loops_binding.h: binding.ts' `loops`.
#pragma once

#include <napi.h>

namespace drivermon {

Napi::Object DefineLoops(Napi::Env env);

}  // namespace drivermon
