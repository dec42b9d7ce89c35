// SPDX-License-Identifier: Apache-2.0
//
// The words that verdicts are made of. Values only.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "index/types.h"

namespace ebbfs {

// An answer about the outside world. `unknown` is treated like `yes` wherever `yes` keeps
// something: unknown keeps.
enum class Answer : std::uint8_t { no, yes, unknown };

// Why a unit or lock stays or goes. Each value is the one reason that decided.
enum class Reason : std::uint8_t {
  // keep
  root_unit,
  pinned,
  young,           // used less than `ttl` ago (or made less than `max_age` ago)
  no_ttl,          // neither ttl nor max_age is set
  open_files,      // a file inside is open or mapped through the mount
  process_inside,  // cwd, root, exe or an open directory of a live process
  live_lock,       // a lock inside is held
  git_locked,      // `git worktree lock`
  mount_inside,    // something is mounted below it
  use_unknown,     // one of these could not be found out
  adopt_grace,     // the volume was mounted for the first time a short while ago
  brake,           // removing waits for an administrator, see brake.h
  recent,          // for space: used less than `keep` ago
  owner_alive,
  in_grace,   // orphan, grace not over
  lock_open,  // somebody has the lock open
  heartbeat,  // unknown owner, touched less than ttl ago
  // go
  idle,       // unused for ttl
  too_old,    // made max_age ago
  space,      // space is needed, and `keep` is over
  orphan,     // owner gone, grace over
  untouched,  // owner unknown or uncertain, untouched for ttl
};

[[nodiscard]] std::string_view to_string(Reason reason);

// `wait` (>= 0) after `start`; kNever where that is past the end of time, and for kNoLimit.
[[nodiscard]] constexpr WallTime later(WallTime start, Duration wait) {
  if (wait == Duration::max() || start > WallTime::max() - wait) return kNever;
  return start + wait;
}

// Nothing that was judged is judged again at once.
inline constexpr Duration kJudgedAgainAfter = std::chrono::milliseconds(1);

// What to do with one unit or lock, and when to look again.
struct Verdict {
  enum class Action : std::uint8_t { keep, remove } action = Action::keep;
  Reason reason = Reason::use_unknown;
  // For keep: the earliest instant at which the verdict could differ by time alone; kNever when
  // only an event can change it.
  WallTime look_again = kNever;

  [[nodiscard]] static Verdict keep(Reason reason, WallTime look_again) {
    return {Action::keep, reason, look_again};
  }
};

}  // namespace ebbfs
