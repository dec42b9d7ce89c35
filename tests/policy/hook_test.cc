// SPDX-License-Identifier: Apache-2.0
#include "policy/hook.h"

#include <gtest/gtest.h>

namespace ebbfs {
namespace {

using Words = std::vector<std::string>;

const HookParts kParts = {
    .path = "/mnt/ebs/worktrees/a b", .repo = "/mnt/ebs/repo", .job = "ci-17", .class_name = "w"};

HookRule hook_of(Words command) { return {.command = std::move(command), .user = "root"}; }

TEST(HookCommand, PutsValuesIntoWords) {
  const auto words = hook_command(
      hook_of({"/bin/x", "{path}", "--job={job}", "{class}:{repo}/{class}", "{", "{}", "{A}"}),
      kParts);
  ASSERT_TRUE(words);
  EXPECT_EQ(*words, (Words{"/bin/x", "/mnt/ebs/worktrees/a b", "--job=ci-17", "w:/mnt/ebs/repo/w",
                           "{", "{}", "{A}"}));
}

TEST(HookCommand, MakesNoWordsOfWhatAValueHolds) {
  HookParts parts = kParts;
  parts.job = "$(reboot); {path} 'x' \n";
  const auto words = hook_command(hook_of({"/bin/x", "--job={job}"}), parts);
  ASSERT_TRUE(words);
  EXPECT_EQ(words->back(), "--job=" + parts.job);
}

TEST(HookCommand, LacksWhatItAsksForAndIsNotThere) {
  HookParts parts = kParts;
  const HookRule rule = hook_of({"/usr/bin/git", "-C", "{repo}", "gc"});
  EXPECT_TRUE(has_parts(rule, parts));
  parts.repo.clear();
  EXPECT_FALSE(has_parts(rule, parts));
  EXPECT_TRUE(has_parts(hook_of({"/bin/x", "{path}"}), parts));
}

TEST(HookCommand, IsNotRunWhereAValueWouldBeAnOption) {
  HookParts parts = kParts;
  parts.job = "--exec=evil";
  EXPECT_FALSE(hook_command(hook_of({"/bin/x", "{job}"}), parts));
  EXPECT_TRUE(hook_command(hook_of({"/bin/x", "-j{job}", "job={job}"}), parts));
}

TEST(HookCommand, KnowsItsParts) {
  EXPECT_EQ(unknown_hook_part("x {path} {pth}"), "{pth}");
  EXPECT_FALSE(unknown_hook_part("{path}{repo}{job}{class} {print $1} {} {"));
  EXPECT_TRUE(hook_names(hook_of({"/bin/x", "a{repo}"}), "repo"));
  EXPECT_FALSE(hook_names(hook_of({"/bin/x", "repo"}), "repo"));
}

TEST(HookPolicy, IsReadWithItsDefaults) {
  const auto policy = parse_policy(R"(
[[hook]]
on = "idle"
class = "worktree"
after = "30m"
command = ["/usr/bin/git", "-C", "{repo}", "maintenance", "run", "--auto"]
user = "ci"
[[hook]]
on = "reclaimed"
command = ["/usr/bin/logger", "{path}"]
user = "65534"
timeout = "5s"
parallel = 4
)",
                                   "p.toml");
  ASSERT_TRUE(policy) << policy.error().message();
  ASSERT_EQ(policy->hooks.size(), 2U);
  const HookRule& idle = policy->hooks[0];
  EXPECT_EQ(idle.on, HookRule::On::idle);
  EXPECT_EQ(idle.after, std::chrono::minutes(30));
  EXPECT_EQ(idle.timeout, std::chrono::minutes(1));
  EXPECT_EQ(idle.parallel, 1U);
  EXPECT_EQ(idle.command.size(), 6U);
  EXPECT_EQ(policy->hooks[1].parallel, 4U);
  const auto again = parse_policy(to_toml(*policy), "p.toml");
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(*again, *policy);
}

}  // namespace
}  // namespace ebbfs
