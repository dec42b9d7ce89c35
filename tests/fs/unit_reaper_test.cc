// SPDX-License-Identifier: Apache-2.0
#include "fs/unit_reaper.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/support/volume_rig.h"

namespace ebbfs {
namespace {

namespace stdfs = std::filesystem;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::nanoseconds;
using std::chrono::seconds;

// A tenth of the ttl, at most this.
constexpr Duration kRetry = minutes(1);

class UnitReaperTest : public testing::Test {
 protected:
  explicit UnitReaperTest(const std::string& policy = kRigPolicy) : rig_(policy) {
    rig_.mount();
    EXPECT_TRUE(rig_.make_dir("worktrees"));
    make("worktrees/a");
  }
  void make(const std::string& path) {
    EXPECT_TRUE(rig_.make_dir(path, worker_.tgid));
    EXPECT_TRUE(rig_.write_file(path + "/file", "x", worker_.tgid));
  }
  void pass(Duration time) {
    rig_.advance(time);
    rig_.reaper().run_once();
  }
  bool there(const std::string& path = "worktrees/a") { return rig_.exists(path); }
  std::uint64_t inode(const std::string& path) { return raw(rig_.at(path)); }
  VolumeRig rig_;
  const ProcessId worker_ = rig_.processes.start();
};

TEST_F(UnitReaperTest, RemovesAUnitWhenItWasUnusedForItsTtlAndNotBefore) {
  pass(kRigUnitTtl - nanoseconds(1));
  EXPECT_TRUE(there());
  pass(nanoseconds(1));
  EXPECT_FALSE(there());
  EXPECT_EQ(rig_.unit("worktrees/a"), nullptr);
  EXPECT_EQ(rig_.trashed().size(), 1U);
  EXPECT_TRUE(rig_.exact());
}

TEST_F(UnitReaperTest, TellsWhatItRemovedAndWhy) {
  pass(kRigUnitTtl);
  const auto event = rig_.last_event(EventRecord::Kind::expired);
  ASSERT_TRUE(event.has_value());
  EXPECT_EQ(event->path, "worktrees/a");
  EXPECT_EQ(event->rule, "idle 1h");
  EXPECT_EQ(event->owner, "uid=0 pid=" + std::to_string(worker_.tgid) + " comm=worker");
  EXPECT_EQ(event->age, kRigUnitTtl);
  EXPECT_EQ(event->usage, (Usage{{4096}, 2}));
}

TEST_F(UnitReaperTest, TellsTheKernelWhatWasRemoved) {
  rig_.kernel.take();
  pass(kRigUnitTtl);
  EXPECT_EQ(rig_.kernel.take(), std::vector<std::string>{"removed a"});
}

TEST_F(UnitReaperTest, CountsTheTtlFromTheLastUse) {
  pass(minutes(59));
  ASSERT_TRUE(rig_.write_file("worktrees/a/more", "x"));
  pass(kRigUnitTtl - nanoseconds(1));
  EXPECT_TRUE(there());
  pass(nanoseconds(1));
  EXPECT_FALSE(there());
}

TEST_F(UnitReaperTest, DoesNotCountLookingAsUse) {
  pass(minutes(59));
  (void)rig_.at("worktrees/a/file");
  pass(minutes(1));
  EXPECT_FALSE(there());
}

TEST_F(UnitReaperTest, KeepsAPinnedUnit) {
  ASSERT_TRUE(rig_.parts().units->set_pinned(*rig_.unit("worktrees/a"), true));
  pass(hours(24 * 365));
  EXPECT_TRUE(there());
}

TEST_F(UnitReaperTest, KeepsAUnitWithAnOpenFile) {
  OpenFile* const file = rig_.open("worktrees/a/file");
  pass(kRigUnitTtl);
  pass(kRigUnitTtl);
  EXPECT_TRUE(there());
  rig_.close(file);  // which is a use
  pass(kRigUnitTtl);
  EXPECT_FALSE(there());
}

TEST_F(UnitReaperTest, KeepsAUnitThatAProcessIsIn) {
  rig_.processes.set_inodes_in_use(std::unordered_set{inode("worktrees/a")});
  pass(kRigUnitTtl);
  EXPECT_TRUE(there());
  rig_.processes.set_inodes_in_use(std::unordered_set<std::uint64_t>{});
  pass(kRetry);
  EXPECT_FALSE(there());
}

TEST_F(UnitReaperTest, KeepsAUnitWhenProcessesCannotBeListed) {
  rig_.processes.set_inodes_in_use(fail(EACCES));
  pass(kRigUnitTtl);
  pass(hours(24));
  EXPECT_TRUE(there());
  rig_.processes.set_inodes_in_use(std::unordered_set<std::uint64_t>{});
  pass(kRetry);
  EXPECT_FALSE(there());
}

TEST_F(UnitReaperTest, KeepsAUnitWithALiveLockInIt) {
  ASSERT_TRUE(rig_.take_lock("worktrees/a/build.lock", worker_.tgid));
  pass(kRigUnitTtl);
  pass(hours(24));
  EXPECT_TRUE(there());
}

TEST_F(UnitReaperTest, RemovesAUnitAtOnceWhenItsLastLockIsReclaimed) {
  ASSERT_TRUE(rig_.take_lock("worktrees/a/build.lock", worker_.tgid));
  pass(kRigUnitTtl);
  ASSERT_TRUE(there());
  rig_.processes.kill(worker_);
  pass(nanoseconds(1));
  ASSERT_TRUE(there());
  pass(seconds(5));
  EXPECT_FALSE(there());
  EXPECT_EQ(rig_.parts().locks->size(), 0U);
  EXPECT_TRUE(rig_.exact());
}

TEST_F(UnitReaperTest, KeepsAUnitThatSomethingIsMountedIn) {
  rig_.set_mountpoints({"worktrees/a/mnt"});
  pass(kRigUnitTtl);
  EXPECT_TRUE(there());
  rig_.set_mountpoints({"worktrees/ab/mnt"});
  pass(kRetry);
  EXPECT_FALSE(there());
}

TEST_F(UnitReaperTest, KeepsAUnitWhenMountsCannotBeListed) {
  rig_.reaper().set_mounted({.device = 1, .path = "/x", .mountinfo = "/nonexistent"});
  pass(kRigUnitTtl);
  EXPECT_TRUE(there());
}

TEST_F(UnitReaperTest, KeepsAUnitThatIsStillBeingCounted) {
  rig_.unit("worktrees/a")->set_counting(true);
  pass(kRigUnitTtl);
  pass(kRigUnitTtl);
  EXPECT_TRUE(there());
  rig_.unit("worktrees/a")->set_counting(false);
  rig_.reaper().unit_closed(rig_.unit("worktrees/a")->id());
  rig_.reaper().run_once();
  EXPECT_FALSE(there());
}

TEST_F(UnitReaperTest, WaitsForARequestInsideAndThenJudgesAgain) {
  rig_.advance(kRigUnitTtl);
  const UnitRef unit = rig_.unit("worktrees/a");
  // A request that is inside, though its touch is not yet seen.
  ASSERT_TRUE(unit->try_enter());
  rig_.reaper().run_once();
  EXPECT_TRUE(there());
  unit->touch(rig_.clock.wall_now());
  unit->leave();
  pass(milliseconds(50));
  EXPECT_TRUE(there());  // it was used, after all
  pass(kRigUnitTtl);
  EXPECT_FALSE(there());
}

TEST_F(UnitReaperTest, KeepsAUnitThatAProcessEntersAfterTheFirstLook) {
  make("worktrees/b");
  rig_.processes.set_inodes_in_use_later({inode("worktrees/a")});
  pass(kRigUnitTtl);
  EXPECT_TRUE(there());
  EXPECT_FALSE(rig_.exists("worktrees/b"));
  EXPECT_EQ(rig_.processes.scans(), 2U);
  rig_.processes.set_inodes_in_use(std::unordered_set<std::uint64_t>{});
  pass(kRetry);
  EXPECT_FALSE(there());
}

TEST_F(UnitReaperTest, AsksForProcessesOnceMoreWhenManyUnitsAreFrozenAndOnlyWhenOneIsDue) {
  for (const char* name : {"b", "c", "d"}) make(std::string("worktrees/") + name);
  pass(minutes(30));
  EXPECT_EQ(rig_.processes.scans(), 0U);
  pass(minutes(30));
  EXPECT_TRUE(rig_.tree.list("worktrees").empty());
  EXPECT_EQ(rig_.processes.scans(), 2U);
  EXPECT_TRUE(rig_.exact());
}

TEST_F(UnitReaperTest, RemovesNothingWhenThePolicyOnlyObservesAndSaysSoOnce) {
  rig_.reload("mode = \"observe\"\n" + rig_.policy_text);
  pass(kRigUnitTtl);
  for (int i = 0; i < 5; ++i) pass(kRetry);
  EXPECT_TRUE(there());
  int told = 0;
  for (const EventRecord& event : rig_.events()) {
    told += event.kind == EventRecord::Kind::would_remove ? 1 : 0;
  }
  EXPECT_EQ(told, 1);
  EXPECT_FALSE(rig_.reaper().expire(rig_.unit("worktrees/a"), false).trash.has_value());
  EXPECT_TRUE(there());
  rig_.reload(rig_.policy_text);
  rig_.reaper().run_once();
  EXPECT_FALSE(there());
}

TEST_F(UnitReaperTest, HeedsAShorterTtlAtOnce) {
  pass(minutes(30));
  std::string policy = rig_.policy_text;
  policy.replace(policy.find("\"1h\""), 4, "\"9m\"");
  rig_.reload(policy);
  rig_.reaper().run_once();
  EXPECT_FALSE(there());
}

TEST_F(UnitReaperTest, ForgetsAUnitThatVanishedAndSaysSo) {
  stdfs::remove_all(rig_.tree.at("worktrees/a"));
  pass(kRigUnitTtl);
  EXPECT_EQ(rig_.unit("worktrees/a"), nullptr);
  EXPECT_TRUE(rig_.last_event(EventRecord::Kind::warning).has_value());
  EXPECT_TRUE(rig_.exact());
}

TEST_F(UnitReaperTest, FollowsAUnitThatWasMovedBehindItsBack) {
  stdfs::rename(rig_.tree.at("worktrees/a"), rig_.tree.at("worktrees/moved"));
  pass(kRigUnitTtl);
  EXPECT_NE(rig_.unit("worktrees/moved"), nullptr);
  pass(seconds(1));
  EXPECT_FALSE(there("worktrees/moved"));
  EXPECT_EQ(rig_.trashed().size(), 1U);
  EXPECT_TRUE(rig_.exact());
}

TEST_F(UnitReaperTest, NeverRemovesWhatWasMovedOutOfItsClassBehindItsBack) {
  ASSERT_TRUE(rig_.make_dir("elsewhere"));
  stdfs::rename(rig_.tree.at("worktrees/a"), rig_.tree.at("elsewhere/a"));
  pass(kRigUnitTtl);
  EXPECT_EQ(rig_.unit("elsewhere/a"), nullptr);
  EXPECT_EQ(rig_.unit("worktrees/a"), nullptr);
  pass(kRigUnitTtl);
  EXPECT_TRUE(there("elsewhere/a"));
  EXPECT_TRUE(rig_.trashed().empty());
}

TEST_F(UnitReaperTest, FindsAUnitWhoseParentWasRenamed) {
  ASSERT_TRUE(rig_.make_dir("other"));
  ASSERT_TRUE(rig_.rename("worktrees/a", "worktrees/b"));
  pass(kRigUnitTtl);
  EXPECT_FALSE(there("worktrees/b"));
  EXPECT_TRUE(rig_.exact());
}

TEST_F(UnitReaperTest, RemovesAUnitThatIsASingleFile) {
  ASSERT_TRUE(rig_.write_file("worktrees/archive", "x"));
  pass(kRigUnitTtl);
  EXPECT_FALSE(there("worktrees/archive"));
  EXPECT_TRUE(rig_.exact());
}

TEST_F(UnitReaperTest, KeepsAUnitWhoseRemovalCannotBeStored) {
  rig_.advance(kRigUnitTtl);
  rig_.faults.fail_commits(1, EIO, 1000);
  rig_.reaper().run_once();
  EXPECT_TRUE(there());
  rig_.faults.fail_commits(1, EIO, 0);
  pass(seconds(1));
  EXPECT_FALSE(there());
  EXPECT_TRUE(rig_.exact());
}

TEST_F(UnitReaperTest, RefusesWhatComesForAUnitThatIsGone) {
  const NodeId file = rig_.at("worktrees/a/file");
  pass(kRigUnitTtl);
  const auto opened =
      rig_.parts().filesystem->open({.umask = 022, .may_block = true}, file, O_RDONLY, false);
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error(), Errno{ESTALE});
}

TEST_F(UnitReaperTest, RemovesAYoungUnitOnRequest) {
  const UnitRef unit = rig_.unit("worktrees/a");
  const auto dry = rig_.reaper().expire(unit, true);
  EXPECT_EQ(dry.report.verdict.action, Verdict::Action::remove);
  EXPECT_FALSE(dry.trash.has_value());
  EXPECT_TRUE(there());
  const auto expired = rig_.reaper().expire(unit, false);
  ASSERT_TRUE(expired.trash.has_value());
  EXPECT_EQ(expired.trash->purge_after, rig_.clock.wall_now() + minutes(10));
  EXPECT_FALSE(there());
  EXPECT_EQ(rig_.last_event(EventRecord::Kind::requested)->rule, "requested");
  EXPECT_TRUE(rig_.exact());
}

TEST_F(UnitReaperTest, RefusesARequestForAUnitThatIsHeld) {
  const UnitRef unit = rig_.unit("worktrees/a");
  OpenFile* const file = rig_.open("worktrees/a/file");
  ASSERT_TRUE(rig_.parts().units->set_pinned(*unit, true));
  const auto pinned = rig_.reaper().expire(unit, false);
  EXPECT_EQ(pinned.report.verdict.reason, Reason::pinned);
  ASSERT_TRUE(rig_.parts().units->set_pinned(*unit, false));
  const auto open = rig_.reaper().expire(unit, false);
  EXPECT_EQ(open.report.verdict.reason, Reason::open_files);
  EXPECT_EQ(rig_.reaper().expire(rig_.parts().units->root(), false).trash, std::nullopt);
  EXPECT_TRUE(there());
  rig_.close(file);
}

// ---- max_age
// -------------------------------------------------------------------------------------

class MaxAge : public UnitReaperTest {
 protected:
  MaxAge()
      : UnitReaperTest(R"(
[volume]
adopt_grace = "0s"
[[class]]
name = "worktree"
kind = "tree"
match = ["worktrees/*"]
max_age = "1h"
)") {}
};

TEST_F(MaxAge, RemovesAUnitThatIsUsedAllTheTime) {
  pass(minutes(59));
  ASSERT_TRUE(rig_.write_file("worktrees/a/more", "x"));
  pass(minutes(1));
  EXPECT_FALSE(there());
  EXPECT_EQ(rig_.last_event(EventRecord::Kind::expired)->rule, "older than 1h");
}

TEST_F(MaxAge, RemovesADueUnitAtOnceWhenItsLastFileIsClosed) {
  OpenFile* const file = rig_.open("worktrees/a/file");
  pass(kRigUnitTtl);
  EXPECT_TRUE(there());
  rig_.close(file);
  rig_.reaper().run_once();
  EXPECT_FALSE(there());
}

// ---- adopt grace
// ---------------------------------------------------------------------------------

TEST(AdoptGrace, NothingExpiresInTheFirstMinutesOfAVolume) {
  std::string policy = kRigPolicy;
  policy.replace(policy.find("\"0s\""), 4, "\"10m\"");
  policy.replace(policy.find("\"1h\""), 4, "\"2m\"");
  VolumeRig rig(policy);
  rig.tree.write_file("worktrees/old/file", "x");
  rig.advance(hours(24));
  rig.mount();
  rig.reaper().run_once();
  EXPECT_EQ(rig.reaper().verdict(rig.unit("worktrees/old")).verdict.reason, Reason::adopt_grace);
  rig.advance(minutes(10) - nanoseconds(1));
  rig.reaper().run_once();
  EXPECT_TRUE(rig.exists("worktrees/old"));
  rig.advance(nanoseconds(1));
  rig.reaper().run_once();
  EXPECT_FALSE(rig.exists("worktrees/old"));
  EXPECT_TRUE(rig.exact());
}

}  // namespace
}  // namespace ebbfs
