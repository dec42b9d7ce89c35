// SPDX-License-Identifier: Apache-2.0
//
// All that a UnitIndex shows of itself, to be compared as a whole. Values only.
#pragma once

#include <map>
#include <ostream>
#include <vector>

#include "index/unit_index.h"

namespace ebbfs {

struct Picture {
  std::vector<UnitRecord> units;
  std::vector<LockRecord> locks;
  std::vector<TrashRecord> trash;
  std::vector<Deadline> queue;
  WallTime next_due = kNever;
  std::map<uid_t, std::vector<Thing>> by_user;     // of users 0 to kPictureUsers - 1
  std::map<pid_t, std::vector<Thing>> by_process;  // of processes 0 to kPicturePids - 1
  std::vector<EventRecord> events;

  bool operator==(const Picture&) const = default;
};

// Records of tests have owners as sample_unit() and sample_lock() make them.
inline constexpr uid_t kPictureUsers = 3;
inline constexpr pid_t kPicturePids = 4;

// For gtest: what there is, without the records' fields.
void PrintTo(const Picture& picture, std::ostream* out);

// Anything that cannot be read fails the test.
[[nodiscard]] Picture take_picture(UnitIndex& index);

}  // namespace ebbfs
