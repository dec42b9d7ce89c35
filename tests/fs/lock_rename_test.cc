// SPDX-License-Identifier: Apache-2.0
//
// Locks whose directory, or one above it, is renamed.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/fs/lock_fixture.h"

namespace ebbfs {
namespace {

namespace stdfs = std::filesystem;
using std::chrono::hours;
using std::chrono::seconds;

class LockRename : public WithLocks {
 protected:
  LockRename() {
    make_dirs({"data", "worktrees", "worktrees/a", "worktrees/b"});
    worker_ = start();
  }
  void make_dirs(const std::vector<std::string>& paths) {
    for (const std::string& path : paths) ASSERT_TRUE(rig_.make_dir(path)) << path;
  }
  // Looks like a git directory.
  void make_git(const std::string& path) {
    make_dirs({path, path + "/objects", path + "/refs"});
    ASSERT_TRUE(rig_.write_file(path + "/HEAD", "ref: refs/heads/main\n"));
  }
  // The worker takes `path` and holds it past the helper window.
  void hold(const std::string& path) {
    ASSERT_TRUE(rig_.take_lock(path, worker_.tgid, "x")) << path;
    rig_.advance(seconds(3));
  }
  // What is recorded of the lock at `path`; an empty record when there is none.
  LockRecord record(const std::string& path) {
    const LockRef lock = rig_.lock(path);
    if (lock == nullptr) return {};
    const MutexLock held(lock->mu);
    return lock->record;
  }
  // Whether it is the worker's, in `unit`, and stored so.
  testing::AssertionResult is_lock(const std::string& path, UnitId unit) {
    const LockRecord known = record(path);
    if (known.path != path) return testing::AssertionFailure() << "its path is " << known.path;
    if (known.unit != unit) return testing::AssertionFailure() << "its unit is another";
    if (known.owner.process.id != worker_) return testing::AssertionFailure() << "another owner";
    const auto stored = rig_.parts().index->load_locks().value();
    if (std::ranges::find(stored, known) == stored.end()) {
      return testing::AssertionFailure() << "not what is stored";
    }
    return testing::AssertionSuccess();
  }
  UnitId unit(const std::string& path) { return rig_.unit(path)->id(); }

