// SPDX-License-Identifier: Apache-2.0
//
// Who owns a lock after its owner has ended: step by step up the recorded ancestors.
#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "fs/lock_reaper.h"

namespace ebbfs {
namespace {

using Life = OwnerState::Life;
using Step = OwnerVerdict::Step;

// Names that the kernel is told of before other things have their turn.
constexpr std::size_t kToldAtOnce = 256;

std::string_view how(Life life) {
  if (life == Life::killed) return "killed";
  return life == Life::exited ? "exited" : "ended";
}

}  // namespace

void LockReaper::owner_ended(const EndedOwner& ended, WallTime earliest) {
  const auto locks = ended.process.known() ? volume_.locks.of_process(ended.process)
                                           : volume_.locks.of_cgroup(ended.cgroup);
  for (const LockRef& lock : locks) {
    // Taken anew for each: a request that meets one of 100,000 locks does not wait for all.
    const MutexLock judging(judging_mu_);
    if (was_checked(lock, ended)) continue;
    // The helper window counts to when the owner can have ended, the grace from when we know.
    OwnerState state = ended.state;
    state.ended_at = std::min(state.ended_at, earliest);
    advance(lock, state, ended.state.ended_at);
    const MutexLock held(lock->mu);
    if (lock->suspect && !lock->removed) untold_.push_back(lock);
  }
}

bool LockReaper::tell_suspects() {
  for (std::size_t told = 0; told < kToldAtOnce && !untold_.empty(); ++told) {
    const LockRef lock = std::move(untold_.front());
    untold_.pop_front();
    invalidator_.changed(lock->parent_inode, lock->name);
  }
  return !untold_.empty();
}

bool LockReaper::was_checked(const LockRef& lock, const EndedOwner& ended) {
  const auto found = checked_.find(raw(lock->id));
  if (found == checked_.end()) return false;
  const Owner& owner = found->second;
  return ended.process.known() ? owner.process.id == ended.process : owner.cgroup == ended.cgroup;
}

// `state` is that of the lock's present owner.
void LockReaper::advance(const LockRef& lock, OwnerState state, WallTime grace_from) {
  const auto policy = volume_.rules.policy();
  for (;;) {
    LockRecord record;
    {
      const MutexLock held(lock->mu);
      if (lock->removed) return;
      record = lock->record;
    }
    const ClassRule* rule = policy->find_class(record.class_name);
    if (rule == nullptr) return;
    const OwnerVerdict verdict = judge_owner(record, state, *rule);
    switch (verdict.step) {
      case Step::keep:
        if (state.life == Life::unknown) suspect(lock, state, later(now(), kLockRetry));
        return;
      case Step::orphan:
        state.ended_at = grace_from;
        suspect(lock, state, later(grace_from, rule->orphan_grace));
        return;
      case Step::by_touch:
        hold_by_touch(lock, std::move(record), *rule, verdict.certainty);
        return;
      case Step::hand_over:
        break;
    }
    const std::string why =
        fmt::format("{} {}", process_text(record.owner.process), how(state.life));
    apply_hand_over(record, verdict.certainty);
    if (!give_to(lock, record, kNever, why)) return;
    state = volume_.processes.state(record.owner.process.id, record.owner.boot);
    if (has_ended(state) && state.ended_at == WallTime{}) state.ended_at = now();
    grace_from = state.ended_at;
  }
}

bool LockReaper::give_to(const LockRef& lock, const LockRecord& changed, WallTime due,
                         const std::string& why) {
  if (const auto updated = volume_.locks.update(lock, changed, false, due); !updated) {
    if (updated.error() != Errno{ESTALE}) {
      spdlog::error("op=update_lock path={:?} errno={}", changed.path, code(updated.error()));
      reschedule(lock, later(now(), kLockRetry));
    }
    return false;
  }
  EventRecord event;
  event.kind = EventRecord::Kind::handed_over;
  event.time = now();
  event.path = changed.path;
  event.class_name = changed.class_name;
  event.rule = why;
  event.owner = owner_text(changed.owner);
  event.age = std::max(Duration::zero(), event.time - changed.made);
  event.detail = to_string(changed.certainty);
  spdlog::debug("event=handed_over path={:?} owner={:?} certainty={} why={:?}", event.path,
                event.owner, event.detail, why);
  journal(std::move(event));
  return true;
}

void LockReaper::hold_by_touch(const LockRef& lock, LockRecord record, const ClassRule& rule,
                               OwnerCertainty certainty) {
  const Sight sight = look(record);
  const bool seen = sight.name == Sight::Name::same;
  const WallTime touched = seen ? modified(sight.attributes) : record.made;
  const WallTime due = later(std::max(record.made, touched), rule.ttl);
  if (record.certainty != certainty) {
    record.certainty = certainty;
    const bool by_cgroup = rule.owner == OwnerMode::cgroup;
    if (const auto updated = volume_.locks.update(lock, record, by_cgroup, due); !updated) {
      spdlog::error("op=update_lock path={:?} errno={}", record.path, code(updated.error()));
    }
  }
  OwnerState state;
  {
    const MutexLock held(lock->mu);
    state = lock->owner_state;
  }
  suspect(lock, state, due);
}

void LockReaper::suspect(const LockRef& lock, const OwnerState& state, WallTime due) {
  {
    const MutexLock held(lock->mu);
    if (lock->removed) return;
    lock->owner_state = state;
    lock->suspect = true;
  }
  reschedule(lock, due);
}

void LockReaper::check_all() {
  const MutexLock judging(judging_mu_);
  for (const LockRef& lock : volume_.locks.all()) check(lock);
}

// A crash came when a directory was about to become a lock: it is one if it is there.
LockRef LockReaper::finish_intent(const LockRef& lock, LockRecord record) {
  const auto policy = volume_.rules.policy();
  const ClassRule* rule = policy->find_class(record.class_name);
  const auto parent = open_by_handle(volume_, record.parent, O_RDONLY | O_DIRECTORY);
  if (rule != nullptr && parent) {
    const auto attributes = volume_.backing.stat(parent->get(), record.name.c_str());
    const auto handle = volume_.backing.handle(parent->get(), record.name.c_str());
    if (attributes && handle && is_directory(*attributes)) {
      record.id = LockId{};
      record.object = *handle;
      record.object_inode = InodeId{attributes->stx_ino};
      record.is_directory = true;
      auto added = volume_.locks.add(std::move(record), rule->owner == OwnerMode::cgroup, kNever);
      if (added) return *added;
      spdlog::error("op=put_lock errno={}", code(added.error()));
      return nullptr;
    }
  }
  volume_.locks.remove(lock);
  return nullptr;
}

// A crash may have come between a rename of a directory above it and the record of that. Then each
// unit concerned is counted, by which the lock is found where it is, with what is remembered of it;
// but no directory is.
bool LockReaper::is_where_recorded(const LockRef& lock, const LockRecord& record,
                                   const Sight& sight) {
  if (sight.name != Sight::Name::same) return true;
  const UnitRef unit = volume_.units.find(record.unit);
  if (unit != nullptr && !unit->counting()) return true;
  auto place = lock_place(volume_, sight.dir(), record.name);
  if (!place) return true;
  if (!*place || !((*place)->is_of(record) || record.is_directory)) return false;
  if ((*place)->path != record.path) (void)volume_.locks.move(lock, **place, kNever);
  return true;
}

void LockReaper::check(const LockRef& stored) {
  LockRef lock = stored;
  LockRecord record;
  OwnerState state;
  const auto read = [&] {
    const MutexLock held(lock->mu);
    record = lock->record;
    state = lock->owner_state;
  };
  read();
  if (record.object.size == 0) {
    lock = finish_intent(lock, record);
    if (lock == nullptr) return;
    read();
  }
  const auto policy = volume_.rules.policy();
  const ClassRule* rule = policy->find_class(record.class_name);
  const Sight sight = look(record);
  const bool gone = sight.name == Sight::Name::gone || !is_where_recorded(lock, record, sight);
  if (rule == nullptr || gone) {
    spdlog::info("event=lock_dropped path={:?} why={}", record.path,
                 rule == nullptr ? "no_such_class" : "name_gone");
    volume_.locks.remember(record);
    volume_.locks.remove(lock);
    return;
  }
  if (record.certainty != OwnerCertainty::certain) {
    const OwnerCertainty certainty = record.certainty;
    hold_by_touch(lock, std::move(record), *rule, certainty);
    return;
  }
  if (record.owner.boot != volume_.processes.boot_id()) {
    // A reboot ends every process, and every cgroup that may have the same name now.
    checked_.emplace(raw(lock->id), record.owner);
    state = {.life = Life::ended, .ended_at = now()};
    suspect(lock, state, later(state.ended_at, rule->orphan_grace));
    return;
  }
  if (state.life == Life::alive) {
    reschedule(lock, kNever);
    return;
  }
  if (has_ended(state)) {
    state.ended_at = now();
    checked_.emplace(raw(lock->id), record.owner);
  }
  const bool helper_perhaps = state.life == Life::ended || state.life == Life::exited;
  if (rule->owner == OwnerMode::process && helper_perhaps &&
      give_to_living_ancestor(lock, record)) {
    return;
  }
  advance(lock, state, state.ended_at);
}

// Nobody saw how soon the owner ended: see the header.
bool LockReaper::give_to_living_ancestor(const LockRef& lock, LockRecord record) {
  while (!record.ancestors.empty()) {
    const std::string why = process_text(record.owner.process) + " ended unseen";
    apply_hand_over(record, OwnerCertainty::uncertain);
    const auto state = volume_.processes.state(record.owner.process.id, record.owner.boot);
    if (has_ended(state)) continue;
    if (!give_to(lock, record, kNever, why)) return false;
    advance(lock, state, now());
    return true;
  }
  return false;
}

void LockReaper::settle() {
  const WallTime settled_from = now() - kHelperWindow;
  for (const LockRef& lock : volume_.locks.all()) {
    const MutexLock judging(judging_mu_);
    LockRecord record;
    bool watched = false;
    {
      const MutexLock held(lock->mu);
      const bool open = !lock->record.ancestors.empty() || !lock->watched;
      const bool owned = lock->record.certainty == OwnerCertainty::certain &&
                         !lock->owned_by_cgroup && lock->record.owner.process.id.known();
      if (lock->removed || !open || !owned || lock->record.made >= settled_from) continue;
      record = lock->record;
      watched = lock->watched;
    }
    const auto state = volume_.processes.state(record.owner.process.id, record.owner.boot);
    if (state.life != Life::alive) {
      // Of a watched one we are told.
      if (!watched) advance(lock, state, now());
      continue;
    }
    record.ancestors.clear();
    (void)volume_.locks.update(lock, record, false, kNever);
  }
}

}  // namespace ebbfs
