// SPDX-License-Identifier: Apache-2.0
//
// The real git on a real mount.
#include "tests/support/git.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "fs/git_state.h"
#include "fs/tree.h"
#include "tests/support/each_filesystem.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

class Git : public OnEachFilesystem {
 protected:
  void SetUp() override {
    if (shell("command -v git").exit_code != 0) GTEST_SKIP() << "needs git";
    OnEachFilesystem::SetUp();
    if (IsSkipped()) return;
    ASSERT_EQ(::mkdir(at("worktrees").c_str(), 0755), 0);
    make_repository(at("main"));
    const Ran ran = shell(
        "mkdir -p a/b && for i in $(seq 200); do echo $i >a/b/f$i; done; "
        "head -c 300000 /dev/urandom >a/large; ln -s b a/link; "
        "printf '#!/bin/sh\\n' >run && chmod +x run",
        at("main"));
    ASSERT_EQ(ran.exit_code, 0) << ran.out;
    git(at("main"), "add -A");
    git(at("main"), "commit -q -m content");
  }
};
INSTANTIATE_TEST_SUITE_P(, Git, testing::ValuesIn(kFilesystemsAndTransports), ground_name);

TEST_P(Git, ClonesAndFindsNothingChanged) {
  git("/", "clone -q " + at("main") + " " + at("clone"));
  EXPECT_EQ(git(at("clone"), "status --porcelain"), "");
  EXPECT_EQ(git(at("clone"), "fsck --strict").find("error"), std::string::npos);
  EXPECT_EQ(shell("diff -r --exclude=.git main clone", volume_->path()).out, "");
  EXPECT_TRUE(volume_->locks().empty());
}

TEST_P(Git, AddsWorksInMovesAndRemovesWorktrees) {
  git(at("main"), "worktree add -q " + at("worktrees/a") + " -b a");
  git(at("main"), "worktree add -q " + at("worktrees/b") + " -b b");
  put(at("worktrees/a/new"), "new");
  git(at("worktrees/a"), "add new");
  git(at("worktrees/a"), "commit -q -m new");
  git(at("worktrees/b"), "merge -q a");
  EXPECT_EQ(get(at("worktrees/b/new")), "new");
  git(at("worktrees/a"), "stash list");
  EXPECT_EQ(volume_->units().size(), 2U);
  git(at("main"), "worktree remove " + at("worktrees/a"));
  EXPECT_FALSE(exists(at("worktrees/a")));
  EXPECT_EQ(volume_->units().size(), 1U);
  EXPECT_THAT(git(at("main"), "worktree list"), Not(HasSubstr("worktrees/a ")));
  ASSERT_EQ(shell("rm -rf worktrees/b", volume_->path()).exit_code, 0);
  git(at("main"), "worktree prune");
  EXPECT_THAT(git(at("main"), "worktree list"), Not(HasSubstr("worktrees/b")));
}

// What git noted of a file through the mount is what the file has below it.
TEST_P(Git, LeavesWorktreesWhoseWorkIsKnown) {
  for (const char* name : {"fresh", "changed", "committed"}) {
    git(at("main"), "worktree add -q " + at(std::string("worktrees/") + name));
  }
  put(at("worktrees/changed/a/b/f7"), "changed");
  git(at("worktrees/committed"), "rm -q a/large");
  git(at("worktrees/committed"), "commit -q -m less");
  volume_->unmount();
  {
    const auto backing = Backing::open(volume_->path()).value();
    const auto worktrees = open_beneath(backing->root(), "worktrees", O_RDONLY | O_DIRECTORY);
    ASSERT_TRUE(worktrees.has_value());
    const auto look = [&](const char* name) {
      return look_at_git_work(*backing, worktrees->get(), name, std::string("worktrees/") + name,
                              {.entries_max = 1000, .time_max = 1min});
    };
    EXPECT_EQ(look("fresh").work, GitWork::none) << look("fresh").why;
    EXPECT_EQ(look("changed").why, "a/b/f7 differs from git's index");
    EXPECT_EQ(look("committed").why, "commits of committed that no remote has");
  }
  volume_->mount();
}

TEST_P(Git, CollectsGarbageAndChecksOut) {
  git(at("main"), "gc -q --prune=now");
  EXPECT_EQ(git(at("main"), "status --porcelain"), "");
  git(at("main"), "checkout -q HEAD~1");
  EXPECT_FALSE(exists(at("main/run")));
  git(at("main"), "checkout -q m");
  EXPECT_EQ(mode_of(at("main/run")), 0755U);
  EXPECT_EQ(git(at("main"), "fsck").find("error"), std::string::npos);
}

class GitLocks : public OnVolume {};

TEST_F(GitLocks, AnIndexLockOfAKilledGitIsALockAndGoes) {
  if (shell("command -v git").exit_code != 0) GTEST_SKIP() << "needs git";
  make_repository(at("main"));
  put(at("main/file"), "x");
  git(at("main"), "add file");
  // Holds index.lock while the editor runs, which kills git and itself.
  (void)shell(
      "GIT_EDITOR='kill -9 $PPID; kill -9 $$' git -c safe.directory='*' -c user.name=t "
      "-c user.email=t@example.org commit -q file",
      at("main"));
  ASSERT_TRUE(exists(at("main/.git/index.lock")));
  EXPECT_EQ(volume_->locks()[0]["path"], "main/.git/index.lock");
  // 5 s of the built-in policy.
  EXPECT_TRUE(eventually([&] { return !exists(at("main/.git/index.lock")); }, 15s));
  git(at("main"), "commit -q -m works");
}

TEST_F(GitLocks, LockfilesOfPackageManagersAreNot) {
  make_repository(at("main"));
  for (const char* name : {"Cargo.lock", "yarn.lock", "poetry.lock", "index.lock"}) {
    ASSERT_EQ(shell("exec touch " + std::string(name), at("main")).exit_code, 0);
    ASSERT_EQ(shell("exec touch " + std::string(name), volume_->path()).exit_code, 0);
  }
  EXPECT_TRUE(volume_->locks().empty()) << volume_->json("locks").dump(1);
}

}  // namespace
}  // namespace ebbfs::test
