// SPDX-License-Identifier: Apache-2.0
//
// Real cgroups that fill, empty and go.
#include "fs/cgroup_watch.h"

#include <gtest/gtest.h>

#include "tests/support/child.h"
#include "tests/support/process_tables.h"

namespace ebbfs {
namespace {

using Life = OwnerState::Life;

std::unique_ptr<CgroupWatch> open_watch() {
  auto watch = CgroupWatch::open(ProcFiles::open()->cgroup_mount());
  EXPECT_TRUE(watch.has_value());
  return *std::move(watch);
}

std::vector<std::string> next_ends(CgroupWatch& watch) {
  std::vector<std::string> ended;
  while (ended.empty() && becomes_readable(watch.fd())) ended = watch.drain();
  return ended;
}

class Cgroups : public testing::Test {
 protected:
  void SetUp() override {
    if (cgroup_.path().empty()) GTEST_SKIP() << "no cgroup v2 that may be changed";
  }
  const std::vector<std::string> just_it() { return {cgroup_.path()}; }

  TestCgroup cgroup_;
  std::unique_ptr<CgroupWatch> watch_ = open_watch();
};

TEST_F(Cgroups, LiveWhileTheyHaveProcesses) {
  EXPECT_EQ(watch_->life(cgroup_.path()), CgroupLife::gone);
  const ChildProcess child;
  ASSERT_TRUE(cgroup_.add(child.pid()));
  EXPECT_EQ(watch_->life(cgroup_.path()), CgroupLife::populated);
  child.kill();  // a zombie does not count
  EXPECT_TRUE(becomes_true([&] { return watch_->life(cgroup_.path()) == CgroupLife::gone; }));
  ASSERT_TRUE(cgroup_.remove());
  EXPECT_EQ(watch_->life(cgroup_.path()), CgroupLife::gone);
  EXPECT_EQ(watch_->life("/"), CgroupLife::populated);
}

TEST_F(Cgroups, EndWhenTheirLastProcessDoes) {
  const ChildProcess one;
  const ChildProcess other;
  ASSERT_TRUE(cgroup_.add(one.pid()) && cgroup_.add(other.pid()));
  EXPECT_EQ(watch_->watch(cgroup_.path()), CgroupLife::populated);
  one.kill();
  EXPECT_TRUE(watch_->drain().empty());
  other.kill();
  EXPECT_EQ(next_ends(*watch_), just_it());
  EXPECT_TRUE(watch_->drain().empty());
}

TEST_F(Cgroups, EndWhenTheyAreRemovedAtOnce) {
  // The kernel drops the report of emptiness when the directory goes right after it.
  for (int time = 0; time < 20; ++time) {
    ChildProcess child;
    ASSERT_TRUE(cgroup_.add(child.pid()));
    EXPECT_EQ(watch_->watch(cgroup_.path()), CgroupLife::populated);
    EXPECT_TRUE(watch_->drain().empty());
    child.kill();
    child.reap();
    ASSERT_TRUE(cgroup_.remove());
    ASSERT_EQ(next_ends(*watch_), just_it()) << time;
    watch_->unwatch(cgroup_.path());
    ASSERT_TRUE(cgroup_.make());
  }
}

TEST_F(Cgroups, AreReportedWhenGoneBeforeTheWatch) {
  EXPECT_EQ(watch_->watch(cgroup_.path()), CgroupLife::gone);
  EXPECT_EQ(watch_->drain(), just_it());
  ASSERT_TRUE(cgroup_.remove());
  EXPECT_EQ(watch_->watch(cgroup_.path()), CgroupLife::gone);
  EXPECT_EQ(watch_->drain(), just_it());
  EXPECT_EQ(watch_->watch(cgroup_.path() + "/below/nothing"), CgroupLife::gone);
}

TEST_F(Cgroups, MadeAnewUnderTheSameNameAreWatchedAnew) {
  EXPECT_EQ(watch_->watch(cgroup_.path()), CgroupLife::gone);
  ASSERT_EQ(watch_->drain(), just_it());
  ASSERT_TRUE(cgroup_.remove());
  ASSERT_TRUE(cgroup_.make());
  const ChildProcess child;
  ASSERT_TRUE(cgroup_.add(child.pid()));
  EXPECT_EQ(watch_->watch(cgroup_.path()), CgroupLife::populated);
  EXPECT_TRUE(watch_->drain().empty());
  child.kill();
  EXPECT_EQ(next_ends(*watch_), just_it());
}

TEST_F(Cgroups, AreNotReportedAfterTheLastUnwatch) {
  const ChildProcess child;
  ASSERT_TRUE(cgroup_.add(child.pid()));
  EXPECT_TRUE(watch_->watch(cgroup_.path()).has_value());
  EXPECT_TRUE(watch_->watch(cgroup_.path()).has_value());
  watch_->unwatch(cgroup_.path());
  watch_->unwatch(cgroup_.path());
  child.kill();
  ASSERT_TRUE(becomes_true([&] { return watch_->life(cgroup_.path()) == CgroupLife::gone; }));
  EXPECT_TRUE(watch_->drain().empty());
}

TEST_F(Cgroups, MayBeWatchedAgainAfterTheLastUnwatch) {
  const ChildProcess child;
  ASSERT_TRUE(cgroup_.add(child.pid()));
  EXPECT_TRUE(watch_->watch(cgroup_.path()).has_value());
  watch_->unwatch(cgroup_.path());
  EXPECT_TRUE(watch_->watch(cgroup_.path()).has_value());
  EXPECT_TRUE(watch_->drain().empty());
  child.kill();
  EXPECT_EQ(next_ends(*watch_), just_it());
}

TEST_F(Cgroups, NeighboursThatGoAreNotMistakenForWatchedOnes) {
  const TestCgroup neighbour;
  const ChildProcess child;
  ASSERT_TRUE(cgroup_.add(child.pid()));
  EXPECT_TRUE(watch_->watch(cgroup_.path()).has_value());
  EXPECT_TRUE(watch_->watch(neighbour.path()).has_value());
  EXPECT_EQ(watch_->drain(), std::vector<std::string>{neighbour.path()});
  watch_->unwatch(neighbour.path());
  ASSERT_TRUE(neighbour.remove());
  EXPECT_TRUE(watch_->drain().empty());
  child.kill();
  EXPECT_EQ(next_ends(*watch_), just_it());
}

// The kernel may tell of one end twice: then there is something to read, and nothing in it.
bool quiet(ProcessTable& table) {
  for (int i = 0; i < 10 && is_readable(table.event_fd()); ++i) {
    if (!table.drain_ended().empty()) return false;
  }
  return !is_readable(table.event_fd());
}

TEST_F(Cgroups, EndThroughTheProcessTable) {
  const auto table = open_table({});
  ChildProcess child;
  ASSERT_TRUE(cgroup_.add(child.pid()));
  const auto cgroup = table->identify(child.pid()).cgroup;
  EXPECT_EQ(cgroup, cgroup_.path());
  ASSERT_TRUE(table->watch_cgroup(cgroup).has_value());
  EXPECT_EQ(table->cgroup_state(cgroup).life, Life::alive);
  EXPECT_TRUE(table->drain_ended().empty());
  child.kill();
  const auto ended = next_ends(*table);
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended.front().cgroup, cgroup);
  EXPECT_FALSE(ended.front().process.known());
  EXPECT_EQ(ended.front().state.life, Life::ended);
  EXPECT_TRUE(quiet(*table));
  EXPECT_EQ(table->cgroup_state(cgroup).life, Life::ended);

