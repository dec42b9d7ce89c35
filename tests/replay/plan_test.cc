// SPDX-License-Identifier: Apache-2.0
#include "tests/replay/plan.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace ebbfs::replay {
namespace {

constexpr unsigned kSeed = 7;

struct Left {
  int worktrees = 0;
  int locks = 0;
};
// By the killed attempts of the jobs that are due before `end`.
Left left_by(const std::vector<Job>& jobs, Time end) {
  Left left;
  for (const Job& job : jobs) {
    if (job.due >= end) break;
    for (const Fate fate : job.fates) {
      if (fate == Fate::killed_at_work) ++left.worktrees;
      if (fate != Fate::finishes) left.locks += kLocksEach;
    }
  }
  return left;
}

TEST(Plan, LeavesBehindWhatTheIncidentDidWhenItsVolumeWasFull) {
  const Left left = left_by(make_plan(kDays, kSeed), kFullOnDay * kDay);
  EXPECT_EQ(left.worktrees, kWorktreesLeft);
  EXPECT_EQ(left.locks, kLocksLeft);
}

TEST(Plan, OfFewerDaysFillsItsVolumeAtTheSameShareOfThem) {
  const Left left = left_by(make_plan(3, kSeed), kFullOnDay * kDay / 10);
  EXPECT_NEAR(left.worktrees, kWorktreesLeft / 10.0, 2);
  EXPECT_NEAR(left.locks, kLocksLeft / 10.0, 2 * kLocksEach);
  EXPECT_EQ(volume_bytes(3), volume_bytes(30) / 10);
}

TEST(Plan, HasJobsInOrderAndWithinItsDays) {
  const auto jobs = make_plan(2, kSeed);
  EXPECT_EQ(jobs.size(), 2U * kJobsPerDay);
  EXPECT_TRUE(std::ranges::is_sorted(jobs, {}, &Job::due));
  for (const Job& job : jobs) {
    EXPECT_LE(job.due + job.work, 2 * kDay + kHour / 20);
    EXPECT_LT(job.until_kill, job.work);
  }
}

TEST(Plan, LetsTheLastAttemptOfEveryJobFinish) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    for (const Job& job : make_plan(1, seed)) EXPECT_EQ(job.fates.back(), Fate::finishes);
  }
}

TEST(Plan, IsTheSameForTheSameSeedAndAnotherForAnother) {
  const auto due = [](unsigned seed) {
    std::vector<Time> list;
    for (const Job& job : make_plan(1, seed)) list.push_back(job.due + job.work);
    return list;
  };
  EXPECT_EQ(due(kSeed), due(kSeed));
  EXPECT_NE(due(kSeed), due(kSeed + 1));
}

TEST(Plan, HasJobsThatAreQuietForLongerThanAWorktreeMayBeIdle) {
  const auto jobs = make_plan(3, kSeed);
  EXPECT_GT(std::ranges::count_if(jobs, [](const Job& job) { return job.work > kDay; }), 3);
}

}  // namespace
}  // namespace ebbfs::replay
