// SPDX-License-Identifier: Apache-2.0
//
// The brake over a volume whose clock the test moves; the rule itself is in policy/brake_test.cc.
#include "fs/brake.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/volume_rig.h"

namespace ebbfs {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using Cause = BrakeRecord::Cause;

std::string braking_above(int units) {
  std::string policy = kRigPolicy;
  policy.insert(policy.find("adopt_grace"), "brake_units = " + std::to_string(units) + "\n");
  return policy;
}

class BrakeTest : public testing::Test {
 protected:
  explicit BrakeTest(int units = 3) : rig_(braking_above(units)) {
    rig_.mount();
    EXPECT_TRUE(rig_.make_dir("worktrees"));
    EXPECT_TRUE(rig_.make_dir("locks"));
  }
  void make(const std::string& names) {
    for (const char name : names) {
      EXPECT_TRUE(rig_.make_dir(std::string("worktrees/") + name));
    }
  }
  // How many units are in the tree after `time` and a pass.
  std::size_t left_after(Duration time) {
    rig_.advance(time);
    rig_.reaper().run_once();
    return rig_.tree.list("worktrees").size();
  }
  Cause cause() { return rig_.reaper().state().brake.cause; }
  std::size_t count(EventRecord::Kind kind) {
    std::size_t n = 0;
    for (const EventRecord& event : rig_.events()) n += event.kind == kind ? 1 : 0;
    return n;
  }
  void remount() {
    rig_.unmount();
    rig_.mount();
  }

