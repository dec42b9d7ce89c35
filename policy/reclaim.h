// SPDX-License-Identifier: Apache-2.0
//
// When a lock is an orphan (DESIGN 4.3). Pure: no clock, no I/O, no lock.
#pragma once

#include <optional>

#include "index/record.h"
#include "policy/decision.h"
#include "policy/limits.h"

namespace ebbfs {

// A process that exits cleanly this soon after making a lock was a helper of its parent.
inline constexpr Duration kHelperWindow = std::chrono::seconds(2);

// How long after a due lock was found open, or nothing could be found out, it is looked at again.
inline constexpr Duration kLockRetry = std::chrono::seconds(1);

// What is known of the process or cgroup that holds a lock.
struct OwnerState {
  enum class Life : std::uint8_t {
    alive,
    killed,   // ended by a signal
    exited,   // ended by itself, whatever the status
    ended,    // gone, how is not known
    unknown,  // it could not be found out whether it lives
  } life = Life::unknown;
  WallTime ended_at{};  // when we learnt of the end; meaningful for killed, exited, ended
};

// What to do about the owner of a lock.
struct OwnerVerdict {
  enum class Step : std::uint8_t {
    keep,       // alive, or cannot be found out: nothing changes
    hand_over,  // the next recorded ancestor becomes the owner; judge again
    orphan,     // reclaim when the grace is over
    by_touch,   // owner unknown or uncertain: reclaim when untouched for ttl
  } step = Step::keep;
  OwnerCertainty certainty = OwnerCertainty::certain;  // of the owner after the step
};

// One step up the chain. Killed: orphan. Exited later than kHelperWindow after `lock.made`: orphan.
// Exited within it: hand over. Ended within it: hand over, uncertain; later: orphan. A lock whose
// certainty is uncertain or unknown is by_touch whatever the state. An owner that is not visible
// (process not known, in process mode) is by_touch, unknown; so is a hand-over that has nobody to
// go to (no ancestor recorded, or one that is pid 1 or not visible). In cgroup mode (rule.owner)
// there is no hand-over: killed, exited and ended are all orphan; without a cgroup: by_touch,
// unknown.
[[nodiscard]] OwnerVerdict judge_owner(const LockRecord& lock, const OwnerState& owner,
                                       const ClassRule& rule);

// Carries out Step::hand_over on the record: the nearest ancestor becomes the owning process, with
// `certainty`. The record has an ancestor, because judge_owner said so.
void apply_hand_over(LockRecord& lock, OwnerCertainty certainty);

// What is seen of the lock itself just before it would be removed.
struct LockSeen {
  Answer open = Answer::unknown;        // somebody has it open through the mount
  WallTime touched{};                   // newest of mtime and made
  std::optional<ProcessId> evidence{};  // live process older than the last write, named by line one
};

// Whether the lock goes now. Orphans go at ended_at + orphan_grace; by_touch ones at touched + ttl
// (never when ttl is kNoLimit). Open, or open unknown, keeps; evidence keeps. `not_before` as in
// expiry.h. look_again of a keep: the deadline by time; kNever for a live owner, whose end is an
// event; `now` for a hand-over not carried out yet; else (open, evidence, unknown) kLockRetry.
[[nodiscard]] Verdict judge_reclaim(const LockRecord& lock, const OwnerVerdict& owner_verdict,
                                    const OwnerState& owner, const LockSeen& seen,
                                    const ClassRule& rule, WallTime now, WallTime not_before);

// The process id that a lock file's first line names, in the forms "4242", "pid 4242", "pid: 4242",
// "4242 hostname", each also after blanks; nothing otherwise. `content`: the first bytes of the
// file, any bytes.
[[nodiscard]] std::optional<pid_t> pid_in_first_line(std::string_view content);

}  // namespace ebbfs
