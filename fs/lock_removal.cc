// SPDX-License-Identifier: Apache-2.0
//
// Removing locks whose time is over: judged, judged again with the unit frozen, and deleted only
// when the name still stands for what was judged. Logged and journaled before it happens.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "fs/frozen_units.h"
#include "fs/lock_reaper.h"

namespace ebbfs {
namespace {

using Action = Verdict::Action;

// Less than Unit::kPatience for a request that waits for the answer itself: its name comes again.
constexpr Duration kRequestPatience = std::chrono::milliseconds(2);
// Locks remembered as told of; more cost an event told twice.
constexpr std::size_t kLocksToldMax = 100'000;

}  // namespace

LockReaper::Outcome LockReaper::settle_due(const LockRef& lock) {
  OpenInodes opens(volume_, mounted_);
  const auto judged = judge(lock, Clocks::apply, opens);
  if (!judged) {
    reschedule(lock, kNever);
    return Outcome::kept;
  }
  if (judged->sight.name == Sight::Name::misplaced) {
    follow(lock, *judged);
    return Outcome::kept;
  }
  if (judged->place || judged->sight.name == Sight::Name::gone) {
    drop(lock);
    return Outcome::kept;
  }
  if (judged->verdict.action == Action::keep) {
    keep(lock, *judged);
    return Outcome::kept;
  }
  if (volume_.health.removal_paused()) {
    reschedule(lock, later(now(), kLockRetry));
    return Outcome::kept;
  }
  if (!enforcing()) {
    would_remove(lock, *judged);
    return Outcome::kept;
  }
  const Outcome outcome = remove(lock, RemovalReason::reclaim, Unit::kPatience, opens);
  if (outcome == Outcome::busy) reschedule(lock, later(now(), Unit::kRetryFreeze));
  if (outcome == Outcome::kept) reschedule(lock, later(now(), kLockRetry));
  return outcome;
}

void LockReaper::keep(const LockRef& lock, const Judged& judged) {
  if (judged.witness && judged.rule->owner == OwnerMode::process) {
    LockRecord record = judged.record;
    const std::string why = process_text(record.owner.process) + " is not who holds it";
    record.owner.process = judged.witness->process;
    record.owner.boot = volume_.processes.boot_id();
    record.ancestors.clear();
    record.certainty = OwnerCertainty::certain;
    if (give_to(lock, record, kNever, why)) return;
  }
  const auto known = [&] {
    const MutexLock held(lock->mu);
    return lock->owner_state.life;
  }();
  if (judged.owner.life != known) {
    if (judged.owner.life == OwnerState::Life::alive) {
      // A cgroup that has filled again, or an owner that could not be watched: watch anew.
      const bool by_cgroup = judged.rule->owner == OwnerMode::cgroup;
      if (volume_.locks.update(lock, judged.record, by_cgroup, kNever)) return;
    } else {
      advance(lock, judged.owner, judged.owner.ended_at);
      return;
    }
  }
  if (judged.owner_verdict.step == OwnerVerdict::Step::hand_over) {
    advance(lock, judged.owner, judged.owner.ended_at);
    return;
  }
  const WallTime next = judged.verdict.look_again;
  reschedule(lock, next > now() ? next : later(now(), kJudgedAgainAfter));
}

void LockReaper::drop(const LockRef& lock) {
  const std::string path = [&] {
    const MutexLock held(lock->mu);
    return lock->record.path;
  }();
  spdlog::info("event=lock_dropped path={:?} why=name_is_no_lock", path);
  volume_.locks.remove(lock);
}

// A directory above it was renamed behind our back, or by a daemon that did not tell it.
void LockReaper::follow(const LockRef& lock, const Judged& judged) {
  if (!judged.now_at) return drop(lock);
  spdlog::warn("event=lock_found_again path={:?} now={:?}", judged.record.path,
               judged.now_at->path);
  if (const auto moved = volume_.locks.move(lock, *judged.now_at, now()); !moved) {
    reschedule(lock, later(now(), kLockRetry));
  }
}

void LockReaper::judge_all_again() {
  for (const LockRef& lock : volume_.locks.all()) reschedule(lock, now());
}

bool LockReaper::reclaim_if_due(const LockRef& lock) {
  const MutexLock judging(judging_mu_);
  OpenInodes opens(volume_, mounted_);
  const auto judged = judge(lock, Clocks::apply, opens);
  if (!judged) return false;
  if (judged->sight.name == Sight::Name::gone) {
    volume_.locks.remove(lock);
    return true;
  }
  if (judged->place || judged->verdict.action == Action::keep || !enforcing()) return false;
  return remove(lock, RemovalReason::reclaim, kRequestPatience, opens) == Outcome::removed;
}

Report LockReaper::expire(const LockRef& lock, bool dry_run) {
  Report report;
  {
    const MutexLock judging(judging_mu_);
    OpenInodes opens(volume_, mounted_);
    const auto judged = judge(lock, Clocks::ignore, opens);
    if (!judged) return report;
    report = report_of(*judged);
    if (judged->place) {
      report.verdict.action = Action::keep;
      report.blockers.push_back({Reason::use_unknown, "a directory of this kind is no lock"});
    }
    if (report.verdict.action == Action::keep || dry_run) return report;
    const auto refuse = [&](std::string why) {
      report.verdict.action = Action::keep;
      report.blockers.push_back({Reason::use_unknown, std::move(why)});
      return report;
    };
    if (auto held_back = removal_held(volume_)) return refuse(std::move(*held_back));
    if (remove(lock, RemovalReason::request, Unit::kPatience, opens) != Outcome::removed) {
      return refuse("it is in use just now");
    }
  }
  tell_removed(*lock);
  return report;
}

void LockReaper::note_node(Lock& lock) {
  const NodeId node = volume_.inodes.node_for(lock.object_inode);
  const MutexLock held(lock.mu);
  lock.node = node;
}

void LockReaper::tell_removed(const Lock& lock) {
  const NodeId node = [&] {
    const MutexLock held(lock.mu);
    return lock.node;
  }();
  invalidator_.removed(lock.parent_inode, node, lock.name);
}

LockReaper::Outcome LockReaper::remove(const LockRef& lock, RemovalReason reason, Duration patience,
                                       OpenInodes& opens) {
  const UnitRef unit = volume_.units.find(lock->unit.load());
  if (unit == nullptr) {
    volume_.locks.remove(lock);
    return Outcome::kept;
  }
  // Opening a directory or a FIFO is no request, which the freeze would keep out; so it may as well
  // be looked for just before, while nobody waits for us.
  if (opens.looked()) opens.look();
  const FrozenUnits frozen(volume_.units, unit, {unit}, patience);
  if (!frozen) return Outcome::busy;
  const bool asked = reason == RemovalReason::request;
  auto judged = judge(lock, asked ? Clocks::ignore : Clocks::apply, opens);
  if (!judged) return Outcome::kept;
  if (!judged->goes(*unit)) return Outcome::kept;
  note_node(*lock);
  if (const auto removed = remove_object(lock, unit, *judged, reason); !removed) {
    spdlog::warn("op=reclaim path={:?} errno={}", judged->record.path, code(removed.error()));
    return Outcome::kept;
  }
  volume_.locks.remove(lock);
  last_removal_.store(now().time_since_epoch().count(), std::memory_order_relaxed);
  return Outcome::removed;
}

Status LockReaper::remove_object(const LockRef& lock, const UnitRef& unit, Judged& judged,
                                 RemovalReason reason) {
  const bool asked = reason == RemovalReason::request;
  EventRecord event =
      event_of(judged, asked ? EventRecord::Kind::requested : EventRecord::Kind::reclaimed);
  log_removal(event);
  if (!judged.is_one_inode()) {
    return remove_directory(lock, unit, judged, std::move(event));
  }
  // Not removed when it could not be told.
  if (auto told = volume_.index.append_event(std::move(event)); !told) {
    return std::unexpected(told.error());
  }
  return remove_charged(volume_, *unit, judged.sight.dir(), judged.record.name.c_str(),
                        judged.sight.attributes);
}

void LockReaper::log_removal(const EventRecord& event) {
  spdlog::info("event={} lock={:?} class={} rule=\"{}\" owner={:?} age={} bytes={}",
               to_string(event.kind), event.path, event.class_name, event.rule, event.owner,
               format_duration(event.age), event.usage.bytes.n);
}

Status LockReaper::remove_directory(const LockRef& lock, const UnitRef& unit, Judged& judged,
                                    EventRecord event) {
  Trash::Removal removal;
  TrashRecord& record = removal.record;
  record.reason =
      event.kind == EventRecord::Kind::requested ? RemovalReason::request : RemovalReason::reclaim;
  record.unit.path = judged.record.path;
  record.unit.handle = judged.record.object;
  record.unit.inode = judged.record.object_inode;
  record.unit.class_name = judged.record.class_name;
  record.unit.owner = judged.record.owner;
  record.lock = lock->id;
  record.parent = judged.record.parent;
  record.removed = record.purge_after = now();
  removal.event = std::move(event);
  removal.dir = judged.sight.dir();
  removal.name = judged.record.name;
  removal.holder = trash_.make_holder(record.unit);
  removal.along = {unit, std::move(judged.inside)};
  std::vector<InodeId> directories;
  for (const TreeInode& inode : removal.along.inodes) {
    if (is_directory(inode.attributes)) directories.push_back(inode.id());
  }
  const auto taken = trash_.take(std::move(removal));
  if (!taken) return std::unexpected(taken.error());
  for (const InodeId directory : directories) {
    volume_.directories.erase(directory);
    for (const LockRef& inner : volume_.locks.in_directory(directory)) volume_.locks.remove(inner);
  }
  trash_.purge(taken->id);
  return {};
}

void LockReaper::would_remove(const LockRef& lock, const Judged& judged) {
  if (told_.size() >= kLocksToldMax) told_.clear();
  if (told_.insert(raw(lock->id)).second) {
    journal(event_of(judged, EventRecord::Kind::would_remove));
  }
  reschedule(lock, kNever);
}

EventRecord LockReaper::event_of(const Judged& judged, EventRecord::Kind kind) const {
  EventRecord event;
  event.kind = kind;
  event.time = now();
  event.path = judged.record.path;
  event.class_name = judged.record.class_name;
  event.rule = kind == EventRecord::Kind::requested
                   ? "requested"
                   : lock_rule_text(*judged.rule, judged.owner_verdict, judged.owner);
  event.owner = owner_text(judged.record.owner);
  event.age = std::max(Duration::zero(), event.time - judged.record.made);
  if (judged.inside.empty()) event.usage = charge_for(judged.sight.attributes);
  for (const TreeInode& inode : judged.inside) event.usage += charge_for(inode.attributes);
  return event;
}

bool LockReaper::enforcing() const { return !removal_held(volume_); }

void LockReaper::reschedule(const LockRef& lock, WallTime due) {
  const MutexLock held(lock->mu);
  if (lock->removed) return;
  const auto moved = volume_.index.reschedule(Deadline::Kind::lock, raw(lock->id), due);
  if (!moved) {
    spdlog::error("op=reschedule path={:?} errno={}", lock->record.path, code(moved.error()));
  }
}

void LockReaper::journal(EventRecord event) {
  const auto told = volume_.index.append_event(std::move(event));
  if (!told) spdlog::error("op=append_event errno={}", code(told.error()));
}

}  // namespace ebbfs
