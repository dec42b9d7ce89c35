// SPDX-License-Identifier: Apache-2.0
//
// Who holds a lock: judge_owner and the chain of hand-overs.
#include <gtest/gtest.h>

#include <map>
#include <ostream>

#include "policy/reclaim.h"

namespace ebbfs {
namespace {

using namespace std::chrono_literals;
using Life = OwnerState::Life;
using Step = OwnerVerdict::Step;
using Certainty = OwnerCertainty;

constexpr WallTime kMade{std::chrono::days(20'000)};
constexpr pid_t kMkdir = 100;
constexpr pid_t kShell = 90;
constexpr pid_t kWorker = 80;

ProcessSeen process(pid_t tgid) {
  return {.id = {.tgid = tgid, .start_time = 5}, .comm = std::to_string(tgid)};
}

// A lock that `mkdir` made for a shell script of a worker.
LockRecord helper_lock() {
  LockRecord lock;
  lock.owner.process = process(kMkdir);
  lock.ancestors = {process(kShell), process(kWorker)};
  lock.made = kMade;
  return lock;
}

ClassRule lock_rule(OwnerMode mode) {
  return {.name = "l", .kind = ClassKind::lock, .ttl = 5min, .owner = mode};
}

struct OwnerCase {
  std::string_view name;
  Life life = Life::alive;
  Duration ended_after{};  // making the lock
  Certainty certainty = Certainty::certain;
  OwnerMode mode = OwnerMode::process;
  bool visible = true;  // the owning process
  bool has_cgroup = true;
  int ancestors = 2;
  pid_t parent = kShell;
  Step want = Step::keep;
  Certainty want_certainty = Certainty::certain;
};
void PrintTo(const OwnerCase& c, std::ostream* out) { *out << c.name; }

class LockOwner : public testing::TestWithParam<OwnerCase> {};

TEST_P(LockOwner, IsJudged) {
  const OwnerCase& c = GetParam();
  LockRecord lock = helper_lock();
  lock.certainty = c.certainty;
  if (!c.visible) lock.owner.process = {};
  if (c.has_cgroup) lock.owner.cgroup = "/system.slice/ci.service";
  lock.ancestors.resize(static_cast<std::size_t>(c.ancestors));
  if (c.ancestors > 0) lock.ancestors[0].id.tgid = c.parent;
  const OwnerVerdict verdict =
      judge_owner(lock, {.life = c.life, .ended_at = kMade + c.ended_after}, lock_rule(c.mode));
  EXPECT_EQ(verdict.step, c.want);
  EXPECT_EQ(verdict.certainty, c.want_certainty);
}

const OwnerCase kOwnerCases[] = {
    {.name = "alive"},
    {.name = "cannot_be_found_out", .life = Life::unknown},
    {.name = "killed_at_once", .life = Life::killed, .want = Step::orphan},
    {.name = "killed_late", .life = Life::killed, .ended_after = 1h, .want = Step::orphan},
    {.name = "exited_at_once", .life = Life::exited, .want = Step::hand_over},
    {.name = "exited_at_end_of_window",
     .life = Life::exited,
     .ended_after = 2s,
     .want = Step::hand_over},
    {.name = "exited_one_ns_later",
     .life = Life::exited,
     .ended_after = 2s + 1ns,
     .want = Step::orphan},
    {.name = "exited_before_making_clock_stepped_back",
     .life = Life::exited,
     .ended_after = -1h,
     .want = Step::hand_over},
    {.name = "ended_within_window",
     .life = Life::ended,
     .ended_after = 2s,
     .want = Step::hand_over,
     .want_certainty = Certainty::uncertain},
    {.name = "ended_later", .life = Life::ended, .ended_after = 2s + 1ns, .want = Step::orphan},
    {.name = "uncertain_alive",
     .certainty = Certainty::uncertain,
     .want = Step::by_touch,
     .want_certainty = Certainty::uncertain},
    {.name = "uncertain_killed",
     .life = Life::killed,
     .certainty = Certainty::uncertain,
     .want = Step::by_touch,
     .want_certainty = Certainty::uncertain},
    {.name = "uncertain_exited_within_window",
     .life = Life::exited,
     .certainty = Certainty::uncertain,
     .want = Step::by_touch,
     .want_certainty = Certainty::uncertain},
    {.name = "unknown_owner",
     .life = Life::unknown,
     .certainty = Certainty::unknown,
     .want = Step::by_touch,
     .want_certainty = Certainty::unknown},
    {.name = "not_visible",
     .life = Life::unknown,
     .visible = false,
     .want = Step::by_touch,
     .want_certainty = Certainty::unknown},
    {.name = "not_visible_said_to_be_alive",
     .visible = false,
     .want = Step::by_touch,
     .want_certainty = Certainty::unknown},
    {.name = "helper_without_parent",
     .life = Life::exited,
     .ancestors = 0,
     .want = Step::by_touch,
     .want_certainty = Certainty::unknown},
    {.name = "helper_whose_status_is_unknown_without_parent",
     .life = Life::ended,
     .ancestors = 0,
     .want = Step::by_touch,
     .want_certainty = Certainty::unknown},
    {.name = "helper_of_init",
     .life = Life::exited,
     .parent = 1,
     .want = Step::by_touch,
     .want_certainty = Certainty::unknown},
    {.name = "helper_of_a_process_not_visible",
     .life = Life::exited,
     .parent = 0,
     .want = Step::by_touch,
     .want_certainty = Certainty::unknown},
    {.name = "killed_without_parent", .life = Life::killed, .ancestors = 0, .want = Step::orphan},
    {.name = "cgroup_populated", .mode = OwnerMode::cgroup},
    {.name = "cgroup_unreadable", .life = Life::unknown, .mode = OwnerMode::cgroup},
    {.name = "cgroup_gone", .life = Life::ended, .mode = OwnerMode::cgroup, .want = Step::orphan},
    {.name = "cgroup_exited",
     .life = Life::exited,
     .mode = OwnerMode::cgroup,
     .want = Step::orphan},
    {.name = "cgroup_killed",
     .life = Life::killed,
     .mode = OwnerMode::cgroup,
     .want = Step::orphan},
    {.name = "cgroup_of_a_process_not_visible", .mode = OwnerMode::cgroup, .visible = false},
    {.name = "cgroup_not_known",
     .life = Life::ended,
     .mode = OwnerMode::cgroup,
     .has_cgroup = false,
     .want = Step::by_touch,
     .want_certainty = Certainty::unknown},
    {.name = "cgroup_uncertain",
     .life = Life::ended,
     .certainty = Certainty::uncertain,
     .mode = OwnerMode::cgroup,
     .want = Step::by_touch,
     .want_certainty = Certainty::uncertain},
};

INSTANTIATE_TEST_SUITE_P(Judge, LockOwner, testing::ValuesIn(kOwnerCases),
                         [](const auto& test) { return std::string(test.param.name); });

// Hands the lock over until somebody holds it, as the reaper does. Processes without an entry live.
class HandOver : public testing::Test {
 protected:
  OwnerVerdict settle() {
    while (true) {
      const auto ended = ended_.find(lock_.owner.process.id.tgid);
      const OwnerState state =
          ended == ended_.end() ? OwnerState{.life = Life::alive} : ended->second;
      const OwnerVerdict verdict = judge_owner(lock_, state, lock_rule(OwnerMode::process));
      if (verdict.step != Step::hand_over) return verdict;
      apply_hand_over(lock_, verdict.certainty);
    }
  }
  void ends(pid_t pid, Life life, Duration after) {
    ended_[pid] = {.life = life, .ended_at = kMade + after};
  }
  [[nodiscard]] pid_t owner() const { return lock_.owner.process.id.tgid; }

  LockRecord lock_ = helper_lock();
  std::map<pid_t, OwnerState> ended_;
};

TEST_F(HandOver, MakesTheParentOfAHelperTheOwnerInFull) {
  ends(kMkdir, Life::exited, 3ms);
  const OwnerVerdict verdict = settle();
  EXPECT_EQ(verdict.step, Step::keep);
  EXPECT_EQ(verdict.certainty, Certainty::certain);
  EXPECT_EQ(lock_.certainty, Certainty::certain);
  EXPECT_EQ(lock_.owner.process, process(kShell));
  EXPECT_EQ(lock_.ancestors, std::vector{process(kWorker)});
}

TEST_F(HandOver, GoesOnUpThroughAShellThatExitsToo) {
  ends(kMkdir, Life::exited, 3ms);
  ends(kShell, Life::exited, 5ms);
  EXPECT_EQ(settle().step, Step::keep);
  EXPECT_EQ(owner(), kWorker);
}

TEST_F(HandOver, OrphansTheLockWhenTheWorkerBehindItIsKilled) {
  ends(kMkdir, Life::exited, 3ms);
  ends(kShell, Life::exited, 5ms);
  ends(kWorker, Life::killed, 1s);
  EXPECT_EQ(settle().step, Step::orphan);
  EXPECT_EQ(owner(), kWorker);
}

TEST_F(HandOver, OrphansTheLockOfAShellThatForgetsItLater) {
  ends(kMkdir, Life::exited, 3ms);
  ends(kShell, Life::exited, 2s + 1ns);
  EXPECT_EQ(settle().step, Step::orphan);
  EXPECT_EQ(owner(), kShell);
}

TEST_F(HandOver, EndsInAnUnknownOwnerWhenTheChainIsUsedUp) {
  for (const pid_t pid : {kMkdir, kShell, kWorker}) ends(pid, Life::exited, 1s);
  const OwnerVerdict verdict = settle();
  EXPECT_EQ(verdict.step, Step::by_touch);
  EXPECT_EQ(verdict.certainty, Certainty::unknown);
}

TEST_F(HandOver, LeavesTheParentUncertainWhenItIsNotKnownHowTheHelperEnded) {
  ends(kMkdir, Life::ended, 3ms);
  const OwnerVerdict verdict = settle();
  EXPECT_EQ(verdict.step, Step::by_touch);
  EXPECT_EQ(verdict.certainty, Certainty::uncertain);
  EXPECT_EQ(lock_.certainty, Certainty::uncertain);
  EXPECT_EQ(owner(), kShell);
}

}  // namespace
}  // namespace ebbfs
