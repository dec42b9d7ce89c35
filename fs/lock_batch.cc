// SPDX-License-Identifier: Apache-2.0
//
// Removing many locks at once. A worker that is killed may leave 100,000 of them, and what is due
// together is to go together: one by one, each would cost a freeze of its unit, two changes of the
// index and twice the looks at the volume.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>

#include "fs/frozen_units.h"
#include "fs/lock_reaper.h"
#include "fs/tree.h"

namespace ebbfs {
namespace {

// Requests that use the unit wait so long for the looks at its locks, whatever the disk.
constexpr Duration kFrozenMax = std::chrono::milliseconds(2);

}  // namespace

std::vector<UnitId> LockReaper::due(std::span<const LockId> ids) {
  std::vector<LockRef> removed;
  {
    const MutexLock judging(judging_mu_);
    const bool removes = enforcing();
    std::map<UnitId, std::vector<LockRef>> together;
    std::vector<LockRef> alone;
    for (const LockId id : ids) {
      const LockRef lock = volume_.locks.find(id);
      if (lock == nullptr) {
        (void)volume_.index.reschedule(Deadline::Kind::lock, raw(id), kNever);
      } else if (removes && volume_.locks.find_directory(lock->parent_inode) == nullptr &&
                 goes_by_record(lock)) {
        together[lock->unit.load()].push_back(lock);
      } else {
        alone.push_back(lock);
      }
    }
    for (const auto& [unit, locks] : together) remove_together(unit, locks, removed, alone);
    // By age: a directory goes with all that is in it, before what is in it would go by itself.
    std::ranges::sort(alone, {}, [](const LockRef& lock) { return lock->id; });
    for (const LockRef& lock : alone) {
      if (settle_due(lock) == Outcome::removed) removed.push_back(lock);
    }
  }
  std::vector<UnitId> units;
  for (const LockRef& lock : removed) {
    tell_removed(*lock);
    units.push_back(lock->unit.load());
  }
  std::ranges::sort(units);
  const auto repeated = std::ranges::unique(units);
  units.erase(repeated.begin(), repeated.end());
  return units;
}

// What does not go by this second verdict is judged once more by itself, with all that follows from
// it, when the unit is free again.
void LockReaper::remove_together(UnitId id, std::span<const LockRef> locks,
                                 std::vector<LockRef>& removed, std::vector<LockRef>& alone) {
  const UnitRef unit = volume_.units.find(id);
  if (unit == nullptr) {
    alone.insert(alone.end(), locks.begin(), locks.end());
    return;
  }
  OpenInodes opens(volume_, mounted_);
  // Before anybody has to wait for us: see remove().
  if (std::ranges::any_of(locks, [&](const LockRef& lock) {
        const MutexLock held(lock->mu);
        return opens_unseen(lock->record);
      })) {
    opens.look();
  }
  const FrozenUnits frozen(volume_.units, unit, {unit}, Unit::kPatience);
  if (!frozen) {
    for (const LockRef& lock : locks) reschedule(lock, later(now(), Unit::kRetryFreeze));
    return;
  }
  std::vector<Going> all = judge_together(*unit, locks, opens, alone);
  std::vector<EventRecord> events;
  events.reserve(all.size());
  for (const Going& going : all) events.push_back(going.event);
  // Not removed when it could not be told.
  if (const auto told = volume_.index.append_events(std::move(events)); !told) {
    spdlog::warn("op=reclaim locks={} errno={}", all.size(), code(told.error()));
    for (const Going& going : all) reschedule(going.lock, later(now(), kLockRetry));
    return;
  }
  std::vector<LockRef> gone;
  for (Going& going : all) {
    log_removal(going.event);
    const Judged& judged = going.judged;
    note_node(*going.lock);
    const auto done = remove_charged(volume_, *unit, judged.sight.dir(), judged.record.name.c_str(),
                                     judged.sight.attributes);
    if (done) {
      gone.push_back(std::move(going.lock));
      continue;
    }
    spdlog::warn("op=reclaim path={:?} errno={}", judged.record.path, code(done.error()));
    reschedule(going.lock, later(now(), kLockRetry));
  }
  if (gone.empty()) return;
  volume_.locks.remove(gone);
  last_removal_.store(now().time_since_epoch().count(), std::memory_order_relaxed);
  removed.insert(removed.end(), gone.begin(), gone.end());
}

std::vector<LockReaper::Going> LockReaper::judge_together(const Unit& unit,
                                                          std::span<const LockRef> locks,
                                                          OpenInodes& opens,
                                                          std::vector<LockRef>& alone) {
  const MonoTime started = volume_.clock.mono_now();
  std::vector<Going> all;
  for (const LockRef& lock : locks) {
    // The rest is due still.
    if (volume_.clock.mono_now() - started >= kFrozenMax) break;
    auto judged = judge(lock, Clocks::apply, opens);
    if (judged && judged->goes(unit) && judged->is_one_inode()) {
      EventRecord event = event_of(*judged, EventRecord::Kind::reclaimed);
      all.push_back({lock, std::move(*judged), std::move(event)});
    } else {
      alone.push_back(lock);
    }
  }
  return all;
}

}  // namespace ebbfs
