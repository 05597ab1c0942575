// thread_name.h: gives the current thread a name, so that a debugger, a profiler and `top -H` can tell it.
#pragma once

#if defined(_WIN32)
#include <windows.h>
#elif defined(__APPLE__) || defined(__linux__)
#include <pthread.h>
#endif

namespace drivermon {

inline void NameThisThread(const char* name) {  // at most 15 characters (Linux)
#if defined(_WIN32)
    wchar_t wide[16] = {};
    for (int i = 0; i < 15 && name[i] != '\0'; i++) wide[i] = static_cast<wchar_t>(name[i]);
    SetThreadDescription(GetCurrentThread(), wide);
#elif defined(__APPLE__)
    pthread_setname_np(name);
#elif defined(__linux__)
    pthread_setname_np(pthread_self(), name);
#endif
}

}  // namespace drivermon
