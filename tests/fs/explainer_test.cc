// SPDX-License-Identifier: Apache-2.0
#include "fs/explainer.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/index/outcome.h"
#include "tests/support/volume_rig.h"

namespace ebbfs {
namespace {

using namespace std::chrono_literals;
using std::chrono::days;

constexpr dev_t kDevice = 77;  // of the rig
constexpr uid_t kAlice = 1000;
const char* const kKeptAnHourPolicy = R"(
[volume]
adopt_grace = "0s"
[[class]]
name = "worktree"
kind = "tree"
match = ["worktrees/*", "agents/{job}/*"]
ttl = "24h"
keep = "1h"
[[class]]
name = "lock"
kind = "lock"
match = ["worktrees/*/*.lock"]
)";

class ExplainerTest : public testing::Test {
 protected:
  ExplainerTest() : rig_(kKeptAnHourPolicy) {
    rig_.mount();
    auto sampler = Sampler::open(rig_.volume(), rig_.trash(), rig_.reaper(), rig_.faults);
    EXPECT_TRUE(sampler);
    sampler_ = std::move(*sampler);
    explainer_.emplace(rig_.volume(), rig_.reaper(), *sampler_);
    explainer_->set_mounted(kDevice, "/mnt/rig");
    for (const char* dir : {"worktrees", "agents", "agents/ci-1"}) EXPECT_TRUE(rig_.make_dir(dir));
  }

  void make_unit(const std::string& path, std::size_t blocks) {
    ASSERT_TRUE(rig_.make_dir(path));
    ASSERT_TRUE(rig_.write_file(path + "/f", std::string(blocks * 4096, 'x')));
  }
  ExplainView explain(uid_t uid = 0, const std::string& path = "", Duration since = days(7)) {
    Caller caller;
    caller.uid = uid;
    return explainer_->explain(caller, path, since);
  }
  static const HeldView* held(const ExplainView& view, std::string_view reason) {
    const auto found = std::ranges::find(view.held, reason, &HeldView::reason);
    return found == view.held.end() ? nullptr : &*found;
  }
  static const HolderView* holder(const std::vector<HolderView>& list, std::string_view name) {
    const auto found = std::ranges::find(list, name, &HolderView::name);
    return found == list.end() ? nullptr : &*found;
  }
  void sample() { ASSERT_EQ(error_of(sampler_->sample()), 0); }

