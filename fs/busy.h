// SPDX-License-Identifier: Apache-2.0
//
// What holds a unit: everything that DESIGN 4.2 calls busy. What cannot be found out is unknown,
// and unknown keeps. Never asks the mounted filesystem itself, so it can be used while units are
// frozen. Threading: one thread per probe.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "fs/describe.h"
#include "fs/git_worktree.h"
#include "fs/lock_reaper.h"
#include "fs/occupants.h"
#include "fs/tree.h"
#include "fs/volume.h"
#include "policy/expiry.h"

namespace ebbfs {

// Where the volume is mounted.
struct MountedAt {
  dev_t device = 0;  // as stat(2) shows for files in the mount
  std::string path;  // absolute, no links in it
  std::string mountinfo = "/proc/self/mountinfo";
};

class BusyProbe {
 public:
  // Not mounted: processes and mounts inside are unknown.
  BusyProbe(Volume& volume, LockReaper& locks, std::optional<MountedAt> mounted)
      : volume_(volume), locks_(locks), mounted_(std::move(mounted)) {}
  BusyProbe(const BusyProbe&) = delete;
  BusyProbe& operator=(const BusyProbe&) = delete;

  struct Found {
    UnitBusy busy;
    std::vector<Blocker> blockers;  // one for each that is not `no`
    std::optional<GitAdmin> admin;  // on the volume, outside the unit, and fit to go with it
    std::vector<TreeInode> admin_inodes;
  };
  // Lists processes and mounts, for all units at once. It may wait for requests of who has a file
  // open in any unit (fs/proc_scan.h): no such unit is frozen.
  void list();
  // Looks at `unit`, whose top is `name` in the directory `dir` and has `path`. Listed is again
  // only when that is kFresh ago; `as_listed`: not at all, when it has been.
  enum class Listing : std::uint8_t { fresh, as_listed };
  [[nodiscard]] Found look(const UnitRef& unit, const std::string& path, int dir, const char* name,
                           Listing listing = Listing::fresh);

  static constexpr Duration kFresh = std::chrono::milliseconds(100);

 private:
  void look_for_opens(const Unit& unit, Found& found) const;
  void look_for_processes(const Unit& unit, Found& found) const;
  void look_for_git(const UnitRef& unit, const std::string& path, int dir, const char* name,
                    Found& found) const;
  void look_into_admin(GitAdmin admin, Found& found) const;
  void look_for_locks(const Unit& unit, Found& found);
  void look_for_mounts(const std::string& path, Found& found) const;

  Volume& volume_;
  LockReaper& locks_;
  const std::optional<MountedAt> mounted_;

  std::optional<MonoTime> listed_;
  std::optional<OpenInodes> opens_;
  std::optional<Occupants> occupants_;                   // none: unknown
  std::optional<std::vector<std::string>> mountpoints_;  // absolute
};

}  // namespace ebbfs
