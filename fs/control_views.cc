// SPDX-License-Identifier: Apache-2.0
#include "fs/control_views.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "fs/control_fields.h"
#include "policy/limits.h"

namespace ebbfs {

// Names in the order of the enumerators.
constexpr std::array<std::string_view, 6> kUnitStates = {"unknown", "idle", "busy",
                                                         "pinned",  "due",  "permanent"};
constexpr std::array<std::string_view, 4> kLockStates = {"unknown", "held", "orphan", "uncertain"};

std::string_view to_string(UnitState state) {
  return kUnitStates.at(static_cast<std::size_t>(state));
}
std::string_view to_string(LockState state) {
  return kLockStates.at(static_cast<std::size_t>(state));
}

UnitState unit_state(std::string_view name) {
  const auto at = std::ranges::find(kUnitStates, name);
  return at == kUnitStates.end() ? UnitState::unknown
                                 : static_cast<UnitState>(at - kUnitStates.begin());
}

LockState lock_state(std::string_view name) {
  const auto at = std::ranges::find(kLockStates, name);
  return at == kLockStates.end() ? LockState::unknown
                                 : static_cast<LockState>(at - kLockStates.begin());
}

// Field lists. Not in an unnamed namespace: the codec finds them by argument-dependent lookup.

static UnitState from_string(std::string_view name, UnitState /*type*/) { return unit_state(name); }
static LockState from_string(std::string_view name, LockState /*type*/) { return lock_state(name); }

template <typename Visitor, Like<UnitView> View>
static void fields(Visitor& v, View& view) {
  v.path("path", view.path);
  v.field("class", view.class_name);
  v.field("owner", view.owner);
  v.field("created", view.created);
  v.field("last_used", view.last_used);
  v.usage(view.usage);
  v.field("pinned", view.pinned);
  v.field("open_files", view.open_files);
  v.field("expires_at", view.expires_at);
  v.field("state", view.state);
}

template <typename Visitor, Like<LockView> View>
static void fields(Visitor& v, View& view) {
  v.path("path", view.path);
  v.field("class", view.class_name);
  v.field("owner", view.owner);
  v.field("life", view.life);
  v.field("certainty", view.certainty);
  v.field("made", view.made);
  v.field("age_seconds", view.age);
  v.field("held_seconds", view.held);
  v.field("reclaim_at", view.reclaim_at);
  v.field("state", view.state);
}

template <typename Visitor, Like<UnitsView> View>
static void fields(Visitor& v, View& view) {
  v.field("units", view.units);
  v.field("total", view.total);
  v.usage(view.usage);
}

template <typename Visitor, Like<LocksView> View>
static void fields(Visitor& v, View& view) {
  v.field("locks", view.locks);
  v.field("total", view.total);
}

template <typename Visitor, Like<BlockerView> View>
static void fields(Visitor& v, View& view) {
  v.field("reason", view.reason);
  v.field("text", view.text);
}

template <typename Visitor, Like<ShowView> View>
static void fields(Visitor& v, View& view) {
  v.path("path", view.path);
  v.field("what", view.what);
  v.field("unit", view.unit);
  v.field("lock", view.lock);
  v.text("rule", view.rule);
  v.field("ttl_seconds", view.ttl);
  v.field("expires_at", view.expires_at);
  v.field("evictable_at", view.evictable_at);
  v.field("blockers", view.blockers);
  v.field("verdict", view.verdict);
}

template <typename Visitor, Like<ChangeView> View>
static void fields(Visitor& v, View& view) {
  v.path("path", view.path);
  v.field("action", view.action);
  v.field("dry_run", view.dry_run);
  v.field("changed", view.changed);
  v.usage(view.usage);
  v.field("restorable_until", view.restorable_until);
  v.field("blockers", view.blockers);
}

template <typename Visitor, Like<EventView> View>
static void fields(Visitor& v, View& view) {
  v.field("sequence", view.sequence);
  v.field("time", view.time);
  v.field("kind", view.kind);
  v.place("path", view.path);
  v.text("class", view.class_name);
  v.text("rule", view.rule);
  v.field("uid", view.uid);
  v.text("owner_text", view.owner);
  const bool is_hook = view.kind == to_string(EventRecord::Kind::hook);
  v.field_if(!is_hook && view.age != Duration{}, "age_seconds", view.age);
  v.field_if(is_hook, "took_seconds", view.age);
  v.usage(view.usage);
  v.text("detail", view.detail);
}

template <typename Visitor, Like<EventsView> View>
static void fields(Visitor& v, View& view) {
  v.field("events", view.events);
  v.field("last_sequence", view.last_sequence);
}

template <typename Visitor, Like<TracedView> View>
static void fields(Visitor& v, View& view) {
  v.field("time", view.time);
  v.field("op", view.op);
  v.path("path", view.path);
  v.field("uid", view.uid);
  v.text("user", view.user);
  v.field_if(view.pid != 0, "pid", view.pid);
  v.field("took_seconds", view.took);
  v.text("error", view.error);
}

template <typename Visitor, Like<TraceView> View>
static void fields(Visitor& v, View& view) {
  v.field("token", view.token);
  v.field("requests", view.requests);
  v.field("lost", view.lost);
}

template <typename Visitor, Like<ClassRuleView> View>
static void fields(Visitor& v, View& view) {
  v.field("name", view.name);
  v.field("kind", view.kind);
  v.field("match", view.match);
  v.field("ttl_seconds", view.ttl);
  v.field("keep_seconds", view.keep);
  v.field("max_age_seconds", view.max_age);
  v.text("owner", view.owner);
  v.field("orphan_grace_seconds", view.orphan_grace);
}

template <typename Visitor, Like<PolicyView> View>
static void fields(Visitor& v, View& view) {
  v.path("source", view.source);
  v.field("text", view.text);
  v.field("mode", view.mode);
  v.field("classes", view.classes);
}

template <typename Visitor, Like<CheckView> View>
static void fields(Visitor& v, View& view) {
  v.field("valid", view.valid);
  v.path("file", view.file);
  v.field_if(view.line != 0, "line", view.line);
  v.field_if(view.column != 0, "column", view.column);
  v.text("reason", view.reason);
  v.field("policy", view.policy);
}

template nlohmann::json to_json(const UnitView&);
template nlohmann::json to_json(const LockView&);
template nlohmann::json to_json(const UnitsView&);
template nlohmann::json to_json(const LocksView&);
template nlohmann::json to_json(const ShowView&);
template nlohmann::json to_json(const ChangeView&);
template nlohmann::json to_json(const EventView&);
template nlohmann::json to_json(const EventsView&);
template nlohmann::json to_json(const TracedView&);
template nlohmann::json to_json(const TraceView&);
template nlohmann::json to_json(const PolicyView&);
template nlohmann::json to_json(const CheckView&);
template Result<UnitsView> from_json(const nlohmann::json&);
template Result<LocksView> from_json(const nlohmann::json&);
template Result<ShowView> from_json(const nlohmann::json&);
template Result<ChangeView> from_json(const nlohmann::json&);
template Result<EventView> from_json(const nlohmann::json&);
template Result<EventsView> from_json(const nlohmann::json&);
template Result<TraceView> from_json(const nlohmann::json&);
template Result<PolicyView> from_json(const nlohmann::json&);
template Result<CheckView> from_json(const nlohmann::json&);

// Conversions.

std::optional<WallTime> or_null(WallTime time) {
  return time == kNever ? std::nullopt : std::optional(time);
}

std::optional<Duration> or_null(Duration duration) {
  return duration == kNoLimit ? std::nullopt : std::optional(duration);
}

OwnerView view_of(const Owner& owner, std::string user) {
  return {.uid = owner.uid,
          .user = std::move(user),
          .pid = owner.process.id.tgid,
          .comm = owner.process.comm,
          .job = owner.job,
          .cgroup = owner.cgroup};
}

// Of what owner_text() (describe.h) wrote.
static std::optional<uid_t> uid_in(std::string_view owner) {
  constexpr std::string_view kMark = "uid=";
  if (!owner.starts_with(kMark)) return std::nullopt;
  owner.remove_prefix(kMark.size());
  uid_t uid = 0;
  const auto [end, error] = std::from_chars(owner.data(), owner.data() + owner.size(), uid);
  return error == std::errc{} ? std::optional(uid) : std::nullopt;
}

EventView view_of(const EventRecord& event) {
  return {.sequence = event.sequence,
          .time = event.time,
          .kind = std::string(to_string(event.kind)),
          .path = event.path,
          .class_name = event.class_name,
          .rule = event.rule,
          .uid = uid_in(event.owner),
          .owner = event.owner,
          .age = event.age,
          .usage = event.usage,
          .detail = event.detail};
}

static ClassRuleView view_of(const ClassRule& rule) {
  ClassRuleView view{.name = rule.name,
                     .kind = rule.kind == ClassKind::tree ? "tree" : "lock",
                     .match = rule.match,
                     .ttl = or_null(rule.ttl),
                     .keep = {},
                     .max_age = {},
                     .owner = {},
                     .orphan_grace = {}};
  if (rule.kind == ClassKind::tree) {
    view.keep = or_null(rule.keep);
    view.max_age = or_null(rule.max_age);
  } else {
    view.owner = rule.owner == OwnerMode::process ? "process" : "cgroup";
    view.orphan_grace = rule.orphan_grace;
  }
  return view;
}

PolicyView view_of(const Policy& policy, std::string text) {
  PolicyView view{.source = policy.source,
                  .text = std::move(text),
                  .mode = policy.mode == Mode::enforce ? "enforce" : "observe",
                  .classes = {}};
  for (const ClassRule& rule : policy.classes) view.classes.push_back(view_of(rule));
  return view;
}

}  // namespace ebbfs
