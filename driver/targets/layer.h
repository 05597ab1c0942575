// layer.h: the layer driver's entry, for whoever links it in (the simulator).
#pragma once

#include "nt.h"

extern "C" DRIVER_INITIALIZE TARGET_ENTRY(LayerDriverEntry);
