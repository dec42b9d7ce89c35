// SPDX-License-Identifier: Apache-2.0
#include "tests/replay/plan.h"

#include <algorithm>
#include <random>

namespace ebbfs::replay {
namespace {

constexpr int kKilled = kLocksLeft / kLocksEach;
constexpr int kBlock = 100;  // jobs that share out their kills

Time between(Time from, Time to, std::mt19937& random) {
  return Time(std::uniform_int_distribution<Time::rep>(from.count(), to.count())(random));
}

// Most take some twenty minutes; one in a hundred takes longer than a worktree may be idle.
Time length(std::mt19937& random) {
  if (random() % 100 == 0) return between(26 * kHour, 32 * kHour, random);
  const double minutes = std::exponential_distribution(1.0 / 20)(random);
  return kHour * static_cast<Time::rep>(std::clamp(minutes, 3.0, 120.0)) / 60;
}

Job make_job(int number, Time end, std::mt19937& random) {
  constexpr Time kSlot = kDay / kJobsPerDay;
  Job job{.number = number};
  job.due = kSlot * number + between(Time(0), kSlot - Time(1), random);
  // None works on after the end, so that none has to be waited for.
  job.work = std::min(length(random), std::max(end - job.due, kHour / 20));
  job.until_kill = between(job.work / 5, job.work * 9 / 10, random);
  job.payload_bytes =
      std::uniform_int_distribution(kPayloadBytes / 2, kPayloadBytes * 3 / 2)(random);
  job.stands_inside = random() % 2 == 0;
  return job;
}

// How many of the first `jobs` jobs' attempts are killed: in step with the incident at any time, so
// that a short replay differs no more from the next than a long one.
int killed_until(std::size_t jobs) {
  return static_cast<int>(jobs * kKilled / (std::size_t{kFullOnDay} * kJobsPerDay));
}
int with_worktree(int killed) { return killed * kWorktreesLeft / kKilled; }

// Kills attempts of the jobs from `begin` to `end`, of any, some of them more than once.
void kill_some(std::vector<Job>& jobs, std::size_t begin, std::size_t end, std::mt19937& random) {
  const int before = killed_until(begin);
  const int after = killed_until(end);
  std::vector<Fate> fates(static_cast<std::size_t>(after - before), Fate::killed_before_worktree);
  const int at_work = with_worktree(after) - with_worktree(before);
  std::fill_n(fates.begin(), at_work, Fate::killed_at_work);
  std::ranges::shuffle(fates, random);
  for (const Fate fate : fates) {
    for (;;) {
      Job& job = jobs[std::uniform_int_distribution(begin, end - 1)(random)];
      const auto next = std::ranges::find(job.fates, Fate::finishes);
      if (next == job.fates.end() - 1) continue;
      *next = fate;
      break;
    }
  }
}

}  // namespace

std::vector<Job> make_plan(int days, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<Job> jobs;
  for (int number = 0; number < days * kJobsPerDay; ++number) {
    jobs.push_back(make_job(number, days * kDay, random));
  }
  for (std::size_t begin = 0; begin < jobs.size(); begin += kBlock) {
    kill_some(jobs, begin, std::min(jobs.size(), begin + kBlock), random);
  }
  return jobs;
}

std::vector<Job> make_trial(int jobs) {
  std::vector<Job> trial;
  for (int number = 0; number < jobs; ++number) {
    trial.push_back({.number = number, .payload_bytes = kPayloadBytes});
  }
  return trial;
}

std::int64_t volume_bytes(int days) { return kVolumeBytes * days / kDays; }

}  // namespace ebbfs::replay
