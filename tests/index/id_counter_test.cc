// SPDX-License-Identifier: Apache-2.0
#include "index/id_counter.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>
#include <vector>

#include "index/schema.h"
#include "tests/index/outcome.h"
#include "tests/support/fault_store.h"
#include "tests/support/mem_store.h"

namespace ebbfs {
namespace {

constexpr std::string_view kKey = "next_thing";
constexpr std::uint64_t kBlock = IdCounter::kBlock;

class IdCounterTest : public testing::Test {
 protected:
  std::unique_ptr<IdCounter> open() {
    auto ids = std::make_unique<IdCounter>(fault_, kKey);
    EXPECT_EQ(error_of(ids->open()), 0);
    return ids;
  }
  static std::uint64_t take(IdCounter& ids, std::uint64_t count) {
    std::uint64_t last = 0;
    for (; count > 0; --count) last = ids.next();
    return last;
  }

  MemStore memory_;
  FaultStore fault_{memory_};
};

TEST_F(IdCounterTest, StartsAtOne) {
  const auto ids = open();
  EXPECT_EQ(ids->next(), 1U);
  EXPECT_EQ(ids->next(), 2U);
}

TEST_F(IdCounterTest, RepeatsNoneAfterACrash) {
  std::uint64_t last = 0;
  for (const std::uint64_t count : {1UL, kBlock / 2, kBlock, 2 * kBlock + 1}) {
    const auto ids = open();
    const std::uint64_t first = ids->next();
    EXPECT_GT(first, last) << "after a run that took ids up to " << last;
    last = take(*ids, count);
  }
}

TEST_F(IdCounterTest, LeavesNoGapAfterACleanClose) {
  auto ids = open();
  take(*ids, 10);
  Batch batch;
  ids->close_into(batch);
  EXPECT_EQ(error_of(fault_.commit(batch, Durability::power_loss)), 0);
  EXPECT_EQ(open()->next(), 11U);
}

TEST_F(IdCounterTest, RepeatsNoneWhenUsedAfterAClose) {
  auto ids = open();
  take(*ids, 10);
  Batch batch;
  ids->close_into(batch);
  EXPECT_EQ(error_of(fault_.commit(batch, Durability::power_loss)), 0);
  const std::uint64_t late = ids->next();
  EXPECT_GT(open()->next(), late);
}

TEST_F(IdCounterTest, CommitsOnceInHalfABlockOfIds) {
  const auto ids = open();
  const std::uint64_t before = fault_.commits();
  take(*ids, 10 * kBlock);
  EXPECT_LE(fault_.commits() - before, 20U);
}

TEST_F(IdCounterTest, CoversNoIdThatACrashCouldRepeat) {
  auto ids = open();
  fault_.fail_commits(1, ENOSPC, 10 * kBlock);
  EXPECT_EQ(error_of(ids->cover(take(*ids, 1))), 0) << "within the block reserved at open";
  const std::uint64_t beyond = take(*ids, kBlock);
  EXPECT_EQ(error_of(ids->cover(beyond)), ENOSPC);
  fault_.fail_commits(0, 0, 0);
  EXPECT_EQ(error_of(ids->cover(beyond)), 0);
  ids.reset();
  EXPECT_GT(open()->next(), beyond);
}

TEST_F(IdCounterTest, RefusesANumberThatItDidNotWrite) {
  for (const std::string& bad : {std::string("abc"), number_key(0)}) {
    Batch batch;
    batch.put(Table::meta, std::string(kKey), bad);
    EXPECT_EQ(error_of(memory_.commit(batch, Durability::process_crash)), 0);
    EXPECT_EQ(error_of(IdCounter(memory_, kKey).open()), EBADMSG);
  }
}

TEST_F(IdCounterTest, GivesManyThreadsDifferentIds) {
  constexpr std::size_t kThreads = 4;
  constexpr std::size_t kEach = kBlock;
  const auto ids = open();
  std::vector<std::vector<std::uint64_t>> taken(kThreads);
  {
    std::vector<std::jthread> threads;
    for (auto& mine : taken) {
      threads.emplace_back([&] {
        for (std::size_t i = 0; i < kEach; ++i) mine.push_back(ids->next());
      });
    }
  }
  std::vector<bool> seen(kThreads * kEach + 1);
  for (const auto& mine : taken) {
    for (const std::uint64_t id : mine) {
      ASSERT_LE(id, kThreads * kEach);
      ASSERT_FALSE(seen[id]);
      seen[id] = true;
    }
  }
  EXPECT_GT(open()->next(), kThreads * kEach);
}

}  // namespace
}  // namespace ebbfs
