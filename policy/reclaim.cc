// SPDX-License-Identifier: Apache-2.0
#include "policy/reclaim.h"

#include <algorithm>
#include <charconv>
#include <system_error>

namespace ebbfs {
namespace {

using Action = Verdict::Action;
using Life = OwnerState::Life;
using Step = OwnerVerdict::Step;

constexpr OwnerVerdict kUnknownOwner{Step::by_touch, OwnerCertainty::unknown};

// A clock that stepped back between making and ending counts as within: that hands the lock on,
// where the opposite would take it.
bool ended_within_helper_window(const LockRecord& lock, const OwnerState& owner) {
  return owner.ended_at <= later(lock.made, kHelperWindow);
}

OwnerVerdict hand_over(const LockRecord& lock, OwnerCertainty certainty) {
  if (lock.ancestors.empty()) return kUnknownOwner;
  const ProcessId& next = lock.ancestors.front().id;
  constexpr pid_t kInit = 1;
  if (!next.known() || next.tgid == kInit) return kUnknownOwner;
  return {Step::hand_over, certainty};
}

OwnerVerdict judge_cgroup(const LockRecord& lock, const OwnerState& owner) {
  if (lock.owner.cgroup.empty()) return kUnknownOwner;
  const bool lives = owner.life == Life::alive || owner.life == Life::unknown;
  return {lives ? Step::keep : Step::orphan, OwnerCertainty::certain};
}

// What holds a lock whose time is over; `go` when nothing does.
Verdict unless_held(const LockSeen& seen, Reason go, WallTime now) {
  const WallTime retry = later(now, kLockRetry);
  if (seen.open == Answer::yes) return Verdict::keep(Reason::lock_open, retry);
  if (seen.open == Answer::unknown) return Verdict::keep(Reason::use_unknown, retry);
  if (seen.evidence) return Verdict::keep(Reason::owner_alive, retry);
  return {Action::remove, go, kNever};
}

// The lock goes at `due`; `wait` says why it stays until then.
Verdict judge_due(WallTime due, Reason wait, Reason go, const LockSeen& seen, WallTime now,
                  WallTime not_before) {
  if (now < due) return Verdict::keep(wait, std::max(due, not_before));
  if (now < not_before) return Verdict::keep(Reason::adopt_grace, not_before);
  return unless_held(seen, go, now);
}

}  // namespace

OwnerVerdict judge_owner(const LockRecord& lock, const OwnerState& owner, const ClassRule& rule) {
  if (lock.certainty != OwnerCertainty::certain) return {Step::by_touch, lock.certainty};
  if (rule.owner == OwnerMode::cgroup) return judge_cgroup(lock, owner);
  if (!lock.owner.process.id.known()) return kUnknownOwner;

  switch (owner.life) {
    case Life::alive:
    case Life::unknown:
      return {Step::keep, OwnerCertainty::certain};
    case Life::killed:
      return {Step::orphan, OwnerCertainty::certain};
    case Life::exited:
      if (ended_within_helper_window(lock, owner)) return hand_over(lock, OwnerCertainty::certain);
      return {Step::orphan, OwnerCertainty::certain};
    case Life::ended:
      if (ended_within_helper_window(lock, owner)) {
        return hand_over(lock, OwnerCertainty::uncertain);
      }
      return {Step::orphan, OwnerCertainty::certain};
  }
  return {Step::keep, OwnerCertainty::certain};
}

void apply_hand_over(LockRecord& lock, OwnerCertainty certainty) {
  lock.owner.process = lock.ancestors.front();
  lock.ancestors.erase(lock.ancestors.begin());
  lock.certainty = certainty;
}

Verdict judge_reclaim(const LockRecord& lock, const OwnerVerdict& owner_verdict,
                      const OwnerState& owner, const LockSeen& seen, const ClassRule& rule,
                      WallTime now, WallTime not_before) {
  switch (owner_verdict.step) {
    case Step::keep:
      if (owner.life == Life::alive) return Verdict::keep(Reason::owner_alive, kNever);
      return Verdict::keep(Reason::use_unknown, later(now, kLockRetry));
    case Step::hand_over:
      return Verdict::keep(Reason::use_unknown, now);
    case Step::orphan:
      return judge_due(later(owner.ended_at, rule.orphan_grace), Reason::in_grace, Reason::orphan,
                       seen, now, not_before);
    case Step::by_touch:
      if (rule.ttl == kNoLimit) return Verdict::keep(Reason::no_ttl, kNever);
      // An mtime can be set to any time; the making of the lock cannot.
      return judge_due(later(std::max(seen.touched, lock.made), rule.ttl), Reason::heartbeat,
                       Reason::untouched, seen, now, not_before);
  }
  return Verdict::keep(Reason::use_unknown, kNever);
}

std::optional<pid_t> pid_in_first_line(std::string_view content) {
  constexpr std::string_view kBlanks = " \t";
  constexpr std::string_view kLineEnds{"\n\r\0", 3};
  std::string_view line = content.substr(0, content.find_first_of(kLineEnds));
  const auto skip_blanks = [&] {
    line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
  };

  skip_blanks();  // UUCP lock files pad the number to ten columns
  if (line.starts_with("pid")) {
    line.remove_prefix(3);
    const bool colon = line.starts_with(':');
    if (!colon && line.find_first_of(kBlanks) != 0) return std::nullopt;
    if (colon) line.remove_prefix(1);
    skip_blanks();
  }
  pid_t pid = 0;
  const char* const end = line.data() + line.size();
  const auto [rest, error] = std::from_chars(line.data(), end, pid);
  if (error != std::errc{} || pid <= 0) return std::nullopt;
  if (rest != end && *rest != ' ' && *rest != '\t') return std::nullopt;
  return pid;
}

}  // namespace ebbfs
