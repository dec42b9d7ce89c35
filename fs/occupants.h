// SPDX-License-Identifier: Apache-2.0
//
// Who is in the units of a mounted volume: one look at /proc, its answer brought to units.
// Threading: any thread, holding no lock, and not on a request's thread, for /proc may take long.
#pragma once

#include <sys/types.h>

#include <optional>
#include <unordered_set>

#include "fs/volume.h"

namespace ebbfs {

struct Occupants {
  std::unordered_set<UnitId> units;  // that a process is inside of; see fs/proc_scan.h
};

// Nothing when it cannot be found out. `mount`: st_dev of files in the mount.
[[nodiscard]] std::optional<Occupants> look_for_occupants(Volume& volume, dev_t mount);

}  // namespace ebbfs