  VolumeRig rig_;
  std::unique_ptr<Sampler> sampler_;
  std::optional<Explainer> explainer_;
};

TEST_F(ExplainerTest, SaysWhyEachUnitCannotGo) {
  make_unit("worktrees/pinned", 1);
  make_unit("worktrees/open", 2);
  make_unit("worktrees/inside", 3);
  make_unit("worktrees/locked", 4);
  make_unit("worktrees/idle", 5);
  ASSERT_TRUE(rig_.take_lock("worktrees/locked/a.lock", rig_.processes.start().tgid));
  ASSERT_TRUE(rig_.volume().units.set_pinned(*rig_.unit("worktrees/pinned"), true));
  OpenFile* file = rig_.open("worktrees/open/f");
  rig_.processes.set_inodes_in_use(
      std::unordered_set<std::uint64_t>{raw(rig_.at("worktrees/inside"))});
  rig_.advance(2h);
  make_unit("worktrees/young", 6);
  const ExplainView view = explain();
  struct Case {
    const char* reason;
    std::int64_t bytes;
    const char* largest;
  };
  for (const Case& c :
       {Case{"pinned", 4096, "worktrees/pinned"}, Case{"open_files", 8192, "worktrees/open"},
        Case{"process_inside", 3 * 4096, "worktrees/inside"},
        Case{"live_lock", 4 * 4096, "worktrees/locked"},
        Case{"recent", 6 * 4096, "worktrees/young"}}) {
    const HeldView* found = held(view, c.reason);
    ASSERT_NE(found, nullptr) << c.reason;
    EXPECT_EQ(found->units, 1) << c.reason;
    EXPECT_EQ(found->usage.bytes.n, c.bytes) << c.reason;
    EXPECT_EQ(found->largest, c.largest);
  }
  EXPECT_EQ(view.evictable_units, 1);
  EXPECT_EQ(view.evictable.bytes.n, 5 * 4096);
  EXPECT_NE(held(view, "outside"), nullptr);
  rig_.close(file);
}

TEST_F(ExplainerTest, TakesUnknownUseForBusy) {
  make_unit("worktrees/a", 1);
  rig_.advance(2h);
  rig_.processes.set_inodes_in_use(fail(EACCES));
  EXPECT_NE(held(explain(), "use_unknown"), nullptr);
  EXPECT_EQ(explain().evictable_units, 0);
}

TEST_F(ExplainerTest, LooksAtProcOnceAndNotAgainAtOnce) {
  make_unit("worktrees/a", 1);
  make_unit("worktrees/b", 1);
  const auto before = rig_.processes.scans();
  (void)explain();
  (void)explain(kAlice);
  EXPECT_EQ(rig_.processes.scans(), before + 1);
  rig_.advance(3s);
  (void)explain();
  EXPECT_EQ(rig_.processes.scans(), before + 2);
}

TEST_F(ExplainerTest, PutsLastWhatHoldsWorkOfGit) {
  make_unit("worktrees/a", 1);
  rig_.advance(2h);
  explainer_->note_work(*rig_.unit("worktrees/a"), true);
  EXPECT_NE(held(explain(), "git_work"), nullptr);
  ASSERT_TRUE(rig_.write_file("worktrees/a/g", "x"));
  rig_.advance(2h);
  EXPECT_EQ(held(explain(), "git_work"), nullptr) << "it was used: who knows";
  explainer_->note_work(*rig_.unit("worktrees/a"), true);
  explainer_->note_work(*rig_.unit("worktrees/a"), false);
  EXPECT_EQ(held(explain(), "git_work"), nullptr);
}

TEST_F(ExplainerTest, TellsGrowthOfUsersJobsClassesAndUnits) {
  make_unit("worktrees/old", 2);
  sample();
  rig_.advance(1h);
  make_unit("agents/ci-1/new", 10);
  ASSERT_TRUE(rig_.write_file("worktrees/old/g", std::string(4096, 'x')));
  const ExplainView view = explain();
  EXPECT_EQ(view.from, rig_.clock.wall_now() - 1h);
  EXPECT_EQ(holder(view.units, "worktrees/old")->bytes_growth, 4096);
  EXPECT_EQ(holder(view.units, "agents/ci-1/new")->bytes_growth, 10 * 4096);
  EXPECT_EQ(holder(view.jobs, "ci-1")->bytes_growth, 10 * 4096);
  EXPECT_EQ(holder(view.classes, "worktree")->bytes_growth, 11 * 4096);
  EXPECT_EQ(holder(view.classes, "worktree")->units, 2);
  EXPECT_EQ(holder(view.users, "root")->bytes_growth, 11 * 4096);
}

TEST_F(ExplainerTest, SaysAtLeastWhereTheHistoryNamedOthersOnly) {
  for (std::size_t i = 0; i <= kSampledMax; ++i) {
    make_unit("worktrees/" + std::to_string(i), i == 0 ? 1 : 5);
  }
  sample();
  rig_.advance(1h);
  ASSERT_TRUE(rig_.write_file("worktrees/0/g", std::string(99 * 4096, 'x')));
  const ExplainView view = explain();
  const HolderView* grown = holder(view.units, "worktrees/0");
  ASSERT_NE(grown, nullptr);
  EXPECT_EQ(grown->bytes_growth, 95 * 4096);
  EXPECT_TRUE(grown->growth_at_least);
}

TEST_F(ExplainerTest, TellsWhatWasRemovedInTheWindow) {
  make_unit("worktrees/a", 1);
  sample();
  rig_.advance(25h);
  rig_.reaper().run_once();
  sample();
  const ExplainView view = explain();
  ASSERT_EQ(view.removed.size(), 1U);
  EXPECT_EQ(view.removed[0], (RemovedView{"worktree", "expire", 1, {{4096}, 2}}));
  rig_.advance(2h);
  EXPECT_TRUE(explain(0, "", 1h).removed.empty());
}

TEST_F(ExplainerTest, ShowsUsersWhatIsTheirsOnly) {
  make_unit("worktrees/roots", 3);
  make_unit("worktrees/alices", 1);
  ASSERT_EQ(error_of(rig_.change_owner("worktrees/alices/f", kAlice, kAlice)), 0);
  sample();
  rig_.advance(25h);
  const ExplainView view = explain(kAlice);
  EXPECT_TRUE(view.only_own);
  EXPECT_TRUE(view.units.empty()) << "a unit is its maker's";
  ASSERT_EQ(view.users.size(), 1U);
  EXPECT_EQ(view.users[0].usage.bytes.n, 4096);
  EXPECT_EQ(held(view, "outside"), nullptr);
  EXPECT_TRUE(view.jobs.empty());
  EXPECT_GT(view.bytes_total.n, 0) << "the volume is everybody's";
  rig_.reaper().run_once();
  EXPECT_TRUE(explain(kAlice).removed.empty());
  EXPECT_FALSE(explain().removed.empty());
}

TEST_F(ExplainerTest, TellsOfAPartOfTheVolume) {
  make_unit("worktrees/a", 3);
  make_unit("agents/ci-1/b", 1);
  rig_.advance(25h);
  rig_.reaper().run_once();
  make_unit("agents/ci-1/c", 2);
  const ExplainView view = explain(0, "agents");
  ASSERT_EQ(view.units.size(), 1U);
  EXPECT_EQ(view.units[0].name, "agents/ci-1/c");
  EXPECT_EQ(view.classes.at(0).usage.bytes.n, 2 * 4096);
  ASSERT_EQ(view.removed.size(), 1U);
  EXPECT_EQ(view.removed[0].count, 1);
}

TEST_F(ExplainerTest, SaysWhyAndSinceWhenNothingIsRemoved) {
  sample();
  rig_.advance(1h);
  rig_.reload("mode = \"observe\"\n" + std::string(kKeptAnHourPolicy));
  sample();
  rig_.advance(1h);
  sample();
  const ExplainView view = explain();
  EXPECT_EQ(view.cleanup.state, "observing");
  EXPECT_EQ(view.cleanup.since, rig_.clock.wall_now() - 1h);
  EXPECT_FALSE(view.cleanup.since_at_least);
  EXPECT_TRUE(view.verdict.at(1).starts_with("Nothing is removed: the policy only observes"))
      << view.verdict.at(1);
}

TEST_F(ExplainerTest, KeepsFewOfMany) {
  for (int i = 0; i < 50; ++i) make_unit("worktrees/" + std::to_string(i), 1);
  const ExplainView view = explain();
  EXPECT_LE(view.units.size(), 6U);
  EXPECT_EQ(view.classes.at(0).units, 50);
}

TEST_F(ExplainerTest, WritesNothing) {
  make_unit("worktrees/a", 1);
  const auto before = rig_.faults.commits();
  (void)explain();
  EXPECT_EQ(rig_.faults.commits(), before);
}

}  // namespace
}  // namespace ebbfs
