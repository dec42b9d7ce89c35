// SPDX-License-Identifier: Apache-2.0
//
// What is said of a unit that stays.
#include <gtest/gtest.h>

#include <string>
#include <unordered_set>

#include "tests/support/volume_rig.h"

namespace ebbfs {
namespace {

class UnitReport : public testing::Test {
 protected:
  UnitReport() {
    rig_.mount();
    EXPECT_TRUE(rig_.make_dir("worktrees"));
    EXPECT_TRUE(rig_.make_dir("worktrees/a", worker_.tgid));
    EXPECT_TRUE(rig_.write_file("worktrees/a/file", "x", worker_.tgid));
  }
  static std::string texts(const Report& report) {
    std::string all;
    for (const Blocker& blocker : report.blockers) all += blocker.text;
    return all;
  }

  VolumeRig rig_;
  const ProcessId worker_ = rig_.processes.start();
};

TEST_F(UnitReport, ReportsEverythingThatHoldsAUnit) {
  OpenFile* const file = rig_.open("worktrees/a/file");
  ASSERT_TRUE(rig_.take_lock("worktrees/a/build.lock", worker_.tgid));
  ASSERT_TRUE(rig_.parts().units->set_pinned(*rig_.unit("worktrees/a"), true));
  rig_.processes.set_inodes_in_use(std::unordered_set{raw(rig_.at("worktrees/a"))});
  rig_.set_mountpoints({"worktrees/a/mnt"});
  const Report report = rig_.reaper().verdict(rig_.unit("worktrees/a"));
  std::vector<Reason> reasons;
  for (const Blocker& blocker : report.blockers) reasons.push_back(blocker.reason);
  EXPECT_EQ(reasons, (std::vector{Reason::pinned, Reason::open_files, Reason::process_inside,
                                  Reason::live_lock, Reason::mount_inside}));
  EXPECT_EQ(report.rule, "idle 1h");
  rig_.close(file);
}

TEST_F(UnitReport, SaysThatThePolicyHasTheClassOfAUnitNoMore) {
  rig_.unmount();
  rig_.policy_text.replace(rig_.policy_text.find("\"worktree\""), 10, "\"agent\"");
  rig_.policy_text.replace(rig_.policy_text.find("worktrees/*"), 11, "agents/*");
  rig_.mount();
  rig_.advance(kRigUnitTtl);
  rig_.reaper().run_once();
  const UnitRef unit = rig_.unit("worktrees/a");
  ASSERT_NE(unit, nullptr);
  EXPECT_EQ(texts(rig_.reaper().verdict(unit)), "the policy has no class worktree any more");
  for (const bool dry_run : {true, false}) {
    const auto expired = rig_.reaper().expire(unit, dry_run);
    EXPECT_EQ(expired.report.verdict.action, Verdict::Action::keep);
    EXPECT_EQ(texts(expired.report), "the policy has no class worktree any more");
  }
  EXPECT_TRUE(rig_.exists("worktrees/a"));
}

TEST_F(UnitReport, SaysThatNothingEndsAUnitOfAClassWithoutLimits) {
  std::string policy = rig_.policy_text;
  policy.replace(policy.find("\"1h\""), 4, "\"none\"");
  rig_.reload(policy);
  EXPECT_EQ(texts(rig_.reaper().verdict(rig_.unit("worktrees/a"))),
            "its class sets neither ttl nor max_age");
  EXPECT_EQ(texts(rig_.reaper().expire(rig_.unit("worktrees/a"), true).report), "");
}

}  // namespace
}  // namespace ebbfs
