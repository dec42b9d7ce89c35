// SPDX-License-Identifier: Apache-2.0
//
// Removing units. The order: freeze, look at processes, judge again, log, intent and event stored,
// rename, git's entry renamed, stored as trash, forgotten here, thawed, and last the kernel is
// told.
#include <spdlog/spdlog.h>

#include <algorithm>

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
  Going going{unit, std::move(judged), {Cause::request, invalidator_}};
  remove({&going, 1}, probe);
  expired.trash = std::move(going.removal.taken);
  if (going.outcome == Outcome::kept) expired.report = report_of(unit, going.judged);
  if (going.outcome == Outcome::busy) refuse("it is in use just now");
  return expired;
}

UnitReaper::Evicted UnitReaper::evict(const UnitRef& unit, const std::string& why, BusyProbe& probe,
                                      Invalidator& tell) {
  Judged judged = judge_now(unit, Cause::space, probe);
  if (judged.verdict.action == Action::keep || !enforcing()) return {judged.verdict, std::nullopt};
  Going going{unit, std::move(judged), {Cause::space, tell, why}};
  remove({&going, 1}, probe);
  if (going.outcome == Outcome::busy) {
    going.judged.verdict = {Action::keep, Reason::use_unknown, kNever};
  }
  return {going.judged.verdict, std::move(going.removal.taken)};
}

void UnitReaper::remove(std::span<Going> all, BusyProbe& probe) {
  if (all.empty()) return;
  freeze(all, probe);
  for (Going& going : all) {
    if (going.frozen) going.outcome = remove_frozen(going, probe);
  }
  for (Going& going : all) going.frozen.reset();
  // With all free again: the kernel may be waiting for a request that waits for one of them.
  for (const Going& going : all) {
    if (going.outcome != Outcome::removed) continue;
    last_removal_.store(now().time_since_epoch().count(), std::memory_order_relaxed);
    going.removal.tell.removed(going.judged.place.parent_inode,
                               volume_.inodes.node_for(going.unit->top()), going.judged.place.name);
    if (!going.removal.taken->git_admin_path.empty()) {
      going.removal.tell.changed(going.judged.found.admin->parent_inode,
                                 going.judged.found.admin->id);
    }
  }
}

// Whoever entered one of them before is seen by the look that follows. It may wait for who has a
// file open, and so, for a request, in a frozen unit: what has files open is let go before.
void UnitReaper::freeze(std::span<Going> all, BusyProbe& probe) {
  std::vector<Going*> by_id;
  for (Going& going : all) by_id.push_back(&going);
  std::ranges::sort(by_id, {}, [](const Going* going) { return raw(going->unit->id()); });
  bool any = false;
  for (Going* going : by_id) {
    auto frozen = std::make_unique<FrozenUnits>(volume_.units, going->unit, std::vector<UnitRef>{},
                                                Unit::kPatience);
    if (!*frozen) continue;
    if (going->unit->opens() > 0) {
      going->judged =
          judge_now(going->unit, going->removal.cause, probe, BusyProbe::Listing::as_listed);
      if (going->judged.verdict.action == Action::keep) going->outcome = Outcome::kept;
      continue;
    }
    going->frozen = std::move(frozen);
    any = true;
  }
  if (any) probe.list();
}

UnitReaper::Outcome UnitReaper::remove_frozen(Going& going, BusyProbe& probe) {
  const auto judge_again = [&] {
    going.judged = judge_now(going.unit, going.removal.cause, probe, BusyProbe::Listing::as_listed);
    return going.judged.verdict.action == Action::remove;
  };
  if (!judge_again()) return Outcome::kept;
  if (!going.judged.found.admin) return take_frozen(going);
  // Its git entry loses charge to the trash, so whatever unit that lies in must be still as well.
  // That may be in heavy use, so only now; out of order, which kPatience makes up for.
  const UnitRef around = unit_of_path(volume_, going.judged.found.admin->path);
  const FrozenUnits staying(volume_.units, around, {around}, Unit::kPatience);
  if (!staying) return Outcome::busy;
  if (!judge_again()) return Outcome::kept;
  const auto& admin = going.judged.found.admin;
  if (admin && unit_of_path(volume_, admin->path) != around) return Outcome::busy;
  return take_frozen(going);
}

UnitReaper::Outcome UnitReaper::take_frozen(Going& going) {
  const UnitRef& unit = going.unit;
  Judged& judged = going.judged;
  auto record = take(unit, judged, going.removal);
  if (!record) {
    spdlog::error("op=remove_unit path={:?} errno={}", judged.record.path, code(record.error()));
    return Outcome::busy;
  }
  going.removal.taken = std::move(*record);
  volume_.units.detach(*unit);
  // A rename around it may have stored its record once more.
  if (unit->path() != judged.record.path) (void)volume_.index.erase_unit(unit->id());
  going.frozen->kill(unit);
  forget_contents(unit, *going.removal.taken, judged);
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
    trashed.along = {unit_of_path(volume_, judged.found.admin->path), judged.found.admin_inodes};
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
  spdlog::info("event={} unit={:?} class={} rule=\"{}\" owner={:?} age={} bytes={} inodes={}",
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
  for (const TreeInode& inode : judged.found.admin_inodes) {
    if (!is_directory(inode.attributes)) continue;
    for (const LockRef& lock : volume_.locks.in_directory(inode.id())) volume_.locks.remove(lock);
    volume_.directories.erase(inode.id());
  }
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
