// SPDX-License-Identifier: Apache-2.0
#include "fs/lock_adoption.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <vector>

#include "fs/git_directory.h"
#include "fs/tree.h"

namespace ebbfs {
namespace {

// How often it is tried to freeze the unit whose locks are recorded.
constexpr int kFreezesMax = 50;

// A lock that was renamed when the daemon died stays with its owner, if that lives.
bool give_back_owner(const Volume& volume, LockRecord& record) {
  const auto was = volume.locks.recall(record.object);
  if (!was || was->certainty == OwnerCertainty::unknown) return false;
  const auto state = volume.processes.state(was->owner.process.id, was->owner.boot);
  if (state.life != OwnerState::Life::alive) return false;
  record.owner = was->owner;
  record.ancestors = was->ancestors;
  record.certainty = was->certainty;
  record.made = was->made;
  return true;
}

class Below {
 public:
  explicit Below(Volume& volume) : volume_(volume), now_(volume.clock.wall_now()) {}

  WallTime walk(const Inode::Place& top) {
    to_walk_.push_back(top);
    while (!to_walk_.empty()) {
      const Inode::Place place = std::move(to_walk_.back());
      to_walk_.pop_back();
      visit(place);
    }
    return first_due_;
  }

 private:
  void visit(const Inode::Place& place) {
    const auto fd = open_by_handle(volume_, place.handle, O_RDONLY | O_DIRECTORY);
    if (!fd) return;  // removed meanwhile
    const auto own = volume_.backing.stat(fd->get(), "");
    if (!own) return;
    const WalkedDirectory directory{place, fd->get(), inode_id_of(volume_.backing, *own)};
    std::vector<std::string> locks;
    for (;;) {
      const auto names = next_names(fd->get());
      if (!names || names->empty()) break;
      for (const std::string& name : *names) visit_entry(directory, name, locks);
    }
    if (!locks.empty()) adopt(directory, locks);
  }

  void visit_entry(const WalkedDirectory& directory, const std::string& name,
                   std::vector<std::string>& locks) {
    const auto attributes = volume_.backing.stat(directory.fd, name.c_str());
    if (!attributes) return;
    if (!is_directory(*attributes)) {
      const Match match = volume_.rules.classifier().step(directory.place.state, name);
      if (may_be_lock(volume_, directory, name, match, *attributes)) locks.push_back(name);
      return;
    }
    const auto handle = volume_.backing.handle(directory.fd, name.c_str());
    if (!handle || !volume_.backing.on_volume(*attributes)) return;
    auto place = place_child(volume_, directory.place, name, *attributes, *handle, nullptr);
    if (place && place->unit == directory.place.unit) to_walk_.push_back(std::move(*place));
  }

  void adopt(const WalkedDirectory& directory, const std::vector<std::string>& locks) {
    Unit& unit = *directory.place.unit;
    int tries = 0;
    while (!unit.freeze(Unit::kPatience)) {
      if (unit.gone()) return;
      if (++tries < kFreezesMax) continue;
      spdlog::warn("event=locks_not_recorded unit={:?} names={} why=busy", unit.path(),
                   locks.size());
      return;
    }
    for (const std::string& name : locks) {
      const auto due = adopt_lock(volume_, directory, name, now_);
      if (due) first_due_ = std::min(first_due_, *due);
    }
    unit.thaw();
  }

  Volume& volume_;
  const WallTime now_;
  WallTime first_due_ = kNever;
  std::vector<Inode::Place> to_walk_;  // directories; a stack
};

}  // namespace

bool may_be_lock(const Volume& volume, const WalkedDirectory& directory, const std::string& name,
                 const Match& match, const Attributes& attributes) {
  if (!is_regular(attributes) && !S_ISLNK(attributes.stx_mode)) return false;
  if (match.lock_class == kNoClass && match.git_lock_class == kNoClass) return false;
  return volume.locks.find(directory.id, name) == nullptr;
}

std::optional<WallTime> adopt_lock(Volume& volume, const WalkedDirectory& directory,
                                   const std::string& name, WallTime made_min) {
  const Backing& backing = volume.backing;
  const Classifier& classifier = volume.rules.classifier();
  const Match match = classifier.step(directory.place.state, name);
  const bool own = match.lock_class == kNoClass;
  if (own && !is_own_git_lock(backing, directory.fd, name)) return {};
  if (volume.locks.find(directory.id, name) != nullptr) return {};
  const auto attributes = backing.stat(directory.fd, name.c_str());
  const auto handle = backing.handle(directory.fd, name.c_str());
  auto path = backing.path_of(directory.fd);
  if (!attributes || !handle || !path) return {};
  if (!path->empty()) path->push_back('/');

  const auto policy = volume.rules.policy();
  const ClassRule& rule = policy->classes[own ? match.git_lock_class : match.lock_class];
  LockRecord record;
  record.path = *path + name;
  record.parent = directory.place.handle;
  record.parent_inode = directory.id;
  record.name = name;
  record.object = *handle;
  record.object_inode = InodeId{attributes->stx_ino};
  record.unit = directory.place.unit->id();
  record.class_name = rule.name;
  record.owner.uid = attributes->stx_uid;
  record.owner.gid = attributes->stx_gid;
  record.owner.boot = volume.processes.boot_id();
  record.owner.job = classifier.job(match);
  record.certainty = OwnerCertainty::unknown;
  record.made =
      std::clamp(newest_change(*attributes), made_min, std::max(made_min, volume.clock.wall_now()));
  const bool by_cgroup = rule.owner == OwnerMode::cgroup;
  const bool held = !by_cgroup && give_back_owner(volume, record);
  const WallTime due = held ? kNever : later(record.made, rule.ttl);
  const auto added = volume.locks.add(std::move(record), by_cgroup, due);
  if (!added) {
    spdlog::error("op=adopt_lock path={:?} errno={}", *path + name, code(added.error()));
    return {};
  }
  return due;
}

WallTime adopt_locks_below(Volume& volume, const Inode::Place& top) {
  return Below(volume).walk(top);
}

}  // namespace ebbfs
