// SPDX-License-Identifier: Apache-2.0
#include "index/usage.h"

#include <gtest/gtest.h>

#include "tests/index/outcome.h"

namespace ebbfs {
namespace {

constexpr Usage use(std::int64_t bytes, std::int64_t inodes) { return {{bytes}, inodes}; }

void print_usage(const Usage& usage, std::ostream* out) {
  *out << usage.bytes.n << " bytes, " << usage.inodes << " inodes";
}

}  // namespace

void PrintTo(const Usage& usage, std::ostream* out) { print_usage(usage, out); }

namespace {

// ---- One account ----

TEST(Account, GrowsUpToItsLimitAndNoFurther) {
  Account account;
  account.set_hard(100, 10);
  EXPECT_TRUE(account.try_add(use(100, 10)));
  EXPECT_FALSE(account.try_add(use(1, 0)));
  EXPECT_FALSE(account.try_add(use(0, 1)));
  EXPECT_EQ(account.usage(), use(100, 10));
}

TEST(Account, ChangesNothingWhenEitherPartIsRefused) {
  Account account;
  account.set_hard(100, 10);
  EXPECT_FALSE(account.try_add(use(100, 11)));
  EXPECT_FALSE(account.try_add(use(101, 10)));
  EXPECT_FALSE(account.try_add(use(101, -5)));
  EXPECT_FALSE(account.try_add(use(-5, 11)));
  EXPECT_EQ(account.usage(), use(0, 0));
}

TEST(Account, ShrinksWhateverTheLimit) {
  Account account;
  account.add(use(100, 10));
  account.set_hard(0, 0);
  EXPECT_FALSE(account.try_add(use(1, 0)));
  EXPECT_TRUE(account.try_add(use(-40, -4)));
  EXPECT_EQ(account.usage(), use(60, 6));
}

TEST(Account, HasNoLimitAtFirst) {
  Account account;
  EXPECT_TRUE(account.try_add(use(kUnlimited, kUnlimited)));
}

TEST(Account, RefusesWhatItCannotCount) {
  Account account;
  EXPECT_TRUE(account.try_add(use(kUnlimited - 1, 0)));
  EXPECT_FALSE(account.try_add(use(2, 0)));
  EXPECT_FALSE(account.try_add(use(kUnlimited, 0)));
  EXPECT_EQ(account.usage(), use(kUnlimited - 1, 0));
}

TEST(Account, StaysWithinItsLimitWhenItOwes) {
  Account account;
  account.set_hard(100, 10);
  account.add(use(-50, 0));
  EXPECT_FALSE(account.try_add(use(101, 0)));
  EXPECT_TRUE(account.try_add(use(100, 0)));
}

// ---- The ledger ----

// A unit of class "tree" and job "ci", used by user 1 and group 2; and the root unit.
class Ledger : public testing::Test {
 protected:
  // Named as scopes() does, and "volume" and "unit".
  Account& account(const std::string& name) {
    if (name == "volume") return ledger_.volume();
    if (name == "unit") return unit_->total();
    return ledger_.scope(name);
  }
  Usage held(const std::string& name) { return account(name).usage(); }
  void expect_all(const Usage& usage) {
    for (const char* name : kScopes) EXPECT_EQ(held(name), usage) << name;
    EXPECT_EQ(cell_.usage(), usage);
  }

  static constexpr const char* kScopes[] = {"volume", "unit",    "class:tree",
                                            "user:1", "group:2", "job:ci"};

