// SPDX-License-Identifier: Apache-2.0
#include "fs/frozen_units.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <thread>

#include "tests/support/mem_store.h"

namespace ebbfs {
namespace {

constexpr Duration kNotLong = std::chrono::milliseconds(1);

class FrozenUnitsTest : public testing::Test {
 protected:
  UnitRef make(std::uint64_t inode) {
    UnitRecord record;
    record.inode = InodeId{inode};
    record.path = std::to_string(inode);
    return units_.create(std::move(record), kNever).value();
  }
  bool stored_dirty(const UnitRef& unit) {
    const auto stored = index_->load_units().value();
    for (const UnitRecord& record : stored) {
      if (record.id == unit->id()) return record.dirty;
    }
    return false;
  }
  static bool frozen(const UnitRef& unit) {
    if (!unit->try_enter()) return true;
    unit->leave();
    return false;
  }

  MemStore store_;
  std::unique_ptr<UnitIndex> index_ = UnitIndex::open(store_).value();
  UsageLedger ledger_;
  UnitTable units_{*index_, ledger_, {}};
};

TEST_F(FrozenUnitsTest, FreezesAllUntilTheEndOfTheScope) {
  const UnitRef a = make(1);
  const UnitRef b = make(2);
  {
    const FrozenUnits both(units_, b, {a, units_.root()}, kNotLong);
    ASSERT_TRUE(both);
    EXPECT_TRUE(frozen(a));
    EXPECT_TRUE(frozen(b));
    EXPECT_TRUE(frozen(units_.root()));
  }
  EXPECT_FALSE(frozen(a));
  EXPECT_FALSE(frozen(b));
  EXPECT_FALSE(frozen(units_.root()));
}

TEST_F(FrozenUnitsTest, FreezesNothingWhenARequestStaysInOne) {
  const UnitRef a = make(1);
  const UnitRef b = make(2);
  ASSERT_TRUE(b->try_enter());
  const FrozenUnits both(units_, b, {a}, kNotLong);
  EXPECT_FALSE(both);
  EXPECT_FALSE(frozen(a));
  b->leave();
}

TEST_F(FrozenUnitsTest, FreezesAUnitThatIsNamedTwiceOnce) {
  const UnitRef a = make(1);
  const FrozenUnits one(units_, a, {a}, kNotLong);
  EXPECT_TRUE(one);
}

TEST_F(FrozenUnitsTest, MarksThoseThatStayAsInUse) {
  const UnitRef a = make(1);
  const UnitRef b = make(2);
  units_.flush(WallTime{}, Duration::zero(), true);
  ASSERT_FALSE(stored_dirty(a));
  const FrozenUnits both(units_, b, {a}, kNotLong);
  EXPECT_TRUE(stored_dirty(a));
  EXPECT_FALSE(stored_dirty(b));
}

TEST_F(FrozenUnitsTest, DoesNotThawWhatItKilled) {
  const UnitRef a = make(1);
  {
    FrozenUnits one(units_, a, {}, kNotLong);
    ASSERT_TRUE(one);
    one.kill(a);
  }
  EXPECT_TRUE(a->gone());
  EXPECT_FALSE(a->try_enter());
}

TEST_F(FrozenUnitsTest, WaitsForWhoHasOneFrozenForAnInstantWhereItMay) {
  const UnitRef a = make(1);
  const UnitRef b = make(2);
  ASSERT_TRUE(a->freeze(kNotLong));
  const std::jthread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    a->thaw();
  });
  const FrozenUnits both({b, a, b}, std::chrono::seconds(20));
  ASSERT_TRUE(both);
  EXPECT_TRUE(frozen(a));
  EXPECT_TRUE(frozen(b));
  EXPECT_TRUE(both.has_all({a, b}));
  EXPECT_FALSE(both.has_all({a, units_.root()}));
}

TEST_F(FrozenUnitsTest, DoesNotWaitForEver) {
  const UnitRef a = make(1);
  const UnitRef b = make(2);
  ASSERT_TRUE(b->freeze(kNotLong));
  const FrozenUnits both({a, b}, std::chrono::milliseconds(10));
  EXPECT_FALSE(both);
  EXPECT_FALSE(frozen(a));
  b->thaw();
}

}  // namespace
}  // namespace ebbfs
