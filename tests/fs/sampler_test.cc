// SPDX-License-Identifier: Apache-2.0
#include "fs/sampler.h"

#include <gtest/gtest.h>

#include "tests/index/outcome.h"
#include "tests/support/volume_rig.h"

namespace ebbfs {
namespace {

using namespace std::chrono_literals;
using Tier = History::Tier;

class SamplerTest : public testing::Test {
 protected:
  SamplerTest() { mount(); }

  void mount() {
    rig_.mount();
    auto opened = Sampler::open(rig_.volume(), rig_.trash(), rig_.reaper(), rig_.faults);
    ASSERT_TRUE(opened);
    sampler_ = std::move(*opened);
  }
  void remount() {
    sampler_.reset();
    rig_.unmount();
    mount();
  }
  void sample() { ASSERT_EQ(error_of(sampler_->sample()), 0); }
  std::vector<HistorySample> all(Tier tier) {
    const auto samples = sampler_->history().between(tier, WallTime::min(), kNever);
    EXPECT_EQ(error_of(samples), 0);
    return samples.value_or(std::vector<HistorySample>{});
  }
  // A unit that has expired.
  void expire_one(const std::string& name) {
    ASSERT_TRUE(rig_.make_dir("worktrees/" + name));
    ASSERT_TRUE(rig_.write_file("worktrees/" + name + "/f", std::string(5000, 'x')));
    rig_.advance(2h);
    rig_.reaper().run_once();
    ASSERT_FALSE(rig_.exists("worktrees/" + name));
  }

