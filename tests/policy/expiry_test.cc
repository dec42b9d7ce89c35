// SPDX-License-Identifier: Apache-2.0
#include "policy/expiry.h"

#include <gtest/gtest.h>

#include <ostream>

#include "tests/policy/judged_at.h"
#include "tests/policy/seeded.h"

namespace ebbfs {
namespace {

using namespace std::chrono_literals;
using Action = Verdict::Action;

ClassRule rule_of(Duration ttl, Duration max_age) {
  return {.name = "c", .ttl = ttl, .max_age = max_age};
}

UnitRecord unit_of(Duration idle, Duration age) {
  UnitRecord unit;
  unit.id = UnitId{7};
  unit.last_used = kNow - idle;
  unit.created = kNow - age;
  return unit;
}

struct AgeCase {
  std::string_view name;
  Duration ttl = 24h;
  Duration max_age = kNoLimit;
  Duration idle{};
  Duration age = 24h * 30;
  WallTime not_before = kNoGrace;
  bool root = false;
  bool pinned = false;
  Action want = Action::keep;
  Reason reason = Reason::young;
  Duration look_again_in = Duration::max();  // from now; max is kNever
};

void PrintTo(const AgeCase& c, std::ostream* out) { *out << c.name; }

class Age : public testing::TestWithParam<AgeCase> {};

TEST_P(Age, DecidesByTheClockAlone) {
  const AgeCase& c = GetParam();
  UnitRecord unit = unit_of(c.idle, c.age);
  if (c.root) unit.id = kRootUnit;
  unit.pinned = c.pinned;
  const Verdict verdict = judge_age(unit, rule_of(c.ttl, c.max_age), kNow, c.not_before);
  EXPECT_EQ(verdict.action, c.want);
  EXPECT_EQ(verdict.reason, c.reason) << to_string(verdict.reason);
  EXPECT_EQ(verdict.look_again, later(kNow, c.look_again_in));
}

constexpr Duration kMonth = 24h * 30;

const AgeCase kAgeCases[] = {
    {.name = "just_used", .idle = 0s, .look_again_in = 24h},
    {.name = "half_way", .idle = 12h, .look_again_in = 12h},
    {.name = "one_ns_before_ttl", .idle = 24h - 1ns, .look_again_in = 1ns},
    {.name = "exactly_ttl", .idle = 24h, .want = Action::remove, .reason = Reason::idle},
    {.name = "long_past_ttl", .idle = kMonth, .want = Action::remove, .reason = Reason::idle},
    {.name = "least_ttl", .ttl = 1ns, .idle = 1ns, .want = Action::remove, .reason = Reason::idle},
    {.name = "used_in_the_future", .idle = -1h, .look_again_in = 25h},
    {.name = "used_in_the_far_future", .idle = -kMonth, .look_again_in = kMonth + 24h},
    {.name = "made_in_the_future", .ttl = kNoLimit, .max_age = 1h, .age = -2h, .look_again_in = 3h},
    {.name = "root", .idle = kMonth, .root = true, .reason = Reason::root_unit},
    {.name = "pinned", .idle = kMonth, .pinned = true, .reason = Reason::pinned},
    {.name = "root_and_pinned",
     .idle = kMonth,
     .root = true,
     .pinned = true,
     .reason = Reason::root_unit},
    {.name = "no_limits", .ttl = kNoLimit, .idle = kMonth, .reason = Reason::no_ttl},
    {.name = "no_limits_in_grace",
     .ttl = kNoLimit,
     .idle = kMonth,
     .not_before = kNow + 1h,
     .reason = Reason::no_ttl},
    {.name = "pinned_without_limits",
     .ttl = kNoLimit,
     .idle = kMonth,
     .pinned = true,
     .reason = Reason::pinned},
    {.name = "max_age_alone_one_ns_before",
     .ttl = kNoLimit,
     .max_age = 48h,
     .idle = 48h - 1ns,
     .age = 48h - 1ns,
     .look_again_in = 1ns},
    {.name = "max_age_alone_exactly",
     .ttl = kNoLimit,
     .max_age = 48h,
     .idle = 0s,
     .age = 48h,
     .want = Action::remove,
     .reason = Reason::too_old},
    {.name = "max_age_reached_in_use",
     .max_age = 48h,
     .idle = 0s,
     .age = 48h,
     .want = Action::remove,
     .reason = Reason::too_old},
    {.name = "max_age_comes_first", .max_age = 48h, .idle = 1h, .age = 47h, .look_again_in = 1h},
    {.name = "ttl_comes_first", .max_age = 48h, .idle = 23h, .age = 30h, .look_again_in = 1h},
    {.name = "both_past_idle_first",
     .max_age = 48h,
     .idle = 30h,
     .age = 49h,
     .want = Action::remove,
     .reason = Reason::idle},
    {.name = "both_past_age_first",
     .max_age = 48h,
     .idle = 24h,
     .age = 72h + 1ns,
     .want = Action::remove,
     .reason = Reason::too_old},
    {.name = "both_due_at_once",
     .max_age = 48h,
     .idle = 24h,
     .age = 48h,
     .want = Action::remove,
     .reason = Reason::idle},
    {.name = "due_in_adopt_grace",
     .idle = kMonth,
     .not_before = kNow + 1ns,
     .reason = Reason::adopt_grace,
     .look_again_in = 1ns},
    {.name = "due_as_adopt_grace_ends",
     .idle = kMonth,
     .not_before = kNow,
     .want = Action::remove,
     .reason = Reason::idle},
    {.name = "young_beyond_adopt_grace",
     .idle = 23h,
     .not_before = kNow + 10min,
     .look_again_in = 1h},
    {.name = "young_and_due_within_adopt_grace",
     .idle = 24h - 1min,
     .not_before = kNow + 10min,
     .look_again_in = 10min},
    {.name = "ttl_past_the_end_of_time", .ttl = kNoLimit - 1ns, .idle = 0s},
};

INSTANTIATE_TEST_SUITE_P(Expiry, Age, testing::ValuesIn(kAgeCases),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Expiry, NeverComesForAUnitUsedAtTheEndOfTime) {
  UnitRecord unit = unit_of(0s, 0s);
  unit.last_used = WallTime::max();
  const Verdict verdict = judge_age(unit, rule_of(1h, kNoLimit), kNow, kNoGrace);
  EXPECT_EQ(verdict.action, Action::keep);
  EXPECT_EQ(verdict.look_again, kNever);
}

TEST(Expiry, RemovesADueUnitThatNothingHolds) {
  const Verdict verdict =
      judge_expiry(unit_of(24h, 24h), kNotBusy, rule_of(24h, kNoLimit), kNow, kNoGrace);
  EXPECT_EQ(verdict.action, Action::remove);
  EXPECT_EQ(verdict.reason, Reason::idle);
}

TEST(Expiry, AsksNothingOfAUnitThatIsNotDue) {
  const ClassRule rule = rule_of(24h, kNoLimit);
  const UnitRecord unit = unit_of(24h - 1ns, kMonth);
  const Verdict verdict = judge_expiry(unit, UnitBusy{}, rule, kNow, kNoGrace);
  EXPECT_EQ(verdict.reason, Reason::young);
  EXPECT_EQ(verdict.look_again, kNow + 1ns);
}

struct Holder {
  std::string_view name;
  Answer UnitBusy::* field;
  Reason reason;
};
void PrintTo(const Holder& holder, std::ostream* out) { *out << holder.name; }

constexpr Holder kHolders[] = {
    {"open_files", &UnitBusy::open_files, Reason::open_files},
    {"process_inside", &UnitBusy::process_inside, Reason::process_inside},
    {"live_lock", &UnitBusy::live_lock, Reason::live_lock},
    {"git_locked", &UnitBusy::git_locked, Reason::git_locked},
    {"mount_inside", &UnitBusy::mount_inside, Reason::mount_inside},
};

class BusyUnit : public testing::TestWithParam<Holder> {
 protected:
  static Verdict judge(Answer answer, Duration ttl, Duration max_age) {
    UnitBusy busy = kNotBusy;
    busy.*GetParam().field = answer;
    return judge_expiry(unit_of(kMonth, kMonth), busy, rule_of(ttl, max_age), kNow, kNoGrace);
  }
};

TEST_P(BusyUnit, IsKept) {
  const Verdict verdict = judge(Answer::yes, 100s, kNoLimit);
  EXPECT_EQ(verdict.action, Action::keep);
  EXPECT_EQ(verdict.reason, GetParam().reason);
  EXPECT_EQ(verdict.look_again, kNow + 10s);
}

TEST_P(BusyUnit, IsKeptWhenThatIsUnknown) {
  const Verdict verdict = judge(Answer::unknown, 100s, kNoLimit);
  EXPECT_EQ(verdict.action, Action::keep);
  EXPECT_EQ(verdict.reason, Reason::use_unknown);
  EXPECT_EQ(verdict.look_again, kNow + 10s);
}

TEST_P(BusyUnit, IsKeptPastItsMaxAge) {
  EXPECT_EQ(judge(Answer::yes, kNoLimit, 1h).reason, GetParam().reason);
  EXPECT_EQ(judge(Answer::unknown, kNoLimit, 1h).reason, Reason::use_unknown);
}

INSTANTIATE_TEST_SUITE_P(Expiry, BusyUnit, testing::ValuesIn(kHolders),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Expiry, NamesTheFirstOfSeveralHolders) {
  const UnitBusy busy{.open_files = Answer::no,
                      .process_inside = Answer::yes,
                      .live_lock = Answer::unknown,
                      .git_locked = Answer::yes,
                      .mount_inside = Answer::no};
  EXPECT_EQ(
      judge_expiry(unit_of(kMonth, kMonth), busy, rule_of(1h, kNoLimit), kNow, kNoGrace).reason,
      Reason::process_inside);
}

TEST(Expiry, KeepsUnitWhoseUseIsUnknownAltogether) {
  const Verdict verdict =
      judge_expiry(unit_of(kMonth, kMonth), UnitBusy{}, rule_of(1h, kNoLimit), kNow, kNoGrace);
  EXPECT_EQ(verdict.action, Action::keep);
  EXPECT_EQ(verdict.reason, Reason::use_unknown);
}

TEST(Expiry, RetriesAfterATenthOfTheTtlWithinBounds) {
  struct Case {
    std::string_view name;
    Duration ttl;
    Duration want;
  };
  constexpr Case kCases[] = {
      {"tiny", 1ns, 1s},      {"at lower bound", 10s, 1s},
      {"between", 100s, 10s}, {"at upper bound", 600s, 60s},
      {"a day", 24h, 60s},    {"none", kNoLimit, 60s},
  };
  for (const Case& c : kCases) EXPECT_EQ(retry_after(rule_of(c.ttl, 1h)), c.want) << c.name;
}

// Times that meet each other often.
Duration some_time(Seeded& random) { return Duration(random.between(-3, 12)); }
Duration some_limit(Seeded& random) {
  return random.one_in(4) ? kNoLimit : Duration(random.between(1, 12));
}

TEST(Expiry, IsMonotonousInIdleTimeAndInTime) {
  Seeded random;
  SCOPED_TRACE(random.message());
  constexpr Answer kAnswers[] = {Answer::no, Answer::no, Answer::no, Answer::yes, Answer::unknown};
  int removed = 0;
  for (int i = 0; i < 50'000; ++i) {
    UnitRecord unit = unit_of(some_time(random), some_time(random));
    unit.pinned = random.one_in(10);
    const ClassRule rule = rule_of(some_limit(random), some_limit(random));
    UnitBusy busy = kNotBusy;
    for (const Holder& holder : kHolders) busy.*holder.field = kAnswers[random.below(5)];
    if (random.one_in(2)) busy = kNotBusy;
    const WallTime not_before = random.one_in(2) ? kNoGrace : kNow + some_time(random);
    const Verdict verdict = judge_expiry(unit, busy, rule, kNow, not_before);
    if (verdict.action == Action::keep) continue;
    ++removed;

    const Duration more(random.between(0, 12));
    ASSERT_EQ(judge_expiry(unit, busy, rule, kNow + more, not_before).action, Action::remove);
    unit.last_used -= more;
    ASSERT_EQ(judge_expiry(unit, busy, rule, kNow, not_before).action, Action::remove);
  }
  EXPECT_GT(removed, 1000);
}

TEST(Expiry, LooksAgainExactlyWhenTheUnitIsDue) {
  Seeded random;
  SCOPED_TRACE(random.message());
  for (int i = 0; i < 50'000; ++i) {
    const UnitRecord unit = unit_of(some_time(random), some_time(random));
    const ClassRule rule = rule_of(some_limit(random), some_limit(random));
    const WallTime not_before = random.one_in(2) ? kNoGrace : kNow + some_time(random);
    const Verdict verdict = judge_age(unit, rule, kNow, not_before);
    if (verdict.action == Action::remove || verdict.look_again == kNever) continue;
    ASSERT_EQ(judge_age(unit, rule, verdict.look_again - 1ns, not_before).action, Action::keep);
    ASSERT_EQ(judge_age(unit, rule, verdict.look_again, not_before).action, Action::remove);
  }
}

}  // namespace
}  // namespace ebbfs
