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

}  // namespace

UnitReaper::Expired UnitReaper::expire(const UnitRef& unit, bool dry_run) {
  BusyProbe probe(volume_, locks_, mounted_);
  Judged judged = judge_now(unit, Cause::request, probe);
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
  Removal removal{Cause::request, invalidator_};
  const Outcome outcome = remove(unit, probe, judged, removal);
  expired.trash = std::move(removal.taken);
  if (outcome == Outcome::kept) expired.report = report_of(unit, judged);
  if (outcome == Outcome::busy) refuse("it is in use just now");
  return expired;
}

UnitReaper::Evicted UnitReaper::evict(const UnitRef& unit, const std::string& why, BusyProbe& probe,
                                      Invalidator& tell) {
  Judged judged = judge_now(unit, Cause::space, probe);
  Removal removal{Cause::space, tell, why};
  if (judged.verdict.action == Action::remove && enforcing() &&
      remove(unit, probe, judged, removal) == Outcome::busy) {
    judged.verdict = {Action::keep, Reason::use_unknown, kNever};
  }
  return {judged.verdict, std::move(removal.taken)};
}

UnitReaper::Outcome UnitReaper::remove(const UnitRef& unit, BusyProbe& probe, Judged& judged,
                                       Removal& removal) {
  // Its git entry loses charge to the trash, so whatever unit that lies in must be still as well.
  std::vector<UnitRef> staying;
  if (judged.found.admin) {
    staying.push_back(unit_of_path(volume_, judged.found.admin->path));
  }
  {
    FrozenUnits frozen(volume_.units, unit, staying, Unit::kPatience);
    if (!frozen) return Outcome::busy;
    judged = judge_now(unit, removal.cause, probe);
    if (judged.verdict.action == Action::keep) return Outcome::kept;
    if (judged.found.admin) {
      const UnitRef around = unit_of_path(volume_, judged.found.admin->path);
      if (std::ranges::find(staying, around) == staying.end()) return Outcome::busy;
    }
    auto record = take(unit, judged, removal);
    if (!record) {
      spdlog::error("op=remove_unit path={:?} errno={}", judged.record.path, code(record.error()));
      return Outcome::busy;
    }
    removal.taken = std::move(*record);
    volume_.units.detach(*unit);
    // A rename around it may have stored its record once more.
    if (unit->path() != judged.record.path) (void)volume_.index.erase_unit(unit->id());
    frozen.kill(unit);
    forget_contents(unit, *removal.taken, judged);
  }
  last_removal_.store(now().time_since_epoch().count(), std::memory_order_relaxed);
  removal.tell.removed(judged.place.parent_inode, volume_.inodes.node_for(unit->top()),
                       judged.place.name);
  if (!removal.taken->git_admin_path.empty()) {
    removal.tell.changed(judged.found.admin->parent_inode, judged.found.admin->id);
  }
  return Outcome::removed;
}

std::pair<EventRecord::Kind, RemovalReason> UnitReaper::in_words(Cause cause) {
  switch (cause) {
    case Cause::age:
      return {EventRecord::Kind::expired, RemovalReason::expire};
    case Cause::request:
      return {EventRecord::Kind::requested, RemovalReason::request};
    case Cause::space:
      break;
  }
  return {EventRecord::Kind::evicted, RemovalReason::evict};
}

Result<TrashRecord> UnitReaper::take(const UnitRef& unit, Judged& judged, const Removal& removal) {
  const auto [kind, reason] = in_words(removal.cause);
  Trash::Removal trashed;
  if (judged.found.admin) {
    trashed.git_admin = &*judged.found.admin;
    trashed.along = {unit_of_path(volume_, judged.found.admin->path),
                     std::move(judged.found.admin_inodes)};
  }
  trashed.event = event_of(judged, kind);
  trashed.event.detail = removal.why;
  TrashRecord& record = trashed.record;
  record.reason = reason;
  record.unit = judged.record;
  record.parent = judged.place.parent_handle;
  record.removed = now();
  record.purge_after = later(record.removed, volume_.rules.policy()->volume.trash_retention);
  trashed.dir = judged.place.parent.get();
  trashed.name = judged.place.name;
  trashed.holder = unit;
  const EventRecord& event = trashed.event;
  spdlog::info("event={} unit={:?} class={} rule=\"{}\" owner=\"{}\" age={} bytes={} inodes={}",
               to_string(event.kind), event.path, event.class_name, event.rule, event.owner,
               format_duration(event.age), event.usage.bytes.n, event.usage.inodes);
  return trash_.take(std::move(trashed));
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
