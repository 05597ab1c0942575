// verifier.h: what happens when a driver breaks a rule of NT.
//
// A violation ends the program with the rule's name and what was seen, as a bugcheck would. A test that provokes
// one on purpose puts an ExpectViolations in scope and reads what was collected; the machine then goes on as well
// as it can.
#pragma once

#include <string>
#include <vector>

namespace drivermon::sim {

// `rule` is short and stable ("completed twice"), the rest is for people.
[[gnu::format(printf, 2, 3)]] void Violation(const char* rule, const char* format, ...);

class ExpectViolations {
 public:
    ExpectViolations();
    ~ExpectViolations();
    ExpectViolations(const ExpectViolations&) = delete;
    ExpectViolations& operator=(const ExpectViolations&) = delete;

    std::vector<std::string> Rules() const;  // in the order they were broken
    bool Saw(const std::string& rule) const;
};

}  // namespace drivermon::sim
