// SPDX-License-Identifier: Apache-2.0
//
// The double keeps the promises of ProcessTable that tests of others lean on.
#include "tests/support/fake_process_table.h"

#include <gtest/gtest.h>

#include "tests/support/child.h"

namespace ebbfs {
namespace {

using Life = OwnerState::Life;
using std::chrono::seconds;

class FakeTable : public testing::Test {
 protected:
  [[nodiscard]] Life state(const ProcessId& process) {
    return table_.state(process, FakeProcessTable::kFirstBoot).life;
  }

  FakeClock clock_;
  FakeProcessTable table_{clock_};
};

TEST_F(FakeTable, IdentifiesThreadsWithTheirAncestors) {
  const auto grandparent = table_.start();
  const auto parent = table_.start({.parent = grandparent.tgid});
  const auto worker = table_.start({.parent = parent.tgid, .comm = "git", .cgroup = "/ci"});
  table_.start_thread(worker.tgid, 77);
  const auto caller = table_.identify(77);
  EXPECT_EQ(caller.process.id, worker);
  EXPECT_EQ(caller.process.comm, "git");
  EXPECT_EQ(caller.cgroup, "/ci");
  ASSERT_EQ(caller.ancestors.size(), 2U);
  EXPECT_EQ(caller.ancestors[0].id, parent);
  EXPECT_EQ(caller.ancestors[1].id, grandparent);
  table_.kill(parent);
  EXPECT_TRUE(table_.identify(77).ancestors.empty());
  EXPECT_FALSE(table_.identify(0).process.id.known());
}

TEST_F(FakeTable, EndsProcessesWhenTheClockReachesTheirTime) {
  const auto worker = table_.start();
  ASSERT_TRUE(table_.watch(worker).has_value());
  table_.end_at(worker, Life::killed, clock_.wall_now() + seconds(3));
  clock_.advance(seconds(2));
  EXPECT_FALSE(is_readable(table_.event_fd()));
  EXPECT_EQ(state(worker), Life::alive);
  clock_.advance(seconds(1));
  EXPECT_TRUE(is_readable(table_.event_fd()));
  const auto ended = table_.drain_ended();
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended.front().process, worker);
  EXPECT_EQ(ended.front().state.life, Life::killed);
  EXPECT_EQ(ended.front().state.ended_at, clock_.wall_now());
  EXPECT_FALSE(is_readable(table_.event_fd()));
}

TEST_F(FakeTable, ReportsToWatchersAloneAndAgainToLaterOnes) {
  const auto worker = table_.start();
  table_.exit(worker);
  EXPECT_TRUE(table_.drain_ended().empty());
  for (int time = 0; time < 2; ++time) {
    ASSERT_TRUE(table_.watch(worker).has_value());
    EXPECT_EQ(table_.drain_ended().size(), 1U);
  }
  EXPECT_EQ(table_.watches(worker), 2U);
}

TEST_F(FakeTable, TellsReusedNumbersApart) {
  const auto first = table_.start({.pid = 50});
  table_.exit(first);
  const auto second = table_.start({.pid = 50});
  EXPECT_EQ(state(first), Life::exited);
  EXPECT_EQ(state(second), Life::alive);
  EXPECT_EQ(table_.living(50, 0)->process.id, second);
}

TEST_F(FakeTable, ForgetsEverythingAtReboot) {
  const auto worker = table_.start();
  table_.reboot();
  EXPECT_NE(table_.boot_id(), FakeProcessTable::kFirstBoot);
  EXPECT_EQ(state(worker), Life::ended);
  EXPECT_FALSE(table_.living(worker.tgid, 0).has_value());
}

TEST_F(FakeTable, ReportsCgroupsThatBecomeEmpty) {
  table_.start({.cgroup = "/ci"});
  ASSERT_TRUE(table_.watch_cgroup("/ci").has_value());
  EXPECT_EQ(table_.cgroup_state("/ci").life, Life::alive);
  table_.empty_cgroup("/ci");
  const auto ended = table_.drain_ended();
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended.front().cgroup, "/ci");
  EXPECT_EQ(table_.cgroup_state("/ci").life, Life::ended);
  EXPECT_EQ(table_.cgroup_state("").life, Life::unknown);
}

TEST_F(FakeTable, AnswersAsToldAndCountsScans) {
  const auto worker = table_.start();
  table_.set_inodes_in_use(fail(EACCES));
  EXPECT_FALSE(table_.in_use({.mount = 1}, ProcessLook::all).has_value());
  EXPECT_EQ(table_.scans(), 1U);
  table_.set_watch_answer(fail(EMFILE));
  EXPECT_EQ(table_.watch(worker), fail(EMFILE));
  table_.hide(worker);
  EXPECT_EQ(state(worker), Life::unknown);
}

TEST(FakeClock, StepsTheWallClockWithoutPassingTime) {
  FakeClock clock;
  clock.step_wall(-seconds(10));
  EXPECT_EQ(clock.wall_now(), FakeClock::kWallStart - seconds(10));
  EXPECT_EQ(clock.mono_now(), FakeClock::kMonoStart);
  clock.advance(seconds(1));
  EXPECT_EQ(clock.mono_now(), FakeClock::kMonoStart + seconds(1));
}

}  // namespace
}  // namespace ebbfs