  VolumeRig rig_;
  std::unique_ptr<Sampler> sampler_;
};

TEST_F(SamplerTest, SeesWhatClassesUsersAndUnitsHold) {
  const HistorySample before = sampler_->now();
  ASSERT_TRUE(rig_.make_dir("worktrees"));
  ASSERT_TRUE(rig_.make_dir("worktrees/a"));
  ASSERT_TRUE(rig_.write_file("worktrees/a/f", std::string(5000, 'x')));
  ASSERT_TRUE(rig_.write_file("plain", "x"));
  sample();
  const auto samples = all(Tier::minute);
  ASSERT_EQ(samples.size(), 1U);
  const HistorySample& seen = samples.front();
  EXPECT_EQ(seen.time, rig_.clock.wall_now());
  EXPECT_EQ(seen.cleanup, HistorySample::Cleanup::running);
  EXPECT_EQ(seen.charged, rig_.volume().ledger.volume().usage());
  EXPECT_EQ(seen.outside - before.outside, (Usage{{4096}, 2}));
  ASSERT_EQ(seen.classes.size(), 1U);
  EXPECT_EQ(seen.classes[0], (SampledClass{"worktree", 1, {{8192}, 2}}));
  ASSERT_EQ(seen.users.size(), 1U);
  EXPECT_EQ(seen.users[0], (SampledUser{0, seen.charged}));
  ASSERT_EQ(seen.units.size(), 1U);
  EXPECT_EQ(seen.units[0].id, rig_.unit("worktrees/a")->id());
  EXPECT_EQ(seen.units[0].usage, (Usage{{8192}, 2}));
  EXPECT_GT(seen.space.total.n, 0);
  EXPECT_GT(seen.space.used.n, 0);
}

TEST_F(SamplerTest, NamesTheLargestOnly) {
  ASSERT_TRUE(rig_.make_dir("worktrees"));
  for (int i = 0; i < 25; ++i) {
    const std::string top = "worktrees/" + std::to_string(i);
    ASSERT_TRUE(rig_.make_dir(top));
    ASSERT_TRUE(rig_.write_file(top + "/f", std::string(static_cast<std::size_t>(i) * 4096, 'x')));
  }
  sample();
  const HistorySample seen = all(Tier::minute).back();
  ASSERT_EQ(seen.units.size(), kSampledMax);
  EXPECT_EQ(seen.units.front().id, rig_.unit("worktrees/24")->id());
  EXPECT_EQ(seen.units.back().id, rig_.unit("worktrees/5")->id());
  EXPECT_EQ(seen.classes.at(0).units, 25U);
}

TEST_F(SamplerTest, CountsWhatWasRemovedSinceTheSampleBefore) {
  ASSERT_TRUE(rig_.make_dir("worktrees"));
  sample();
  expire_one("a");
  expire_one("b");
  sample();
  EXPECT_EQ(all(Tier::minute).back().removals,
            (std::vector<SampledRemovals>{{"worktree", RemovalReason::expire, 2, {{16384}, 4}}}));
  rig_.advance(1min);
  sample();
  EXPECT_TRUE(all(Tier::minute).back().removals.empty());
}

TEST_F(SamplerTest, TakesAnHourlyOneWhenAnHourIsOver) {
  sample();
  EXPECT_EQ(all(Tier::hour).size(), 1U) << "the first at once";
  for (int minute = 1; minute <= 60; ++minute) {
    rig_.advance(1min);
    sample();
  }
  EXPECT_EQ(all(Tier::hour).size(), 2U);
  EXPECT_EQ(all(Tier::minute).size(), 61U);
}

TEST_F(SamplerTest, CountsRemovalsOfARestartOnce) {
  ASSERT_TRUE(rig_.make_dir("worktrees"));
  sample();
  expire_one("a");
  remount();
  sample();
  EXPECT_EQ(all(Tier::minute).back().removals.size(), 1U) << "that nobody had seen";
  rig_.advance(1min);
  remount();
  sample();
  EXPECT_TRUE(all(Tier::minute).back().removals.empty());
}

TEST_F(SamplerTest, CarriesOverWhatCouldNotBeStored) {
  ASSERT_TRUE(rig_.make_dir("worktrees"));
  sample();
  expire_one("a");
  rig_.faults.fail_commits(1, EIO);
  EXPECT_EQ(error_of(sampler_->sample()), EIO);
  rig_.advance(1min);
  sample();
  EXPECT_EQ(all(Tier::minute).back().removals.at(0).count, 1U);
}

TEST_F(SamplerTest, TellsTheRemovalsSinceTheNewestSampleWithoutStoringThem) {
  ASSERT_TRUE(rig_.make_dir("worktrees"));
  sample();
  expire_one("a");
  EXPECT_EQ(sampler_->now().removals.size(), 1U);
  EXPECT_EQ(sampler_->now().removals.size(), 1U);
  EXPECT_EQ(all(Tier::minute).size(), 1U);
}

TEST_F(SamplerTest, SaysWhyNothingIsRemoved) {
  rig_.reload("mode = \"observe\"\n" + rig_.policy_text);
  EXPECT_EQ(sampler_->now().cleanup, HistorySample::Cleanup::observing);
  rig_.reload(rig_.policy_text);
  rig_.volume().health.report("test", "it is ill", Health::Removal::paused);
  EXPECT_EQ(sampler_->now().cleanup, HistorySample::Cleanup::paused);
}

TEST_F(SamplerTest, GoesOnAfterTheClockWasSetBack) {
  sample();
  rig_.clock.step_wall(-24h * 30);
  sample();
  const WallTime now = rig_.clock.wall_now();
  EXPECT_EQ(sampler_->history().newest(Tier::minute, now), now);
  EXPECT_EQ(sampler_->history().newest(Tier::hour, now), now) << "the other one lies in the future";
}

TEST_F(SamplerTest, SamplesAtOnceWhenItsThreadStarts) {
  sampler_->start();
  const auto until = std::chrono::steady_clock::now() + 10s;
  while (!sampler_->history().newest(Tier::minute, kNever) &&
         std::chrono::steady_clock::now() < until) {
    std::this_thread::yield();
  }
  sampler_->stop();
  EXPECT_EQ(all(Tier::minute).size(), 1U);
}

}  // namespace
}  // namespace ebbfs
