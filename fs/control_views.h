// SPDX-License-Identifier: Apache-2.0
//
// What the daemon tells, as values: it fills a view, to_json makes that the body of a reply, and
// from_json reads it back in ebbctl (control_json.h; for the views named *sView, ShowView,
// ChangeView, EventView, PolicyView and CheckView). Fields are written under their own names but
// for: class_name is "class"; usage is the two keys "bytes" and "inodes"; a Duration `x` is
// "x_seconds"; a nested view is a nested object. What is not there or not known is null: an empty
// optional, and what is "" or 0 here for it. Paths are relative to the volume root, "" being the
// root itself. Readers pass over keys they do not know; a missing or mistyped one is
// EBADMSG. Values only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fs/control_json.h"
#include "index/record.h"
#include "index/types.h"

namespace ebbfs {

struct Policy;

// ---- units and locks
// -----------------------------------------------------------------------------

struct OwnerView {
  uid_t uid = 0;
  std::string user;  // name of `uid`, empty when there is none
  pid_t pid = 0;     // in the daemon's pid namespace, 0 when not visible
  std::string comm;
  std::string job;
  std::string cgroup;
  bool operator==(const OwnerView&) const = default;
};

// Read from the wire, a name that is not known here is `unknown`.
enum class UnitState : std::uint8_t {
  unknown,
  idle,       // its clock runs
  busy,       // something in use holds it
  pinned,     // kept until unpinned
  due,        // past its deadline, not gone yet
  permanent,  // no limit applies
};
enum class LockState : std::uint8_t {
  unknown,
  held,       // its owner lives
  orphan,     // its owner is gone: goes when the grace is over
  uncertain,  // no owner known for certain: goes when untouched for the ttl
};

struct UnitView {
  std::string path;
  std::string class_name;
  OwnerView owner;
  WallTime created{};
  WallTime last_used{};
  Usage usage;
  bool pinned = false;
  std::int64_t open_files = 0;
  std::optional<WallTime> expires_at;  // null when time alone will not do it
  UnitState state = UnitState::unknown;
  bool operator==(const UnitView&) const = default;
};

struct LockView {
  std::string path;
  std::string class_name;
  OwnerView owner;
  std::string life;       // of the owner: "alive", "killed", "exited", "ended", "unknown"
  std::string certainty;  // to_string(OwnerCertainty)
  WallTime made{};
  Duration age{};                      // since made
  Duration held{};                     // since made, up to the owner's end where that is known
  std::optional<WallTime> reclaim_at;  // null while nothing but an event can end it
  LockState state = LockState::unknown;
  bool operator==(const LockView&) const = default;
};

struct UnitsView {
  std::vector<UnitView> units;
  std::int64_t total = 0;  // that match, also those beyond the limit of the request
  Usage usage;             // of all that match
  bool operator==(const UnitsView&) const = default;
};

struct LocksView {
  std::vector<LockView> locks;
  std::int64_t total = 0;
  bool operator==(const LocksView&) const = default;
};

// ---- show and changes
// ----------------------------------------------------------------------------

struct BlockerView {
  std::string reason;  // to_string(Reason)
  std::string text;    // for people: "process 4242 (bash) has its working directory inside"
  bool operator==(const BlockerView&) const = default;
};

struct ShowView {
  std::string path;
  std::string what;              // "root", "unit", "lock" or "plain"
  std::optional<UnitView> unit;  // that it is, or lies in
  std::optional<LockView> lock;  // that it is, or lies in
  std::string rule;              // that applies: "idle 24h", "owner gone, grace 5s"; may be empty
  std::optional<Duration> ttl;
  std::optional<WallTime> expires_at;
  std::optional<WallTime> evictable_at;  // a unit, for space: end of its keep; null: never
  std::vector<BlockerView> blockers;
  std::string verdict;  // one sentence: "stays while the worker lives"
  bool operator==(const ShowView&) const = default;
};

// What pin, unpin and expire did, or with dry_run would do.
struct ChangeView {
  std::string path;    // of the unit or lock, which may lie above the path asked for
  std::string action;  // "pinned", "unpinned", "expired", "reclaimed"
  bool dry_run = false;
  bool changed = false;  // false: it was so already
  Usage usage;           // of what went, or is pinned
  std::optional<WallTime> restorable_until;
  std::vector<BlockerView> blockers;  // why it was, or would be, refused
  bool operator==(const ChangeView&) const = default;
};

// ---- events and policy
// ---------------------------------------------------------------------------

struct EventView {
  std::uint64_t sequence = 0;
  WallTime time{};
  std::string kind;  // to_string(EventRecord::Kind)
  std::string path;
  std::string class_name;
  std::string rule;
  std::optional<uid_t> uid;  // of the owner
  std::string owner;         // owner_text(); "owner_text"
  Duration age{};            // of a hook: how long it ran, "took_seconds"
  Usage usage;
  std::string detail;
  bool operator==(const EventView&) const = default;
};

struct EventsView {
  std::vector<EventView> events;    // oldest first
  std::uint64_t last_sequence = 0;  // newest looked at, also if filtered out: `after` of the next
  bool operator==(const EventsView&) const = default;
};

// One request that was answered.
struct TracedView {
  WallTime time{};  // begun
  std::string op;   // to_string(RequestKind)
  std::string path;
  std::uint32_t uid = 0;
  std::string user;
  std::int32_t pid = 0;
  Duration took{};
  std::string error;  // "ENOENT"; empty when it succeeded
  bool operator==(const TracedView&) const = default;
};

struct TraceView {
  std::uint64_t token = 0;           // ask with this for what comes after
  std::vector<TracedView> requests;  // in the order of their answers
  std::uint64_t lost = 0;            // that were too many since the last time
  bool operator==(const TraceView&) const = default;
};

struct ClassRuleView {
  std::string name;
  std::string kind;
  std::vector<std::string> match;
  std::optional<Duration> ttl;  // null: none
  std::optional<Duration> keep;
  std::optional<Duration> max_age;
  std::string owner;  // kind lock: "process" or "cgroup"
  std::optional<Duration> orphan_grace;
  bool operator==(const ClassRuleView&) const = default;
};

struct PolicyView {
  std::string source;
  std::string text;  // TOML
  std::string mode;
  std::vector<ClassRuleView> classes;
  bool operator==(const PolicyView&) const = default;
};

// Of `ebbctl policy check`; made by ebbctl itself.
struct CheckView {
  bool valid = false;
  std::string file;
  std::uint32_t line = 0;  // from 1; 0 when the reason is not at one place
  std::uint32_t column = 0;
  std::string reason;                // empty when valid
  std::optional<PolicyView> policy;  // null unless valid
  bool operator==(const CheckView&) const = default;
};

// ---- conversions
// -----------------------------------------------------------------------------------

[[nodiscard]] std::string_view to_string(UnitState state);
[[nodiscard]] std::string_view to_string(LockState state);
// unknown for a name that is none.
[[nodiscard]] UnitState unit_state(std::string_view name);
[[nodiscard]] LockState lock_state(std::string_view name);

// For optional fields: kNever and kNoLimit ("none") become null.
[[nodiscard]] std::optional<WallTime> or_null(WallTime time);
[[nodiscard]] std::optional<Duration> or_null(Duration duration);

[[nodiscard]] OwnerView view_of(const Owner& owner, std::string user);
[[nodiscard]] EventView view_of(const EventRecord& event);
// `text`: to_toml(policy).
[[nodiscard]] PolicyView view_of(const Policy& policy, std::string text);

}  // namespace ebbfs
