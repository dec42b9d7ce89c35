// SPDX-License-Identifier: Apache-2.0
#include "fs/explain_words.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace ebbfs {
namespace {

using namespace std::chrono_literals;
using std::chrono::days;

const WallTime kNow = WallTime(std::chrono::sys_days(days(20'000)));
constexpr std::int64_t kGiB = std::int64_t{1} << 30;

// 40 of 50 GiB used, most of it by worktrees that may go; 7 GiB more than 7 days ago.
ExplainView sample() {
  ExplainView view;
  view.mount = "/mnt/ebs";
  view.time = kNow;
  view.since = days(7);
  view.from = kNow - days(7);
  view.bytes_total = {50 * kGiB};
  view.bytes_free = {10 * kGiB};
  view.charged = {39 * kGiB};
  UsageThenView now;
  now.time = kNow;
  now.bytes_used = {40 * kGiB};
  UsageThenView then;
  then.ago = days(7);
  then.time = kNow - days(7);
  then.bytes_used = {33 * kGiB};
  then.bytes_growth = 7 * kGiB;
  then.time_to_full = days(10);
  view.usage = {now, then};
  view.users = {{.name = "ci", .units = 9, .usage = {{30 * kGiB}, 9}, .bytes_growth = 6 * kGiB}};
  view.evictable = {{30 * kGiB}, 1000};
  view.evictable_units = 200;
  view.cleanup.state = "running";
  return view;
}

bool has_command(const ExplainView& view, const std::vector<std::string>& command) {
  const auto actions = actions_of(view);
  return std::ranges::any_of(actions,
                             [&](const ActionView& action) { return action.command == command; });
}

TEST(ExplainVerdict, SaysHowFullAndWhenItWillBe) {
  EXPECT_EQ(verdict_of(sample()).at(0),
            "80 % full, 40.0 GiB of 50.0 GiB: 7.0 GiB more than 7d ago, full in 10d at that rate.");
}

TEST(ExplainVerdict, SaysWhenItDoesNotGrow) {
  ExplainView view = sample();
  view.usage[1].bytes_growth = -kGiB;
  view.usage[1].time_to_full.reset();
  EXPECT_EQ(verdict_of(view).at(0),
            "80 % full, 40.0 GiB of 50.0 GiB: not growing: 1.0 GiB less than 7d ago.");
}

TEST(ExplainVerdict, SaysThatHistoryIsShort) {
  ExplainView view = sample();
  view.usage[1].time = kNow - 3h;
  EXPECT_EQ(verdict_of(view).at(0),
            "80 % full, 40.0 GiB of 50.0 GiB: 7.0 GiB more than 3h ago, full in 10d at that rate "
            "(history has no more).");
  view.usage[1].time.reset();
  EXPECT_EQ(verdict_of(view).at(0),
            "80 % full, 40.0 GiB of 50.0 GiB: there is no history yet to say whether it grows.");
}

TEST(ExplainVerdict, NamesWhatTakesMost) {
  ExplainView view = sample();
  EXPECT_EQ(verdict_of(view).at(1),
            "30.0 GiB may go, each at its time or when space is needed: 200 units.");
  view.held = {{"pinned", "pinned", 3, {{31 * kGiB}, 9}, "worktrees/a"}};
  EXPECT_EQ(verdict_of(view).at(1), "31.0 GiB cannot go now: 3 units, pinned.");
  view.held[0] = {"outside", "outside", 0, {{32 * kGiB}, 9}, ""};
  EXPECT_EQ(verdict_of(view).at(1),
            "32.0 GiB lies outside of any unit, where nothing ever expires.");
  view.trash = {{33 * kGiB}, 9};
  EXPECT_EQ(verdict_of(view).at(1), "33.0 GiB is in the trash, and can be deleted at once.");
  view.charged = {kGiB};
  EXPECT_EQ(verdict_of(view).at(1),
            "39.0 GiB is not in this tree: other files of the filesystem, or its own data.");
}

TEST(ExplainVerdict, SaysFirstThatNothingIsRemoved) {
  ExplainView view = sample();
  view.cleanup = {.state = "observing",
                  .text = "the policy only observes",
                  .since = kNow - 50h,
                  .since_at_least = true,
                  .provisional = false};
  EXPECT_EQ(verdict_of(view).at(1),
            "Nothing is removed: the policy only observes, for at least 2d 2h.");
}

TEST(ExplainActions, LetTheBrakeGo) {
  ExplainView view = sample();
  view.cleanup.state = "braked";
  view.cleanup.text = "the brake";
  EXPECT_TRUE(has_command(view, {"ebbctl", "resume", "--mount", "/mnt/ebs"}));
  view.only_own = true;
  EXPECT_FALSE(has_command(view, {"ebbctl", "resume", "--mount", "/mnt/ebs"})) << "root may";
}

TEST(ExplainActions, NameTheUnitThatStandsInTheWay) {
  ExplainView view = sample();
  view.held = {{"pinned", "pinned", 3, {{5 * kGiB}, 9}, "worktrees/a b"},
               {"process_inside", "x", 1, {{2 * kGiB}, 9}, "worktrees/c"},
               {"open_files", "x", 1, {{1}, 9}, "worktrees/small"}};
  EXPECT_TRUE(has_command(view, {"ebbctl", "unpin", "/mnt/ebs/worktrees/a b"}));
  EXPECT_TRUE(has_command(view, {"ebbctl", "show", "/mnt/ebs/worktrees/c"}));
  EXPECT_FALSE(has_command(view, {"ebbctl", "show", "/mnt/ebs/worktrees/small"}));
}

TEST(ExplainActions, BoundTheUserWhoGrows) {
  EXPECT_TRUE(has_command(
      sample(), {"ebbctl", "quota", "set", "user:ci", "--bytes", "35GiB", "--mount", "/mnt/ebs"}));
}

TEST(ExplainActions, BoundNobodyWhoIsBoundedAlready) {
  for (const ActionView& action : actions_of(sample(), {"ci"})) {
    EXPECT_NE(action.command.at(1), "quota");
  }
}

TEST(ExplainActions, BoundByLessThanTheVolumeHolds) {
  ExplainView view = sample();
  view.bytes_total = {256 << 20};
  view.bytes_free = {100 << 20};
  view.users[0].usage.bytes = {(10 << 20) + 1};
  EXPECT_TRUE(has_command(
      view, {"ebbctl", "quota", "set", "user:ci", "--bytes", "21MiB", "--mount", "/mnt/ebs"}));
}

TEST(ExplainActions, LeaveOutNamesThatAreNoText) {
  ExplainView view = sample();
  view.held = {{"pinned", "pinned", 3, {{5 * kGiB}, 9}, "worktrees/\xff"}};
  for (const ActionView& action : actions_of(view)) EXPECT_NE(action.command.at(1), "unpin");
}

TEST(ExplainActions, AreFew) {
  ExplainView view = sample();
  view.trash = {{9 * kGiB}, 1};
  view.cleanup.state = "braked";
  view.cleanup.text = "the brake";
  for (int i = 0; i < 9; ++i) view.held.push_back({"pinned", "p", 1, {{5 * kGiB}, 9}, "w/a"});
  EXPECT_EQ(actions_of(view).size(), kActionsMax);
}

}  // namespace
}  // namespace ebbfs
