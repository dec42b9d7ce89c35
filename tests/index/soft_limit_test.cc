// SPDX-License-Identifier: Apache-2.0
//
// Soft limits: passed for a grace time, then as hard as the others.
#include <gtest/gtest.h>

#include "index/usage.h"

namespace ebbfs {
namespace {

using namespace std::chrono_literals;

constexpr WallTime kStart{1'800'000'000s};
constexpr Usage bytes(std::int64_t n) { return {{n}, 0}; }

class SoftLimit : public testing::Test {
 protected:
  SoftLimit() {
    account_.set_limits({.bytes = 100, .soft_bytes = 50, .soft_inodes = 5, .grace = 1h});
  }
  Account account_;
};

TEST_F(SoftLimit, IsPassedDuringItsGrace) {
  EXPECT_TRUE(account_.try_add(bytes(50), kStart));
  EXPECT_EQ(account_.over_soft().bytes, WallTime{});
  EXPECT_TRUE(account_.try_add(bytes(1), kStart));
  EXPECT_EQ(account_.over_soft().bytes, kStart);
  EXPECT_TRUE(account_.try_add(bytes(1), kStart + 1h - 1ns));
  EXPECT_EQ(account_.over_soft().bytes, kStart);
}

TEST_F(SoftLimit, IsHardAfterItsGrace) {
  EXPECT_TRUE(account_.try_add(bytes(60), kStart));
  EXPECT_FALSE(account_.try_add(bytes(1), kStart + 1h));
  EXPECT_EQ(account_.usage(), bytes(60));
  EXPECT_EQ(account_.refusals(), 1U);
}

TEST_F(SoftLimit, DoesNotStopWhatShrinks) {
  EXPECT_TRUE(account_.try_add(bytes(60), kStart));
  EXPECT_TRUE(account_.try_add(bytes(-5), kStart + 2h));
  EXPECT_EQ(account_.over_soft().bytes, kStart) << "still above";
}

TEST_F(SoftLimit, StartsItsGraceAnewAfterUsageWasBelow) {
  EXPECT_TRUE(account_.try_add(bytes(60), kStart));
  account_.add(bytes(-10));
  EXPECT_EQ(account_.over_soft().bytes, WallTime{});
  EXPECT_TRUE(account_.try_add(bytes(1), kStart + 2h));
  EXPECT_EQ(account_.over_soft().bytes, kStart + 2h);
}

TEST_F(SoftLimit, IsNeverAboveTheHardOne) {
  EXPECT_FALSE(account_.try_add(bytes(101), kStart));
  EXPECT_TRUE(account_.try_add(bytes(100), kStart));
  EXPECT_FALSE(account_.try_add(bytes(1), kStart));
}

TEST_F(SoftLimit, OfInodesHasATimeOfItsOwn) {
  EXPECT_TRUE(account_.try_add({{60}, 1}, kStart));
  EXPECT_TRUE(account_.try_add({{0}, 5}, kStart + 30min));
  EXPECT_EQ(account_.over_soft(), (Account::OverSoft{kStart, kStart + 30min}));
  EXPECT_TRUE(account_.try_add({{0}, 1}, kStart + 1h));
  EXPECT_FALSE(account_.try_add({{1}, 0}, kStart + 1h));
}

TEST_F(SoftLimit, WithoutGraceIsHardAtOnce) {
  account_.set_limits({.soft_bytes = 50, .grace = 0s});
  EXPECT_TRUE(account_.try_add(bytes(50), kStart));
  EXPECT_FALSE(account_.try_add(bytes(1), kStart));
}

TEST_F(SoftLimit, WithEndlessGraceIsNeverHard) {
  account_.set_limits({.soft_bytes = 50, .grace = Duration::max()});
  EXPECT_TRUE(account_.try_add(bytes(60), kStart));
  EXPECT_TRUE(account_.try_add(bytes(1), kStart + 24h * 10'000));
}

TEST_F(SoftLimit, GoesOnWhereItWasWhenRestored) {
  account_.add(bytes(60));
  account_.restore_over_soft({kStart, {}});
  EXPECT_TRUE(account_.try_add(bytes(1), kStart + 59min));
  EXPECT_FALSE(account_.try_add(bytes(1), kStart + 60min));
}

TEST_F(SoftLimit, BeginsWithTheNextGrowthWhereUsageWasAboveAlready) {
  Account account;
  account.add(bytes(60));
  account.set_limits({.soft_bytes = 50, .grace = 1h});
  EXPECT_TRUE(account.try_add(bytes(1), kStart));
  EXPECT_EQ(account.over_soft().bytes, kStart);
  EXPECT_FALSE(account.try_add(bytes(1), kStart + 1h));
}

TEST(Limiter, IsAskedForEachAccountAndAgainForAll) {
  UsageLedger ledger;
  std::int64_t limit = 10;
  ledger.set_limiter([&](std::string_view scope) {
    return scope == "user:7" ? ScopeLimits{.bytes = limit} : ScopeLimits{};
  });
  const auto unit = ledger.open_unit(UnitId{1}, "tree", "");
  Cell& cell = ledger.cell(*unit, 7, 7);
  EXPECT_TRUE(ledger.reserve(cell, bytes(10)));
  EXPECT_EQ(code(ledger.reserve(cell, bytes(1)).error()), EDQUOT);
  limit = 11;
  ledger.apply_limits();
  EXPECT_TRUE(ledger.reserve(cell, bytes(1)));
  EXPECT_FALSE(ledger.has_soft_limits());
}

TEST(Limiter, LimitsUnitsByPathAndTheVolume) {
  UsageLedger ledger;
  ledger.set_limiter([](std::string_view scope) {
    if (scope == "unit:a") return ScopeLimits{.inodes = 1};
    return scope == "volume" ? ScopeLimits{.bytes = 5, .soft_bytes = 4} : ScopeLimits{};
  });
  ledger.apply_limits();
  EXPECT_TRUE(ledger.has_soft_limits());
  const auto unit = ledger.open_unit(UnitId{1}, "tree", "");
  ledger.limit_unit(*unit, "a");
  Cell& cell = ledger.cell(*unit, 7, 7);
  EXPECT_EQ(code(ledger.reserve(cell, {{0}, 2}).error()), EDQUOT);
  EXPECT_EQ(code(ledger.reserve(cell, {{6}, 0}).error()), ENOSPC);
  ledger.limit_unit(*unit, "b");
  EXPECT_TRUE(ledger.reserve(cell, {{0}, 2}));
}

}  // namespace
}  // namespace ebbfs
