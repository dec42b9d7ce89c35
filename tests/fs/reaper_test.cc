// SPDX-License-Identifier: Apache-2.0
//
// The reaper's thread and what it tells of itself; what it removes is in unit_reaper_test.cc and
// lock_reaper_test.cc.
#include "fs/reaper.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <thread>

#include "tests/support/volume_rig.h"

namespace ebbfs {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr auto kLimit = seconds(30);  // for what must happen: never waited out

bool happens(const std::function<bool()>& what) {
  const auto limit = std::chrono::steady_clock::now() + kLimit;
  while (!what()) {
    if (std::chrono::steady_clock::now() > limit) return false;
    std::this_thread::sleep_for(milliseconds(1));
  }
  return true;
}

class ReaperTest : public testing::Test {
 protected:
  explicit ReaperTest(const std::string& policy = kRigPolicy) : rig_(policy) {
    rig_.mount();
    EXPECT_TRUE(rig_.make_dir("worktrees"));
    EXPECT_TRUE(rig_.make_dir("locks"));
  }
  ~ReaperTest() override { rig_.reaper().stop(); }

  VolumeRig rig_;
};

TEST_F(ReaperTest, TellsWhatIsDueNextAndWhatIsDueNow) {
  ASSERT_TRUE(rig_.make_dir("worktrees/a"));
  rig_.advance(minutes(10));
  ASSERT_TRUE(rig_.make_dir("worktrees/b"));
  ReaperState state = rig_.reaper().state();
  EXPECT_EQ(state.next_path, "worktrees/a");
  EXPECT_EQ(state.next_class, "worktree");
  EXPECT_EQ(state.next_deadline, rig_.clock.wall_now() + minutes(50));
  EXPECT_EQ(state.due_units, 0U);
  rig_.advance(minutes(50));
  state = rig_.reaper().state();
  EXPECT_EQ(state.due_units, 1U);
  EXPECT_EQ(state.due_usage, (Usage{{0}, 1}));
  EXPECT_EQ(state.next_path, "worktrees/b");
  EXPECT_EQ(state.last_removal, std::nullopt);
  rig_.reaper().run_once();
  state = rig_.reaper().state();
  EXPECT_EQ(state.last_removal, rig_.clock.wall_now());
  EXPECT_EQ(state.due_units, 0U);
}

TEST_F(ReaperTest, TellsHowLateItIs) {
  ASSERT_TRUE(rig_.make_dir("worktrees/a"));
  rig_.advance(hours(1) + seconds(3));
  EXPECT_EQ(rig_.reaper().state().overdue, seconds(3));
  rig_.reaper().run_once();
  EXPECT_EQ(rig_.reaper().state().overdue, Duration::zero());
}

TEST_F(ReaperTest, IsNotLateWithWhatSomethingHolds) {
  ASSERT_TRUE(rig_.make_dir("worktrees/a"));
  rig_.processes.set_inodes_in_use(std::unordered_set{raw(rig_.at("worktrees/a"))});
  rig_.advance(hours(1));
  rig_.reaper().run_once();
  rig_.advance(seconds(30));
  EXPECT_EQ(rig_.reaper().state().overdue, Duration::zero());
  EXPECT_EQ(rig_.reaper().state().due_units, 1U);
}

TEST_F(ReaperTest, EnforcesWhileItRunsAndThePolicySaysSo) {
  EXPECT_FALSE(rig_.reaper().state().enforcing);
  rig_.reaper().start();
  EXPECT_TRUE(rig_.reaper().state().enforcing);
  rig_.reload("mode = \"observe\"\n" + rig_.policy_text);
  EXPECT_FALSE(rig_.reaper().state().enforcing);
  rig_.reaper().stop();
  EXPECT_FALSE(rig_.reaper().state().running);
}

TEST_F(ReaperTest, StoresIdleUnitsAsClean) {
  ASSERT_TRUE(rig_.make_dir("worktrees/a"));
  rig_.advance(minutes(2));
  rig_.reaper().run_once();
  const auto stored = rig_.parts().index->load_units().value();
  for (const UnitRecord& unit : stored) {
    EXPECT_FALSE(unit.dirty) << unit.path;
  }
}

TEST_F(ReaperTest, WakesWhenADeadlineIsTold) {
  ASSERT_TRUE(rig_.make_dir("worktrees/a"));
  rig_.reaper().start();
  rig_.advance(hours(1));
  rig_.reaper().due_at(WallTime::min());
  EXPECT_TRUE(happens([&] { return !rig_.exists("worktrees/a"); }));
  EXPECT_TRUE(happens([&] { return rig_.kernel.has("removed a"); }));
}

TEST_F(ReaperTest, WakesAtTheDeadlineByItself) {
  std::string policy = rig_.policy_text;
  policy.replace(policy.find("\"1h\""), 4, "\"1s\"");
  rig_.reload(policy);
  rig_.reaper().start();
  ASSERT_TRUE(rig_.make_dir("worktrees/a"));
  // From here on the clock of the test follows the real one, which the timer goes by.
  EXPECT_TRUE(happens([&] {
    const auto behind = std::chrono::system_clock::now() - rig_.clock.wall_now();
    if (behind > Duration::zero()) rig_.advance(behind);
    return !rig_.exists("worktrees/a");
  }));
}

class NoGrace : public ReaperTest {
 protected:
  NoGrace()
      : ReaperTest([] {
          std::string policy = kRigPolicy;
          policy.replace(policy.find("\"5s\""), 4, "\"0s\"");
          return policy;
        }()) {}
};

TEST_F(NoGrace, WakesWhenAnOwnerEnds) {
  const ProcessId worker = rig_.processes.start();
  ASSERT_TRUE(rig_.take_lock("locks/a", worker.tgid));
  rig_.advance(seconds(3));
  rig_.reaper().start();
  rig_.processes.kill(worker);
  EXPECT_TRUE(happens([&] { return rig_.kernel.has("removed a"); }));
  EXPECT_FALSE(rig_.exists("locks/a"));
}

TEST_F(NoGrace, ServesRequestsAndItsThreadAtTheSameTime) {
  constexpr int kRounds = 200;
  rig_.reaper().start();
  rig_.trash().start();
  for (int i = 0; i < kRounds; ++i) {
    const ProcessId worker = rig_.processes.start();
    const std::string name = "locks/" + std::to_string(i % 4);
    ASSERT_TRUE(happens([&] { return rig_.take_lock(name, worker.tgid).has_value(); }));
    rig_.advance(seconds(3));
    rig_.processes.kill(worker);
  }
  EXPECT_TRUE(happens([&] { return rig_.tree.list("locks").empty(); }));
  rig_.reaper().stop();
  rig_.trash().stop();
  EXPECT_EQ(rig_.parts().locks->size(), 0U);
  EXPECT_TRUE(rig_.exact());
}

}  // namespace
}  // namespace ebbfs
