// SPDX-License-Identifier: Apache-2.0
//
// Which units may go when space is needed, and in which order (DESIGN 4.5). Pure: no clock, no I/O,
// no lock.
#pragma once

#include <cstdint>

#include "index/record.h"
#include "policy/decision.h"
#include "policy/expiry.h"
#include "policy/limits.h"

namespace ebbfs {

// By the clock alone: `remove` (Reason::space) when `unit` was last used at least rule.keep ago and
// is neither pinned nor the root unit. Its ttl and max_age do not matter.
//   now         wall clock. A last_used after `now` (clock stepped back) is age zero.
//   not_before  end of the adopt grace: until then the ages are not known well enough.
[[nodiscard]] Verdict judge_keep(const UnitRecord& unit, const ClassRule& rule, WallTime now,
                                 WallTime not_before);

// judge_keep, and then whatever holds the unit: anything but `no` keeps it, as in judge_expiry.
[[nodiscard]] Verdict judge_eviction(const UnitRecord& unit, const UnitBusy& busy,
                                     const ClassRule& rule, WallTime now, WallTime not_before);

// One that may go.
struct EvictionCandidate {
  UnitId id{};
  WallTime last_used{};
  // Git worktrees with changes that are nowhere else, and those where that is not known.
  bool holds_work = false;

  bool operator==(const EvictionCandidate&) const = default;
};

// A strict order: those that hold no work first, then by last use, the oldest first, then by id.
[[nodiscard]] bool goes_before(const EvictionCandidate& a, const EvictionCandidate& b);

// The wall clock that ages are judged by for eviction, which the brake does not stop: where it was
// set forth and nobody has looked yet (brake.h), its steps are taken off, so that nothing looks
// older than it is.
[[nodiscard]] WallTime eviction_time(WallTime now, const BrakeRecord& brake);

}  // namespace ebbfs
