// SPDX-License-Identifier: Apache-2.0
//
// The request path's part of locks: noticing that a name just made is one, and who made it.
#include <spdlog/spdlog.h>

#include "fs/filesystem.h"
#include "fs/git_directory.h"
#include "fs/lock_place.h"

namespace ebbfs {
namespace {

std::string last_component(const std::string& path) {
  return path.substr(path.find_last_of('/') + 1);
}

// Else the lock goes by its class's ttl.
bool is_visible(const ProcessTable& processes, const Owner& owner, OwnerMode mode) {
  if (mode == OwnerMode::cgroup) return processes.sees_cgroup(owner.cgroup);
  return owner.process.id.known();
}

}  // namespace

Owner Filesystem::owner_of(const Caller& caller, std::string_view job,
                           std::vector<ProcessSeen>* ancestors) {
  CallerIdentity identity = volume_.processes.identify(caller.tid);
  Owner owner;
  owner.uid = caller.uid;
  owner.gid = caller.gid;
  owner.process = std::move(identity.process);
  owner.boot = volume_.processes.boot_id();
  owner.pid_ns = identity.pid_ns;
  owner.job = job.empty() ? last_component(identity.cgroup) : std::string(job);
  owner.cgroup = std::move(identity.cgroup);
  if (ancestors != nullptr) *ancestors = std::move(identity.ancestors);
  return owner;
}

const ClassRule* Filesystem::lock_rule(const Policy& policy, const Parent& parent,
                                       const char* name) {
  const Match& match = parent.match;
  if (match.lock_class != kNoClass) return &policy.classes[match.lock_class];
  if (match.git_lock_class == kNoClass) return nullptr;
  if (!is_own_git_lock(volume_.backing, parent.fd->get(), name)) return nullptr;
  return &policy.classes[match.git_lock_class];
}

LockRef Filesystem::suspect_lock(NodeId parent, const char* name) {
  if (volume_.locks.empty()) return nullptr;
  LockRef lock = volume_.locks.find(number_of(parent), name);
  if (lock == nullptr) return nullptr;
  const MutexLock held(lock->mu);
  return lock->suspect && !lock->removed ? lock : nullptr;
}

Result<std::optional<LockRecord>> Filesystem::describe_lock(const Caller& caller,
                                                            const Parent& parent,
                                                            const char* name) {
  if (parent.match.lock_class == kNoClass && parent.match.git_lock_class == kNoClass) {
    return std::nullopt;
  }
  const auto policy = volume_.rules.policy();
  const ClassRule* rule = lock_rule(*policy, parent, name);
  if (rule == nullptr) return std::nullopt;

  LockRecord record;
  record.owner = owner_of(caller, volume_.rules.classifier().job(parent.match), &record.ancestors);
  auto path = volume_.backing.path_of(parent.fd->get());
  if (!path) return std::unexpected(path.error());
  if (!path->empty()) path->push_back('/');
  record.path = *path + name;
  record.parent = parent.place.handle;
  record.parent_inode = parent.inode->id;
  record.name = name;
  record.unit = parent.place.unit->id();
  record.class_name = rule->name;
  record.made = volume_.clock.wall_now();
  if (!is_visible(volume_.processes, record.owner, rule->owner)) {
    record.certainty = OwnerCertainty::unknown;
  }
  return record;
}

Status Filesystem::intend_lock(const Caller& caller, Parent& parent, const char* name) {
  auto record = describe_lock(caller, parent, name);
  if (!record) return std::unexpected(record.error());
  // What is there already will not be made.
  if (!*record || volume_.backing.stat(parent.fd->get(), name)) return {};
  const auto intended = volume_.locks.intend(**record);
  if (!intended) return std::unexpected(intended.error());
  parent.intent = *intended;
  return {};
}

void Filesystem::abandon_lock(const Parent& parent) {
  if (parent.intent == LockId{}) return;
  if (const auto erased = volume_.index.erase_lock(parent.intent); !erased) {
    spdlog::error("op=erase_lock lock={} errno={}", raw(parent.intent), code(erased.error()));
  }
}

Status Filesystem::take_lock(const Caller& caller, const Parent& parent, const char* name,
                             const Child& child) {
  auto described = describe_lock(caller, parent, name);
  if (!described) return std::unexpected(described.error());
  if (!*described) return {};
  LockRecord& record = **described;
  record.id = parent.intent;
  record.object = child.inode->handle();
  record.object_inode = child.inode->id;
  record.is_directory = is_directory(child.attributes);
  const auto policy = volume_.rules.policy();
  const ClassRule* rule = policy->find_class(record.class_name);
  if (rule == nullptr) return {};
  const bool by_cgroup = rule->owner == OwnerMode::cgroup;
  const bool visible = record.certainty != OwnerCertainty::unknown;
  const WallTime due = visible || rule->ttl == kNoLimit ? kNever : record.made + rule->ttl;

  // A directory in which somebody else takes locks is a place for them, not a lock.
  if (const LockRef around = volume_.locks.find_directory(parent.inode->id)) {
    const bool same_owner = [&] {
      const MutexLock held(around->mu);
      return around->record.owner.process == record.owner.process;
    }();
    if (!same_owner) volume_.locks.remove(around);
  }
  const auto lock = volume_.locks.add(std::move(record), by_cgroup, due);
  if (!lock) return std::unexpected(lock.error());
  const bool ended_already = [&] {
    const MutexLock held((*lock)->mu);
    return visible && (*lock)->suspect;
  }();
  if (ended_already) {
    const WallTime now = volume_.clock.wall_now();
    (void)volume_.index.reschedule(Deadline::Kind::lock, raw((*lock)->id), now);
    agenda_.due_at(now);
  } else if (due != kNever) {
    agenda_.due_at(due);
  }
  return {};
}

void Filesystem::retake_lock(const Caller& caller, NodeId node) {
  if (volume_.locks.empty()) return;
  const LockRef lock = volume_.locks.find_object(number_of(node));
  if (lock == nullptr) return;
  LockRecord changed;
  {
    const MutexLock held(lock->mu);
    if (!lock->suspect || lock->removed) return;
    changed = lock->record;
  }
  const auto policy = volume_.rules.policy();
  const ClassRule* rule = policy->find_class(changed.class_name);
  if (rule == nullptr) return;
  const bool by_cgroup = rule->owner == OwnerMode::cgroup;
  changed.owner = owner_of(caller, changed.owner.job, &changed.ancestors);
  if (!is_visible(volume_.processes, changed.owner, rule->owner)) return;
  changed.certainty = OwnerCertainty::certain;
  changed.made = volume_.clock.wall_now();
  if (const auto updated = volume_.locks.update(lock, changed, by_cgroup, kNever); !updated) {
    spdlog::warn("event=lock_not_updated path={:?} errno={}", changed.path, code(updated.error()));
  }
}

void Filesystem::drop_lock(NodeId parent, const char* name) {
  if (volume_.locks.empty()) return;
  if (const LockRef lock = volume_.locks.find(number_of(parent), name)) volume_.locks.remove(lock);
}

void Filesystem::move_locks_below(std::span<const std::string> directories) {
  std::vector<LockRef> concerned;
  for (const std::string& path : directories) {
    const auto below = volume_.locks.below(path);
    concerned.insert(concerned.end(), below.begin(), below.end());
  }
  if (concerned.empty()) return;
  const WallTime now = volume_.clock.wall_now();
  std::vector<LockRef> no_more;
  for (const LockRef& lock : concerned) {
    const LockRecord record = [&] {
      const MutexLock held(lock->mu);
      return lock->record;
    }();
    const auto parent = open_lock_parent(volume_, record);
    // Where that cannot be known, who is about to remove it finds out.
    if (!parent) continue;
    const auto place = lock_place(volume_, (*parent)->get(), record.name);
    if (!place) continue;
    if (!*place) {
      spdlog::info("event=lock_dropped path={:?} why=moved_out_of_its_class", record.path);
      no_more.push_back(lock);
      continue;
    }
    if ((*place)->path == record.path && (*place)->is_of(record)) continue;
    const auto moved = volume_.locks.move(lock, **place, now);
    if (!moved && moved.error() != Errno{ESTALE}) {
      spdlog::warn("event=lock_not_moved path={:?} now={:?} errno={}", record.path, (*place)->path,
                   code(moved.error()));
    }
  }
  volume_.locks.remove(no_more);
  agenda_.due_at(now);
}

Status Filesystem::clear_way(const Caller& caller, NodeId parent, const char* name) {
  const LockRef lock = suspect_lock(parent, name);
  if (lock == nullptr) return {};
  // Judging may wait for backing calls, other locks and the lock's unit.
  if (!caller.may_block) return std::unexpected(kDefer);
  // A directory that is gone has nothing in the way, but its number may be that of the lock's.
  const InodeRef directory = volume_.inodes.find(parent);
  if (!directory || directory->retired()) return {};
  (void)agenda_.reclaim_if_due(lock);
  return {};
}

}  // namespace ebbfs
