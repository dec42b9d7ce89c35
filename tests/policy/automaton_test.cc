// SPDX-License-Identifier: Apache-2.0
#include "policy/automaton.h"

#include <gtest/gtest.h>

#include "policy/classifier.h"

namespace ebbfs {
namespace {

Policy policy_of(const std::vector<std::string>& globs) {
  Policy policy;
  policy.classes = {{.name = "c", .match = globs}};
  return policy;
}

TEST(Automaton, OfTheDefaultPolicyIsSmall) {
  const auto automaton = Automaton::build(default_policy());
  ASSERT_TRUE(automaton.has_value());
  EXPECT_LE(automaton->size(), 5U);
}

TEST(Automaton, CostsWildcardsThatExcludeEachOtherNoMoreThanTheirNumber) {
  std::vector<std::string> globs;
  for (int team = 100; team < 160; ++team) {
    globs.push_back("team-" + std::to_string(team) + "-*/worktrees/*");
  }
  const auto automaton = Automaton::build(policy_of(globs));
  ASSERT_TRUE(automaton.has_value());
  EXPECT_LT(automaton->size(), 200U);
}

TEST(Automaton, TakesPatternsThatDoTheSameForOneTest) {
  std::vector<std::string> globs;
  for (int i = 0; i < 500; ++i) globs.push_back("locks/*" + std::to_string(i) + "*");
  const auto automaton = Automaton::build(policy_of(globs));
  ASSERT_TRUE(automaton.has_value());
  const std::uint32_t locks = automaton->step(automaton->root(), "locks").node;
  EXPECT_EQ(automaton->step(locks, "a499b").tree_class, 0);
  EXPECT_EQ(automaton->step(locks, "a-b").tree_class, kNoClass);
}

TEST(Automaton, RefusesWhatHostileNamesCouldBlowUp) {
  std::string remembers = "**/a";
  for (int i = 0; i < 20; ++i) remembers += "/*";
  EXPECT_FALSE(Automaton::build(policy_of({remembers + "/b"})).has_value());
}

TEST(Automaton, RefusesTooManyWildcardsThatCanAllMatch) {
  std::vector<std::string> globs;
  for (int i = 0; i < 20; ++i) {
    const std::string number = std::to_string(i);
    globs.push_back(std::string("*-").append(number).append("-*/").append(number));
  }
  EXPECT_FALSE(Automaton::build(policy_of(globs)).has_value());
}

TEST(Automaton, RefusesMoreTestsThanItsMasksHold) {
  std::vector<std::string> globs;
  for (int i = 100; i < 165; ++i) {
    globs.push_back(std::to_string(i) + "*/" + std::to_string(i));
  }
  EXPECT_FALSE(Automaton::build(policy_of(globs)).has_value());
  globs.pop_back();
  EXPECT_TRUE(Automaton::build(policy_of(globs)).has_value());
}

}  // namespace
}  // namespace ebbfs
