// SPDX-License-Identifier: Apache-2.0
//
// Opening the index of a volume, whatever state it is in. What is corrupt, unreadable or in pieces
// is moved aside to .ebbfs/index.broken-<time> (the newest kBrokenKept are kept) and an empty index
// takes its place: the tree tells again what is in it. Files outside .ebbfs/ are not looked at.
//
// What is no fault of the index (no space, no permission, a read-only disk, too few descriptors, a
// newer format) is never answered by throwing it away: then the volume is not mounted.
// Threading: while nothing else runs.
#pragma once

#include <cstddef>
#include <expected>
#include <functional>
#include <memory>
#include <string>

#include "index/rocks_store.h"
#include "index/steady_store.h"
#include "index/unit_index.h"

namespace ebbfs {

inline constexpr std::size_t kBrokenKept = 3;

// Destroyed in reverse.
struct OpenedIndex {
  std::unique_ptr<RocksStore> rocks;
  std::unique_ptr<SteadyStore> steady;
  std::unique_ptr<UnitIndex> index;
  // Why this one is new although the volume is not; empty when it is the old one.
  std::string lost;
  // Where the old one is now, below .ebbfs/; empty when there was none.
  std::string kept_as;
  // Its newest changes are missing.
  bool rolled_back = false;
};

// What stands before a store; it outlives the index.
using StoreDoor = std::function<Store&(Store& store)>;

// `state_dir`: the open directory .ebbfs. `volume`: its name, for people. `mounted_before`: there
// was an index once. `door`: stands between the index and its database. The error is one line for
// people.
[[nodiscard]] std::expected<OpenedIndex, std::string> open_index(int state_dir,
                                                                 const std::string& volume,
                                                                 bool mounted_before, WallTime now,
                                                                 const StoreDoor& door);

}  // namespace ebbfs
