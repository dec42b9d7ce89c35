// SPDX-License-Identifier: Apache-2.0
#include "fs/trend.h"

#include <gtest/gtest.h>

#include "tests/index/outcome.h"
#include "tests/support/mem_store.h"

namespace ebbfs {
namespace {

using namespace std::chrono_literals;
using Tier = History::Tier;
using Cleanup = HistorySample::Cleanup;
using std::chrono::days;

const WallTime kHalfPast = WallTime(std::chrono::sys_days(days(20'000))) + 30min;

class TrendTest : public testing::Test {
 protected:
  TrendTest() { EXPECT_EQ(error_of(history_.open()), 0); }

  static HistorySample sample(WallTime time, std::int64_t used = 0) {
    HistorySample sample;
    sample.time = time;
    sample.space.used = {used};
    return sample;
  }
  static HistorySample removing(WallTime time, std::uint64_t count) {
    HistorySample one = sample(time);
    one.removals = {
        {"worktree", RemovalReason::expire, count, {{static_cast<std::int64_t>(count) * 10}, 1}}};
    return one;
  }
  void put(Tier tier, const HistorySample& one) {
    ASSERT_EQ(error_of(history_.append(tier, one)), 0);
  }
  // An hourly sample for each of so many hours, a minute one for each of so many minutes;
  // each tells of one removal, and of as many bytes used as it is hours old.
  void fill(int by_hour, int by_minute) {
    for (int i = by_hour; i >= 1; --i) {
      HistorySample one = removing(kHalfPast - i * 1h, 1);
      one.space.used = {i};
      put(Tier::hour, one);
    }
    for (int i = by_minute; i >= 1; --i) put(Tier::minute, removing(kHalfPast - i * 1min, 1));
  }
  Trend read(Duration window, const std::vector<Duration>& asked = {}) {
    Trend trend(sample(kHalfPast), window, asked);
    EXPECT_EQ(error_of(trend.read(history_)), 0);
    return trend;
  }
  static std::uint64_t removed(const Trend& trend) {
    std::uint64_t count = 0;
    for (const SampledRemovals& one : trend.removals()) count += one.count;
    return count;
  }

  MemStore store_;
  History history_{store_};
};

TEST_F(TrendTest, KnowsNothingWithoutHistory) {
  const Trend trend = read(days(7), {days(1)});
  EXPECT_EQ(trend.then(days(1)), nullptr);
  EXPECT_EQ(trend.window_begin(), nullptr);
  EXPECT_TRUE(trend.removals().empty());
}

TEST_F(TrendTest, FindsTheSampleThatIsAsOldAsAsked) {
  fill(24 * 40, 100);
  const Trend trend = read(days(7), {1h, days(30)});
  ASSERT_NE(trend.then(days(30)), nullptr);
  EXPECT_EQ(trend.then(days(30))->time, kHalfPast - days(30));
  EXPECT_EQ(trend.then(1h)->time, kHalfPast - 1h) << "of the minutes";
  EXPECT_EQ(trend.window_begin()->space.used.n, 24 * 7);
}

TEST_F(TrendTest, SaysWhenHistoryIsShorter) {
  fill(24 * 2, 100);
  const Trend trend = read(days(7), {days(1), days(3)});
  EXPECT_NE(trend.then(days(1)), nullptr);
  EXPECT_EQ(trend.then(days(3)), nullptr);
  ASSERT_NE(trend.window_begin(), nullptr);
  EXPECT_EQ(trend.window_begin()->time, kHalfPast - 48h) << "the oldest there is";
}

TEST_F(TrendTest, TakesWhatWasBeforeAGap) {
  put(Tier::hour, sample(kHalfPast - days(20), 5));
  put(Tier::hour, sample(kHalfPast - 1h, 9));
  const Trend trend = read(days(7));
  EXPECT_EQ(trend.then(days(7))->space.used.n, 5) << "nobody wrote while nobody was there";
}

TEST_F(TrendTest, AddsUpRemovalsOfMinutesInAShortWindow) {
  fill(48, 1000);
  EXPECT_EQ(removed(read(10h)), 599U) << "those after its beginning";
  EXPECT_EQ(removed(read(2min)), 1U);
}

TEST_F(TrendTest, AddsUpRemovalsOfHoursAndTheMinutesSinceTheLast) {
  fill(24 * 10, 100);
  EXPECT_EQ(removed(read(days(7))), 24U * 7U - 1U + 59U);
}

TEST_F(TrendTest, CountsWhatWasRemovedSinceTheNewestSample) {
  Trend trend(removing(kHalfPast, 3), 1h, {});
  ASSERT_EQ(error_of(trend.read(history_)), 0);
  EXPECT_EQ(removed(trend), 3U);
}

TEST_F(TrendTest, KeepsClassesAndReasonsOfRemovalsApart) {
  HistorySample one = sample(kHalfPast - 1min);
  one.removals = {{"a", RemovalReason::expire, 1, {{1}, 1}},
                  {"a", RemovalReason::evict, 2, {{2}, 1}},
                  {"b", RemovalReason::expire, 4, {{4}, 1}}};
  put(Tier::minute, one);
  EXPECT_EQ(read(1h).removals(), one.removals);
}

TEST_F(TrendTest, SaysSinceWhenCleanupIsHeld) {
  const auto put_held = [&](WallTime time, Cleanup cleanup) {
    HistorySample one = sample(time);
    one.cleanup = cleanup;
    put(Tier::minute, one);
  };
  put_held(kHalfPast - 50min, Cleanup::observing);
  put_held(kHalfPast - 40min, Cleanup::running);
  put_held(kHalfPast - 30min, Cleanup::observing);
  put_held(kHalfPast - 20min, Cleanup::observing);
  HistorySample now = sample(kHalfPast);
  now.cleanup = Cleanup::observing;
  Trend trend(now, 1h, {});
  ASSERT_EQ(error_of(trend.read(history_)), 0);
  ASSERT_TRUE(trend.held());
  EXPECT_EQ(trend.held()->since, kHalfPast - 30min);
  EXPECT_FALSE(trend.held()->at_least);
  EXPECT_FALSE(read(1h).held()) << "it runs";
}

TEST_F(TrendTest, SaysThatCleanupMayBeHeldForLonger) {
  HistorySample one = sample(kHalfPast - 50min);
  one.cleanup = Cleanup::braked;
  put(Tier::minute, one);
  HistorySample now = sample(kHalfPast);
  now.cleanup = Cleanup::braked;
  Trend trend(now, 1h, {});
  ASSERT_EQ(error_of(trend.read(history_)), 0);
  EXPECT_TRUE(trend.held()->at_least);
}

TEST(TimeToFull, FollowsAStraightLine) {
  struct Case {
    const char* name;
    std::int64_t free;
    std::int64_t growth;
    Duration time;
    std::optional<Duration> want;
  };
  const Case cases[] = {
      {"as much again", 100, 100, 1h, 1h},
      {"a quarter", 100, 25, 1h, 4h},
      {"none left", 0, 25, 1h, 0s},
      {"does not grow", 100, 0, 1h, std::nullopt},
      {"shrinks", 100, -5, 1h, std::nullopt},
      {"too short to say", 100, 50, 1min, std::nullopt},
      {"for ever", std::int64_t{1} << 60, 1, 24h, days(3650)},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(time_to_full(c.free, c.growth, c.time), c.want) << c.name;
  }
}

TEST(Earlier, StopsAtTheBeginningOfTime) {
  EXPECT_EQ(earlier(WallTime::min() + 1h, 2h), WallTime::min());
  EXPECT_EQ(earlier(kHalfPast, 1h), kHalfPast - 1h);
}

}  // namespace
}  // namespace ebbfs
