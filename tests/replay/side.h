// SPDX-License-Identifier: Apache-2.0
//
// One side of the replay: a volume, with ebbfs over it or bare, and the queue of jobs that work on
// it. Jobs start when the plan says, whatever the machine makes of it: what it cannot keep up with
// waits, and how long is told. Threading: one thread, in a process of its own.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/replay/plan.h"

namespace ebbfs::replay {

// As the backing filesystem shows it, under ebbfs too.
struct Sample {
  double day = 0;
  double used = 0;  // share of the volume's blocks
  int locks = 0;
  int worktrees = 0;
  int jobs_done = 0;
  int jobs_failed = 0;
};

// `attempts` is the sum of those that follow it, and of the jobs that were done.
struct Outcome {
  std::string name;
  std::int64_t volume_bytes = 0;
  int jobs = 0;
  int jobs_done = 0;
  int jobs_failed = 0;
  int jobs_left = 0;         // when the patience with a slow machine ended
  int last_jobs = 0;         // those of the last thirtieth of the time
  int last_jobs_failed = 0;  // and of these
  double first_failure_day = -1;
  int attempts = 0;
  int killed = 0;
  int locks_without_space = 0;
  int locks_refused = 0;
  int worktrees_refused = 0;
  int work_refused = 0;
  int robbed = 0;
  int not_put_away = 0;
  int live_removed = 0;  // locks and worktrees of processes that lived
  int locks_after_grace = 0;
  bool accounts_exact = true;    // as `ebbctl check` says; of a bare volume there is nothing to say
  double seconds = 0;            // until the last job was done or left
  double late_seconds_most = 0;  // where an hour is a second
  double late_seconds_mean = 0;
  std::string git_said = {};  // the last of its complaints
  std::vector<Sample> samples;
};

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Sample, day, used, locks, worktrees, jobs_done, jobs_failed)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Outcome, name, volume_bytes, jobs, jobs_done, jobs_failed,
                                   jobs_left, last_jobs, last_jobs_failed, first_failure_day,
                                   attempts, killed, locks_without_space, locks_refused,
                                   worktrees_refused, work_refused, robbed, not_put_away,
                                   live_removed, locks_after_grace, accounts_exact, seconds,
                                   late_seconds_most, late_seconds_mean, git_said, samples)

inline const std::string kBare = "bare";
inline const std::string kEbbfs = "ebbfs";

struct Settings {
  int days = kDays;
  unsigned seed = 0;
  double hour = 1;  // seconds that it takes
  int trial = 0;    // if not 0: so many jobs at once instead of those days
};

// `name`: kBare or kEbbfs. Throws std::runtime_error when that cannot be run.
[[nodiscard]] Outcome run_side(const std::string& name, const Settings& settings,
                               const std::function<void(const Sample&)>& tell);

}  // namespace ebbfs::replay
