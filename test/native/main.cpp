// main.cpp: the test runner.
//
// doctest tells of a signal in its handler, with allocations and locks: ThreadSanitizer reports that as an error of the
// test's when somebody only ends the run. There the sanitizer's own handler tells more anyway.
#ifdef __SANITIZE_THREAD__
#define DOCTEST_CONFIG_NO_POSIX_SIGNALS
#endif
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