  VolumeRig rig_;
};

TEST_F(BrakeTest, HoldsWhenMoreThanItsUnitsAndShareAreDueAtOnce) {
  make("abcd");
  EXPECT_EQ(left_after(1h), 4U);
  const BrakeRecord brake = rig_.reaper().state().brake;
  EXPECT_EQ(brake.cause, Cause::mass);
  EXPECT_EQ(brake.due, 4U);
  EXPECT_EQ(brake.all, 4U);
  EXPECT_EQ(count(EventRecord::Kind::braked), 1U);
  EXPECT_EQ(left_after(5h), 4U);
  EXPECT_EQ(count(EventRecord::Kind::braked), 1U);
  EXPECT_TRUE(rig_.trashed().empty());
}

TEST_F(BrakeTest, LetsAsManyGoAsItAllowsAndThoseThatComeOneByOne) {
  make("abc");
  EXPECT_EQ(left_after(1h), 0U);
  for (const char* const name : {"a", "b", "c", "d", "e"}) {
    make(name);
    rig_.advance(1min);
  }
  EXPECT_EQ(left_after(55min), 4U);
  EXPECT_EQ(left_after(1min), 3U);
  EXPECT_EQ(left_after(1min), 2U);
  EXPECT_EQ(cause(), Cause::none);
}

TEST_F(BrakeTest, DoesNotCountUnitsThatWereUsedSinceOrArePinned) {
  make("abcdefgh");
  rig_.advance(59min);
  for (const char* const name : {"a", "b", "c", "d"}) {
    EXPECT_TRUE(rig_.write_file(std::string("worktrees/") + name + "/file", "x"));
  }
  EXPECT_TRUE(rig_.parts().units->set_pinned(*rig_.unit("worktrees/e"), true));
  EXPECT_EQ(left_after(1min), 5U);
  EXPECT_EQ(cause(), Cause::none);
}

TEST_F(BrakeTest, ResumesWhatWasDueAndHoldsTheNextMass) {
  make("abcd");
  EXPECT_EQ(left_after(1h), 4U);
  EXPECT_TRUE(rig_.reaper().resume("uid=0").value());
  EXPECT_EQ(left_after(0s), 0U);
  EXPECT_EQ(count(EventRecord::Kind::resumed), 1U);
  EXPECT_FALSE(rig_.reaper().resume("uid=0").value());
  make("abcd");
  EXPECT_EQ(left_after(1h), 4U);
  EXPECT_EQ(count(EventRecord::Kind::braked), 2U);
}

TEST_F(BrakeTest, HoldsAcrossARestartAndIsResumedAcrossOne) {
  make("abcd");
  EXPECT_EQ(left_after(1h), 4U);
  rig_.crash();
  rig_.mount();
  EXPECT_EQ(cause(), Cause::mass);
  rig_.advance(1h);
  EXPECT_EQ(left_after(1h), 4U);
  EXPECT_TRUE(rig_.reaper().resume("uid=0").value());
  remount();
  EXPECT_EQ(cause(), Cause::none);
}

TEST_F(BrakeTest, DoesNotHoldWhatIsAskedFor) {
  make("abcd");
  EXPECT_EQ(left_after(1h), 4U);
  EXPECT_TRUE(rig_.reaper().expire(rig_.unit("worktrees/a"), false).trash.has_value());
  EXPECT_FALSE(rig_.exists("worktrees/a"));
}

TEST_F(BrakeTest, IsToldToWhoAsksForAUnit) {
  make("abcd");
  EXPECT_EQ(left_after(1h), 4U);
  const Report report = rig_.reaper().verdict(rig_.unit("worktrees/a"));
  EXPECT_EQ(report.verdict.reason, Reason::brake);
  ASSERT_FALSE(report.blockers.empty());
  EXPECT_THAT(report.blockers.front().text, HasSubstr("4 of 4 units were due at once"));
}

class ClockBrake : public BrakeTest {
 protected:
  ClockBrake() : BrakeTest(500) { make("a"); }
};

TEST_F(ClockBrake, HoldsAUnitThatOnlyASetClockMakesOld) {
  rig_.clock.step_wall(24h);
  EXPECT_EQ(left_after(0s), 1U);
  EXPECT_EQ(cause(), Cause::clock);
  EXPECT_EQ(rig_.reaper().state().brake.step, Duration(24h));
  EXPECT_EQ(left_after(24h), 1U);
  EXPECT_TRUE(rig_.reaper().resume("uid=0").value());
  EXPECT_EQ(left_after(0s), 0U);
}

TEST_F(ClockBrake, HoldsWhenTheClockIsSetBack) {
  rig_.clock.step_wall(-2h);
  EXPECT_EQ(left_after(0s), 1U);
  EXPECT_EQ(cause(), Cause::clock);
}

TEST_F(ClockBrake, AddsUpTheStepsThatItHoldsFor) {
  rig_.clock.step_wall(2h);
  rig_.reaper().run_once();
  rig_.clock.step_wall(2min);
  rig_.reaper().run_once();
  EXPECT_EQ(rig_.reaper().state().brake.step, Duration(122min));
  remount();
  rig_.clock.step_wall(-61min);
  rig_.reaper().run_once();
  EXPECT_EQ(brake_text(rig_.reaper().state().brake), "the wall clock was set 1h1m forth");
  rig_.clock.step_wall(-61min);
  rig_.reaper().run_once();
  EXPECT_EQ(brake_text(rig_.reaper().state().brake), "the wall clock was set forth and back again");
  EXPECT_EQ(count(EventRecord::Kind::braked), 4U);
}

TEST_F(ClockBrake, SeesAClockThatIsSetBetweenTwoVerdicts) {
  rig_.reaper().run_once();
  rig_.clock.step_wall(24h);
  // Judged alone, by a close or a lock's end, not by a pass.
  EXPECT_EQ(rig_.reaper().verdict(rig_.unit("worktrees/a")).verdict.reason, Reason::brake);
}

TEST_F(ClockBrake, TakesNtpAndSleepForWhatTheyAre) {
  for (int i = 0; i < 100; ++i) {
    rig_.clock.step_wall(i % 2 == 0 ? 3s : -3s);
    rig_.reaper().run_once();
  }
  rig_.clock.sleep(2h);
  EXPECT_EQ(left_after(0s), 0U);
  EXPECT_EQ(cause(), Cause::none);
}

TEST_F(ClockBrake, SeesAClockThatWasSetWhileTheDaemonWasDown) {
  rig_.reaper().stop();
  rig_.unmount();
  rig_.clock.step_wall(24h);
  rig_.mount();
  EXPECT_EQ(cause(), Cause::clock);
  EXPECT_EQ(left_after(0s), 1U);
}

TEST_F(ClockBrake, TakesTimeThatTheDaemonWasDownForWhatItIs) {
  rig_.unmount();
  rig_.advance(24h);
  rig_.mount();
  EXPECT_EQ(cause(), Cause::none);
}

TEST_F(ClockBrake, KeepsWhatTheTrashWouldLoseByIt) {
  EXPECT_TRUE(rig_.reaper().expire(rig_.unit("worktrees/a"), false).trash.has_value());
  rig_.clock.step_wall(24h);
  rig_.reaper().run_once();
  rig_.trash().purge_queued();
  EXPECT_EQ(rig_.trashed().size(), 1U);
  remount();
  rig_.reaper().run_once();
  rig_.trash().purge_queued();
  EXPECT_EQ(rig_.trashed().size(), 1U);
  EXPECT_TRUE(rig_.reaper().resume("uid=0").value());
  rig_.advance(1min);
  rig_.reaper().run_once();
  rig_.trash().purge_queued();
  EXPECT_TRUE(rig_.trashed().empty());
}

TEST_F(ClockBrake, HoldsALockOfAnUnknownOwnerAndNotAnOrphan) {
  const ProcessId worker = rig_.processes.start();
  ASSERT_TRUE(rig_.take_lock("locks/unknown", 0));
  ASSERT_TRUE(rig_.take_lock("locks/orphan", worker.tgid));
  rig_.advance(3s);
  rig_.clock.step_wall(24h);
  rig_.processes.kill(worker);
  rig_.reaper().run_once();
  rig_.advance(5s);
  rig_.reaper().run_once();
  EXPECT_TRUE(rig_.exists("locks/unknown"));
  EXPECT_FALSE(rig_.exists("locks/orphan"));
  EXPECT_TRUE(rig_.reaper().resume("uid=0").value());
  rig_.reaper().run_once();
  EXPECT_FALSE(rig_.exists("locks/unknown"));
}

class Observing : public testing::Test {
 protected:
  Observing() : rig_("mode = \"observe\"\n" + braking_above(3)) {
    rig_.mount();
    EXPECT_TRUE(rig_.make_dir("worktrees"));
    for (const char* const name : {"a", "b", "c", "d"}) {
      EXPECT_TRUE(rig_.make_dir(std::string("worktrees/") + name));
    }
  }
  VolumeRig rig_;
};

TEST_F(Observing, RecordsOnceWhatItWouldRemoveAndRemovesNothing) {
  for (int i = 0; i < 10; ++i) {
    rig_.advance(1h);
    rig_.reaper().run_once();
  }
  std::size_t told = 0;
  for (const EventRecord& event : rig_.events()) {
    told += event.kind == EventRecord::Kind::would_remove ? 1 : 0;
    EXPECT_NE(event.kind, EventRecord::Kind::braked);
    EXPECT_NE(event.kind, EventRecord::Kind::expired);
  }
  EXPECT_EQ(told, 4U);
  EXPECT_EQ(rig_.tree.list("worktrees").size(), 4U);
  EXPECT_TRUE(rig_.trashed().empty());
}

TEST_F(Observing, KeepsWhatIsInTheTrashAlready) {
  rig_.reload(braking_above(3));
  ASSERT_TRUE(rig_.reaper().expire(rig_.unit("worktrees/a"), false).trash.has_value());
  rig_.reload(rig_.policy_text);
  rig_.advance(1h);
  rig_.reaper().run_once();
  rig_.trash().purge_queued();
  EXPECT_EQ(rig_.trashed().size(), 1U);
}

TEST_F(Observing, WritesNothingOnADryRun) {
  const auto commits = rig_.faults.commits();
  const auto would = rig_.reaper().expire(rig_.unit("worktrees/a"), true);
  EXPECT_EQ(would.report.verdict.action, Verdict::Action::remove);
  EXPECT_EQ(rig_.faults.commits(), commits);
  EXPECT_TRUE(rig_.exists("worktrees/a"));
  EXPECT_FALSE(rig_.reaper().expire(rig_.unit("worktrees/a"), false).trash.has_value());
  EXPECT_TRUE(rig_.exists("worktrees/a"));
}

}  // namespace
}  // namespace ebbfs
