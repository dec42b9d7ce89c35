// SPDX-License-Identifier: Apache-2.0
//
// What is replayed: the incident of DESIGN 1 as a list of jobs, each with its hour, its length and
// its end. Pure: the same seed gives the same list. Threading: none.
//
// The incident gives three figures: 43 GB full, 2,306 worktrees and 11,847 locks left behind. The
// rest is chosen so that these come out:
//   30 days of 600 jobs, full on day 27, so that three days show what a full volume means;
//   each attempt at a job takes 3 locks under names of its own, so 11,847 / 3 = 3,949 attempts were
//   killed, in 27 x 600 = 16,200 jobs: about one attempt in five;
//   2,306 of those 3,949 had got as far as a worktree; 43 GB / 2,306 = 18.6 MB each.
// Time runs 3,600 times as fast, and bytes are a 50th: a volume of 860 MB, 25 jobs a second. On a
// machine that cannot do that many, an hour takes longer than a second.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <vector>

namespace ebbfs::replay {

using Time = std::chrono::milliseconds;  // of the replay, where an hour is a second

inline constexpr int kDays = 30;
inline constexpr int kFullOnDay = 27;
inline constexpr int kJobsPerDay = 600;
inline constexpr int kWorktreesLeft = 2306;
inline constexpr int kLocksLeft = 11847;
inline constexpr int kLocksEach = 3;
inline constexpr std::int64_t kVolumeBytes = 43'000'000'000 / 50;
// What a job writes into its worktree, on average. With the files of the repository, git's entry
// and what killed attempts leave of locks that makes kVolumeBytes / kWorktreesLeft.
inline constexpr std::int64_t kPayloadBytes = 285'000;

inline constexpr Time kHour{1000};
inline constexpr Time kDay = 24 * kHour;

// The queue delivers a job three times, and each time the worker tries twice.
inline constexpr std::size_t kAttempts = 6;
inline constexpr Time kBetweenTries = kHour / 20;
inline constexpr Time kBetweenDeliveries = kHour / 4;

enum class Fate : std::uint8_t { finishes, killed_before_worktree, killed_at_work };

struct Job {
  int number = 0;
  Time due{};
  Time work{};
  Time until_kill{};  // less than `work`
  std::int64_t payload_bytes = 0;
  // How it is seen to be at work, while it touches nothing: by its working directory, or by a file
  // that it holds open.
  bool stands_inside = false;
  std::array<Fate, kAttempts> fates{};  // of one attempt after the other; the last one finishes
};

// In the order of `due`. `days` is at least 1.
[[nodiscard]] std::vector<Job> make_plan(int days, unsigned seed);
// To see how many a machine can do: all due at once, none with anything to wait for.
[[nodiscard]] std::vector<Job> make_trial(int jobs);
// Of a volume that these days fill as the 30 days filled that of the incident. Below 3 days also
// what a day leaves behind, which is the least that there can be with a TTL of a day, fills it.
[[nodiscard]] std::int64_t volume_bytes(int days);

}  // namespace ebbfs::replay
