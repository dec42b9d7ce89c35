// SPDX-License-Identifier: Apache-2.0
//
// The locks of the volume as they live in memory, found by name, by owner and by unit. A change of
// state of one lock happens under its own mutex; the table's mutex covers only the maps. Invariant:
// a lock that is not `removed` is in the index, and in the maps under the owner in its record.
//
// Threading: all from any thread. Lock order, outer to inner:
//   Lock::mu             state, storing, watching; two are never held at once
//     LockTable::mu_     map access only
//     the index and the process table, which lock for themselves
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "fs/node_id.h"
#include "fs/process_table.h"
#include "index/mutex.h"
#include "index/record.h"
#include "index/unit_index.h"
#include "policy/limits.h"

namespace ebbfs {

struct Lock {
  explicit Lock(LockRecord r)
      : id(r.id),
        parent_inode(r.parent_inode),
        name(r.name),
        unit(r.unit),
        object_inode(r.object_inode),
        is_directory(r.is_directory),
        record(std::move(r)) {}
  const LockId id;
  const InodeId parent_inode;
  const std::string name;
  // Changed under `mu` and the table's mutex; atomic because it is read with neither.
  std::atomic<UnitId> unit;
  const InodeId object_inode;
  const bool is_directory;

  mutable Mutex mu;
  LockRecord record GUARDED_BY(mu);
  // Set when the owner ended, or cannot be watched: the name must not be cached by the kernel, and
  // who meets it asks whether it can be reclaimed.
  bool suspect GUARDED_BY(mu) = false;
  OwnerState owner_state GUARDED_BY(mu){.life = OwnerState::Life::alive, .ended_at = {}};
  bool removed GUARDED_BY(mu) = false;
  // What the kernel called the object when the reaper came to remove it.
  NodeId node GUARDED_BY(mu) = kNoNode;
  // Under what the table has it, and whether that is being watched.
  bool owned_by_cgroup GUARDED_BY(mu) = false;
  bool watched GUARDED_BY(mu) = false;
};
using LockRef = std::shared_ptr<Lock>;

// Where a lock is, and what the policy makes of it there (fs/lock_place.h).
struct LockPlace {
  std::string path;  // relative to the volume root
  std::string class_name;
  OwnerMode owner = OwnerMode::process;  // of that class
  UnitId unit{};                         // that it lies in; kRootUnit when in none

  // Whether `record` says the same but for the path.
  [[nodiscard]] bool is_of(const LockRecord& record) const {
    return class_name == record.class_name && unit == record.unit;
  }
};

class LockTable {
 public:
  // Both outlive the table.
  LockTable(UnitIndex& index, ProcessTable& processes);
  LockTable(const LockTable&) = delete;
  LockTable& operator=(const LockTable&) = delete;

  // Takes a lock: gives it an identity (unless intend() has), stores it with deadline `due`,
  // watches its owner. A lock that the table had under the same name is dropped. `cgroup_owner`:
  // watch the cgroup, not the process. The lock is `suspect` when there is nobody to watch, or the
  // owner has ended already: then the end may have been reported before, so judge it now. An end
  // that comes later finds the lock through of_process or of_cgroup.
  [[nodiscard]] Result<LockRef> add(LockRecord record, bool cgroup_owner, WallTime due);
  // Stores that `record` is about to become a lock; its object is left empty. Then `add` it under
  // this identity, or erase that from the index; LockReaper::check_all does after a crash.
  [[nodiscard]] Result<LockId> intend(LockRecord record);
  // A lock as loaded from the index; watched, nothing is written.
  LockRef restore(LockRecord record, bool cgroup_owner);
  // The name is gone or stands for something else. Unwatches, erases; no-op when already removed.
  void remove(const LockRef& lock) EXCLUDES(lock->mu);
  // The same of each, erased by one change of the index.
  void remove(std::span<const LockRef> locks);
  // The lock has another owner, or is sure of it in another way: `changed`, whose id, name, parent
  // and object are as before, becomes the record, is stored, and its owner is watched anew, as by
  // `add`. Path, class and unit stay as they are now: it may have been moved since the caller
  // looked. Errors: ESTALE when the lock is removed; those of the index, and then nothing has
  // changed.
  [[nodiscard]] Status update(const LockRef& lock, const LockRecord& changed, bool cgroup_owner,
                              WallTime due) EXCLUDES(lock->mu);

