// SPDX-License-Identifier: Apache-2.0
#include "fs/unit.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>

#include "index/usage.h"
#include "tests/fs/unit_times.h"

namespace ebbfs {
namespace {

using std::chrono::seconds;

class UnitTest : public testing::Test {
 protected:
  static UnitRecord record_of_unit() {
    UnitRecord record;
    record.id = UnitId{7};
    record.last_used = kStart;
    return record;
  }

  UsageLedger ledger_;
  Unit unit_{record_of_unit(), ledger_.open_unit(UnitId{7}, "worktree", ""), kNever};
};

TEST_F(UnitTest, FreezeFailsWhileARequestIsInside) {
  ASSERT_TRUE(unit_.try_enter());
  EXPECT_FALSE(unit_.freeze(Duration::zero()));
  EXPECT_TRUE(unit_.try_enter()) << "it is thawed after a freeze that failed";
}

TEST_F(UnitTest, FreezeSucceedsWithoutPatienceWhereNobodyIsInside) {
  ASSERT_TRUE(unit_.try_enter());
  unit_.leave();
  EXPECT_TRUE(unit_.freeze(Duration::zero()));
  EXPECT_FALSE(unit_.try_enter());
}

TEST_F(UnitTest, FreezeWaitsForTheRequestInsideToLeave) {
  ASSERT_TRUE(unit_.try_enter());
  auto frozen = std::async(std::launch::async, [&] { return unit_.freeze(kPatience); });
  while (unit_.try_enter()) unit_.leave();  // until the freeze has begun
  unit_.leave();
  EXPECT_TRUE(frozen.get());
}

TEST_F(UnitTest, CountsHowOftenItWasEntered) {
  constexpr int kTimes = 5000;
  for (int i = 0; i < kTimes; ++i) {
    ASSERT_TRUE(unit_.try_enter());
    unit_.leave();
  }
  ASSERT_TRUE(unit_.freeze(Duration::zero())) << "nobody is inside, however often";
  EXPECT_FALSE(unit_.try_enter());
  EXPECT_EQ(unit_.entries(), kTimes) << "what was refused is not counted";
  unit_.thaw();
  EXPECT_EQ(unit_.entries(), kTimes);
}

TEST_F(UnitTest, FreezeFailsWhenItIsFrozenAlreadyOrGone) {
  ASSERT_TRUE(unit_.freeze(Duration::zero()));
  EXPECT_FALSE(unit_.freeze(Duration::zero()));
  unit_.kill();
  EXPECT_FALSE(unit_.freeze(Duration::zero()));
  EXPECT_TRUE(unit_.gone());
}

TEST_F(UnitTest, ThawLetsRequestsIn) {
  ASSERT_TRUE(unit_.freeze(Duration::zero()));
  unit_.thaw();
  EXPECT_TRUE(unit_.wait_until_thawed());
  EXPECT_TRUE(unit_.try_enter());
}

TEST_F(UnitTest, TouchKeepsTheLatestTime) {
  unit_.touch(kStart + seconds(5));
  unit_.touch(kStart + seconds(3));
  EXPECT_EQ(unit_.last_used(), kStart + seconds(5));
}

TEST_F(UnitTest, LastCloseSpeaksUpOnlyOnceAndOnlyWhenAwaited) {
  unit_.opened();
  EXPECT_FALSE(unit_.closed());
  unit_.opened();
  unit_.opened();
  unit_.await_close();
  EXPECT_FALSE(unit_.closed());
  EXPECT_TRUE(unit_.closed());
  unit_.opened();
  EXPECT_FALSE(unit_.closed());
}

TEST_F(UnitTest, ADirtyRecordStartsOutCounting) {
  UnitRecord record = record_of_unit();
  record.dirty = true;
  const Unit dirty(record, ledger_.open_unit(UnitId{8}, "worktree", ""), kNever);
  EXPECT_TRUE(dirty.counting());
  EXPECT_FALSE(unit_.counting());
}

TEST_F(UnitTest, TheRecordShowsUsageAsItIsNowUnlessItIsBeingCounted) {
  const UnitRecord before = unit_.record();
  ledger_.settle(ledger_.cell(unit_.accounts(), 1000, 100), {{4096}, 1});
  EXPECT_EQ(unit_.record().usage, (std::vector<UsageCell>{{1000, 100, {{4096}, 1}}}));
  unit_.set_counting(true);
  EXPECT_EQ(unit_.record(), before);
}

}  // namespace
}  // namespace ebbfs
