// SPDX-License-Identifier: Apache-2.0
#include "policy/reclaim.h"

#include <gtest/gtest.h>

#include <ostream>

#include "tests/policy/judged_at.h"
#include "tests/policy/seeded.h"

namespace ebbfs {
namespace {

using namespace std::chrono_literals;
using Action = Verdict::Action;
using Life = OwnerState::Life;
using Step = OwnerVerdict::Step;

constexpr ProcessId kEvidence{.tgid = 4242, .start_time = 5};

struct Input {
  Step step = Step::orphan;
  Life life = Life::killed;
  Duration ended_ago = 1h;
  Duration touched_ago = 1h;
  Duration made_ago = 24h;
  Answer open = Answer::no;
  bool evidence = false;
  Duration grace = 5s;
  Duration ttl = 5min;
  WallTime not_before = kNoGrace;
};

Verdict judge(const Input& in, WallTime now = kNow) {
  LockRecord lock;
  lock.made = kNow - in.made_ago;
  const LockSeen seen{.open = in.open,
                      .touched = kNow - in.touched_ago,
                      .evidence = in.evidence ? std::optional(kEvidence) : std::nullopt};
  const ClassRule rule{
      .name = "l", .kind = ClassKind::lock, .ttl = in.ttl, .orphan_grace = in.grace};
  return judge_reclaim(lock, {.step = in.step}, {.life = in.life, .ended_at = kNow - in.ended_ago},
                       seen, rule, now, in.not_before);
}

struct Case {
  std::string_view name;
  Input in;
  Action want = Action::keep;
  Reason reason = Reason::use_unknown;
  Duration look_again_in = Duration::max();  // from now; max is kNever
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class Reclaim : public testing::TestWithParam<Case> {};

TEST_P(Reclaim, Decides) {
  const Case& c = GetParam();
  const Verdict verdict = judge(c.in);
  EXPECT_EQ(verdict.action, c.want);
  EXPECT_EQ(verdict.reason, c.reason) << to_string(verdict.reason);
  EXPECT_EQ(verdict.look_again, later(kNow, c.look_again_in));
}

const Case kOwned[] = {
    {.name = "owner_alive",
     .in = {.step = Step::keep, .life = Life::alive},
     .reason = Reason::owner_alive},
    {.name = "owner_alive_whatever_the_age",
     .in = {.step = Step::keep, .life = Life::alive, .touched_ago = 10'000h, .made_ago = 10'000h},
     .reason = Reason::owner_alive},
    {.name = "owner_cannot_be_found_out",
     .in = {.step = Step::keep, .life = Life::unknown},
     .look_again_in = 1s},
    {.name = "hand_over_to_be_carried_out",
     .in = {.step = Step::hand_over, .life = Life::exited},
     .look_again_in = 0s},
};

const Case kOrphans[] = {
    {.name = "just_killed",
     .in = {.ended_ago = 0s},
     .reason = Reason::in_grace,
     .look_again_in = 5s},
    {.name = "one_ns_before_grace_ends",
     .in = {.ended_ago = 5s - 1ns},
     .reason = Reason::in_grace,
     .look_again_in = 1ns},
    {.name = "as_grace_ends",
     .in = {.ended_ago = 5s},
     .want = Action::remove,
     .reason = Reason::orphan},
    {.name = "without_grace",
     .in = {.ended_ago = 0s, .grace = 0s},
     .want = Action::remove,
     .reason = Reason::orphan},
    {.name = "exited_long_ago",
     .in = {.life = Life::exited},
     .want = Action::remove,
     .reason = Reason::orphan},
    {.name = "ended_long_ago",
     .in = {.life = Life::ended},
     .want = Action::remove,
     .reason = Reason::orphan},
    {.name = "touched_just_now",
     .in = {.touched_ago = 0s},
     .want = Action::remove,
     .reason = Reason::orphan},
    {.name = "ended_in_the_future_clock_stepped_back",
     .in = {.ended_ago = -1h},
     .reason = Reason::in_grace,
     .look_again_in = 1h + 5s},
    {.name = "open", .in = {.open = Answer::yes}, .reason = Reason::lock_open, .look_again_in = 1s},
    {.name = "open_unknown", .in = {.open = Answer::unknown}, .look_again_in = 1s},
    {.name = "open_in_grace",
     .in = {.ended_ago = 1s, .open = Answer::yes},
     .reason = Reason::in_grace,
     .look_again_in = 4s},
    {.name = "evidence",
     .in = {.evidence = true},
     .reason = Reason::owner_alive,
     .look_again_in = 1s},
    {.name = "open_and_evidence",
     .in = {.open = Answer::yes, .evidence = true},
     .reason = Reason::lock_open,
     .look_again_in = 1s},
    {.name = "in_adopt_grace",
     .in = {.not_before = kNow + 1min},
     .reason = Reason::adopt_grace,
     .look_again_in = 1min},
    {.name = "as_adopt_grace_ends",
     .in = {.not_before = kNow},
     .want = Action::remove,
     .reason = Reason::orphan},
    {.name = "in_both_graces",
     .in = {.ended_ago = 1s, .not_before = kNow + 1min},
     .reason = Reason::in_grace,
     .look_again_in = 1min},
    {.name = "of_a_class_without_ttl",
     .in = {.ttl = kNoLimit},
     .want = Action::remove,
     .reason = Reason::orphan},
};

const Case kUnknownOwners[] = {
    {.name = "just_touched",
     .in = {.step = Step::by_touch, .touched_ago = 0s},
     .reason = Reason::heartbeat,
     .look_again_in = 5min},
    {.name = "one_ns_before_ttl",
     .in = {.step = Step::by_touch, .touched_ago = 5min - 1ns},
     .reason = Reason::heartbeat,
     .look_again_in = 1ns},
    {.name = "exactly_ttl",
     .in = {.step = Step::by_touch, .touched_ago = 5min},
     .want = Action::remove,
     .reason = Reason::untouched},
    {.name = "touched_in_the_future",
     .in = {.step = Step::by_touch, .touched_ago = -1h},
     .reason = Reason::heartbeat,
     .look_again_in = 1h + 5min},
    {.name = "made_now_with_an_old_mtime",
     .in = {.step = Step::by_touch, .touched_ago = 100h, .made_ago = 1min},
     .reason = Reason::heartbeat,
     .look_again_in = 4min},
    {.name = "uncertain_owner_alive",
     .in = {.step = Step::by_touch, .life = Life::alive},
     .want = Action::remove,
     .reason = Reason::untouched},
    {.name = "unknown_open",
     .in = {.step = Step::by_touch, .open = Answer::yes},
     .reason = Reason::lock_open,
     .look_again_in = 1s},
    {.name = "unknown_open_unknown",
     .in = {.step = Step::by_touch, .open = Answer::unknown},
     .look_again_in = 1s},
    {.name = "unknown_evidence",
     .in = {.step = Step::by_touch, .evidence = true},
     .reason = Reason::owner_alive,
     .look_again_in = 1s},
    {.name = "unknown_without_ttl",
     .in = {.step = Step::by_touch, .touched_ago = 10'000h, .ttl = kNoLimit},
     .reason = Reason::no_ttl},
    {.name = "unknown_in_adopt_grace",
     .in = {.step = Step::by_touch, .not_before = kNow + 1ns},
     .reason = Reason::adopt_grace,
     .look_again_in = 1ns},
};

std::string row_name(const testing::TestParamInfo<Case>& test) {
  return std::string(test.param.name);
}
INSTANTIATE_TEST_SUITE_P(Owned, Reclaim, testing::ValuesIn(kOwned), row_name);
INSTANTIATE_TEST_SUITE_P(Orphan, Reclaim, testing::ValuesIn(kOrphans), row_name);
INSTANTIATE_TEST_SUITE_P(UnknownOwner, Reclaim, testing::ValuesIn(kUnknownOwners), row_name);

Input some_input(Seeded& random) {
  constexpr Step kSteps[] = {Step::keep, Step::hand_over, Step::orphan, Step::by_touch};
  constexpr Answer kAnswers[] = {Answer::no, Answer::no, Answer::yes, Answer::unknown};
  const auto some_time = [&] { return Duration(random.between(-3, 12)); };
  return {.step = kSteps[random.below(4)],
          .ended_ago = some_time(),
          .touched_ago = some_time(),
          .made_ago = some_time(),
          .open = kAnswers[random.below(4)],
          .evidence = random.one_in(4),
          .grace = Duration(random.between(0, 5)),
          .ttl = random.one_in(4) ? kNoLimit : Duration(random.between(1, 8)),
          .not_before = random.one_in(2) ? kNoGrace : kNow + some_time()};
}

TEST(ReclaimProperty, TimeAloneNeverTurnsRemoveIntoKeep) {
  Seeded random;
  SCOPED_TRACE(random.message());
  int removed = 0;
  for (int i = 0; i < 50'000; ++i) {
    const Input input = some_input(random);
    if (judge(input).action == Action::keep) continue;
    ++removed;
    ASSERT_EQ(judge(input, kNow + Duration(random.between(0, 12))).action, Action::remove);
  }
  EXPECT_GT(removed, 1000);
}

TEST(ReclaimProperty, NothingHeldIsEverRemoved) {
  Seeded random;
  SCOPED_TRACE(random.message());
  for (int i = 0; i < 50'000; ++i) {
    const Input input = some_input(random);
    const bool held = input.step == Step::keep || input.step == Step::hand_over ||
                      input.open != Answer::no || input.evidence;
    ASSERT_TRUE(!held || judge(input).action == Action::keep);
  }
}

TEST(ReclaimProperty, AKeptLockIsLookedAtWhenItFallsDue) {
  Seeded random;
  SCOPED_TRACE(random.message());
  for (int i = 0; i < 50'000; ++i) {
    Input input = some_input(random);
    input.open = Answer::no;
    input.evidence = false;
    if (input.step != Step::orphan && input.step != Step::by_touch) continue;
    const Verdict verdict = judge(input);
    if (verdict.action == Action::remove || verdict.look_again == kNever) continue;
    ASSERT_EQ(judge(input, verdict.look_again - 1ns).action, Action::keep);
    ASSERT_EQ(judge(input, verdict.look_again).action, Action::remove);
  }
}

}  // namespace
}  // namespace ebbfs
