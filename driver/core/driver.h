// driver.h: DriverMon as a driver: its device, its one session, its life.
//
// What sys/driver_entry.cpp and the simulator call. Everything dynamic hangs off one Driver object, made by DriverLoad
// and destroyed by DriverUnload. With the first hook our unload routine is taken away: a driver cannot know that no
// thread is still inside its last instructions, so we stay, unhooked and passive, until the machine restarts.
#pragma once

#include "nt.h"

namespace drivermon {

// PASSIVE_LEVEL. Creates the device and its link, sets the dispatch and unload routines of `self`. The registry path is
// not kept: this driver has no settings that outlive a session.
NTSTATUS DriverLoad(DRIVER_OBJECT* self, UNICODE_STRING* registryPath);

// PASSIVE_LEVEL. The unload routine that DriverLoad sets. The kernel calls it only if no driver was ever hooked; the
// simulator may call it after that, once nothing is in flight.
void NTAPI DriverUnload(DRIVER_OBJECT* self);

}  // namespace drivermon
