#include "verifier.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <mutex>

namespace drivermon::sim {
namespace {

std::mutex lock;
int expecting = 0;
std::vector<std::string> rules;

}  // namespace

void Violation(const char* rule, const char* format, ...) {
    {
        std::lock_guard guard(lock);
        if (expecting) {
            rules.emplace_back(rule);
            return;
        }
    }
    std::fprintf(stderr, "\n*** simulated kernel: %s: ", rule);
    va_list arguments;
    va_start(arguments, format);
    std::vfprintf(stderr, format, arguments);
    va_end(arguments);
    std::fputc('\n', stderr);
    std::fflush(stderr);
    std::abort();
}

ExpectViolations::ExpectViolations() {
    std::lock_guard guard(lock);
    if (expecting++ == 0) rules.clear();
}

ExpectViolations::~ExpectViolations() {
    std::lock_guard guard(lock);
    expecting--;
}

std::vector<std::string> ExpectViolations::Rules() const {
    std::lock_guard guard(lock);
    return rules;
}

bool ExpectViolations::Saw(const std::string& rule) const {
    std::lock_guard guard(lock);
    return std::find(rules.begin(), rules.end(), rule) != rules.end();
}

}  // namespace drivermon::sim
