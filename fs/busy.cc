// SPDX-License-Identifier: Apache-2.0
#include "fs/busy.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <sstream>

#include "fs/proc_files.h"
#include "fs/tree.h"

namespace ebbfs {
namespace {

// The fifth field of each line: mount points.
std::optional<std::vector<std::string>> list_mountpoints(const std::string& mountinfo) {
  std::ifstream in(mountinfo);
  if (!in) return std::nullopt;
  std::vector<std::string> mountpoints;
  for (std::string line; std::getline(in, line);) {
    std::istringstream fields(line);
    std::string field;
    for (int i = 0; i < 5; ++i) fields >> field;
    if (!fields) return std::nullopt;
    mountpoints.push_back(unescaped_mount_field(field));
  }
  if (in.bad()) return std::nullopt;
  return mountpoints;
}

std::string why(Errno error) { return std::strerror(code(error)); }

}  // namespace

BusyProbe::Found BusyProbe::look(const UnitRef& unit, const std::string& path, int dir,
                                 const char* name, Listing listing) {
  const bool old =
      listing == Listing::fresh && listed_ && volume_.clock.mono_now() - *listed_ > kFresh;
  if (!listed_ || old) list();
  Found found;
  look_for_opens(*unit, found);
  look_for_processes(*unit, found);
  look_for_git(unit, path, dir, name, found);
  look_for_locks(*unit, found);
  look_for_mounts(path, found);
  return found;
}

void BusyProbe::list() {
  listed_ = volume_.clock.mono_now();
  opens_.emplace(volume_, mounted_ ? std::optional(mounted_->device) : std::nullopt);
  occupants_.reset();
  mountpoints_.reset();
  if (!mounted_) return;
  mountpoints_ = list_mountpoints(mounted_->mountinfo);
  occupants_ = look_for_occupants(volume_, mounted_->device);
}

void BusyProbe::look_for_opens(const Unit& unit, Found& found) const {
  const std::uint32_t opens = unit.opens();
  found.busy.open_files = opens == 0 ? Answer::no : Answer::yes;
  if (opens == 0) return;
  found.blockers.push_back({Reason::open_files, fmt::format("files inside are open ({})", opens)});
}

void BusyProbe::look_for_processes(const Unit& unit, Found& found) const {
  if (!occupants_) {
    found.blockers.push_back(
        {Reason::use_unknown, "it could not be found out whether a process is inside"});
    return;
  }
  const bool inside = occupants_->units.contains(unit.id());
  found.busy.process_inside = inside ? Answer::yes : Answer::no;
  if (!inside) return;
  found.blockers.push_back({Reason::process_inside,
                            "a process has its working directory, its root, its program or "
                            "something open or mapped inside"});
}

void BusyProbe::look_for_git(const UnitRef& unit, const std::string& path, int dir,
                             const char* name, Found& found) const {
  auto admin = find_git_admin(volume_.backing, dir, name, path);
  if (!admin) {
    found.blockers.push_back(
        {Reason::use_unknown, "its git administrative entry: " + why(admin.error())});
    return;
  }
  const auto locked = find_locked_worktree(volume_.backing, dir, name);
  if (!locked) {
    found.blockers.push_back(
        {Reason::use_unknown,
         "the git worktrees that it is the repository of: " + why(locked.error())});
    return;
  }
  found.busy.git_locked = *locked ? Answer::yes : Answer::no;
  if (*locked) {
    found.blockers.push_back(
        {Reason::git_locked, "its worktree " + **locked + " is locked by git worktree lock"});
  }
  if (!*admin) return;
  if ((*admin)->locked) {
    found.busy.git_locked = Answer::yes;
    std::string text = "locked by git worktree lock";
    if (!(*admin)->locked_why.empty()) text += ": " + (*admin)->locked_why;
    found.blockers.push_back({Reason::git_locked, std::move(text)});
  }
  // One that lies in the unit goes with it anyhow.
  if (unit_of_path(volume_, (*admin)->path) != unit) look_into_admin(std::move(**admin), found);
}

void BusyProbe::look_into_admin(GitAdmin admin, Found& found) const {
  auto inodes = gather_tree(volume_.backing, admin.parent.get(), admin.id.c_str(), kAdminInodesMax);
  if (!inodes) {
    // What is so large is left for git to take away.
    if (inodes.error() == Errno{E2BIG}) return;
    found.busy.git_locked = Answer::unknown;
    found.blockers.push_back(
        {Reason::use_unknown, "its git administrative entry: " + why(inodes.error())});
    return;
  }
  const bool open = std::ranges::any_of(*inodes, [&](const TreeInode& one) {
    if (occupants_ && occupants_->inodes.contains(one.attributes.stx_ino)) return true;
    const InodeRef inode = volume_.inodes.find(one.id());
    if (!inode) return false;
    const PatientLock size_lock(inode->size_mu, false);
    return !size_lock || inode->extent.opens > 0;
  });
  if (open) {
    found.busy.open_files = Answer::yes;
    found.blockers.push_back({Reason::open_files, "git is at work in " + admin.path});
  }
  found.admin = std::move(admin);
  found.admin_inodes = std::move(*inodes);
}

void BusyProbe::look_for_locks(const Unit& unit, Found& found) {
  auto inside = volume_.locks.in_unit(unit.id());
  // Where git keeps the worktree's index.lock, logs/HEAD.lock, and those of its submodules.
  for (const TreeInode& inode : found.admin_inodes) {
    if (!is_directory(inode.attributes)) continue;
    for (LockRef& lock : volume_.locks.in_directory(inode.id())) inside.push_back(std::move(lock));
  }
  found.busy.live_lock = Answer::no;
  for (const LockRef& lock : inside) {
    if (!locks_.holds(lock, *opens_)) continue;
    found.busy.live_lock = Answer::yes;
    const MutexLock held(lock->mu);
    found.blockers.push_back(
        {Reason::live_lock, fmt::format("lock {} of {}", lock->record.path,
                                        process_text(lock->record.owner.process))});
  }
}

void BusyProbe::look_for_mounts(const std::string& path, Found& found) const {
  if (!mountpoints_ || !occupants_) {
    found.blockers.push_back(
        {Reason::use_unknown, "it could not be found out whether something is mounted inside"});
    return;
  }
  found.busy.mount_inside = Answer::no;
  const std::string top = mounted_->path + "/" + path;
  for (const std::string& mountpoint : *mountpoints_) {
    if (mountpoint != top && !mountpoint.starts_with(top + "/")) continue;
    found.busy.mount_inside = Answer::yes;
    found.blockers.push_back({Reason::mount_inside, "something is mounted at " + mountpoint});
  }
  for (const std::string& inside : occupants_->mounted_upon) {
    if (inside != path && !inside.starts_with(path + "/")) continue;
    found.busy.mount_inside = Answer::yes;
    found.blockers.push_back({Reason::mount_inside, "something is mounted at " + inside +
                                                        ", in another mount namespace"});
  }
}

}  // namespace ebbfs
