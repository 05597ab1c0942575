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
    // Since Windows 10; the headers of mingw-w64 do not know it yet.
    using SetDescription = HRESULT(WINAPI*)(HANDLE, const wchar_t*);
    const FARPROC routine = GetProcAddress(GetModuleHandleW(L"kernel32.dll"), "SetThreadDescription");
    if (routine != nullptr)
        reinterpret_cast<SetDescription>(reinterpret_cast<void*>(routine))(GetCurrentThread(), wide);
#elif defined(__APPLE__)
    pthread_setname_np(name);
#elif defined(__linux__)
    pthread_setname_np(pthread_self(), name);
#endif
}

}  // namespace drivermon
