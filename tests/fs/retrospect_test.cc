// SPDX-License-Identifier: Apache-2.0
//
// Explainer::history.
#include <gtest/gtest.h>

#include <algorithm>

#include "fs/explainer.h"
#include "tests/index/outcome.h"
#include "tests/support/volume_rig.h"

namespace ebbfs {
namespace {

using namespace std::chrono_literals;
using std::chrono::days;

class RetrospectTest : public testing::Test {
 protected:
  RetrospectTest() {
    rig_.mount();
    auto sampler = Sampler::open(rig_.volume(), rig_.trash(), rig_.reaper(), rig_.faults);
    EXPECT_TRUE(sampler);
    sampler_ = std::move(*sampler);
    explainer_.emplace(rig_.volume(), rig_.reaper(), *sampler_);
    EXPECT_TRUE(rig_.make_dir("worktrees"));
  }
  void make_unit(const std::string& name, std::size_t blocks) {
    ASSERT_TRUE(rig_.make_dir("worktrees/" + name));
    ASSERT_TRUE(rig_.write_file("worktrees/" + name + "/f", std::string(blocks * 4096, 'x')));
  }
  void sample_for(Duration time, Duration step = 1min) {
    for (Duration passed{}; passed < time; passed += step) {
      ASSERT_EQ(error_of(sampler_->sample()), 0);
      rig_.advance(step);
    }
  }
  HistoryView history(Duration since, uid_t uid = 0) {
    Caller caller;
    caller.uid = uid;
    return explainer_->history(caller, since);
  }
  static std::int64_t removed(const HistoryView& view) {
    std::int64_t count = 0;
    for (const PointView& point : view.points) {
      for (const SliceView& one : point.removed) count += one.count;
    }
    return count;
  }

  VolumeRig rig_;
  std::unique_ptr<Sampler> sampler_;
  std::optional<Explainer> explainer_;
};

TEST_F(RetrospectTest, EndsWithNow) {
  sample_for(3min);
  make_unit("a", 3);
  const HistoryView view = history(1h);
  ASSERT_EQ(view.points.size(), 4U);
  EXPECT_EQ(view.points.back().time, rig_.clock.wall_now());
  ASSERT_EQ(view.points.back().classes.size(), 1U);
  EXPECT_EQ(view.points.back().classes[0].bytes.n, 3 * 4096);
  EXPECT_TRUE(view.points.front().classes.empty());
  EXPECT_EQ(view.step, 1min);
  EXPECT_TRUE(view.bytes_high);
}

TEST_F(RetrospectTest, HasABoundedNumberOfPointsThatLoseNoRemoval) {
  sample_for(1min);  // where counting begins
  for (int i = 0; i < 30; ++i) {
    make_unit(std::to_string(i), 1);
    ASSERT_TRUE(rig_.reaper().expire(rig_.unit("worktrees/" + std::to_string(i)), false).trash);
    sample_for(20min);
  }
  for (const Duration since : {Duration(12h), Duration(days(7))}) {
    const HistoryView view = history(since);
    EXPECT_LE(view.points.size(), static_cast<std::size_t>(kPointsMax));
    EXPECT_TRUE(std::ranges::is_sorted(view.points, {}, &PointView::time));
    EXPECT_EQ(removed(view), 30) << format_duration(since);
  }
}

TEST_F(RetrospectTest, GoesBackFurtherThanTheMinutes) {
  sample_for(days(4), 10min);
  const HistoryView view = history(days(3));
  EXPECT_LE(view.points.front().time, rig_.clock.wall_now() - days(3) + 1h);
  EXPECT_GE(view.step, 1h);
}

TEST_F(RetrospectTest, ForecastsTheHourInWhichEachUnitIsDue) {
  make_unit("a", 2);  // an hour
  rig_.advance(30min);
  make_unit("b", 1);
  make_unit("pinned", 9);
  ASSERT_TRUE(rig_.volume().units.set_pinned(*rig_.unit("worktrees/pinned"), true));
  const HistoryView view = history(1h);
  ASSERT_EQ(view.forecast.size(), static_cast<std::size_t>(kForecastHours));
  EXPECT_EQ(view.forecast[0].units, 1);
  EXPECT_EQ(view.forecast[0].usage.bytes.n, 2 * 4096);
  EXPECT_EQ(view.forecast[1].units, 1);
  EXPECT_EQ(view.forecast[1].classes.at(0).name, "worktree");
  EXPECT_EQ(view.forecast[2].units, 0);
}

TEST_F(RetrospectTest, TellsUsersTheVolumeAndWhatIsTheirs) {
  make_unit("a", 2);
  ASSERT_TRUE(rig_.reaper().expire(rig_.unit("worktrees/a"), false).trash);
  make_unit("b", 2);
  sample_for(1min);
  constexpr uid_t kSomebody = 1000;
  const HistoryView view = history(1h, kSomebody);
  EXPECT_EQ(view.points.size(), 2U);
  EXPECT_EQ(removed(view), 0);
  EXPECT_EQ(view.forecast[0].units + view.forecast[1].units, 0);
}

}  // namespace
}  // namespace ebbfs
