// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "policy/limits.h"

namespace ebbfs {
namespace {

using namespace std::chrono_literals;

Policy parsed(std::string_view text) {
  auto policy = parse_policy(text, "p.toml");
  if (!policy) {
    ADD_FAILURE() << policy.error().message();
    return {};
  }
  return *policy;
}

TEST(PolicyFile, EmptyIsTheDefaultButForItsSource) {
  Policy want = default_policy();
  want.source = "p.toml";
  EXPECT_EQ(parsed(""), want);
}

TEST(PolicyFile, WithoutClassesHasTheDefaultOnes) {
  const Policy policy = parsed("mode = \"observe\"");
  EXPECT_EQ(policy.mode, Mode::observe);
  EXPECT_EQ(policy.classes, default_policy().classes);
}

TEST(PolicyFile, WithAnEmptyArrayOfClassesHasNone) {
  EXPECT_TRUE(parsed("class = []").classes.empty());
}

TEST(PolicyFile, ReadsEveryKeyOfTheVolume) {
  const VolumeRule volume = parsed(R"(
      [volume]
      high = "90.5%"
      low = "70%"
      reserve = "10GiB"
      trash_retention = "none"
      adopt_grace = "0s"
      brake_units = 7
      brake_percent = "100%")")
                                .volume;
  EXPECT_EQ(volume.high, (Threshold{.fraction = 0.905}));
  EXPECT_EQ(volume.low, (Threshold{.fraction = 0.70}));
  EXPECT_EQ(volume.reserve, (Threshold{.bytes = Bytes{std::int64_t{10} << 30}}));
  EXPECT_EQ(volume.trash_retention, kNoLimit);
  EXPECT_EQ(volume.adopt_grace, 0s);
  EXPECT_EQ(volume.brake_units, 7U);
  EXPECT_EQ(volume.brake_percent, 1.0);
}

TEST(PolicyFile, TakesMarksAsSizesToo) {
  const VolumeRule volume = parsed("[volume]\nhigh = \"2GiB\"\nlow = \"1GiB\"").volume;
  EXPECT_EQ(volume.high.bytes, Bytes{std::int64_t{2} << 30});
  EXPECT_EQ(volume.low.bytes, Bytes{std::int64_t{1} << 30});
}

TEST(PolicyFile, ReadsEveryKeyOfATreeClass) {
  const Policy policy = parsed(R"(
      [[class]]
      name = "agents-1.x_Y"
      kind = "tree"
      match = ["agents/{job}/worktrees/*", "tmp/**"]
      ttl = "2h"
      keep = "10m"
      max_age = "7d")");
  const ClassRule want{.name = "agents-1.x_Y",
                       .kind = ClassKind::tree,
                       .match = {"agents/{job}/worktrees/*", "tmp/**"},
                       .ttl = 2h,
                       .keep = 10min,
                       .max_age = 168h};
  EXPECT_EQ(policy.classes, std::vector{want});
}

TEST(PolicyFile, ReadsEveryKeyOfALockClass) {
  const Policy policy = parsed(R"(
      [[class]]
      name = "l"
      kind = "lock"
      match = ["locks/**"]
      owner = "cgroup"
      orphan_grace = "0s"
      ttl = "none")");
  const ClassRule want{.name = "l",
                       .kind = ClassKind::lock,
                       .match = {"locks/**"},
                       .ttl = kNoLimit,
                       .owner = OwnerMode::cgroup,
                       .orphan_grace = 0s};
  EXPECT_EQ(policy.classes, std::vector{want});
}

TEST(PolicyFile, LeavesATreeThatNamesNoTtlAlone) {
  const Policy policy = parsed("[[class]]\nname = \"t\"\nkind = \"tree\"\nmatch = [\"t/*\"]");
  EXPECT_EQ(policy.classes[0].ttl, kNoLimit);
  EXPECT_EQ(policy.classes[0].max_age, kNoLimit);
}

TEST(PolicyFile, StillReclaimsLocksOfAClassThatNamesNoTtl) {
  const Policy policy = parsed("[[class]]\nname = \"l\"\nkind = \"lock\"\nmatch = [\"l/*\"]");
  EXPECT_EQ(policy.classes[0].ttl, kDefaultLockTtl);
  EXPECT_EQ(policy.classes[0].orphan_grace, 5s);
}

TEST(PolicyFile, ReadsEveryKeyOfAQuota) {
  const Policy policy = parsed(R"(
      [[quota]]
      scope = "user:*"
      bytes = "20GiB"
      soft_bytes = 4096
      inodes = 1_000_000
      soft_inodes = 5
      grace = "1d"
      [[quota]]
      scope = "user:ci"
      bytes = "none")");
  const QuotaRule users{.scope = "user:*",
                        .bytes = Bytes{std::int64_t{20} << 30},
                        .soft_bytes = Bytes{4096},
                        .inodes = 1'000'000,
                        .soft_inodes = 5,
                        .grace = 24h};
  const QuotaRule ci{.scope = "user:ci"};
  EXPECT_EQ(policy.quotas, (std::vector{users, ci}));
}

TEST(PolicyFile, TakesASoftLimitAsHighAsTheHardOne) {
  const Policy policy = parsed("[[quota]]\nscope = \"volume\"\nbytes = 5\nsoft_bytes = 5");
  EXPECT_EQ(policy.quotas[0].soft_bytes, Bytes{5});
}

TEST(PolicyFile, TakesEveryKindOfScope) {
  const Policy policy = parsed(R"(
      quota = [
        {scope = "volume", bytes = 1}, {scope = "class:*", bytes = 1},
        {scope = "class:lock", bytes = 1}, {scope = "unit:*", bytes = 1},
        {scope = "unit:worktrees/ci-*", bytes = 1}, {scope = "user:0", bytes = 1},
        {scope = "group:staff", bytes = 1}, {scope = "job:ci-1", bytes = 1},
        {scope = "job:*", bytes = 1},
      ])");
  EXPECT_EQ(policy.quotas.size(), 9U);
}

TEST(PolicyFile, AllowsTheSamePathToBeAUnitAndALock) {
  EXPECT_EQ(parsed(R"(class = [{name = "t", kind = "tree", match = ["a/*"]},
                               {name = "l", kind = "lock", match = ["a/*"]}])")
                .classes.size(),
            2U);
}

TEST(PolicyFile, AllowsOneClassToMatchAPathTwice) {
  EXPECT_EQ(
      parsed(R"(class = [{name = "t", kind = "tree", match = ["a/*", "a/b*"]}])").classes.size(),
      1U);
}

}  // namespace
}  // namespace ebbfs
