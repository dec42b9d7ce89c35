// SPDX-License-Identifier: Apache-2.0
#include "index/history.h"

#include <gtest/gtest.h>

#include "index/schema.h"
#include "tests/index/outcome.h"
#include "tests/support/fault_store.h"
#include "tests/support/mem_store.h"

namespace ebbfs {
namespace {

using namespace std::chrono_literals;
using Tier = History::Tier;
using std::chrono::days;
using std::chrono::minutes;

const WallTime kNow = WallTime(std::chrono::sys_days(days(20'000)));

class HistoryTest : public testing::Test {
 protected:
  HistoryTest() { reopen(); }

  void reopen(History::Bounds bounds = History::kBounds) {
    history_ = std::make_unique<History>(fault_, bounds);
    EXPECT_EQ(error_of(history_->open()), 0);
  }
  void append(Tier tier, WallTime time) {
    HistorySample sample;
    sample.time = time;
    ASSERT_EQ(error_of(history_->append(tier, sample)), 0);
  }
  // One a minute, the last at `end`.
  void append_minutes(int count, WallTime end) {
    for (int i = count - 1; i >= 0; --i) append(Tier::minute, end - i * 1min);
  }
  std::vector<WallTime> times(Tier tier, WallTime from = WallTime::min(), WallTime to = kNever) {
    std::vector<WallTime> found;
    const auto samples = history_->between(tier, from, to);
    EXPECT_EQ(error_of(samples), 0);
    for (const HistorySample& sample : samples.value_or(std::vector<HistorySample>{})) {
      found.push_back(sample.time);
    }
    return found;
  }
  std::size_t rows() {
    std::size_t count = 0;
    EXPECT_EQ(error_of(memory_.scan(Table::history, {}, [&](auto, auto) { return ++count != 0; })),
              0);
    return count;
  }

  MemStore memory_;
  FaultStore fault_{memory_};
  std::unique_ptr<History> history_;
};

TEST_F(HistoryTest, IsEmptyAtFirst) {
  EXPECT_TRUE(times(Tier::minute).empty());
  EXPECT_EQ(history_->newest(Tier::hour, kNow), std::nullopt);
}

TEST_F(HistoryTest, GivesBackWhatLiesBetweenTwoTimesOldestFirst) {
  append_minutes(5, kNow);
  EXPECT_EQ(times(Tier::minute, kNow - 3min, kNow - 1min), (std::vector{kNow - 2min, kNow - 1min}));
  EXPECT_EQ(times(Tier::minute).size(), 5U);
}

TEST_F(HistoryTest, KeepsItsTiersApart) {
  append(Tier::minute, kNow);
  append(Tier::hour, kNow - 1h);
  EXPECT_EQ(times(Tier::minute), std::vector{kNow});
  EXPECT_EQ(times(Tier::hour), std::vector{kNow - 1h});
}

TEST_F(HistoryTest, SurvivesARestart) {
  append_minutes(3, kNow);
  reopen();
  EXPECT_EQ(times(Tier::minute).size(), 3U);
  EXPECT_EQ(history_->newest(Tier::minute, kNow), kNow);
}

TEST_F(HistoryTest, KeepsMinutesForADayAndHoursForNinetyDays) {
  append_minutes(2000, kNow);
  EXPECT_EQ(times(Tier::minute).size(), History::kBounds[0]);
  EXPECT_EQ(times(Tier::minute).front(), kNow - 1439min);
  for (int hour = 24 * 120; hour >= 0; --hour) append(Tier::hour, kNow - hour * 1h);
  EXPECT_EQ(times(Tier::hour).size(), History::kBounds[1]);
  EXPECT_GE(times(Tier::hour).front(), kNow - days(90));
  EXPECT_EQ(rows(), History::kBounds[0] + History::kBounds[1]);
}

TEST_F(HistoryTest, LetsWhatAGapHasMadeOldGoBitByBit) {
  append_minutes(100, kNow - days(3));
  append_minutes(30, kNow);
  EXPECT_EQ(times(Tier::minute, kNow - 1h).size(), 30U);
  EXPECT_EQ(rows(), 100U - 60U + 30U) << "two for each that came";
  append_minutes(40, kNow + 40min);
  EXPECT_EQ(rows(), 70U);
}

TEST_F(HistoryTest, LosesLittleToAClockThatWasAheadForAMoment) {
  append_minutes(1000, kNow);
  append_minutes(5, kNow + days(365));
  EXPECT_GE(times(Tier::minute, WallTime::min(), kNow).size(), 990U);
  EXPECT_EQ(history_->newest(Tier::minute, kNow + 1min), kNow) << "the future is not shown";
  append_minutes(5, kNow + 5min);
  EXPECT_EQ(times(Tier::minute, kNow + 1h).size(), 0U) << "and goes";
}

TEST_F(HistoryTest, LosesLittleToAClockThatWasBehindForAMoment) {
  append_minutes(1000, kNow);
  append_minutes(5, kNow - days(365));
  append_minutes(5, kNow + 5min);
  EXPECT_GE(times(Tier::minute, kNow - 1000min, kNow).size(), 985U);
}

TEST_F(HistoryTest, IsBoundedWhateverTheClockDoes) {
  reopen({20, 20});
  for (int i = 0; i < 500; ++i) append(Tier::minute, kNow + (i * 7919 % 500) * 24h);
  EXPECT_LE(rows(), 20U);
}

TEST_F(HistoryTest, ShrinksToASmallerBound) {
  append_minutes(100, kNow);
  reopen({20, 20});
  append_minutes(100, kNow + 100min);
  EXPECT_EQ(rows(), 20U);
}

TEST_F(HistoryTest, KeepsItsRowsWhereACommitFails) {
  append_minutes(3, kNow);
  fault_.fail_commits(1, EIO);
  HistorySample sample;
  sample.time = kNow + 1min;
  EXPECT_EQ(error_of(history_->append(Tier::minute, sample)), EIO);
  EXPECT_EQ(history_->newest(Tier::minute, kNow + 1h), kNow);
  EXPECT_EQ(times(Tier::minute).size(), 3U);
}

TEST_F(HistoryTest, PassesOverRowsThatItCannotRead) {
  append_minutes(3, kNow);
  Batch batch;
  batch.put(Table::history, history_key({0, kNow - 1min}), "garbage");
  batch.put(Table::history, "odd", "key");
  ASSERT_EQ(error_of(memory_.commit(batch, Durability::process_crash)), 0);
  reopen();
  EXPECT_EQ(times(Tier::minute), (std::vector{kNow - 2min, kNow}));
}

TEST(HistoryBounds, AreSmallForASmallVolume) {
  EXPECT_EQ(History::bounds_for(std::int64_t{1} << 40), History::kBounds);
  const auto small = History::bounds_for(64 << 20);
  EXPECT_EQ(small[0], 60U);
  EXPECT_EQ(small[1], 67U);
  EXPECT_GT(History::bounds_for(0)[1], 0U);
}

}  // namespace
}  // namespace ebbfs
