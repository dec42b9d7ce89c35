// SPDX-License-Identifier: Apache-2.0
//
// Tells when a cgroup (v2) has become empty or was removed. One inotify descriptor serves all: the
// kernel reports a change of `cgroup.events` as a modification of that file, but drops the report
// when the cgroup is removed at once, as container runtimes do, so removals are heard from its
// parent.
//
// A cgroup is named by its path below the hierarchy's root, "/a/b". Any thread; one reader drains.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "fs/proc_files.h"
#include "fs/unique_fd.h"
#include "index/mutex.h"
#include "index/result.h"

namespace ebbfs {

enum class CgroupLife : std::uint8_t {
  populated,  // it, or one below it, has a process that is not a zombie
  gone,       // empty or removed
  unknown,    // no cgroup v2 here, not visible from here, or not readable
};

class CgroupWatch {
 public:
  // Without a `mount` every cgroup is unknown. Errors: of inotify_init1(2).
  [[nodiscard]] static Result<std::unique_ptr<CgroupWatch>> open(std::optional<CgroupMount> mount);
  CgroupWatch(const CgroupWatch&) = delete;
  CgroupWatch& operator=(const CgroupWatch&) = delete;
  ~CgroupWatch() = default;

  // Whether it lies below the mount; one of another cgroup namespace does not.
  [[nodiscard]] bool sees(const std::string& cgroup) const { return directory(cgroup).has_value(); }

  // Now. The root of the whole hierarchy is always populated.
  [[nodiscard]] CgroupLife life(const std::string& cgroup) const;

  // Watches until the matching unwatch; counted. The answer is what life() says once the watch
  // stands; when it is `gone`, drain() has something to say though fd() need not be readable.
  // Errors: EINVAL not a path below the mount; ENOSPC too many inotify watches; ENOMEM.
  [[nodiscard]] Result<CgroupLife> watch(const std::string& cgroup) EXCLUDES(mu_);
  void unwatch(const std::string& cgroup) EXCLUDES(mu_);

  // The watched cgroups that turned out to be gone, once each, and once more for each later watch.
  [[nodiscard]] std::vector<std::string> drain() EXCLUDES(mu_);
  // Readable when drain() should be called.
  [[nodiscard]] int fd() const { return inotify_.get(); }

 private:
  struct Watched {
    std::size_t count = 0;
    int events_wd = -1;  // of its cgroup.events; -1 when that does not exist
    int parent_wd = -1;  // of the directory that it is removed from; -1 when there is none
    bool gone = false;   // and reported
  };
  struct Parent {
    std::string cgroup;
    std::size_t count = 0;  // watched cgroups in it
  };

  CgroupWatch(std::optional<CgroupMount> mount, UniqueFd inotify)
      : mount_(std::move(mount)), inotify_(std::move(inotify)) {}
  // Directory of `cgroup`; nothing when it does not lie below the mount.
  [[nodiscard]] std::optional<std::string> directory(const std::string& cgroup) const;
  Status attach(const std::string& cgroup, Watched& watched) REQUIRES(mu_);
  Result<int> hold_events(const std::string& cgroup, int held) REQUIRES(mu_);
  Result<int> hold_parent(const std::string& cgroup, int held) REQUIRES(mu_);
  void drop_events(int wd) REQUIRES(mu_);
  void drop_parent(int wd) REQUIRES(mu_);
  void read_events() REQUIRES(mu_);
  void note(int wd, std::uint32_t mask, const char* name) REQUIRES(mu_);

  const std::optional<CgroupMount> mount_;
  const UniqueFd inotify_;
  mutable Mutex mu_;
  std::unordered_map<std::string, Watched> watched_ GUARDED_BY(mu_);
  std::unordered_set<std::string> due_ GUARDED_BY(mu_);  // to be looked at by the next drain
  std::unordered_map<int, std::string> by_events_wd_ GUARDED_BY(mu_);
  std::unordered_map<int, Parent> by_parent_wd_ GUARDED_BY(mu_);
};

}  // namespace ebbfs