  // A directory above the lock was renamed: it is at `place` now, another lock of the same owner,
  // due at `due`. Errors: as of `update`.
  [[nodiscard]] Status move(const LockRef& lock, const LockPlace& place, WallTime due)
      EXCLUDES(lock->mu);

  // At start: what is known of a lock whose name is gone, for the census, which may find its object
  // under another name (a crash came between a rename and the record of it).
  void remember(const LockRecord& record);
  [[nodiscard]] std::optional<LockRecord> recall(const FileHandle& object) const;
  void forget_remembered();

  [[nodiscard]] LockRef find(LockId id) const;
  [[nodiscard]] LockRef find(InodeId parent, std::string_view name) const;
  // The lock whose object (what its name stands for) is this inode; the newest, should hard links
  // make it several. `find_directory` only when that is a directory.
  [[nodiscard]] LockRef find_object(InodeId object) const;
  [[nodiscard]] LockRef find_directory(InodeId object) const;
  [[nodiscard]] bool empty() const { return size() == 0; }
  // Locks owned by the process, and by the cgroup: each lock is under one of the two, or under none
  // when its owner is not visible.
  [[nodiscard]] std::vector<LockRef> of_process(const ProcessId& process) const;
  [[nodiscard]] std::vector<LockRef> of_cgroup(const std::string& cgroup) const;
  [[nodiscard]] std::vector<LockRef> in_unit(UnitId unit) const;
  [[nodiscard]] std::vector<LockRef> in_directory(InodeId directory) const;
  // Those recorded below the directory `path`. Costs a look at each directory that has locks.
  [[nodiscard]] std::vector<LockRef> below(std::string_view path) const;
  [[nodiscard]] std::vector<LockRef> all() const;
  [[nodiscard]] std::size_t size() const { return size_.load(std::memory_order_relaxed); }

 private:
  // Groups of locks. A group can be all the locks there are (one directory, one worker), so taking
  // one out costs the same whatever its size.
  using Names = std::unordered_map<std::string_view, LockRef>;  // the key is in the Lock itself
  using Locks = std::unordered_map<std::uint64_t, LockRef>;     // by raw LockId
  using OrderedLocks = std::map<std::uint64_t, LockRef>;        // the same, newest last

  LockRef take(LockRecord record, bool cgroup_owner);
  void insert_owner(const LockRef& lock) REQUIRES(lock->mu, mu_);
  void erase_owner(const Lock& lock) REQUIRES(lock.mu, mu_);
  void watch(Lock& lock) REQUIRES(lock.mu);
  // `watch_anew`: even where the owner is the same.
  Status change(const LockRef& lock, const LockRecord& changed, bool cgroup_owner, WallTime due,
                bool watch_anew) REQUIRES(lock->mu);
  void forget(const LockRef& lock) EXCLUDES(lock->mu);
  // Ends one watch of the owner in `record`.
  void unwatch(const LockRecord& record, bool by_cgroup);

  UnitIndex& index_;
  ProcessTable& processes_;
  mutable SharedMutex mu_;
  Locks by_id_ GUARDED_BY(mu_);
  std::unordered_map<std::uint64_t, Names> by_directory_ GUARDED_BY(mu_);  // raw parent InodeId
  std::unordered_map<ProcessId, Locks> by_process_ GUARDED_BY(mu_);
  std::unordered_map<std::string, Locks> by_cgroup_ GUARDED_BY(mu_);
  std::unordered_map<std::uint64_t, Locks> by_unit_ GUARDED_BY(mu_);           // raw UnitId
  std::unordered_map<std::uint64_t, OrderedLocks> by_object_ GUARDED_BY(mu_);  // raw InodeId
  std::vector<LockRecord> nameless_ GUARDED_BY(mu_);
  // Of `by_id_`; atomic because requests that meet no lock ask it too. Changed under `mu_`.
  std::atomic<std::size_t> size_{0};
};

}  // namespace ebbfs