  UsageLedger ledger_;
  std::shared_ptr<UnitAccounts> unit_ = ledger_.open_unit(UnitId{1}, "tree", "ci");
  std::shared_ptr<UnitAccounts> root_ = ledger_.open_unit(kRootUnit, "", "");
  Cell& cell_ = ledger_.cell(*unit_, 1, 2);
};

TEST_F(Ledger, ChargesEveryScopeOfACell) {
  EXPECT_EQ(error_of(ledger_.reserve(cell_, use(100, 1))), 0);
  expect_all(use(100, 1));
}

TEST_F(Ledger, ChargesTheRootUnitToNoClassOrJob) {
  Cell& cell = ledger_.cell(*root_, 1, 2);
  EXPECT_EQ(error_of(ledger_.reserve(cell, use(100, 1))), 0);
  EXPECT_EQ(held("volume"), use(100, 1));
  EXPECT_EQ(held("user:1"), use(100, 1));
  EXPECT_EQ(held("group:2"), use(100, 1));
  EXPECT_EQ(held("class:tree"), use(0, 0));
  EXPECT_EQ(held("job:ci"), use(0, 0));
}

TEST_F(Ledger, ChangesNothingWhenAnyScopeRefuses) {
  for (const char* name : kScopes) {
    SCOPED_TRACE(name);
    const int want = name == std::string("volume") ? ENOSPC : EDQUOT;
    account(name).set_hard(99, kUnlimited);
    EXPECT_EQ(error_of(ledger_.reserve(cell_, use(100, 1))), want);
    expect_all(use(0, 0));
    account(name).set_hard(kUnlimited, 0);
    EXPECT_EQ(error_of(ledger_.reserve(cell_, use(100, 1))), want);
    expect_all(use(0, 0));
    account(name).set_hard(kUnlimited, kUnlimited);
  }
}

TEST_F(Ledger, GivesBackNothingWhenTheGrowingPartIsRefused) {
  ledger_.settle(cell_, use(100, 5));
  account("job:ci").set_hard(kUnlimited, 5);
  EXPECT_EQ(error_of(ledger_.reserve(cell_, use(-100, 1))), EDQUOT);
  expect_all(use(100, 5));
}

TEST_F(Ledger, CallsAFullVolumeFullThoughAQuotaIsToo) {
  account("volume").set_hard(0, 0);
  account("user:1").set_hard(0, 0);
  EXPECT_EQ(error_of(ledger_.reserve(cell_, use(1, 0))), ENOSPC);
}

TEST_F(Ledger, RefusesNoOneWhoGivesBack) {
  ledger_.settle(cell_, use(100, 5));
  for (const char* name : kScopes) account(name).set_hard(0, 0);
  EXPECT_EQ(error_of(ledger_.reserve(cell_, use(-60, -1))), 0);
  expect_all(use(40, 4));
}

TEST_F(Ledger, SettlesWithoutAsking) {
  for (const char* name : kScopes) account(name).set_hard(0, 0);
  ledger_.settle(cell_, use(100, 1));
  expect_all(use(100, 1));
}

TEST_F(Ledger, FindsTheSameCellAgain) {
  EXPECT_EQ(&ledger_.cell(*unit_, 1, 2), &cell_);
  EXPECT_NE(&ledger_.cell(*unit_, 2, 1), &cell_);
  EXPECT_NE(&ledger_.cell(*root_, 1, 2), &cell_);
}

TEST_F(Ledger, ListsCellsThatHoldSomething) {
  ledger_.settle(ledger_.cell(*unit_, 3, 1), use(30, 1));
  ledger_.settle(ledger_.cell(*unit_, 1, 9), use(19, 1));
  ledger_.settle(cell_, use(12, 1));
  ledger_.settle(ledger_.cell(*unit_, 7, 7), use(0, 0));
  const std::vector<UsageCell> want = {{1, 2, use(12, 1)}, {1, 9, use(19, 1)}, {3, 1, use(30, 1)}};
  EXPECT_EQ(unit_->cells(), want);
  EXPECT_EQ(unit_->total().usage(), use(61, 3));
}

TEST_F(Ledger, ListsScopesByName) {
  ledger_.settle(cell_, use(100, 1));
  std::vector<std::string> names;
  for (const auto& scope : ledger_.scopes()) {
    names.push_back(scope.name);
    EXPECT_EQ(scope.usage, use(100, 1)) << scope.name;
  }
  EXPECT_EQ(names, (std::vector<std::string>{"class:tree", "group:2", "job:ci", "user:1"}));
}

TEST_F(Ledger, SumsUnitsOfAClass) {
  const auto other = ledger_.open_unit(UnitId{2}, "tree", "");
  ledger_.settle(cell_, use(100, 1));
  ledger_.settle(ledger_.cell(*other, 8, 8), use(11, 1));
  EXPECT_EQ(ledger_.class_usage("tree"), use(111, 2));
  EXPECT_EQ(ledger_.class_usage("other"), use(0, 0));
}

// ---- Moving ----

TEST_F(Ledger, MovesAChargeToAnotherOwner) {
  ledger_.settle(cell_, use(100, 2));
  Cell& other = ledger_.cell(*unit_, 8, 2);
  EXPECT_EQ(error_of(ledger_.move(cell_, other, use(60, 1))), 0);
  EXPECT_EQ(cell_.usage(), use(40, 1));
  EXPECT_EQ(other.usage(), use(60, 1));
  EXPECT_EQ(held("user:1"), use(40, 1));
  EXPECT_EQ(held("user:8"), use(60, 1));
  EXPECT_EQ(held("group:2"), use(100, 2));
  EXPECT_EQ(held("unit"), use(100, 2));
  EXPECT_EQ(held("volume"), use(100, 2));
}

TEST_F(Ledger, MovesAChargeOutOfAUnit) {
  ledger_.settle(cell_, use(100, 2));
  Cell& outside = ledger_.cell(*root_, 1, 2);
  EXPECT_EQ(error_of(ledger_.move(cell_, outside, use(100, 2))), 0);
  EXPECT_EQ(held("unit"), use(0, 0));
  EXPECT_EQ(held("class:tree"), use(0, 0));
  EXPECT_EQ(held("job:ci"), use(0, 0));
  EXPECT_EQ(root_->total().usage(), use(100, 2));
  EXPECT_EQ(held("user:1"), use(100, 2));
}

TEST_F(Ledger, MovesNothingWhereItDoesNotFit) {
  ledger_.settle(cell_, use(100, 2));
  Cell& other = ledger_.cell(*unit_, 8, 9);
  account("group:9").set_hard(99, kUnlimited);
  EXPECT_EQ(error_of(ledger_.move(cell_, other, use(100, 2))), EDQUOT);
  expect_all(use(100, 2));
  EXPECT_EQ(other.usage(), use(0, 0));
  EXPECT_EQ(held("user:8"), use(0, 0));
}

TEST_F(Ledger, MovesWithinScopesThatAreFull) {
  ledger_.settle(cell_, use(100, 2));
  for (const char* name : kScopes) account(name).set_hard(100, 2);
  EXPECT_EQ(error_of(ledger_.move(cell_, ledger_.cell(*unit_, 8, 9), use(100, 2))), 0);
}

TEST_F(Ledger, MovesEachPartInItsOwnDirection) {
  Cell& other = ledger_.cell(*unit_, 8, 2);
  ledger_.settle(cell_, use(100, 0));
  ledger_.settle(other, use(0, 5));
  account("user:1").set_hard(kUnlimited, 4);
  EXPECT_EQ(error_of(ledger_.move(cell_, other, use(100, -5))), EDQUOT);
  EXPECT_EQ(cell_.usage(), use(100, 0));
  EXPECT_EQ(held("user:8"), use(0, 5));
  account("user:1").set_hard(kUnlimited, 5);
  EXPECT_EQ(error_of(ledger_.move(cell_, other, use(100, -5))), 0);
  EXPECT_EQ(cell_.usage(), use(0, 5));
  EXPECT_EQ(other.usage(), use(100, 0));
  EXPECT_EQ(held("user:1"), use(0, 5));
  EXPECT_EQ(held("user:8"), use(100, 0));
}

TEST_F(Ledger, MovesACellOntoItself) {
  ledger_.settle(cell_, use(100, 2));
  EXPECT_EQ(error_of(ledger_.move(cell_, cell_, use(100, 2))), 0);
  expect_all(use(100, 2));
}

// ---- Trash ----

TEST_F(Ledger, LeavesADetachedUnitToTheVolume) {
  ledger_.settle(cell_, use(100, 2));
  ledger_.settle(ledger_.cell(*root_, 1, 2), use(7, 1));
  ledger_.detach(*unit_);
  EXPECT_EQ(held("volume"), use(107, 3));
  EXPECT_EQ(held("unit"), use(100, 2));
  EXPECT_EQ(held("class:tree"), use(0, 0));
  EXPECT_EQ(held("user:1"), use(7, 1));
  EXPECT_EQ(held("group:2"), use(7, 1));
  EXPECT_EQ(held("job:ci"), use(0, 0));
  EXPECT_EQ(cell_.usage(), use(100, 2));
}

TEST_F(Ledger, ChargesADetachedUnitToTheVolumeAlone) {
  ledger_.detach(*unit_);
  EXPECT_EQ(error_of(ledger_.reserve(cell_, use(100, 1))), 0);
  EXPECT_EQ(error_of(ledger_.reserve(ledger_.cell(*unit_, 8, 9), use(10, 1))), 0);
  EXPECT_EQ(held("volume"), use(110, 2));
  EXPECT_EQ(held("unit"), use(110, 2));
  EXPECT_EQ(held("user:1"), use(0, 0));
  EXPECT_EQ(held("user:8"), use(0, 0));
  EXPECT_EQ(held("class:tree"), use(0, 0));
}

TEST_F(Ledger, TakesADetachedUnitBackAsItIsThen) {
  ledger_.settle(cell_, use(100, 2));
  ledger_.detach(*unit_);
  ledger_.settle(cell_, use(-40, -1));
  ledger_.settle(ledger_.cell(*unit_, 8, 2), use(5, 1));
  EXPECT_EQ(error_of(ledger_.attach(*unit_)), 0);
  EXPECT_EQ(held("volume"), use(65, 2));
  EXPECT_EQ(held("class:tree"), use(65, 2));
  EXPECT_EQ(held("user:1"), use(60, 1));
  EXPECT_EQ(held("user:8"), use(5, 1));
  EXPECT_EQ(held("group:2"), use(65, 2));
  EXPECT_EQ(held("job:ci"), use(65, 2));
}

TEST_F(Ledger, LeavesAUnitDetachedThatDoesNotFit) {
  ledger_.settle(cell_, use(100, 2));
  ledger_.settle(ledger_.cell(*unit_, 8, 2), use(5, 1));
  ledger_.detach(*unit_);
  account("user:8").set_hard(4, kUnlimited);
  EXPECT_EQ(error_of(ledger_.attach(*unit_)), EDQUOT);
  ledger_.settle(cell_, use(1, 0));
  EXPECT_EQ(held("volume"), use(106, 3));
  EXPECT_EQ(held("class:tree"), use(0, 0));
  EXPECT_EQ(held("user:1"), use(0, 0));
  account("user:8").set_hard(5, kUnlimited);
  EXPECT_EQ(error_of(ledger_.attach(*unit_)), 0);
  EXPECT_EQ(held("class:tree"), use(106, 3));
}

TEST_F(Ledger, CountsAUnitOnceThoughDetachedOrAttachedTwice) {
  ledger_.settle(cell_, use(100, 2));
  EXPECT_EQ(error_of(ledger_.attach(*unit_)), 0);
  expect_all(use(100, 2));
  ledger_.detach(*unit_);
  ledger_.detach(*unit_);
  EXPECT_EQ(held("user:1"), use(0, 0));
  EXPECT_EQ(held("volume"), use(100, 2));
}

TEST_F(Ledger, ForgetsAUnit) {
  ledger_.settle(cell_, use(100, 2));
  ledger_.settle(ledger_.cell(*unit_, 8, 2), use(5, 1));
  ledger_.settle(ledger_.cell(*root_, 1, 2), use(7, 1));
  ledger_.forget(*unit_);
  EXPECT_EQ(held("volume"), use(7, 1));
  EXPECT_EQ(held("unit"), use(0, 0));
  EXPECT_EQ(held("user:1"), use(7, 1));
  EXPECT_EQ(held("user:8"), use(0, 0));
  EXPECT_TRUE(unit_->cells().empty());
}

TEST_F(Ledger, ForgetsADetachedUnit) {
  ledger_.settle(cell_, use(100, 2));
  ledger_.detach(*unit_);
  ledger_.forget(*unit_);
  expect_all(use(0, 0));
}

// ---- Moves in two steps ----

TEST(PendingMove, KeepsTheOldRoomUntilItEndsAndTheNewOneUntilItIsCancelled) {
  UsageLedger ledger;
  const auto one = ledger.open_unit(UnitId{1}, "one", "");
  const auto other = ledger.open_unit(UnitId{2}, "other", "");
  ledger.scope("class:one").set_hard(100, kUnlimited);
  ledger.scope("class:other").set_hard(100, kUnlimited);
  Cell& from = ledger.cell(*one, 1, 1);
  Cell& to = ledger.cell(*other, 1, 1);
  ASSERT_EQ(error_of(ledger.reserve(from, use(100, 1))), 0);

  ASSERT_EQ(error_of(ledger.begin_move(from, to, use(100, 1))), 0);
  EXPECT_EQ(error_of(ledger.reserve(from, use(1, 0))), EDQUOT) << "it may have to come back";
  EXPECT_EQ(error_of(ledger.reserve(to, use(1, 0))), EDQUOT);
  EXPECT_EQ(ledger.volume().usage(), use(100, 1));
  ledger.cancel_move(from, to, use(100, 1));
  EXPECT_EQ(ledger.class_usage("one"), use(100, 1));
  EXPECT_EQ(ledger.class_usage("other"), use(0, 0));

  ASSERT_EQ(error_of(ledger.begin_move(from, to, use(100, 1))), 0);
  ledger.end_move(from, to, use(100, 1));
  EXPECT_EQ(ledger.class_usage("one"), use(0, 0));
  EXPECT_EQ(ledger.class_usage("other"), use(100, 1));
  EXPECT_EQ(to.usage(), use(100, 1));
}

TEST(MovingUnit, TakesTheLimitsOfItsNewNameUnlessItPassesThem) {
  UsageLedger ledger;
  ledger.set_limiter([](std::string_view scope) {
    return scope == "unit:small" ? ScopeLimits{.bytes = 99} : ScopeLimits{.bytes = 200};
  });
  const auto unit = ledger.open_unit(UnitId{1}, "", "");
  ledger.limit_unit(*unit, "large");
  ASSERT_EQ(error_of(ledger.reserve(ledger.cell(*unit, 1, 1), use(100, 1))), 0);
  EXPECT_EQ(error_of(ledger.limit_moving_unit(*unit, "small")), EDQUOT);
  EXPECT_EQ(unit->total().limits().bytes, 200);
  unit->total().add(use(-1, 0));
  EXPECT_EQ(error_of(ledger.limit_moving_unit(*unit, "small")), 0);
  EXPECT_EQ(unit->total().limits().bytes, 99);
}

TEST(AccountSoftLimit, IsNotOverAtOnceForARequestThatCameBeforeIt) {
  Account account;
  account.set_limits({.soft_bytes = 10, .grace = std::chrono::hours(1)});
  EXPECT_TRUE(account.try_add(use(11, 0))) << "the time was not asked for yet";
  const WallTime now{std::chrono::hours(500'000)};
  EXPECT_TRUE(account.try_add(use(1, 0), now)) << "the clock starts here";
  EXPECT_FALSE(account.try_add(use(1, 0), now + std::chrono::hours(1)));
}

}  // namespace
}  // namespace ebbfs
