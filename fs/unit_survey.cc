// SPDX-License-Identifier: Apache-2.0
#include "fs/unit_survey.h"

#include <algorithm>

#include "policy/eviction.h"

namespace ebbfs {
namespace {

// Units in which a lock lies whose owner has not been seen to end.
std::unordered_set<UnitId> units_with_locks(const Volume& volume) {
  std::unordered_set<UnitId> units;
  for (const LockRef& lock : volume.locks.all()) {
    const MutexLock held(lock->mu);
    const bool ended = lock->owner_state.life != OwnerState::Life::alive &&
                       lock->owner_state.life != OwnerState::Life::unknown;
    if (lock->record.unit != kRootUnit && !ended) units.insert(lock->record.unit);
  }
  return units;
}

}  // namespace

std::vector<SurveyedUnit> survey_units(const Volume& volume, const Reaper& reaper,
                                       const std::optional<Occupants>& inside) {
  const auto policy = volume.rules.policy();
  const WallTime now = eviction_time(volume.clock.wall_now(), reaper.brake());
  const WallTime not_before = reaper.not_before();
  const auto locked = units_with_locks(volume);
  std::vector<SurveyedUnit> all;
  for (const UnitRef& unit : volume.units.all()) {
    SurveyedUnit one{.unit = unit, .record = unit->record(), .usage = {}};
    one.record.usage.clear();
    one.usage = unit->accounts().total().usage();
    one.usage.bytes = std::max(one.usage.bytes, Bytes{0});
    const ClassRule* rule = policy->find_class(one.record.class_name);
    if (one.record.pinned) {
      one.reason = Reason::pinned;
    } else if (unit->opens() > 0) {
      one.reason = Reason::open_files;
    } else if (inside && inside->units.contains(unit->id())) {
      one.reason = Reason::process_inside;
    } else if (locked.contains(unit->id())) {
      one.reason = Reason::live_lock;
    } else if (rule == nullptr || unit->counting() || !inside) {
      one.reason = Reason::use_unknown;
    } else if (rule->keep == kNoLimit) {
      one.reason = Reason::no_ttl;
    } else {
      one.reason = judge_keep(one.record, *rule, now, not_before).reason;
    }
    all.push_back(std::move(one));
  }
  return all;
}

std::string held_text(Reason reason) {
  switch (reason) {
    case Reason::space:
      return {};
    case Reason::pinned:
      return "pinned";
    case Reason::open_files:
      return "files in it are open";
    case Reason::process_inside:
      return "a process is inside (working directory, program)";
    case Reason::live_lock:
      return "a lock in it is held";
    case Reason::recent:
      return "used within the keep of its class";
    case Reason::adopt_grace:
      return "the volume was mounted for the first time just now";
    case Reason::no_ttl:
      return "its class is never evicted (keep = \"none\")";
    case Reason::use_unknown:
      return "still being counted, or its use is not known";
    default:
      return std::string(to_string(reason));
  }
}

}  // namespace ebbfs
