// SPDX-License-Identifier: Apache-2.0
#include "fs/control_views.h"

#include <gtest/gtest.h>

#include "fs/control_activity.h"
#include "fs/control_explain.h"
#include "fs/control_history.h"
#include "fs/control_status.h"
#include "policy/limits.h"

namespace ebbfs {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

const WallTime kNoon = WallTime(std::chrono::sys_days(std::chrono::days(20'000))) + 12h;

// Samples differ from the default in every field.

OwnerView sample_owner() { return {1000, "alice", 4242, "node", "ci-17", "/workers/17"}; }

UnitView sample_unit() {
  return {.path = "worktrees/job-17",
          .class_name = "worktree",
          .owner = sample_owner(),
          .created = kNoon - 26h,
          .last_used = kNoon - 1500ms,
          .usage = {{4096}, 3},
          .pinned = true,
          .open_files = 2,
          .expires_at = kNoon + 1h,
          .state = UnitState::busy};
}

LockView sample_lock() {
  return {.path = "locks/a",
          .class_name = "lock",
          .owner = sample_owner(),
          .life = "killed",
          .certainty = "certain",
          .made = kNoon,
          .age = 10s,
          .held = 9s,
          .reclaim_at = kNoon + 5s,
          .state = LockState::orphan};
}

StatusView sample_status() {
  StatusView status;
  status.version = "0.1.0";
  status.pid = 77;
  status.uptime = 5s;
  status.mount = "/mnt/ebs";
  status.mode = "enforce";
  status.enforcing = true;
  status.degraded = {"index rebuilt"};
  status.transport = "io_uring";
  status.passthrough = true;
  status.backing = {"/mnt/raw", "xfs"};
  status.policy_source = "/etc/policy.toml";
  status.provisional = true;
  status.adoption = {true, 12, kNoon};
  status.adopt_grace_until = kNoon + 10min;
  status.volume = {{100}, {60}, {40}, 1000, 600, 400};
  status.space = {.level = "high",
                  .high = "85%",
                  .bytes_high = Bytes{85},
                  .low = "75%",
                  .bytes_low = Bytes{75},
                  .reserve = "1%",
                  .bytes_reserve = {1},
                  .evicting = true,
                  .waiting = 2,
                  .evicted_units = 3,
                  .evicted_bytes = {4},
                  .last_eviction = kNoon,
                  .refused = 5,
                  .stuck = "pinned"};
  status.trash = {{5}, 6, {3}, 4};
  status.brake = BrakeView{"mass", "2 of 3 units were due at once", WallTime{}, 2, 3, {}};
  status.classes = {{"worktree", "tree", 3, {{7}, 8}}};
  status.users = {{"alice", 1000, {{9}, 10}}};
  status.due = {{11}, 12};
  status.next_expiry = kNoon + 1h;
  status.next_expiry_path = "worktrees/job-17";
  status.last_reclaim = kNoon - 1h;
  status.overdue = 250ms;
  status.open_files = 13;
  status.known_inodes = 14;
  status.fds = {15, 16};
  status.requests = {{"lookup", 17}};
  return status;
}

ShowView sample_show() {
  return {.path = "worktrees/job-17/a",
          .what = "plain",
          .unit = sample_unit(),
          .lock = sample_lock(),
          .rule = "idle 24h",
          .ttl = 24h,
          .expires_at = kNoon,
          .evictable_at = kNoon + 1h,
          .blockers = {{"open_files", "3 files are open"}},
          .verdict = "stays"};
}

ChangeView sample_change() {
  return {.path = "worktrees/job-17",
          .action = "expired",
          .dry_run = true,
          .changed = true,
          .usage = {{1}, 2},
          .restorable_until = kNoon,
          .blockers = {{"pinned", "pinned"}}};
}

EventView sample_event() {
  return {.sequence = 0xFFFF'FFFF'FFFF'FFFF,
          .time = kNoon,
          .kind = "expired",
          .path = "worktrees/\xff",
          .class_name = "worktree",
          .rule = "idle 24h",
          .uid = 1000,
          .owner = "uid=1000",
          .age = 25h,
          .usage = {{1}, 2},
          .detail = "to trash 3"};
}

PolicyView sample_policy() {
  return {.source = "/etc/policy.toml",
          .text = "mode = \"observe\"\n",
          .mode = "observe",
          .classes = {{"lock", "lock", {"locks/**"}, 5min, 1h, 48h, "process", 5s}}};
}

ExplainView sample_explain() {
  ExplainView view;
  view.mount = "/mnt/ebs";
  view.path = "worktrees";
  view.only_own = true;
  view.time = kNoon;
  view.since = 48h;
  view.from = kNoon - 48h;
  view.verdict = {"it is full", "of worktrees"};
  view.bytes_total = {100};
  view.bytes_free = {1};
  view.inodes_total = 3;
  view.charged = {90};
  UsageThenView then;
  then.ago = 24h;
  then.time = kNoon - 24h;
  then.bytes_used = {50};
  then.inodes_used = 4;
  then.bytes_growth = -5;
  then.time_to_full = 10s;
  view.usage = {then, UsageThenView{}};
  view.users = {{"alice", 1, {{2}, 3}, 4, true}};
  view.jobs = {{"ci", 1, {{2}, 3}, std::nullopt, false}};
  view.classes = {HolderView{}};
  view.units = {{"worktrees/\xff", {}, {{2}, 3}, -4, false}};
  view.removed = {{"worktree", "expire", 5, {{6}, 7}}};
  view.held = {{"pinned", "pinned", 8, {{9}, 10}, "worktrees/a"}};
  view.evictable = {{11}, 12};
  view.evictable_units = 13;
  view.trash = {{14}, 15};
  view.cleanup = {"braked", "the brake", kNoon, true, true};
  view.actions = {{"let it go", {"ebbctl", "resume"}}};
  return view;
}

// Sends `view` through text and back, then takes away and spoils each key in turn.
template <typename View>
void expect_exact_codec(const View& view) {
  const auto received = from_text(to_text(to_json(view)));
  ASSERT_TRUE(received);
  EXPECT_EQ(from_json<View>(*received), view);
  for (const auto& item : received->items()) {
    if (item.key().ends_with("_bytes")) continue;
    json without = *received;
    without.erase(item.key());
    if (!without.contains(item.key() + "_bytes")) {
      EXPECT_FALSE(from_json<View>(without)) << "without " << item.key();
    }
    json spoiled = *received;
    spoiled[item.key()] = json::array({json()});
    if (!spoiled.contains(item.key() + "_bytes")) {
      EXPECT_FALSE(from_json<View>(spoiled)) << "spoiled " << item.key();
    }
  }
  json more = *received;
  more["of_a_later_version"] = 1;
  EXPECT_EQ(from_json<View>(more), view);
}

TEST(ControlViews, StatusHasAnExactCodec) { expect_exact_codec(sample_status()); }
TEST(ControlViews, UnitsHaveAnExactCodec) {
  expect_exact_codec(UnitsView{{sample_unit(), UnitView{}}, 9, {{1}, 2}});
}
TEST(ControlViews, LocksHaveAnExactCodec) {
  expect_exact_codec(LocksView{{sample_lock(), LockView{}}, 9});
}
TEST(ControlViews, ShowHasAnExactCodec) { expect_exact_codec(sample_show()); }
TEST(ControlViews, ChangeHasAnExactCodec) { expect_exact_codec(sample_change()); }
TEST(ControlViews, EventHasAnExactCodec) { expect_exact_codec(sample_event()); }
TEST(ControlViews, EventsHaveAnExactCodec) {
  expect_exact_codec(EventsView{{sample_event(), EventView{}}, 5});
}
TEST(ControlViews, ExplainHasAnExactCodec) { expect_exact_codec(sample_explain()); }
TEST(ControlViews, HistoryHasAnExactCodec) {
  const SliceView slice{"worktree", 3, {4096}};
  HistoryView view;
  view.time = kNoon;
  view.since = 24h;
  view.step = 6min;
  view.bytes_high = Bytes{85};
  view.points = {{kNoon - 1h, {100}, {60}, {10}, {5}, {slice}, {slice}}, {}};
  view.forecast = {{kNoon, 2, {{8192}, 7}, {slice}}, {}};
  expect_exact_codec(view);
}
TEST(ControlViews, ActivityHasAnExactCodec) {
  const ActorView actor{"alice", 12, {4096}, -8192, {1 << 20}};
  expect_exact_codec(ActivityView{9, kNoon, 1s, actor, 4, {actor, {}}, {actor}});
}
TEST(ControlViews, PolicyHasAnExactCodec) { expect_exact_codec(sample_policy()); }
TEST(ControlViews, CheckHasAnExactCodec) {
  expect_exact_codec(CheckView{true, "policy.toml", 12, 7, "ttl: soon", sample_policy()});
}

TEST(ControlViews, EmptyOptionalsAreNull) {
  const json show = to_json(ShowView{});
  for (const char* key : {"unit", "lock", "ttl_seconds", "expires_at"}) {
    EXPECT_TRUE(show.at(key).is_null()) << key;
  }
  EXPECT_EQ(from_json<ShowView>(show), ShowView{});
}

// Where a zero or "" would be taken for what it says.
TEST(ControlViews, WhatIsNotKnownIsNull) {
  const json owner = to_json(UnitView{})["owner"];
  const json event = to_json(EventView{});
  const json status = to_json(StatusView{});
  const json explain = [] {
    ExplainView view;
    view.usage = {UsageThenView{}};
    view.units = {HolderView{}};
    view.held = {HeldView{}};
    return to_json(view);
  }();
  struct Case {
    const char* name;
    const json& of;
    std::vector<const char*> keys;
  };
  const std::vector<Case> cases = {
      {"owner", owner, {"user", "pid", "comm", "job", "cgroup"}},
      {"event",
       event,
       {"path", "class", "rule", "uid", "owner_text", "age_seconds", "took_seconds", "detail"}},
      {"volume", status["volume"], {"inodes_total", "inodes_used", "inodes_free"}},
      {"space",
       status["space"],
       {"level", "high", "bytes_high", "low", "bytes_low", "reserve", "bytes_reserve", "stuck"}},
      {"check", status["check"], {"percent", "finished", "differences", "exact"}},
      {"status", status, {"next_expiry", "next_expiry_path"}},
      {"usage then", explain["usage"][0], {"bytes_used", "inodes_used", "bytes_growth"}},
      {"unit", explain["units"][0], {"units", "bytes_growth"}},
      {"held", explain["held"][0], {"largest"}},
      {"cleanup", explain["cleanup"], {"text", "since"}},
      {"explain", explain, {"inodes_total"}},
  };
  for (const Case& one : cases) {
    for (const char* key : one.keys) {
      EXPECT_TRUE(one.of.at(key).is_null()) << one.name << ": " << key;
    }
  }
  EXPECT_EQ(from_json<StatusView>(status), StatusView{});
}

TEST(ControlViews, WhatAHookTookIsNoAge) {
  EventView event;
  event.kind = "hook";
  event.age = 2s;
  const json hook = to_json(event);
  EXPECT_EQ(hook.at("took_seconds"), 2.0);
  EXPECT_TRUE(hook.at("age_seconds").is_null());
  EXPECT_EQ(from_json<EventView>(hook), event);
}

TEST(ControlViews, WhatIsNoObjectIsNoView) {
  for (const json& body : {json(), json(1), json::array()}) {
    const auto status = from_json<StatusView>(body);
    ASSERT_FALSE(status);
    EXPECT_EQ(code(status.error()), EBADMSG);
  }
}

TEST(ControlViews, NumbersThatDoNotFitAreRefused) {
  json body = to_json(LocksView{});
  body["total"] = 0x8000'0000'0000'0000U;
  EXPECT_FALSE(from_json<LocksView>(body));
  json events = to_json(EventsView{});
  events["last_sequence"] = -1;
  EXPECT_FALSE(from_json<EventsView>(events));
}

TEST(ControlViews, StatusHasTheKeysThatScriptsRelyOn) {
  const json status = to_json(sample_status());
  EXPECT_EQ(status.at("mount"), "/mnt/ebs");
  EXPECT_EQ(status.at("mode"), "enforce");
  EXPECT_EQ(status.at("enforcing"), true);
  EXPECT_EQ(status.at("transport"), "io_uring");
  EXPECT_EQ(status.at("provisional"), true);
  EXPECT_EQ(status.at("volume").at("bytes_total"), 100);
  EXPECT_EQ(status.at("volume").at("bytes_used"), 60);
  EXPECT_EQ(status.at("volume").at("bytes_free"), 40);
  EXPECT_EQ(status.at("trash"),
            (json{{"bytes", 5}, {"units", 6}, {"reclaimable_bytes", 3}, {"reclaimable_units", 4}}));
  EXPECT_EQ(
      status.at("classes").at(0),
      (json{{"name", "worktree"}, {"kind", "tree"}, {"units", 3}, {"bytes", 7}, {"inodes", 8}}));
  EXPECT_EQ(status.at("next_expiry"), format_time(kNoon + 1h));
  EXPECT_EQ(status.at("last_reclaim"), format_time(kNoon - 1h));
  EXPECT_EQ(status.at("overdue_seconds"), 0.25);
}

TEST(ControlViews, StatesHaveNamesThatReadBack) {
  for (const auto state : {UnitState::idle, UnitState::busy, UnitState::pinned, UnitState::due,
                           UnitState::permanent}) {
    EXPECT_EQ(unit_state(to_string(state)), state);
  }
  for (const auto state : {LockState::held, LockState::orphan, LockState::uncertain}) {
    EXPECT_EQ(lock_state(to_string(state)), state);
  }
}

TEST(ControlViews, AStateOfALaterVersionIsUnknown) {
  json body = to_json(UnitsView{{sample_unit()}, 1, {}});
  body["units"][0]["state"] = "frozen";
  const auto units = from_json<UnitsView>(body);
  ASSERT_TRUE(units);
  EXPECT_EQ(units->units.front().state, UnitState::unknown);
}

TEST(ControlViews, NeverAndNoLimitBecomeNull) {
  EXPECT_EQ(or_null(kNever), std::nullopt);
  EXPECT_EQ(or_null(kNoon), kNoon);
  EXPECT_EQ(or_null(kNoLimit), std::nullopt);
  EXPECT_EQ(or_null(Duration(5s)), Duration(5s));
}

TEST(ControlViews, AnOwnerIsShownWithItsProcess) {
  Owner owner;
  owner.uid = 1000;
  owner.process = {.id = {.tgid = 4242, .start_time = 1}, .ns_pid = 7, .comm = "node"};
  owner.job = "ci-17";
  owner.cgroup = "/workers/17";
  EXPECT_EQ(view_of(owner, "alice"), sample_owner());
}

TEST(ControlViews, AnEventIsShownAsRecorded) {
  EventRecord record;
  record.kind = EventRecord::Kind::expired;
  record.sequence = 0xFFFF'FFFF'FFFF'FFFF;
  record.time = kNoon;
  record.path = "worktrees/\xff";
  record.class_name = "worktree";
  record.rule = "idle 24h";
  record.owner = "uid=1000";
  record.age = 25h;
  record.usage = {{1}, 2};
  record.detail = "to trash 3";
  EXPECT_EQ(view_of(record), sample_event());
}

TEST(ControlViews, AClassShowsTheLimitsOfItsKind) {
  Policy policy;
  policy.source = "file";
  policy.mode = Mode::observe;
  policy.classes = {
      {.name = "t", .kind = ClassKind::tree, .match = {"w/*"}, .ttl = 24h, .keep = 1h},
      {.name = "l", .kind = ClassKind::lock, .match = {"l/*"}, .owner = OwnerMode::cgroup}};
  const PolicyView view = view_of(policy, "text");
  EXPECT_EQ(view.mode, "observe");
  EXPECT_EQ(view.text, "text");
  ASSERT_EQ(view.classes.size(), 2U);
  EXPECT_EQ(view.classes[0], (ClassRuleView{"t", "tree", {"w/*"}, 24h, 1h, {}, "", {}}));
  EXPECT_EQ(view.classes[1], (ClassRuleView{"l", "lock", {"l/*"}, {}, {}, {}, "cgroup", 5s}));
}

// What has no end is no number of seconds, and could not be read back as one.
TEST(ControlViews, AClassThatIsNeverEvictedArrives) {
  Policy policy;
  policy.classes = {{.name = "t", .kind = ClassKind::tree, .match = {"w/*"}, .keep = kNoLimit}};
  const PolicyView view = view_of(policy, "text");
  EXPECT_EQ(view.classes.at(0).keep, std::nullopt);
  EXPECT_EQ(from_json<PolicyView>(to_json(view)), view);
}

}  // namespace
}  // namespace ebbfs
