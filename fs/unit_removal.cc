// SPDX-License-Identifier: Apache-2.0
//
// Removing a unit. The order: freeze, judge again, log, intent and event stored, rename, git's
// entry renamed, stored as trash, forgotten here, thawed, and last the kernel is told.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "fs/frozen_units.h"
#include "fs/unit_reaper.h"

namespace ebbfs {
namespace {

using Action = Verdict::Action;

// For requests inside to leave; they mostly do so in microseconds.
constexpr Duration kPatience = std::chrono::milliseconds(20);

}  // namespace

UnitReaper::Expired UnitReaper::expire(const UnitRef& unit, bool dry_run) {
  BusyProbe probe(volume_, locks_, mounted_);
  Judged judged = judge_now(unit, Clocks::ignore, probe);
  Expired expired{report_of(unit, judged), std::nullopt};
  if (dry_run || judged.verdict.action == Action::keep) return expired;
  const auto refuse = [&](std::string why) {
    expired.report.verdict.action = Action::keep;
    expired.report.blockers.push_back({Reason::use_unknown, std::move(why)});
  };
  if (auto held = removal_held(volume_)) {
    refuse(std::move(*held));
    return expired;
  }
  const Outcome outcome = remove(unit, Clocks::ignore, probe, judged, expired.trash);
  if (outcome == Outcome::kept) expired.report = report_of(unit, judged);
  if (outcome == Outcome::busy) refuse("it is in use just now");
  return expired;
}

UnitReaper::Outcome UnitReaper::remove(const UnitRef& unit, Clocks clocks, BusyProbe& probe,
                                       Judged& judged, std::optional<TrashRecord>& taken) {
  // Its git entry loses charge to the trash, so whatever unit that lies in must be still as well.
  std::vector<UnitRef> staying;
  if (judged.found.admin) {
    staying.push_back(unit_of_path(volume_, judged.found.admin->path));
  }
  {
    FrozenUnits frozen(volume_.units, unit, staying, kPatience);
    if (!frozen) return Outcome::busy;
    judged = judge_now(unit, clocks, probe);
    if (judged.verdict.action == Action::keep) return Outcome::kept;
    if (judged.found.admin) {
      const UnitRef around = unit_of_path(volume_, judged.found.admin->path);
      if (std::ranges::find(staying, around) == staying.end()) return Outcome::busy;
    }
    auto record = take(unit, judged, clocks);
    if (!record) {
      spdlog::error("op=expire path={:?} errno={}", judged.record.path, code(record.error()));
      return Outcome::busy;
    }
    taken = std::move(*record);
    volume_.units.detach(*unit);
    // A rename around it may have stored its record once more.
    if (unit->path() != judged.record.path) (void)volume_.index.erase_unit(unit->id());
    frozen.kill(unit);
    forget_contents(unit, *taken, judged);
  }
  last_removal_.store(now().time_since_epoch().count(), std::memory_order_relaxed);
  invalidator_.removed(judged.place.parent_inode, unit->top(), judged.place.name);
  if (!taken->git_admin_path.empty()) {
    invalidator_.changed(judged.found.admin->parent_inode, judged.found.admin->id);
  }
  return Outcome::removed;
}

Result<TrashRecord> UnitReaper::take(const UnitRef& unit, Judged& judged, Clocks clocks) {
  const bool asked = clocks == Clocks::ignore;
  Trash::Removal removal;
  if (judged.found.admin) {
    removal.git_admin = &*judged.found.admin;
    removal.along = {unit_of_path(volume_, judged.found.admin->path),
                     std::move(judged.found.admin_inodes)};
  }
  removal.event =
      event_of(judged, asked ? EventRecord::Kind::requested : EventRecord::Kind::expired);
  TrashRecord& record = removal.record;
  record.reason = asked ? RemovalReason::request : RemovalReason::expire;
  record.unit = judged.record;
  record.parent = judged.place.parent_handle;
  record.removed = now();
  record.purge_after = later(record.removed, volume_.rules.policy()->volume.trash_retention);
  removal.dir = judged.place.parent.get();
  removal.name = judged.place.name;
  removal.holder = unit;
  const EventRecord& event = removal.event;
  spdlog::info("event={} unit={:?} class={} rule=\"{}\" owner=\"{}\" age={} bytes={} inodes={}",
               to_string(event.kind), event.path, event.class_name, event.rule, event.owner,
               format_duration(event.age), event.usage.bytes.n, event.usage.inodes);
  return trash_.take(std::move(removal));
}

// Orphans past their grace went with the unit; nobody asks for its directories again.
void UnitReaper::forget_contents(const UnitRef& unit, const TrashRecord& trash,
                                 const Judged& judged) {
  for (const LockRef& lock : volume_.locks.in_unit(unit->id())) volume_.locks.remove(lock);
  volume_.directories.erase(unit->top());
  if (trash.git_admin_path.empty()) return;
  const InodeId entry = judged.found.admin->inode;
  for (const LockRef& lock : volume_.locks.in_directory(entry)) volume_.locks.remove(lock);
  volume_.directories.erase(entry);
}

EventRecord UnitReaper::event_of(const Judged& judged, EventRecord::Kind kind) const {
  EventRecord event;
  event.kind = kind;
  event.time = now();
  event.path = judged.record.path;
  event.class_name = judged.record.class_name;
  event.rule = kind == EventRecord::Kind::requested
                   ? "requested"
                   : unit_rule_text(judged.rule, judged.verdict.reason);
  event.owner = owner_text(judged.record.owner);
  event.age = std::max(Duration::zero(), event.time - judged.record.last_used);
  for (const UsageCell& held : judged.record.usage) event.usage += held.usage;
  return event;
}

}  // namespace ebbfs
