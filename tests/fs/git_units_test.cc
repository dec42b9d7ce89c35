// SPDX-License-Identifier: Apache-2.0
//
// Units that are git worktrees of a repository on the volume.
#include <gtest/gtest.h>

#include <string>

#include "fs/unit_reaper.h"
#include "tests/support/git.h"
#include "tests/support/volume_rig.h"

namespace ebbfs {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A tenth of the ttl, at most this.
constexpr Duration kGitRetry = std::chrono::minutes(1);

class GitUnits : public testing::Test {
 protected:
  GitUnits() {
    make_repository(rig_.tree.at("repo"));
    rig_.tree.make_dir("worktrees");
    git(repo(), "worktree add -q " + rig_.tree.at("worktrees/a").string());
    git(repo(), "worktree add -q " + rig_.tree.at("worktrees/b").string());
  }
  std::string repo() const { return rig_.tree.at("repo"); }
  void pass(Duration time) {
    rig_.advance(time);
    rig_.reaper().run_once();
  }

  VolumeRig rig_;
};

TEST_F(GitUnits, LeaveACleanMainRepository) {
  rig_.mount();
  pass(kRigUnitTtl);
  EXPECT_TRUE(rig_.tree.list("worktrees").empty());
  EXPECT_TRUE(rig_.tree.list("repo/.git/worktrees").empty());
  EXPECT_EQ(git(repo(), "worktree list").find("worktrees"), std::string::npos);
  EXPECT_TRUE(rig_.exact());
}

TEST_F(GitUnits, StayWhileGitHasThemLocked) {
  git(repo(), "worktree lock " + rig_.tree.at("worktrees/a").string());
  rig_.mount();
  pass(kRigUnitTtl);
  EXPECT_EQ(rig_.tree.list("worktrees"), std::vector<std::string>{"a"});
  EXPECT_EQ(rig_.reaper().verdict(rig_.unit("worktrees/a")).verdict.reason, Reason::git_locked);
  ASSERT_TRUE(rig_.remove("repo/.git/worktrees/a/locked"));
  pass(kGitRetry);
  EXPECT_TRUE(rig_.tree.list("worktrees").empty());
  EXPECT_TRUE(rig_.exact());
}

TEST_F(GitUnits, ThatAreARepositoryStayWhileGitHasAWorktreeOfItLocked) {
  std::string& policy = rig_.policy_text;
  policy.replace(policy.find("[\"worktrees/*\"]"), 15, "[\"repo\"]");
  git(repo(), "worktree lock " + rig_.tree.at("worktrees/b").string());
  rig_.mount();
  pass(kRigUnitTtl);
  EXPECT_TRUE(rig_.exists("repo"));
  EXPECT_EQ(rig_.reaper().verdict(rig_.unit("repo")).verdict.reason, Reason::git_locked);
  ASSERT_TRUE(rig_.remove("repo/.git/worktrees/b/locked"));
  pass(kRigUnitTtl);
  EXPECT_FALSE(rig_.exists("repo"));
}

TEST_F(GitUnits, StayWhileGitWorksInTheirEntry) {
  rig_.mount();
  OpenFile* const file = rig_.open("repo/.git/worktrees/a/HEAD");
  pass(kRigUnitTtl);
  EXPECT_TRUE(rig_.exists("worktrees/a"));
  rig_.close(file);
  pass(kGitRetry);
  EXPECT_FALSE(rig_.exists("worktrees/a"));
  EXPECT_TRUE(rig_.exact());
}

TEST_F(GitUnits, StayWhileAProcessThatWasThereBeforeTheMountWorksInTheirEntry) {
  rig_.mount();
  rig_.processes.set_inodes_in_use(
      std::unordered_set{raw(rig_.at("repo/.git/worktrees/a/logs/HEAD"))});
  pass(kRigUnitTtl);
  EXPECT_TRUE(rig_.exists("worktrees/a"));
  EXPECT_FALSE(rig_.exists("worktrees/b"));
}

TEST_F(GitUnits, StayWhileALiveProcessHoldsTheirIndexLock) {
  rig_.mount();
  const ProcessId worker = rig_.processes.start();
  ASSERT_TRUE(rig_.take_lock("repo/.git/worktrees/a/index.lock", worker.tgid));
  ASSERT_NE(rig_.lock("repo/.git/worktrees/a/index.lock"), nullptr);
  pass(kRigUnitTtl);
  EXPECT_TRUE(rig_.exists("worktrees/a"));
}

TEST_F(GitUnits, StayWhileALiveProcessHoldsALockDeepInTheirEntry) {
  rig_.mount();
  const ProcessId worker = rig_.processes.start();
  ASSERT_TRUE(rig_.take_lock("repo/.git/worktrees/a/logs/HEAD.lock", worker.tgid));
  rig_.advance(seconds(3));
  pass(kRigUnitTtl);
  EXPECT_TRUE(rig_.exists("worktrees/a"));
  rig_.processes.kill(worker);
  pass(kGitRetry);
  pass(kGitRetry);
  EXPECT_FALSE(rig_.exists("worktrees/a"));
  EXPECT_EQ(rig_.parts().locks->size(), 0U);
  EXPECT_TRUE(rig_.exact());
}

TEST_F(GitUnits, WaitForARequestAroundTheirEntry) {
  rig_.mount();
  rig_.advance(kRigUnitTtl);
  {
    const auto inside =
        rig_.parts().units->use(rig_.parts().units->root(), rig_.clock.wall_now(), true);
    rig_.reaper().run_once();
    EXPECT_TRUE(rig_.exists("worktrees/a"));
    EXPECT_TRUE(rig_.exists("repo/.git/worktrees/a"));
  }
  pass(milliseconds(50));
  EXPECT_FALSE(rig_.exists("worktrees/a"));
}

TEST_F(GitUnits, LeaveARepositoryInAnotherUnitExactToo) {
  std::string policy = rig_.policy_text;
  policy.replace(policy.find("[\"worktrees/*\"]"), 15, "[\"worktrees/*\", \"repo\"]");
  rig_.policy_text = policy;
  rig_.mount();
  ASSERT_NE(rig_.unit("repo"), nullptr);
  ASSERT_TRUE(rig_.parts().units->set_pinned(*rig_.unit("repo"), true));
  pass(kRigUnitTtl);
  EXPECT_TRUE(rig_.tree.list("repo/.git/worktrees").empty());
  EXPECT_TRUE(rig_.exact());
  rig_.crash();
  rig_.mount();
  EXPECT_TRUE(rig_.exact());
}

}  // namespace
}  // namespace ebbfs
