// delay_load_hook.cpp: finds "node.exe" under whatever name it runs.
//
// The addon imports Node-API from node.exe. A single-executable build is called drivermon.exe, and a plain import would
// look for a second program. So that import is delayed, and answered with the program that is running.
#include <windows.h>
// After windows.h, whose types it uses.
#include <delayimp.h>

#include <cstring>

namespace {

FARPROC WINAPI AnswerNode(unsigned event, DelayLoadInfo* info) {
    if (event != dliNotePreLoadLibrary || _stricmp(info->szDll, "node.exe") != 0) return nullptr;
    return reinterpret_cast<FARPROC>(GetModuleHandleW(nullptr));
}

}  // namespace

// Declared in delayimp.h; constant there with MSVC, not with mingw-w64.
decltype(__pfnDliNotifyHook2) __pfnDliNotifyHook2 = AnswerNode;
