// SPDX-License-Identifier: Apache-2.0
#include "fs/workers.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <memory>
#include <numeric>
#include <thread>
#include <vector>

#include "tests/support/child.h"

namespace ebbfs {
namespace {

TEST(Workers, RunNoThreadsWithoutJobs) {
  const Workers workers(4);
  EXPECT_EQ(workers.threads(), 0U);
  EXPECT_EQ(workers.queued(), 0U);
}

TEST(Workers, DoNotMakeTheCallerWait) {
  std::latch release(1);
  std::atomic<int> done = 0;
  {
    Workers workers(2);
    for (int i = 0; i < 10; ++i) {
      workers.run([&] {
        release.wait();
        ++done;
      });
    }
    // Both threads are busy and the rest waits its turn.
    EXPECT_TRUE(becomes_true([&] { return workers.queued() == 8; }));
    EXPECT_EQ(workers.threads(), 2U);
    EXPECT_EQ(done, 0);
    release.count_down();
  }
  EXPECT_EQ(done, 10);
}

TEST(Workers, RunJobsSideBySide) {
  std::latch met(3);
  Workers workers(3);
  for (int i = 0; i < 3; ++i) workers.run([&] { met.arrive_and_wait(); });
  met.wait();  // would hang if one had to wait for another
}

TEST(Workers, KeepTheOrderOfTheQueue) {
  std::vector<int> order;
  {
    Workers workers(1);
    for (int i = 0; i < 100; ++i) workers.run([&order, i] { order.push_back(i); });
  }
  std::vector<int> expected(100);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(order, expected);
}

TEST(Workers, UseIdleThreadBeforeStartingAnother) {
  std::atomic<int> done = 0;
  Workers workers(4);
  for (int i = 0; i < 5; ++i) {
    workers.run([&] { ++done; });
    ASSERT_TRUE(becomes_true([&] { return done == i + 1 && workers.idle() == 1; }));
    EXPECT_EQ(workers.threads(), 1U);
  }
}

TEST(Workers, LeaveJobsThatComeAfterTheEndToWhoBringsThem) {
  std::atomic<int> done = 0;
  Workers workers(2);
  for (int i = 0; i < 5; ++i) workers.run([&] { ++done; });
  workers.finish();
  EXPECT_EQ(done, 5);
  EXPECT_EQ(workers.threads(), 0U);
  std::thread::id ran_in;
  workers.run([&] { ran_in = std::this_thread::get_id(); });
  EXPECT_EQ(ran_in, std::this_thread::get_id());
}

TEST(Workers, RunJobsThatJobsQueue) {
  std::atomic<int> done = 0;
  {
    Workers workers(1);
    workers.run([&] {
      ++done;
      workers.run([&] { ++done; });
    });
  }
  EXPECT_EQ(done, 2);
}

TEST(Workers, LoseNoJobOfManyCallers) {
  std::atomic<int> done = 0;
  {
    Workers workers(3);
    std::vector<std::jthread> callers;
    callers.reserve(3);
    for (int n = 0; n < 3; ++n) {
      callers.emplace_back([&] {
        for (int i = 0; i < 200; ++i) workers.run([&] { ++done; });
      });
    }
  }
  EXPECT_EQ(done, 600);
}

TEST(Workers, DestroyEachJobWhenItIsDone) {
  Workers workers(1);
  const auto held = std::make_shared<int>(0);
  workers.run([copy = held] { ++*copy; });
  EXPECT_TRUE(becomes_true([&] { return held.use_count() == 1; }));
}

}  // namespace
}  // namespace ebbfs
