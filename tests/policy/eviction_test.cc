// SPDX-License-Identifier: Apache-2.0
#include "policy/eviction.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>
#include <vector>

#include "tests/policy/judged_at.h"

namespace ebbfs {
namespace {

using namespace std::chrono_literals;
using Action = Verdict::Action;

struct KeepCase {
  std::string_view name;
  Duration keep = 1h;
  Duration idle{};
  bool pinned = false;
  bool root = false;
  Duration grace_left{};  // of the adopt grace
  Action want = Action::keep;
  Reason reason = Reason::recent;

  friend std::ostream& operator<<(std::ostream& out, const KeepCase& row) {
    return out << row.name;
  }
};

constexpr KeepCase kKeepCases[] = {
    {.name = "one tick before the end of keep", .idle = 1h - 1ns},
    {.name = "exactly keep", .idle = 1h, .want = Action::remove, .reason = Reason::space},
    {.name = "used just now, keep 0", .keep = 0s, .want = Action::remove, .reason = Reason::space},
    {.name = "keep for ever", .keep = kNoLimit, .idle = 10'000h},
    {.name = "last use in the future", .idle = -2h},
    {.name = "pinned", .idle = 10'000h, .pinned = true, .reason = Reason::pinned},
    {.name = "what lies outside of any unit",
     .idle = 10'000h,
     .root = true,
     .reason = Reason::root_unit},
    {.name = "within the adopt grace",
     .idle = 10'000h,
     .grace_left = 1ns,
     .reason = Reason::adopt_grace},
};

class Keep : public testing::TestWithParam<KeepCase> {};

TEST_P(Keep, DecidesByAge) {
  const KeepCase& row = GetParam();
  UnitRecord unit;
  unit.id = row.root ? kRootUnit : UnitId{7};
  unit.last_used = kNow - row.idle;
  unit.pinned = row.pinned;
  const ClassRule rule{.name = "c", .ttl = 24h, .keep = row.keep};
  const Verdict verdict = judge_keep(unit, rule, kNow, kNow + row.grace_left);
  EXPECT_EQ(verdict.action, row.want);
  EXPECT_EQ(verdict.reason, row.reason) << to_string(verdict.reason);
}

INSTANTIATE_TEST_SUITE_P(Table, Keep, testing::ValuesIn(kKeepCases));

TEST(Eviction, DoesNotAskForTheTtl) {
  UnitRecord unit;
  unit.id = UnitId{7};
  unit.last_used = kNow - 2h;
  const ClassRule rule{.name = "c", .ttl = kNoLimit, .keep = 1h};
  EXPECT_EQ(judge_keep(unit, rule, kNow, kNoGrace).action, Action::remove);
}

TEST(Eviction, KeepsWhateverHoldsTheUnitAndWhatIsNotKnown) {
  UnitRecord unit;
  unit.id = UnitId{7};
  unit.last_used = kNow - 100h;
  const ClassRule rule{.name = "c", .ttl = 24h, .keep = 1h};
  EXPECT_EQ(judge_eviction(unit, kNotBusy, rule, kNow, kNoGrace).action, Action::remove);
  constexpr std::pair<Answer UnitBusy::*, Reason> kHolders[] = {
      {&UnitBusy::open_files, Reason::open_files},
      {&UnitBusy::process_inside, Reason::process_inside},
      {&UnitBusy::live_lock, Reason::live_lock},
      {&UnitBusy::git_locked, Reason::git_locked},
      {&UnitBusy::mount_inside, Reason::mount_inside},
  };
  for (const auto& [holder, reason] : kHolders) {
    UnitBusy busy = kNotBusy;
    busy.*holder = Answer::yes;
    EXPECT_EQ(judge_eviction(unit, busy, rule, kNow, kNoGrace).action, Action::keep);
    EXPECT_EQ(judge_eviction(unit, busy, rule, kNow, kNoGrace).reason, reason);
    busy.*holder = Answer::unknown;
    EXPECT_EQ(judge_eviction(unit, busy, rule, kNow, kNoGrace).reason, Reason::use_unknown);
  }
}

struct OrderCase {
  std::string_view name;
  std::vector<EvictionCandidate> of;
  std::vector<std::uint64_t> want;  // ids

  friend std::ostream& operator<<(std::ostream& out, const OrderCase& row) {
    return out << row.name;
  }
};

class EvictionOrder : public testing::TestWithParam<OrderCase> {};

TEST_P(EvictionOrder, Is) {
  auto candidates = GetParam().of;
  std::ranges::sort(candidates, goes_before);
  std::vector<std::uint64_t> order;
  for (const EvictionCandidate& one : candidates) order.push_back(raw(one.id));
  EXPECT_EQ(order, GetParam().want);
}

INSTANTIATE_TEST_SUITE_P(
    Table, EvictionOrder,
    testing::Values(
        OrderCase{.name = "nothing", .of = {}, .want = {}},
        OrderCase{.name = "the one unused longest first",
                  .of = {{UnitId{1}, kNow - 2h}, {UnitId{2}, kNow - 3h}, {UnitId{3}, kNow - 1h}},
                  .want = {2, 1, 3}},
        OrderCase{.name = "work last, however old",
                  .of = {{UnitId{1}, kNow - 900h, true}, {UnitId{2}, kNow - 1h}},
                  .want = {2, 1}},
        OrderCase{.name = "work among work by last use",
                  .of = {{UnitId{1}, kNow - 1h, true},
                         {UnitId{2}, kNow - 3h, true},
                         {UnitId{3}, kNow - 2h}},
                  .want = {3, 2, 1}},
        OrderCase{.name = "used at the same instant: the one made first",
                  .of = {{UnitId{9}, kNow}, {UnitId{4}, kNow}},
                  .want = {4, 9}}));

TEST(EvictionTime, IsTheWallClock) { EXPECT_EQ(eviction_time(kNow, {}), kNow); }

TEST(EvictionTime, TakesOffAStepForthThatNobodyHasLookedAt) {
  BrakeRecord brake;
  brake.cause = BrakeRecord::Cause::clock;
  brake.step = 48h;
  EXPECT_EQ(eviction_time(kNow, brake), kNow - 48h);
}

TEST(EvictionTime, LeavesAStepBackAlone) {
  BrakeRecord brake;
  brake.cause = BrakeRecord::Cause::clock;
  brake.step = -48h;
  EXPECT_EQ(eviction_time(kNow, brake), kNow);
}

}  // namespace
}  // namespace ebbfs
