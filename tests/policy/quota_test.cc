// SPDX-License-Identifier: Apache-2.0
#include "policy/quota.h"

#include <gtest/gtest.h>

namespace ebbfs {
namespace {

using Origin = QuotaInForce::Origin;

QuotaRule rule(std::string scope, std::int64_t bytes) {
  return {.scope = std::move(scope), .bytes = Bytes{bytes}};
}

ScopeLimits of(std::int64_t bytes) { return {.bytes = bytes}; }

const std::vector<QuotaRule> kRules = {
    rule("volume", 1),     rule("user:*", 2),       rule("user:7", 3),     rule("unit:*", 4),
    rule("unit:big/*", 5), rule("unit:a/**/x*", 6), rule("job:nightly", 7)};

QuotaInForce in_force(std::string_view scope, QuotaTable::Exceptions exceptions = {}) {
  return QuotaTable(kRules, std::move(exceptions)).in_force(scope);
}

TEST(QuotaInForce, IsThePolicysOwnRuleBeforeItsDefault) {
  EXPECT_EQ(in_force("user:7"), (QuotaInForce{of(3), Origin::policy, "user:7"}));
  EXPECT_EQ(in_force("user:8"), (QuotaInForce{of(2), Origin::policy, "user:*"}));
  EXPECT_EQ(in_force("volume"), (QuotaInForce{of(1), Origin::policy, "volume"}));
  EXPECT_EQ(in_force("job:nightly"), (QuotaInForce{of(7), Origin::policy, "job:nightly"}));
}

TEST(QuotaInForce, IsNothingWithoutARule) {
  EXPECT_EQ(in_force("job:other"), QuotaInForce{});
  EXPECT_EQ(in_force("group:7"), QuotaInForce{});
  EXPECT_TRUE(in_force("group:7").limits.none());
}

TEST(QuotaInForce, OfAUnitIsTheFirstGlobThatMatchesItsWholePath) {
  EXPECT_EQ(in_force("unit:big/one").rule, "unit:big/*");
  EXPECT_EQ(in_force("unit:big/one/two").rule, "unit:*");
  EXPECT_EQ(in_force("unit:big").rule, "unit:*");
  EXPECT_EQ(in_force("unit:a/x").rule, "unit:a/**/x*");
  EXPECT_EQ(in_force("unit:a/b/c/xy").rule, "unit:a/**/x*");
  EXPECT_EQ(in_force("unit:a/b/c/y").rule, "unit:*");
}

TEST(QuotaInForce, IsWhatWasSetBeforeThePolicy) {
  EXPECT_EQ(in_force("user:7", {{"user:7", of(9)}}),
            (QuotaInForce{of(9), Origin::exception, "user:7"}));
  EXPECT_EQ(in_force("unit:big/one", {{"unit:big/one", of(9)}}).limits, of(9));
}

TEST(QuotaInForce, IsADefaultThatWasSetOnlyWhereThePolicyHasNoRuleOfItsOwn) {
  const QuotaTable::Exceptions set{{"user:*", of(9)}};
  EXPECT_EQ(in_force("user:8", set), (QuotaInForce{of(9), Origin::exception, "user:*"}));
  EXPECT_EQ(in_force("user:7", set).limits, of(3));
}

TEST(QuotaInForce, IsAWholeRuleNotAMixture) {
  const ScopeLimits inodes{.inodes = 5};
  EXPECT_EQ(in_force("user:7", {{"user:7", inodes}}).limits, inodes);
}

TEST(LimitsOf, LeavesUnlimitedWhatTheRuleLeavesOut) {
  const ScopeLimits limits = limits_of(
      {.scope = "user:1", .soft_bytes = Bytes{5}, .inodes = 6, .grace = std::chrono::hours(1)});
  EXPECT_EQ(limits, (ScopeLimits{.soft_bytes = 5, .inodes = 6, .grace = std::chrono::hours(1)}));
}

}  // namespace
}  // namespace ebbfs
