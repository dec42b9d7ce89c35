// SPDX-License-Identifier: Apache-2.0
//
// What the index remembers: units, locks, trash, events. Plain values and their byte form; the key
// layout is in schema.h. A record never refers to a file below a unit: a worktree of 10,000 files
// is one record.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "index/result.h"
#include "index/types.h"

namespace ebbfs {

// A process as it was seen when it made something.
struct ProcessSeen {
  ProcessId id;             // id.known() is false for a caller outside our pid namespace
  std::int32_t ns_pid = 0;  // its pid in its own innermost pid namespace, 0 when not known
  std::string comm;         // command name, at most 15 bytes

  bool operator==(const ProcessSeen&) const = default;
};

// Who made a unit or lock.
struct Owner {
  uid_t uid = 0;
  gid_t gid = 0;
  ProcessSeen process;
  BootId boot;
  std::uint64_t pid_ns = 0;  // inode of its pid namespace, 0 when not known
  std::string cgroup;  // cgroup v2 path from the hierarchy's root ("/..."), empty if not known
  std::string job;     // from a {job} capture, else from the cgroup's last name

  bool operator==(const Owner&) const = default;
};

// The parts of an Owner that things are found by.
struct OwnerTag {
  uid_t uid = 0;
  ProcessId process{};  // with `boot`; both zero when not known
  BootId boot{};

  bool operator==(const OwnerTag&) const = default;
};

// What one (uid, gid) holds in one unit: the smallest cell that usage is counted in.
struct UsageCell {
  uid_t uid = 0;
  gid_t gid = 0;
  Usage usage;

  bool operator==(const UsageCell&) const = default;
};

struct UnitRecord {
  UnitId id{};
  std::string path;   // relative to the volume root, no leading slash; empty for the root unit
  FileHandle handle;  // of the unit's top directory or file
  InodeId inode{};    // the same object's inode number
  std::string class_name;
  Owner owner;
  WallTime created{};
  WallTime last_used{};
  bool pinned = false;
  bool dirty = false;            // in use since: `usage` and `last_used` may be behind
  std::vector<UsageCell> usage;  // exact when !dirty

  bool operator==(const UnitRecord&) const = default;
};

// How sure we are that `LockRecord::owner` is who holds the lock.
enum class OwnerCertainty : std::uint8_t {
  certain = 0,
  uncertain = 1,  // handed to a parent because a process ended and how was not known
  unknown = 2,    // no visible process, or the chain of parents is used up
};

struct LockRecord {
  LockId id{};
  std::string path;   // relative to the volume root
  FileHandle parent;  // directory that holds the name
  InodeId parent_inode{};
  std::string name;   // last component of `path`
  FileHandle object;  // what the name stood for when the lock was taken
  InodeId object_inode{};
  bool is_directory = false;
  UnitId unit{};  // that the lock lies in; kRootUnit when in none
  std::string class_name;
  Owner owner;                         // now; owner.process changes as helpers hand over
  std::vector<ProcessSeen> ancestors;  // of owner.process when the lock was made, nearest first
  OwnerCertainty certainty = OwnerCertainty::certain;
  WallTime made{};

  bool operator==(const LockRecord&) const = default;
};

// Why something was removed. `expire` unused too long, `evict` for space, `reclaim` orphaned lock,
// `request` an administrator asked.
enum class RemovalReason : std::uint8_t { expire = 0, evict = 1, reclaim = 2, request = 3 };

// Something on its way into the trash, or in it. Written before the rename (intent), so that a
// crash at any point is finished or undone from it.
struct TrashRecord {
  TrashId id{};
  enum class Stage : std::uint8_t {
    intent = 0,  // the rename may or may not have happened
    stored = 1,  // it has; usage is charged to the volume alone
  } stage = Stage::intent;
  RemovalReason reason = RemovalReason::expire;
  UnitRecord unit;    // as it was; for a lock directory only path, handle and inode are set
  LockId lock{};      // the lock that it was; 0 when it was a unit
  FileHandle parent;  // directory it was taken from
  WallTime removed{};
  WallTime purge_after{};
  std::string git_admin_path;  // volume-relative administrative entry taken along; empty if none

  bool operator==(const TrashRecord&) const = default;
};

// A limit that an administrator set, and since when soft limits of the scope are passed.
struct QuotaRecord {
  std::string scope;       // as UsageLedger::scopes() names it, or "volume", "unit:PATH", "user:*"
  bool exception = false;  // false: only the times below
  ScopeLimits limits;
  uid_t set_by = 0;
  WallTime set_at{};
  WallTime bytes_over_since{};  // the epoch when not
  WallTime inodes_over_since{};

