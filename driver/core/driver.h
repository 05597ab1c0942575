// driver.h: DriverMon as a driver: its device, its one session, its life.
//
// What sys/driver_entry.cpp and the simulator call. Everything dynamic hangs off one Driver object, made by DriverLoad
// and destroyed by DriverUnload. With the first hook our unload routine is taken away (see residence.h).
#pragma once

#include "nt.h"

namespace drivermon {

// PASSIVE_LEVEL. Creates the device and its link, sets the dispatch and unload routines of `self`. Under the registry
// path one setting is looked for: AllowUnload.
NTSTATUS DriverLoad(DRIVER_OBJECT* self, UNICODE_STRING* registryPath);

// PASSIVE_LEVEL. The unload routine that DriverLoad sets. The kernel calls it if no driver was ever hooked, or where
// AllowUnload lets it; the simulator may call it at its end, once nothing is in flight.
void NTAPI DriverUnload(DRIVER_OBJECT* self);

}  // namespace drivermon
