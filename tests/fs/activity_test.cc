// SPDX-License-Identifier: Apache-2.0
#include "fs/activity.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/volume_rig.h"

namespace ebbfs {
namespace {

using namespace std::chrono_literals;

const char* const kJobsPolicy = R"(
[volume]
adopt_grace = "0s"
[[class]]
name = "worktree"
kind = "tree"
match = ["agents/{job}/*"]
ttl = "1h"
)";

class ActivityTest : public testing::Test {
 protected:
  ActivityTest() : rig_(kJobsPolicy) {
    rig_.mount();
    for (const char* dir : {"agents", "agents/ci-1", "agents/ci-2"}) {
      EXPECT_TRUE(rig_.make_dir(dir));
    }
    EXPECT_TRUE(rig_.make_dir("agents/ci-1/a"));
    EXPECT_TRUE(rig_.make_dir("agents/ci-2/b"));
    activity_.emplace(rig_.volume());
    token_ = ask(0).token;
  }
  ActivityView ask(std::uint64_t token, uid_t uid = 0) {
    Caller caller;
    caller.uid = uid;
    return activity_->since(caller, token);
  }
  static const ActorView* actor(const std::vector<ActorView>& all, const std::string& name) {
    const auto found = std::ranges::find(all, name, &ActorView::name);
    return found == all.end() ? nullptr : &*found;
  }
  void write(const std::string& path, std::size_t blocks) {
    ASSERT_TRUE(rig_.write_file(path, std::string(blocks * 4096, 'x')));
  }

  VolumeRig rig_;
  std::optional<Activity> activity_;
  std::uint64_t token_ = 0;
};

TEST_F(ActivityTest, TellsNothingAtFirst) {
  const ActivityView first = ask(0);
  EXPECT_NE(first.token, 0U);
  EXPECT_EQ(first.interval, Duration::zero());
  EXPECT_TRUE(first.users.empty() && first.jobs.empty());
}

TEST_F(ActivityTest, TellsWhichJobWroteHowMuch) {
  write("agents/ci-1/a/f", 10);
  write("agents/ci-2/b/f", 3);
  rig_.advance(2s);
  const ActivityView seen = ask(token_);
  EXPECT_EQ(seen.interval, 2s);
  ASSERT_EQ(seen.jobs.size(), 2U);
  EXPECT_EQ(seen.jobs[0].name, "ci-1") << "the most first";
  EXPECT_EQ(seen.jobs[0].bytes_new.n, 10 * 4096);
  EXPECT_EQ(seen.jobs[0].bytes_net, 10 * 4096);
  EXPECT_EQ(seen.jobs[0].bytes_held.n, 10 * 4096);
  EXPECT_GE(seen.jobs[0].ops, 2) << "created and written";
  EXPECT_EQ(seen.users.at(0).bytes_new.n, 13 * 4096);
  EXPECT_EQ(seen.volume.ops, seen.jobs[0].ops + seen.jobs[1].ops + seen.ops_outside);
}

TEST_F(ActivityTest, ForgetsWhatItHasTold) {
  write("agents/ci-1/a/f", 10);
  (void)ask(token_);
  rig_.advance(1s);
  const ActivityView seen = ask(token_);
  EXPECT_TRUE(seen.jobs.empty());
  EXPECT_EQ(seen.volume.ops, 0);
  EXPECT_EQ(seen.volume.bytes_net, 0);
}

TEST_F(ActivityTest, CountsWhatIsNewThoughItHasGoneAgain) {
  write("agents/ci-1/a/f", 10);
  ASSERT_TRUE(rig_.remove("agents/ci-1/a/f"));
  const ActivityView seen = ask(token_);
  const ActorView* job = actor(seen.jobs, "ci-1");
  ASSERT_NE(job, nullptr);
  EXPECT_EQ(job->bytes_new.n, 10 * 4096);
  EXPECT_EQ(job->bytes_net, 0);
}

TEST_F(ActivityTest, ShowsWhatOnlyWent) {
  write("agents/ci-1/a/f", 10);
  (void)ask(token_);
  ASSERT_TRUE(rig_.remove("agents/ci-1/a/f"));
  const ActivityView seen = ask(token_);
  ASSERT_NE(actor(seen.jobs, "ci-1"), nullptr);
  EXPECT_EQ(actor(seen.jobs, "ci-1")->bytes_net, -10 * 4096);
}

TEST_F(ActivityTest, LooksAgainAtAUnitThatWasIdleForLong) {
  rig_.advance(40min);
  (void)ask(token_);
  write("agents/ci-1/a/f", 1);
  EXPECT_EQ(ask(token_).jobs.size(), 1U);
}

TEST_F(ActivityTest, SeesUseAfterTheClockWasSetBack) {
  rig_.clock.step_wall(-2h);
  write("agents/ci-1/a/f", 1);
  EXPECT_EQ(ask(token_).jobs.size(), 1U);
}

TEST_F(ActivityTest, KeepsAskersApart) {
  const std::uint64_t other = ask(0).token;
  write("agents/ci-1/a/f", 1);
  EXPECT_EQ(ask(token_).jobs.size(), 1U);
  EXPECT_EQ(ask(other).jobs.size(), 1U);
  for (std::size_t i = 0; i < Activity::kAskersMax; ++i) (void)ask(0);
  EXPECT_EQ(ask(other).interval, Duration::zero()) << "it begins anew";
}

TEST_F(ActivityTest, TellsUsersOfThemselves) {
  constexpr uid_t kNobody = 65534;
  const std::uint64_t token = ask(0, kNobody).token;
  write("agents/ci-1/a/f", 1);
  rig_.advance(1s);
  EXPECT_EQ(ask(token_, kNobody).interval, Duration::zero()) << "the token is root's";
  const ActivityView seen = ask(token, kNobody);
  EXPECT_TRUE(seen.users.empty() && seen.jobs.empty());
  EXPECT_GT(seen.volume.ops, 0);
}

}  // namespace
}  // namespace ebbfs
