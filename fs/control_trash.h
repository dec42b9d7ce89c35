// SPDX-License-Identifier: Apache-2.0
//
// The bodies of `ebbctl trash`, `restore` and `resume`. Conventions as in control_views.h. Values
// only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fs/control_status.h"
#include "fs/control_views.h"

namespace ebbfs {

struct TrashItemView {
  std::uint64_t id = 0;
  std::string path;  // where it was
  std::string class_name;
  OwnerView owner;
  std::string reason;  // to_string(RemovalReason)
  WallTime removed_at{};
  WallTime restorable_until{};
  Usage usage;
  bool purging = false;   // being deleted: no way back
  std::string git_entry;  // went with it; "" when there was none
  bool operator==(const TrashItemView&) const = default;
};

// What is in the trash; after `trash empty` what was handed to deletion, or would be.
struct TrashView {
  std::vector<TrashItemView> items;  // the newest first
  Usage usage;                       // of all of them
  bool emptied = false;
  bool dry_run = false;
  bool operator==(const TrashView&) const = default;
};

struct RestoreView {
  std::uint64_t id = 0;
  std::string path;  // where it is now
  std::string was;   // where it was
  bool dry_run = false;
  Usage usage;
  std::string git_entry;       // that is back with it; "" when none is
  std::string git_entry_lost;  // why not, though there was one
  std::optional<WallTime> expires_at;
  std::int64_t others = 0;  // older ones of the same path that are still in the trash
  bool operator==(const RestoreView&) const = default;
};

struct ResumeView {
  bool changed = false;  // false: nothing was held, or a dry run
  bool dry_run = false;
  std::optional<BrakeView> brake;  // that held
  std::int64_t due_units = 0;      // what may go now
  bool operator==(const ResumeView&) const = default;
};

}  // namespace ebbfs
