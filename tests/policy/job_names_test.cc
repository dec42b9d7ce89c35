// SPDX-License-Identifier: Apache-2.0
#include "policy/job_names.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/policy/counted_new.h"

namespace ebbfs {
namespace {

TEST(JobNames, GivesANameOneNumber) {
  JobNames names;
  const std::uint32_t first = names.number("ci-1");
  const std::uint32_t second = names.number("ci-2");
  EXPECT_NE(first, JobNames::kNone);
  EXPECT_NE(first, second);
  EXPECT_EQ(names.number("ci-1"), first);
  EXPECT_EQ(names.name(first), "ci-1");
  EXPECT_EQ(names.name(second), "ci-2");
}

TEST(JobNames, HasNoNameForNumbersNotGiven) {
  const JobNames names;
  EXPECT_EQ(names.name(JobNames::kNone), "");
  EXPECT_EQ(names.name(5), "");
  EXPECT_EQ(names.name(JobNames::kMax), "");
  EXPECT_EQ(names.name(JobNames::kMax + 1), "");
}

TEST(JobNames, StopsAtItsLimitAndStillKnowsTheOld) {
  constexpr std::uint32_t kLimit = 5000;
  JobNames names(kLimit);
  for (std::uint32_t i = 1; i <= kLimit; ++i) ASSERT_EQ(names.number(std::to_string(i)), i);
  EXPECT_EQ(names.number("one more"), JobNames::kNone);
  EXPECT_EQ(names.number("4711"), 4711U);
  EXPECT_EQ(names.name(kLimit), std::to_string(kLimit));
}

TEST(JobNames, DoesNotLetCollidingNamesSlowItDown) {
  JobNames names;
  std::uint32_t given = 0;
  std::uint64_t bytes = 0;
  const std::string_view name(reinterpret_cast<const char*>(&bytes), sizeof bytes);
  for (std::uint32_t chosen = 0; chosen < 2 * JobNames::kChainMax; ++bytes) {
    if (std::hash<std::string_view>{}(name) % JobNames::kBuckets != 1) continue;
    ++chosen;
    if (names.number(name) != JobNames::kNone) ++given;
  }
  EXPECT_EQ(given, JobNames::kChainMax);
  EXPECT_NE(names.number("an innocent one"), JobNames::kNone);
}

TEST(JobNames, GivesOneNumberToANameThatTwoThreadsBringAtOnce) {
  if (!allocations_are_counted()) GTEST_SKIP() << "operator new belongs to a sanitizer";
  constexpr std::string_view kName = "a name that is too long to be kept inside of a string";
  JobNames names;
  std::uint32_t first = JobNames::kNone;
  std::uint32_t second = JobNames::kNone;
  {
    const std::jthread holder([&] {
      stop_this_thread_in_next_allocation();
      first = names.number(kName);
    });
    wait_for_stopped_thread();  // it holds the lock and has not made the name known
    std::atomic<bool> asking = false;
    const std::jthread other([&] {
      asking = true;
      asking.notify_one();
      second = names.number(kName);
    });
    asking.wait(false);
    // Lets the other one run into the lock, most of the time.
    for (int i = 0; i < 1000; ++i) std::this_thread::yield();
    let_stopped_thread_go();
  }
  EXPECT_NE(first, JobNames::kNone);
  EXPECT_EQ(first, second);
}

TEST(JobNames, GivesEveryThreadTheSameNumbers) {
  constexpr std::size_t kThreads = 4;
  constexpr std::size_t kNames = 5000;
  JobNames names;
  std::vector<std::vector<std::uint32_t>> seen(kThreads, std::vector<std::uint32_t>(kNames));
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (std::size_t i = 0; i < kNames; ++i) {
          const std::size_t job = t % 2 == 0 ? i : kNames - 1 - i;
          seen[t][job] = names.number("job-" + std::to_string(job));
        }
      });
    }
  }
  for (std::size_t t = 1; t < kThreads; ++t) EXPECT_EQ(seen[t], seen[0]) << t;
  for (std::size_t i = 0; i < kNames; ++i) {
    ASSERT_EQ(names.name(seen[0][i]), "job-" + std::to_string(i));
  }
}

}  // namespace
}  // namespace ebbfs
