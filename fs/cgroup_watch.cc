// SPDX-License-Identifier: Apache-2.0
#include "fs/cgroup_watch.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>
#include <utility>

namespace ebbfs {
namespace {

constexpr std::uint32_t kEventsMask = IN_MODIFY;
constexpr std::uint32_t kParentMask = IN_DELETE | IN_ONLYDIR;

// "/a" for "/a/b", "/" for "/a".
std::string parent_cgroup(const std::string& cgroup) {
  const auto slash = cgroup.rfind('/');
  return slash == 0 ? "/" : cgroup.substr(0, slash);
}

bool has_dot_dot(std::string_view path) {
  return path.ends_with("/..") || path.find("/../") != std::string_view::npos;
}

bool is_missing(const std::string& dir) {
  struct stat status{};
  return ::stat(dir.c_str(), &status) != 0 && errno == ENOENT;
}

}  // namespace

Result<std::unique_ptr<CgroupWatch>> CgroupWatch::open(std::optional<CgroupMount> mount) {
  UniqueFd inotify(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!inotify.valid()) return fail_errno();
  return std::unique_ptr<CgroupWatch>(new CgroupWatch(std::move(mount), std::move(inotify)));
}

std::optional<std::string> CgroupWatch::directory(const std::string& cgroup) const {
  // A cgroup outside our cgroup namespace shows as "/..": it is not below our mount.
  if (!mount_ || !cgroup.starts_with('/') || has_dot_dot(cgroup)) return std::nullopt;
  std::string_view below = cgroup;
  if (mount_->root != "/") {
    if (!below.starts_with(mount_->root)) return std::nullopt;
    below.remove_prefix(mount_->root.size());
    if (!below.empty() && below.front() != '/') return std::nullopt;
  }
  return mount_->path + std::string(below == "/" ? std::string_view{} : below);
}

CgroupLife CgroupWatch::life(const std::string& cgroup) const {
  const auto dir = directory(cgroup);
  if (!dir) return CgroupLife::unknown;
  const auto events = read_file_at(AT_FDCWD, (*dir + "/cgroup.events").c_str());
  if (events) {
    if (events->find("populated 1") != std::string::npos) return CgroupLife::populated;
    if (events->find("populated 0") != std::string::npos) return CgroupLife::gone;
    return CgroupLife::unknown;
  }
  const int error = code(events.error());
  if (error == ENODEV) return CgroupLife::gone;  // removed while being read
  if (error != ENOENT) return CgroupLife::unknown;
  if (is_missing(*dir)) return is_missing(mount_->path) ? CgroupLife::unknown : CgroupLife::gone;
  // Only the root of the hierarchy has no such file.
  return cgroup == "/" ? CgroupLife::populated : CgroupLife::unknown;
}

Result<CgroupLife> CgroupWatch::watch(const std::string& cgroup) {
  if (!directory(cgroup)) return fail(EINVAL);
  const MutexLock lock(mu_);
  const auto [it, is_new] = watched_.try_emplace(cgroup);
  auto& watched = it->second;
  // One that was gone may have been made anew, as another directory.
  if (is_new || watched.gone) {
    if (auto attached = attach(cgroup, watched); !attached) {
      if (is_new) watched_.erase(it);
      return std::unexpected(attached.error());
    }
    watched.gone = false;
  }
  ++watched.count;
  due_.insert(cgroup);
  // Only after the watch stands, or an end between the two would go unnoticed.
  return life(cgroup);
}

void CgroupWatch::unwatch(const std::string& cgroup) {
  const MutexLock lock(mu_);
  const auto it = watched_.find(cgroup);
  if (it == watched_.end() || --it->second.count > 0) return;
  drop_events(it->second.events_wd);
  drop_parent(it->second.parent_wd);
  watched_.erase(it);
  due_.erase(cgroup);
}

Status CgroupWatch::attach(const std::string& cgroup, Watched& watched) {
  const auto parent_wd = hold_parent(cgroup, watched.parent_wd);
  if (!parent_wd) return std::unexpected(parent_wd.error());
  const auto events_wd = hold_events(cgroup, watched.events_wd);
  if (!events_wd) {
    if (*parent_wd != watched.parent_wd) drop_parent(*parent_wd);
    return std::unexpected(events_wd.error());
  }
  if (*parent_wd != watched.parent_wd) drop_parent(std::exchange(watched.parent_wd, *parent_wd));
  if (*events_wd != watched.events_wd) drop_events(std::exchange(watched.events_wd, *events_wd));
  return {};
}

// The descriptor for its cgroup.events, which is `held` when nothing has changed; -1 without one.
Result<int> CgroupWatch::hold_events(const std::string& cgroup, int held) {
  const auto path = *directory(cgroup) + "/cgroup.events";
  const int wd = ::inotify_add_watch(inotify_.get(), path.c_str(), kEventsMask);
  if (wd < 0) return errno == ENOENT ? Result<int>(-1) : fail_errno();
  if (wd != held) by_events_wd_.insert_or_assign(wd, cgroup);
  return wd;
}

// The same for the directory that it is removed from; counts one more holder unless `held`.
Result<int> CgroupWatch::hold_parent(const std::string& cgroup, int held) {
  if (cgroup == "/" || cgroup == mount_->root) return -1;  // cannot be removed
  const auto parent = parent_cgroup(cgroup);
  const int wd = ::inotify_add_watch(inotify_.get(), directory(parent)->c_str(), kParentMask);
  if (wd < 0) return errno == ENOENT ? Result<int>(-1) : fail_errno();
  if (wd == held) return wd;
  auto& entry = by_parent_wd_[wd];
  entry.cgroup = parent;
  ++entry.count;
  return wd;
}

void CgroupWatch::drop_events(int wd) {
  if (by_events_wd_.erase(wd) > 0) ::inotify_rm_watch(inotify_.get(), wd);
}

void CgroupWatch::drop_parent(int wd) {
  const auto it = by_parent_wd_.find(wd);
  if (it == by_parent_wd_.end() || --it->second.count > 0) return;
  ::inotify_rm_watch(inotify_.get(), wd);
  by_parent_wd_.erase(it);
}

void CgroupWatch::read_events() {
  alignas(inotify_event) std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t n = ::read(inotify_.get(), buffer.data(), buffer.size());
    if (n <= 0) return;  // EAGAIN: no more
    for (std::size_t at = 0; at < static_cast<std::size_t>(n);) {
      inotify_event event{};
      std::memcpy(&event, buffer.data() + at, sizeof event);
      note(event.wd, event.mask, event.len > 0 ? buffer.data() + at + sizeof event : "");
      at += sizeof event + event.len;
    }
  }
}

void CgroupWatch::note(int wd, std::uint32_t mask, const char* name) {
  if ((mask & IN_Q_OVERFLOW) != 0) {
    for (const auto& entry : watched_) due_.insert(entry.first);
  } else if (const auto own = by_events_wd_.find(wd); own != by_events_wd_.end()) {
    due_.insert(own->second);
  } else if (const auto parent = by_parent_wd_.find(wd); parent != by_parent_wd_.end()) {
    const auto& above = parent->second.cgroup;
    due_.insert((above == "/" ? "" : above) + "/" + name);
  }
}

std::vector<std::string> CgroupWatch::drain() {
  const MutexLock lock(mu_);
  read_events();
  std::vector<std::string> ended;
  for (const auto& cgroup : std::exchange(due_, {})) {
    const auto it = watched_.find(cgroup);
    if (it == watched_.end()) continue;  // a neighbour was removed
    const bool is_gone = life(cgroup) == CgroupLife::gone;
    if (is_gone && !it->second.gone) ended.push_back(cgroup);
    it->second.gone = is_gone;
  }
  return ended;
}

}  // namespace ebbfs