  bool operator==(const QuotaRecord&) const = default;
};

// Why removing waits for an administrator; see policy/brake.h.
struct BrakeRecord {
  enum class Cause : std::uint8_t { none = 0, mass = 1, clock = 2 } cause = Cause::none;
  WallTime since{};
  std::uint64_t due = 0;  // of `all` units, at `since`
  std::uint64_t all = 0;
  Duration step{};                     // of the wall clock; of several: add_step()
  WallTime resumed = WallTime::min();  // what was due then, may go

  bool operator==(const BrakeRecord&) const = default;
};

// The clocks as they were seen once; see policy/brake.h ClockReading.
struct ClockRecord {
  WallTime wall{};
  Duration boottime{};
  BootId boot;

  bool operator==(const ClockRecord&) const = default;
};

// One line of the journal behind `ebbctl events`.
struct EventRecord {
  enum class Kind : std::uint8_t {
    mounted = 0,
    unmounted = 1,
    expired = 2,
    evicted = 3,
    reclaimed = 4,
    requested = 5,  // removed by `ebbctl expire`
    restored = 6,
    purged = 7,
    handed_over = 8,  // a lock's owner became the parent of a helper
    pinned = 9,
    unpinned = 10,
    policy_loaded = 11,
    policy_rejected = 12,
    adopted = 13,
    warning = 14,
    would_remove = 15,  // observe mode: the verdict, not carried out
    quota = 16,         // a scope came near its limit, or was given another
    braked = 17,        // removing stopped until somebody has looked
    resumed = 18,       // and goes on
    no_space = 19,      // new data was refused, or too little could be evicted
    hook = 20,          // a command of the policy was run for it
  } kind = Kind::warning;
  std::uint64_t sequence = 0;  // set by the index, rising
  WallTime time{};
  std::string path;
  std::string class_name;
  std::string rule;   // e.g. "idle 24h", "owner killed by signal 9, grace 5s"
  std::string owner;  // e.g. "uid=1000 pid=4242 comm=git job=ci-17"
  Duration age{};     // since last use (units) or made (locks); how long a hook ran
  Usage usage;        // freed, where it applies
  std::string detail;

  bool operator==(const EventRecord&) const = default;
};

// One entry of the ordered deadline queue. Only a hint to look: the record decides. Ordered by
// time, then kind, then id.
struct Deadline {
  WallTime due{};
  enum class Kind : std::uint8_t { unit = 0, lock = 1, trash = 2 } kind = Kind::unit;
  std::uint64_t id = 0;  // raw UnitId, LockId or TrashId

  auto operator<=>(const Deadline&) const = default;
};

// Any one thing that the index has a record of.
struct Thing {
  Deadline::Kind kind = Deadline::Kind::unit;
  std::uint64_t id = 0;  // raw UnitId, LockId or TrashId

  auto operator<=>(const Thing&) const = default;
};

// `thing` as a number, for tables of many: ids stay far below 2^62.
[[nodiscard]] constexpr std::uint64_t packed(Thing thing) {
  return thing.id << 2 | static_cast<std::uint64_t>(thing.kind);
}

[[nodiscard]] std::string_view to_string(EventRecord::Kind kind);
[[nodiscard]] std::string_view to_string(RemovalReason reason);
[[nodiscard]] std::string_view to_string(OwnerCertainty certainty);

// Byte form: a version byte, then fields; integers little-endian, strings and lists by length.
// Decoding never reads outside `bytes` and fails with EBADMSG on anything that encode would not
// have written (short, trailing or out-of-range data).
[[nodiscard]] std::string encode(const UnitRecord& record);
[[nodiscard]] std::string encode(const LockRecord& record);
[[nodiscard]] std::string encode(const TrashRecord& record);
[[nodiscard]] std::string encode(const EventRecord& record);
[[nodiscard]] std::string encode(const QuotaRecord& record);
[[nodiscard]] Result<UnitRecord> decode_unit(std::string_view bytes);
[[nodiscard]] Result<LockRecord> decode_lock(std::string_view bytes);
[[nodiscard]] Result<TrashRecord> decode_trash(std::string_view bytes);
[[nodiscard]] Result<EventRecord> decode_event(std::string_view bytes);
[[nodiscard]] Result<QuotaRecord> decode_quota(std::string_view bytes);
[[nodiscard]] std::string encode(const BrakeRecord& record);
[[nodiscard]] std::string encode(const ClockRecord& record);
[[nodiscard]] Result<BrakeRecord> decode_brake(std::string_view bytes);
[[nodiscard]] Result<ClockRecord> decode_clock(std::string_view bytes);

}  // namespace ebbfs

template <>
struct std::hash<ebbfs::Thing> {
  std::size_t operator()(const ebbfs::Thing& thing) const noexcept {
    return std::hash<std::uint64_t>{}(ebbfs::packed(thing));
  }
};
