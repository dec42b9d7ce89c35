// SPDX-License-Identifier: Apache-2.0
//
// Which limit stands in the way of something, and by how much: for saying so before, or after, a
// charge is refused. Charges nothing, and decides nothing: the ledger does. Threading: any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fs/volume.h"

namespace ebbfs {

// What a unit of this class, job and path would be charged.
struct UnitCharge {
  std::string path;
  std::string class_name;
  std::string job;
  std::vector<UsageCell> cells;
};

struct Shortage {
  std::string scope;  // for people: "user:ci"
  Usage used;
  Usage limit;    // in force now: a soft one past its grace is
  Usage missing;  // each 0 where it is not what lacks
};

// The first scope of the unit that has no room for all of it; nothing when it fits. What `volume`
// holds does not change: it is charged for the trash already.
[[nodiscard]] std::optional<Shortage> find_shortage(Volume& volume, const UnitCharge& charge);

// "user:ci: 16.0 GiB of 20.0 GiB are used, 1.5 GiB more would be needed"; also of inodes.
[[nodiscard]] std::string shortage_text(const Shortage& shortage);

}  // namespace ebbfs
