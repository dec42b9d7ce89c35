// SPDX-License-Identifier: Apache-2.0
//
// Who is in the units of a mounted volume: one look at /proc, its answer brought to units.
// Threading: any thread, holding no lock, and not on a request's thread, for /proc may take long.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "fs/volume.h"
#include "policy/decision.h"

namespace ebbfs {

struct Occupants {
  std::unordered_set<std::uint64_t> inodes;  // as in ProcessUse
  std::unordered_set<UnitId> units;          // that a process is inside of; see fs/proc_scan.h
  std::vector<std::string> mounted_upon;     // as in ProcessUse
};

// Nothing when it cannot be found out. `mount`: st_dev of files in the mount.
[[nodiscard]] std::optional<Occupants> look_for_occupants(Volume& volume, dev_t mount);

// What processes have open, be it nothing that the mount is told of: directories, FIFOs. One look
// at /proc, made when it is first needed. Threading: one thread.
class OpenInodes {
 public:
  // `mount`: as above; where it is not mounted nothing is known.
  OpenInodes(Volume& volume, std::optional<dev_t> mount) : volume_(volume), mount_(mount) {}
  OpenInodes(const OpenInodes&) = delete;
  OpenInodes& operator=(const OpenInodes&) = delete;

  [[nodiscard]] Answer has(InodeId inode);
  [[nodiscard]] bool looked() const { return seen_.has_value(); }
  // Looks, also when it has before.
  void look();

 private:
  Volume& volume_;
  const std::optional<dev_t> mount_;
  std::optional<Result<ProcessUse>> seen_;
};

}  // namespace ebbfs
