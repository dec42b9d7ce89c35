// SPDX-License-Identifier: Apache-2.0
#include "policy/eviction.h"

#include <tuple>

namespace ebbfs {
namespace {

using Action = Verdict::Action;

// For space a unit is as one that expires when its keep is over.
ClassRule as_expiry(const ClassRule& rule) {
  ClassRule same = rule;
  same.ttl = rule.keep;
  same.max_age = kNoLimit;
  return same;
}

Verdict in_words_of_eviction(Verdict verdict) {
  if (verdict.action == Action::remove) verdict.reason = Reason::space;
  if (verdict.reason == Reason::young) verdict.reason = Reason::recent;
  // `keep = "none"`: it is always recent.
  if (verdict.reason == Reason::no_ttl) verdict.reason = Reason::recent;
  return verdict;
}

}  // namespace

Verdict judge_keep(const UnitRecord& unit, const ClassRule& rule, WallTime now,
                   WallTime not_before) {
  return in_words_of_eviction(judge_age(unit, as_expiry(rule), now, not_before));
}

Verdict judge_eviction(const UnitRecord& unit, const UnitBusy& busy, const ClassRule& rule,
                       WallTime now, WallTime not_before) {
  return in_words_of_eviction(judge_expiry(unit, busy, as_expiry(rule), now, not_before));
}

bool goes_before(const EvictionCandidate& a, const EvictionCandidate& b) {
  return std::tuple(a.holds_work, a.last_used, a.id) < std::tuple(b.holds_work, b.last_used, b.id);
}

WallTime eviction_time(WallTime now, const BrakeRecord& brake) {
  const bool set_forth = brake.cause == BrakeRecord::Cause::clock && brake.step > Duration::zero();
  return set_forth ? now - brake.step : now;
}

}  // namespace ebbfs