  ProcessId worker_;
};

TEST_F(LockRename, KnowsItsNewPath) {
  make_dirs({"locks/a"});
  hold("locks/a/x");
  ASSERT_TRUE(rig_.rename("locks/a", "locks/b"));
  EXPECT_TRUE(is_lock("locks/b/x", kRootUnit));
  kill(worker_);
  pass(kRigLockGrace);
  EXPECT_FALSE(rig_.exists("locks/b/x"));
  EXPECT_EQ(rig_.last_event(EventRecord::Kind::reclaimed)->path, "locks/b/x");
  EXPECT_TRUE(rig_.exact());
}

TEST_F(LockRename, IsNoneOutsideOfItsClass) {
  make_dirs({"locks/a"});
  hold("locks/a/x");
  ASSERT_TRUE(rig_.rename("locks/a", "data/kept"));
  EXPECT_TRUE(rig_.volume().locks.empty());
  EXPECT_TRUE(rig_.parts().index->load_locks()->empty());
  kill(worker_);
  pass(kRigLockGrace);
  EXPECT_TRUE(rig_.exists("data/kept/x"));
  EXPECT_TRUE(rig_.exact());
}

TEST_F(LockRename, IntoAUnitItKeepsTheUnit) {
  make_git("data/repo");
  hold("data/repo/index.lock");
  ASSERT_TRUE(rig_.rename("data/repo", "worktrees/a/repo"));
  EXPECT_TRUE(is_lock("worktrees/a/repo/index.lock", unit("worktrees/a")));
  pass(kRigUnitTtl * 2);
  EXPECT_TRUE(rig_.exists("worktrees/a"));
  EXPECT_FALSE(rig_.exists("worktrees/b"));
}

TEST_F(LockRename, InWhatBecomesAUnitItKeepsTheUnit) {
  make_git("data/repo");
  hold("data/repo/index.lock");
  ASSERT_TRUE(rig_.rename("data/repo", "worktrees/c"));
  EXPECT_TRUE(is_lock("worktrees/c/index.lock", unit("worktrees/c")));
  pass(kRigUnitTtl * 2);
  EXPECT_TRUE(rig_.exists("worktrees/c"));
}

TEST_F(LockRename, IsChargedToItsNewUnitWhenItGoes) {
  make_git("worktrees/a/repo");
  hold("worktrees/a/repo/index.lock");
  ASSERT_TRUE(rig_.rename("worktrees/a/repo", "worktrees/b/repo"));
  EXPECT_TRUE(is_lock("worktrees/b/repo/index.lock", unit("worktrees/b")));
  kill(worker_);
  pass(kRigLockGrace);
  EXPECT_FALSE(rig_.exists("worktrees/b/repo/index.lock"));
  EXPECT_TRUE(rig_.exact());
}

TEST_F(LockRename, OutOfAUnitItHoldsTheUnitNoMore) {
  make_git("worktrees/a/repo");
  hold("worktrees/a/repo/index.lock");
  ASSERT_TRUE(rig_.rename("worktrees/a/repo", "data/repo"));
  EXPECT_TRUE(is_lock("data/repo/index.lock", kRootUnit));
  pass(kRigUnitTtl * 2);
  EXPECT_FALSE(rig_.exists("worktrees/a"));
  EXPECT_TRUE(rig_.exists("data/repo/index.lock"));
}

TEST_F(LockRename, OfItsUnitChangesOnlyThePath) {
  hold("worktrees/a/x.lock");
  const UnitId before = unit("worktrees/a");
  ASSERT_TRUE(rig_.rename("worktrees/a", "worktrees/c"));
  EXPECT_TRUE(is_lock("worktrees/c/x.lock", before));
}

TEST_F(LockRename, OfADirectoryFarAboveIsOneToo) {
  make_dirs({"data/x", "data/x/y", "data/x/y/z"});
  make_git("data/x/y/z/repo");
  hold("data/x/y/z/repo/refs/main.lock");
  ASSERT_TRUE(rig_.rename("data/x", "worktrees/c"));
  EXPECT_TRUE(is_lock("worktrees/c/y/z/repo/refs/main.lock", unit("worktrees/c")));
  ASSERT_TRUE(rig_.rename("worktrees/c/y", "worktrees/c/w"));
  EXPECT_TRUE(is_lock("worktrees/c/w/z/repo/refs/main.lock", unit("worktrees/c")));
}

TEST_F(LockRename, OfADirectoryAroundItsUnitMayEndTheUnit) {
  make_git("worktrees/a/repo");
  hold("worktrees/a/repo/index.lock");
  ASSERT_TRUE(rig_.rename("worktrees", "data/old"));
  EXPECT_TRUE(is_lock("data/old/a/repo/index.lock", kRootUnit));
  kill(worker_);
  pass(kRigLockGrace);
  EXPECT_FALSE(rig_.exists("data/old/a/repo/index.lock"));
  EXPECT_TRUE(rig_.exact());
}

TEST_F(LockRename, OutOfAGitDirectoryIsTheEndOfAGitLock) {
  make_git("worktrees/a/repo");
  hold("worktrees/a/repo/refs/x.lock");
  ASSERT_TRUE(rig_.rename("worktrees/a/repo/refs", "worktrees/a/kept"));
  EXPECT_TRUE(rig_.volume().locks.empty());
}

TEST_F(LockRename, ByExchangeIsTwo) {
  make_dirs({"locks/a", "locks/b"});
  hold("locks/a/x");
  const ProcessId other = start();
  ASSERT_TRUE(rig_.take_lock("locks/b/y", other.tgid));
  rig_.advance(seconds(3));
  ASSERT_TRUE(rig_.rename("locks/a", "locks/b", 0, RENAME_EXCHANGE));
  EXPECT_EQ(record("locks/b/x").path, "locks/b/x");
  EXPECT_EQ(record("locks/b/x").owner.process.id, worker_);
  EXPECT_EQ(record("locks/a/y").path, "locks/a/y");
  EXPECT_EQ(record("locks/a/y").owner.process.id, other);
}

TEST_F(LockRename, ByExchangeOfUnitsTheyStayInThem) {
  hold("worktrees/b/x.lock");
  const UnitId before = unit("worktrees/b");
  ASSERT_TRUE(rig_.rename("worktrees/a", "worktrees/b", 0, RENAME_EXCHANGE));
  EXPECT_TRUE(is_lock("worktrees/a/x.lock", before));
}

TEST_F(LockRename, DoesNotChangeWhenAnOrphanGoes) {
  make_dirs({"locks/a"});
  hold("locks/a/x");
  kill(worker_);
  pass(kRigLockGrace - seconds(2));
  ASSERT_TRUE(rig_.rename("locks/a", "locks/b"));
  pass(seconds(2) - std::chrono::nanoseconds(1));
  EXPECT_TRUE(rig_.exists("locks/b/x"));
  pass(std::chrono::nanoseconds(1));
  EXPECT_FALSE(rig_.exists("locks/b/x"));
  EXPECT_EQ(rig_.last_event(EventRecord::Kind::reclaimed)->rule, "owner killed, grace 5s");
}

TEST_F(LockRename, MakesNoLockOfAFileThatWasNone) {
  make_dirs({"data/d"});
  ASSERT_TRUE(rig_.write_file("data/d/file", "x"));
  make_dirs({"locks/a"});
  hold("locks/a/x");
  ASSERT_TRUE(rig_.rename("data/d", "locks/d"));
  EXPECT_EQ(rig_.lock("locks/d/file"), nullptr);
}

TEST_F(LockRename, IsFoundAfterACrashBeforeItsRecord) {
  make_git("worktrees/a/repo");
  hold("worktrees/a/repo/index.lock");
  // Both are in use.
  ASSERT_TRUE(rig_.write_file("worktrees/b/file", "x"));
  rig_.crash();
  stdfs::rename(rig_.tree.at("worktrees/a/repo"), rig_.tree.at("worktrees/b/repo"));
  rig_.mount();
  EXPECT_TRUE(is_lock("worktrees/b/repo/index.lock", unit("worktrees/b")));
}

TEST_F(LockRename, ADirectoryIsFoundAfterACrashBeforeItsRecord) {
  make_dirs({"locks/a"});
  ASSERT_TRUE(rig_.make_dir("locks/a/d", worker_.tgid));
  rig_.advance(seconds(3));
  rig_.crash();
  stdfs::rename(rig_.tree.at("locks/a"), rig_.tree.at("locks/b"));
  rig_.mount();
  EXPECT_TRUE(is_lock("locks/b/d", kRootUnit));
}

}  // namespace
}  // namespace ebbfs
