// SPDX-License-Identifier: Apache-2.0
//
// When a unit's time is over. Pure: no clock, no I/O, no lock.
#pragma once

#include "index/record.h"
#include "policy/decision.h"
#include "policy/limits.h"

namespace ebbfs {

// Everything that can hold a unit, each yes, no or unknown.
struct UnitBusy {
  Answer open_files = Answer::unknown;      // open or mapped through the mount
  Answer process_inside = Answer::unknown;  // cwd, root, exe, open directory
  Answer live_lock = Answer::unknown;       // a held lock inside
  Answer git_locked = Answer::unknown;      // `git worktree lock`
  Answer mount_inside = Answer::unknown;
};

// By the clock alone: `remove` when `unit` has outlived rule.ttl since its last use or rule.max_age
// since it was made, neither pinned nor the root unit, and `now` >= `not_before`.
//   now         wall clock. A last_used after `now` (clock stepped back) is age zero.
//   not_before  end of the adopt grace; WallTime::min() when there is none.
// look_again of a keep is the instant at which a later call would say remove.
[[nodiscard]] Verdict judge_age(const UnitRecord& unit, const ClassRule& rule, WallTime now,
                                WallTime not_before);

// judge_age, and then whatever holds the unit: anything but `no` keeps it, the first in the order
// of UnitBusy names the reason (use_unknown for unknown). Such a keep looks again after
// retry_after(rule).
[[nodiscard]] Verdict judge_expiry(const UnitRecord& unit, const UnitBusy& busy,
                                   const ClassRule& rule, WallTime now, WallTime not_before);

// How long after a busy verdict a due unit is looked at again: a tenth of its ttl, within
// 1 s .. 60 s.
[[nodiscard]] Duration retry_after(const ClassRule& rule);

}  // namespace ebbfs
