// scripts.h: the programs there are, and what each of their threads does.
#pragma once

#include <cstdint>
#include <span>

#include "caller.h"

namespace drivermon::sim {

struct Program {
    const char16_t* name;
    uint32_t processId;
    uint32_t parentProcessId;
};

struct Role {
    uint32_t processId;
    uint32_t threadId;
    const char16_t* driver;
    Caller::ScriptFunction script;
    uint32_t weight;  // share of the requests
};

std::span<const Program> Programs();
// The most telling first: a short run takes the first few.
std::span<const Role> Roles();

}  // namespace drivermon::sim