  // One that is gone already makes the descriptor readable, too.
  ASSERT_TRUE(table->watch_cgroup(cgroup).has_value());
  ASSERT_TRUE(is_readable(table->event_fd()));
  EXPECT_EQ(table->drain_ended().size(), 1U);
  EXPECT_TRUE(quiet(*table));
}

struct PathCase {
  const char* name;
  const char* mount_root;
  const char* cgroup;
  CgroupLife want;
};

TEST(CgroupPaths, OutsideTheMountAreUnknown) {
  constexpr PathCase kCases[] = {
      {"relative", "/", "a/b", CgroupLife::unknown},
      {"empty", "/", "", CgroupLife::unknown},
      {"outside our cgroup namespace", "/", "/../a", CgroupLife::unknown},
      {"climbing out", "/", "/a/..", CgroupLife::unknown},
      {"beside what is mounted", "/a", "/b", CgroupLife::unknown},
      {"sharing a beginning with what is mounted", "/a", "/ab", CgroupLife::unknown},
      {"below what is mounted, absent", "/a", "/a/none", CgroupLife::gone},
      {"dots in a name", "/", "/a..b", CgroupLife::gone},
  };
  for (const auto& row : kCases) {
    const auto watch = CgroupWatch::open(CgroupMount{.path = "/proc", .root = row.mount_root});
    ASSERT_TRUE(watch.has_value());
    EXPECT_EQ((*watch)->life(row.cgroup), row.want) << row.name;
    EXPECT_EQ((*watch)->watch(row.cgroup).has_value(), row.want == CgroupLife::gone) << row.name;
  }
}

TEST(CgroupPaths, AreUnknownWithoutCgroupV2) {
  const auto watch = CgroupWatch::open(std::nullopt);
  ASSERT_TRUE(watch.has_value());
  EXPECT_EQ((*watch)->life("/"), CgroupLife::unknown);
  EXPECT_EQ((*watch)->life("/a"), CgroupLife::unknown);
  EXPECT_FALSE((*watch)->watch("/a").has_value());
}

}  // namespace
}  // namespace ebbfs
