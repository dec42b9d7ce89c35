// SPDX-License-Identifier: Apache-2.0
#include "policy/expiry.h"

#include <algorithm>
#include <array>

namespace ebbfs {
namespace {

using Action = Verdict::Action;

}  // namespace

// Deadlines are compared, not ages: a clock that stepped back needs no special case then, and the
// same instant serves as look_again.
Verdict judge_age(const UnitRecord& unit, const ClassRule& rule, WallTime now,
                  WallTime not_before) {
  if (unit.id == kRootUnit) return Verdict::keep(Reason::root_unit, kNever);
  if (unit.pinned) return Verdict::keep(Reason::pinned, kNever);
  if (rule.ttl == kNoLimit && rule.max_age == kNoLimit)
    return Verdict::keep(Reason::no_ttl, kNever);

  const WallTime idle_at = later(unit.last_used, rule.ttl);
  const WallTime old_at = later(unit.created, rule.max_age);
  const WallTime due = std::min(idle_at, old_at);
  if (now < due) return Verdict::keep(Reason::young, std::max(due, not_before));
  if (now < not_before) return Verdict::keep(Reason::adopt_grace, not_before);
  return {Action::remove, idle_at <= old_at ? Reason::idle : Reason::too_old, kNever};
}

Verdict judge_expiry(const UnitRecord& unit, const UnitBusy& busy, const ClassRule& rule,
                     WallTime now, WallTime not_before) {
  const Verdict by_age = judge_age(unit, rule, now, not_before);
  if (by_age.action == Action::keep) return by_age;

  struct Holder {
    Answer answer;
    Reason reason;
  };
  const std::array holders{
      Holder{busy.open_files, Reason::open_files},
      Holder{busy.process_inside, Reason::process_inside},
      Holder{busy.live_lock, Reason::live_lock},
      Holder{busy.git_locked, Reason::git_locked},
      Holder{busy.mount_inside, Reason::mount_inside},
  };
  for (const Holder& holder : holders) {
    if (holder.answer == Answer::no) continue;
    const Reason reason = holder.answer == Answer::yes ? holder.reason : Reason::use_unknown;
    return Verdict::keep(reason, later(now, retry_after(rule)));
  }
  return by_age;
}

Duration retry_after(const ClassRule& rule) {
  return std::clamp<Duration>(rule.ttl / 10, std::chrono::seconds(1), std::chrono::seconds(60));
}

}  // namespace ebbfs
