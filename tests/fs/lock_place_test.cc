// SPDX-License-Identifier: Apache-2.0
//
// Locks whose directory was renamed where the daemon did not see it: no record is believed when
// something is about to be removed.
#include "fs/lock_place.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "fs/tree.h"
#include "tests/fs/lock_fixture.h"

namespace ebbfs {
namespace {

namespace stdfs = std::filesystem;
using std::chrono::seconds;

class LockPlaceTest : public WithLocks {
 protected:
  void make_dirs(const std::vector<std::string>& paths) {
    for (const std::string& path : paths) ASSERT_TRUE(rig_.make_dir(path)) << path;
  }
  // Looks like a git directory.
  void make_git(const std::string& path) {
    make_dirs({path, path + "/objects", path + "/refs"});
    ASSERT_TRUE(rig_.write_file(path + "/HEAD", "ref: refs/heads/main\n"));
  }
  // A worker that takes `path` and holds it past the helper window.
  ProcessId hold(const std::string& path) {
    const ProcessId worker = start();
    EXPECT_TRUE(rig_.take_lock(path, worker.tgid, "x"));
    rig_.advance(seconds(3));
    return worker;
  }
  void rename_unseen(const std::string& from, const std::string& to) {
    stdfs::rename(rig_.tree.at(from), rig_.tree.at(to));
  }
  std::optional<LockPlace> place(const std::string& directory, const std::string& name) {
    const auto fd = open_beneath(rig_.parts().backing->root(), directory, O_RDONLY | O_DIRECTORY);
    EXPECT_TRUE(fd.has_value()) << directory;
    const auto found = lock_place(rig_.volume(), fd->get(), name);
    EXPECT_TRUE(found.has_value()) << directory;
    return found.value_or(std::nullopt);
  }
};

TEST_F(LockPlaceTest, IsWhatThePolicySaysOfThePath) {
  make_dirs({"locks/d", "data", "worktrees", "worktrees/a", "worktrees/a/d"});
  make_git("worktrees/a/.git");
  make_git("repo");
  const UnitId unit = rig_.unit("worktrees/a")->id();
  EXPECT_EQ(place("locks/d", "x")->path, "locks/d/x");
  EXPECT_EQ(place("locks/d", "x")->class_name, "lock");
  EXPECT_EQ(place("locks/d", "x")->unit, kRootUnit);
  EXPECT_FALSE(place("data", "x"));
  EXPECT_FALSE(place("", "x"));
  EXPECT_EQ(place("worktrees/a", "x.lock")->unit, unit);
  EXPECT_FALSE(place("worktrees/a/d", "x.lock"));
  EXPECT_EQ(place("worktrees/a/.git", "index.lock")->unit, unit);
  EXPECT_EQ(place("repo/refs", "x.lock")->unit, kRootUnit);
  EXPECT_FALSE(place("repo/refs", "x"));
}

TEST_F(LockPlaceTest, IsNoneInTheTrash) {
  make_git("worktrees.git");
  rename_unseen("worktrees.git", ".ebbfs/trash/7");
  EXPECT_FALSE(place(".ebbfs/trash/7", "index.lock"));
}

TEST_F(LockPlaceTest, AFileThatIsNoLockAnyMoreIsLeftAlone) {
  make_dirs({"locks/stage", "data"});
  const ProcessId worker = hold("locks/stage/result");
  rename_unseen("locks/stage", "data/kept");
  kill(worker);
  pass(kRigLockGrace);
  pass(seconds(10));
  EXPECT_TRUE(rig_.exists("data/kept/result"));
  EXPECT_TRUE(rig_.volume().locks.empty());
  EXPECT_FALSE(rig_.last_event(EventRecord::Kind::reclaimed).has_value());
}

TEST_F(LockPlaceTest, AFileThatIsNoLockAnyMoreIsLeftAloneOnRequest) {
  make_dirs({"locks/stage", "data"});
  kill(hold("locks/stage/result"));
  const LockRef lock = rig_.lock("locks/stage/result");
  rename_unseen("locks/stage", "data/kept");
  EXPECT_EQ(rig_.reaper().expire(lock, false).verdict.action, Verdict::Action::keep);
  EXPECT_TRUE(rig_.exists("data/kept/result"));
}

TEST_F(LockPlaceTest, ADirectoryThatIsNoLockAnyMoreIsLeftAlone) {
  make_dirs({"locks/group", "data"});
  const ProcessId worker = start();
  ASSERT_TRUE(rig_.make_dir("locks/group/d", worker.tgid));
  ASSERT_TRUE(rig_.write_file("locks/group/d/result", "x", worker.tgid));
  rig_.advance(seconds(3));
  rename_unseen("locks/group", "data/kept");
  kill(worker);
  pass(kRigLockGrace);
  pass(seconds(10));
  EXPECT_TRUE(rig_.exists("data/kept/d/result"));
}

TEST_F(LockPlaceTest, ALockThatIsStillOneGoesByItsPresentPath) {
  make_dirs({"locks/a"});
  const ProcessId worker = hold("locks/a/x");
  rename_unseen("locks/a", "locks/b");
  kill(worker);
  pass(kRigLockGrace);
  EXPECT_FALSE(rig_.exists("locks/b/x"));
  EXPECT_EQ(rig_.last_event(EventRecord::Kind::reclaimed)->path, "locks/b/x");
}

TEST_F(LockPlaceTest, ALockIsNeverChargedToAUnitThatItDoesNotLieIn) {
  make_dirs({"worktrees", "worktrees/a", "worktrees/b", "worktrees/a/r"});
  make_git("worktrees/a/r/.git");
  const ProcessId worker = hold("worktrees/a/r/.git/index.lock");
  const Usage before = rig_.unit("worktrees/a")->accounts().total().usage();
  rename_unseen("worktrees/a/r", "worktrees/b/r");
  kill(worker);
  pass(kRigLockGrace);
  pass(seconds(1));
  EXPECT_FALSE(rig_.exists("worktrees/b/r/.git/index.lock"));
  EXPECT_EQ(rig_.unit("worktrees/a")->accounts().total().usage(), before);
}

}  // namespace
}  // namespace ebbfs
