// SPDX-License-Identifier: Apache-2.0
#include "index/deadline_queue.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tests/index/sample_records.h"

namespace ebbfs {
namespace {

constexpr Thing kUnit = {Deadline::Kind::unit, 1};
constexpr Thing kLock = {Deadline::Kind::lock, 1};

TEST(DeadlineQueue, IsEmptyAtFirst) {
  const DeadlineQueue queue;
  EXPECT_EQ(queue.first(), kNever);
  EXPECT_EQ(queue.find(kUnit), kNever);
  EXPECT_TRUE(queue.due(kNever, 10).empty());
}

TEST(DeadlineQueue, ReplacesTheDeadlineOfAThing) {
  DeadlineQueue queue;
  queue.set(kUnit, at(5));
  queue.set(kUnit, at(9));
  EXPECT_EQ(queue.find(kUnit), at(9));
  EXPECT_EQ(queue.due(at(100), 10), (std::vector<Deadline>{{at(9), kUnit.kind, kUnit.id}}));
}

TEST(DeadlineQueue, TellsThingsOfOneIdApartByKind) {
  DeadlineQueue queue;
  queue.set(kUnit, at(5));
  queue.set(kLock, at(6));
  queue.set(kUnit, kNever);
  EXPECT_EQ(queue.first(), at(6));
}

TEST(DeadlineQueue, ReturnsWhatIsDueExactlyNow) {
  DeadlineQueue queue;
  queue.set(kUnit, at(5));
  EXPECT_TRUE(queue.due(at(4), 10).empty());
  EXPECT_EQ(queue.due(at(5), 10).size(), 1U);
}

TEST(DeadlineQueue, ReturnsNoMoreThanAskedFor) {
  DeadlineQueue queue;
  for (std::uint64_t id = 0; id < 5; ++id) queue.set({Deadline::Kind::unit, id}, at(5));
  EXPECT_EQ(queue.due(at(5), 3).size(), 3U);
  EXPECT_TRUE(queue.due(at(5), 0).empty());
}

TEST(DeadlineQueue, AgreesWithAMultimap) {
  constexpr std::uint64_t kSeed = 4711;
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  std::mt19937_64 random(kSeed);
  DeadlineQueue queue;
  std::map<Thing, WallTime> due_of;
  for (int round = 0; round < 5000; ++round) {
    const Thing thing = {static_cast<Deadline::Kind>(random() % 3), random() % 20};
    const WallTime due = random() % 4 == 0 ? kNever : at(static_cast<std::int64_t>(random() % 50));
    queue.set(thing, due);
    due_of[thing] = due;

    std::multimap<WallTime, Thing> model;  // of one time, by kind and id: the map is in that order
    for (const auto& [other, when] : due_of) {
      if (when != kNever) model.emplace(when, other);
    }
    ASSERT_EQ(queue.first(), model.empty() ? kNever : model.begin()->first);
    ASSERT_EQ(queue.find(thing), due);
    const WallTime now = at(static_cast<std::int64_t>(random() % 60) - 5);
    const std::size_t max = random() % 30;
    std::vector<Deadline> want;
    for (auto entry = model.begin(); entry != model.upper_bound(now) && want.size() < max;
         ++entry) {
      want.push_back({entry->first, entry->second.kind, entry->second.id});
    }
    ASSERT_EQ(queue.due(now, max), want);
  }
}

}  // namespace
}  // namespace ebbfs
