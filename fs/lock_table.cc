// SPDX-License-Identifier: Apache-2.0
#include "fs/lock_table.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <utility>

namespace ebbfs {
namespace {

// Takes `lock`, known as `member`, out of the group `key`; a group that is empty goes.
template <typename Groups, typename Key, typename Member>
void erase_from(Groups& groups, const Key& key, const Member& member, const Lock& lock) {
  const auto group = groups.find(key);
  if (group == groups.end()) return;
  auto& locks = group->second;
  const auto found = locks.find(member);
  // A name may stand for a lock taken since.
  if (found != locks.end() && found->second.get() == &lock) locks.erase(found);
  if (locks.empty()) groups.erase(group);
}

template <typename Locks>
std::vector<LockRef> values(const Locks& locks) {
  std::vector<LockRef> list;
  list.reserve(locks.size());
  for (const auto& [key, lock] : locks) list.push_back(lock);
  return list;
}

template <typename Groups, typename Key>
std::vector<LockRef> group(const Groups& groups, const Key& key) {
  const auto found = groups.find(key);
  return found == groups.end() ? std::vector<LockRef>{} : values(found->second);
}

}  // namespace

LockTable::LockTable(UnitIndex& index, ProcessTable& processes)
    : index_(index), processes_(processes) {}

Result<LockRef> LockTable::add(LockRecord record, bool cgroup_owner, WallTime due) {
  const LockRef before = find(record.parent_inode, record.name);
  if (record.id == LockId{}) record.id = index_.next_lock_id();
  if (const auto stored = index_.put_lock(record, due); !stored) {
    return std::unexpected(stored.error());
  }
  LockRef lock = take(std::move(record), cgroup_owner);
  // Last: a crash leaves a record too many, which stands for nothing, rather than none.
  if (before != nullptr) remove(before);
  return lock;
}

Result<LockId> LockTable::intend(LockRecord record) {
  record.id = index_.next_lock_id();
  record.object = FileHandle{};
  if (const auto stored = index_.put_lock(record, kNever); !stored) {
    return std::unexpected(stored.error());
  }
  return record.id;
}

LockRef LockTable::restore(LockRecord record, bool cgroup_owner) {
  return take(std::move(record), cgroup_owner);
}

// In the maps before it is watched, so that an end reported at once finds the lock there; and who
// finds it waits for `lock->mu` until the watch is set up.
LockRef LockTable::take(LockRecord record, bool cgroup_owner) {
  auto lock = std::make_shared<Lock>(std::move(record));
  const MutexLock state(lock->mu);
  lock->owned_by_cgroup = cgroup_owner;
  {
    const WriterLock maps(mu_);
    by_id_.emplace(raw(lock->id), lock);
    // Erased first, not assigned: the key must view the name in the new Lock.
    Names& names = by_directory_[raw(lock->parent_inode)];
    names.erase(lock->name);
    names.emplace(lock->name, lock);
    by_unit_[raw(lock->unit.load())].emplace(raw(lock->id), lock);
    by_object_[raw(lock->object_inode)].emplace(raw(lock->id), lock);
    insert_owner(lock);
    size_.store(by_id_.size(), std::memory_order_relaxed);
  }
  watch(*lock);
  return lock;
}

void LockTable::insert_owner(const LockRef& lock) {
  const Owner& owner = lock->record.owner;
  if (!lock->owned_by_cgroup && owner.process.id.known()) {
    by_process_[owner.process.id].emplace(raw(lock->id), lock);
  }
  if (lock->owned_by_cgroup && !owner.cgroup.empty()) {
    by_cgroup_[owner.cgroup].emplace(raw(lock->id), lock);
  }
}

void LockTable::erase_owner(const Lock& lock) {
  const Owner& owner = lock.record.owner;
  if (lock.owned_by_cgroup) {
    erase_from(by_cgroup_, owner.cgroup, raw(lock.id), lock);
  } else {
    erase_from(by_process_, owner.process.id, raw(lock.id), lock);
  }
}

void LockTable::remove(const LockRef& lock) {
  const std::array<LockRef, 1> kept{lock};  // the caller's may be one that the maps hold
  remove(kept);
}

// Who has marked a lock as removed is the last to change it in the index.
void LockTable::remove(std::span<const LockRef> locks) {
  std::vector<LockRef> mine;
  std::vector<LockId> ids;
  for (const LockRef& lock : locks) {
    const MutexLock state(lock->mu);
    if (std::exchange(lock->removed, true)) continue;
    mine.push_back(lock);
    ids.push_back(lock->id);
  }
  if (const auto erased = index_.erase_locks(ids); !erased) {
    // The records are found to be stale at the next start: their objects are gone from their names.
    spdlog::error("op=erase_lock locks={} errno={}", ids.size(), code(erased.error()));
  }
  for (const LockRef& lock : mine) forget(lock);
}

void LockTable::forget(const LockRef& lock) {
  const MutexLock state(lock->mu);
  {
    const WriterLock maps(mu_);
    erase_from(by_directory_, raw(lock->parent_inode), lock->name, *lock);
    erase_from(by_unit_, raw(lock->unit.load()), raw(lock->id), *lock);
    erase_from(by_object_, raw(lock->object_inode), raw(lock->id), *lock);
    erase_owner(*lock);
    by_id_.erase(raw(lock->id));
    size_.store(by_id_.size(), std::memory_order_relaxed);
  }
  if (std::exchange(lock->watched, false)) unwatch(lock->record, lock->owned_by_cgroup);
}

Status LockTable::update(const LockRef& lock, const LockRecord& changed, bool cgroup_owner,
                         WallTime due) {
  const MutexLock state(lock->mu);
  LockRecord next = changed;
  next.path = lock->record.path;
  next.class_name = lock->record.class_name;
  next.unit = lock->record.unit;
  return change(lock, next, cgroup_owner, due, true);
}

// What is known of how its owner ended stays with the lock, as that is told once.
Status LockTable::move(const LockRef& lock, const LockPlace& place, WallTime due) {
  const MutexLock state(lock->mu);
  LockRecord moved = lock->record;
  moved.path = place.path;
  moved.class_name = place.class_name;
  moved.unit = place.unit;
  const bool by_cgroup = place.owner == OwnerMode::cgroup;
  return change(lock, moved, by_cgroup, due, by_cgroup != lock->owned_by_cgroup);
}

Status LockTable::change(const LockRef& lock, const LockRecord& changed, bool cgroup_owner,
                         WallTime due, bool watch_anew) {
  if (lock->removed) return fail(ESTALE);
  if (auto stored = index_.put_lock(changed, due); !stored) return stored;
  const bool was_watched = lock->watched;
  const bool was_by_cgroup = lock->owned_by_cgroup;
  LockRecord before;
  {
    const WriterLock maps(mu_);
    erase_owner(*lock);
    before = std::exchange(lock->record, changed);
    lock->owned_by_cgroup = cgroup_owner;
    insert_owner(lock);
    if (const UnitId was = lock->unit.exchange(changed.unit); was != changed.unit) {
      erase_from(by_unit_, raw(was), raw(lock->id), *lock);
      by_unit_[raw(changed.unit)].emplace(raw(lock->id), lock);
    }
  }
  if (!watch_anew) return {};
  // Watched anew before the old watch ends: an owner that stays is watched throughout.
  watch(*lock);
  if (was_watched) unwatch(before, was_by_cgroup);
  return {};
}

// A watch tells of an end once, and may have done so for another lock of the same owner: so the
// state is asked for as well.
void LockTable::watch(Lock& lock) {
  const Owner& owner = lock.record.owner;
  const ProcessId& process = owner.process.id;
  lock.watched = false;
  lock.owner_state = OwnerState{};
  if (lock.owned_by_cgroup && !owner.cgroup.empty()) {
    lock.watched = processes_.watch_cgroup(owner.cgroup).has_value();
    if (lock.watched) lock.owner_state = processes_.cgroup_state(owner.cgroup);
    // The cgroup of that name is another one since the machine was started again.
    if (owner.boot != processes_.boot_id()) lock.owner_state.life = OwnerState::Life::ended;
  }
  if (!lock.owned_by_cgroup && process.known()) {
    lock.watched = processes_.watch(process).has_value();
    if (lock.watched) lock.owner_state = processes_.state(process, owner.boot);
  }
  lock.suspect = lock.owner_state.life != OwnerState::Life::alive;
}

void LockTable::unwatch(const LockRecord& record, bool by_cgroup) {
  if (by_cgroup) {
    processes_.unwatch_cgroup(record.owner.cgroup);
  } else {
    processes_.unwatch(record.owner.process.id);
  }
}

void LockTable::remember(const LockRecord& record) {
  const WriterLock lock(mu_);
  nameless_.push_back(record);
}

std::optional<LockRecord> LockTable::recall(const FileHandle& object) const {
  const ReaderLock lock(mu_);
  const auto found = std::ranges::find(nameless_, object, &LockRecord::object);
  if (found == nameless_.end()) return std::nullopt;
  return *found;
}

void LockTable::forget_remembered() {
  const WriterLock lock(mu_);
  std::vector<LockRecord>().swap(nameless_);
}

LockRef LockTable::find(LockId id) const {
  const ReaderLock lock(mu_);
  const auto found = by_id_.find(raw(id));
  return found == by_id_.end() ? nullptr : found->second;
}

LockRef LockTable::find(InodeId parent, std::string_view name) const {
  const ReaderLock lock(mu_);
  const auto directory = by_directory_.find(raw(parent));
  if (directory == by_directory_.end()) return nullptr;
  const auto found = directory->second.find(name);
  return found == directory->second.end() ? nullptr : found->second;
}

LockRef LockTable::find_object(InodeId object) const {
  const ReaderLock lock(mu_);
  const auto found = by_object_.find(raw(object));
  return found == by_object_.end() ? nullptr : found->second.rbegin()->second;
}

LockRef LockTable::find_directory(InodeId object) const {
  LockRef lock = find_object(object);
  return lock != nullptr && lock->is_directory ? lock : nullptr;
}

std::vector<LockRef> LockTable::of_process(const ProcessId& process) const {
  const ReaderLock lock(mu_);
  return group(by_process_, process);
}

std::vector<LockRef> LockTable::of_cgroup(const std::string& cgroup) const {
  const ReaderLock lock(mu_);
  return group(by_cgroup_, cgroup);
}

std::vector<LockRef> LockTable::in_unit(UnitId unit) const {
  const ReaderLock lock(mu_);
  return group(by_unit_, raw(unit));
}

std::vector<LockRef> LockTable::in_directory(InodeId directory) const {
  const ReaderLock lock(mu_);
  return group(by_directory_, raw(directory));
}

std::vector<LockRef> LockTable::below(std::string_view path) const {
  // Any one of a directory tells where all in it are.
  std::vector<LockRef> samples;
  {
    const ReaderLock lock(mu_);
    samples.reserve(by_directory_.size());
    for (const auto& [directory, names] : by_directory_) samples.push_back(names.begin()->second);
  }
  const std::string prefix = std::string(path) + "/";
  std::vector<LockRef> found;
  for (const LockRef& sample : samples) {
    const bool is_below = [&] {
      const MutexLock held(sample->mu);
      return sample->record.path.starts_with(prefix);
    }();
    if (!is_below) continue;
    const auto locks = in_directory(sample->parent_inode);
    found.insert(found.end(), locks.begin(), locks.end());
  }
  return found;
}

std::vector<LockRef> LockTable::all() const {
  const ReaderLock lock(mu_);
  return values(by_id_);
}

}  // namespace ebbfs
