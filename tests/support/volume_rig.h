// SPDX-License-Identifier: Apache-2.0
//
// A volume without a mount: the real filesystem, reaper, trash and census over a temporary tree,
// with a clock, processes and a store that a test moves. The test plays the kernel: operations are
// given by path and looked up component by component. Failures of the rig itself fail the test.
// Threading: none of its own.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fs/census.h"
#include "fs/checker.h"
#include "fs/filesystem.h"
#include "fs/reaper.h"
#include "fs/trash.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_process_table.h"
#include "tests/support/fault_store.h"
#include "tests/support/mem_store.h"
#include "tests/support/temp_tree.h"

namespace ebbfs {

// What the kernel was told: "removed <name>", "changed <name>", "appeared <name>".
class RecordingInvalidator final : public Invalidator {
 public:
  RecordingInvalidator() = default;
  void removed(InodeId parent, NodeId child, const std::string& name) override;
  void changed(InodeId parent, const std::string& name) override;
  void appeared(InodeId parent, const std::string& name) override;
  std::vector<std::string> take();
  [[nodiscard]] bool has(std::string_view what) const;

 private:
  mutable Mutex mu_;
  std::vector<std::string> told_ GUARDED_BY(mu_);
};

class NoBackingIds final : public BackingIds {
 public:
  NoBackingIds() = default;
  [[nodiscard]] std::int32_t open(int) override { return 0; }
  void close(std::int32_t) override {}
};

// Units worktrees/* with a ttl of an hour; locks below locks/ and git's own, grace 5 s, ttl 5 min;
// no adopt grace; trash kept 10 minutes.
extern const char* const kRigPolicy;
inline constexpr Duration kRigUnitTtl = std::chrono::hours(1);
inline constexpr Duration kRigLockTtl = std::chrono::minutes(5);
inline constexpr Duration kRigLockGrace = std::chrono::seconds(5);

class VolumeRig {
 public:
  explicit VolumeRig(std::string policy = kRigPolicy, const std::filesystem::path& parent = "/tmp");
  ~VolumeRig();
  VolumeRig(const VolumeRig&) = delete;
  VolumeRig& operator=(const VolumeRig&) = delete;

  // The daemon's life. The rig begins unmounted, so that a test can put things there first.
  // `census`: runs it to its end.
  void mount(bool census = true);
  void unmount();
  void crash();  // the daemon is gone; tree and store stay as they are
  // Replaces the policy's limits while mounted.
  void reload(const std::string& policy);

  // Operations of a caller with thread id `tid` (0: not visible).
  NodeId at(const std::string& path);  // 0: absent
  Status make_dir(const std::string& path, pid_t tid = 0);
  Status write_file(const std::string& path, std::string_view content, pid_t tid = 0);
  Status make_symlink(const std::string& path, const char* target, pid_t tid = 0);
  Status link(const std::string& path, const std::string& to, pid_t tid = 0);
  Status rename(const std::string& path, const std::string& to, pid_t tid = 0, unsigned flags = 0);
  Status remove(const std::string& path, pid_t tid = 0);
  // Creates exclusively; EEXIST as the caller would see it after the kernel's own lookup.
  Status take_lock(const std::string& path, pid_t tid, std::string_view content = "");
  Status change_owner(const std::string& path, uid_t uid, gid_t gid);
  OpenFile* open(const std::string& path, int flags = 0);
  Errno open_error(const std::string& path, int flags);  // 0 when it opens, and is closed again
  Status append(OpenFile* file, std::string_view content);
  void close(OpenFile* file);

  // Units, locks, events.
  UnitRef unit(const std::string& path);
  LockRef lock(const std::string& path);  // null when there is none
  std::vector<EventRecord> events();
  std::optional<EventRecord> last_event(EventRecord::Kind kind);
  void advance(Duration by) { clock.advance(by); }
  void set_mountpoints(const std::vector<std::string>& below);
  [[nodiscard]] bool exists(const std::string& path) const { return tree.exists(path); }
  // Names in the trash directory.
  [[nodiscard]] std::vector<std::string> trashed() const { return tree.list(".ebbfs/trash"); }

  // Whether every counter equals a fresh count of the tree; says where it does not.
  [[nodiscard]] testing::AssertionResult exact();

  TempTree tree;
  MemStore store;
  FaultStore faults{store};
  // How a mount gets at its tree.
  std::function<Result<std::unique_ptr<Backing>>(const std::string&)> open_backing =
      [](const std::string& directory) { return Backing::open(directory); };
  FakeClock clock;
  FakeProcessTable processes{clock};
  RecordingInvalidator kernel;
  std::string policy_text;

  // Of one mount.
  struct Parts {
    explicit Parts(const Clock& clock) : accounting(ledger, clock) {}
    std::unique_ptr<Backing> backing;
    std::unique_ptr<UnitIndex> index;
    UsageLedger ledger;
    Accounting accounting;
    std::unique_ptr<Rules> rules;
    std::unique_ptr<Quotas> quotas;
    InodeTable inodes;
    DirCache directories{64};
    std::unique_ptr<UnitTable> units;
    std::unique_ptr<LockTable> locks;
    std::unique_ptr<Volume> volume;
    std::unique_ptr<TopSurvey> tops;  // until what is counted is decided
    InodeRef root;
    std::unique_ptr<Trash> trash;
    std::unique_ptr<Reaper> reaper;
    std::unique_ptr<Census> census;
    std::unique_ptr<Checker> checker;
    NoBackingIds backing_ids;
    std::unique_ptr<Filesystem> filesystem;
  };
  Parts& parts() { return *parts_; }
  Volume& volume() { return *parts_->volume; }
  Reaper& reaper() { return *parts_->reaper; }
  Trash& trash() { return *parts_->trash; }
  Census& census() { return *parts_->census; }
  Checker& checker() { return *parts_->checker; }

 private:
  Caller caller(pid_t tid) const;
  NodeId parent_of(const std::string& path);
  void catch_up();
  void load();

  std::unique_ptr<Parts> parts_;
};

}  // namespace ebbfs
