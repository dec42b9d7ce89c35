// SPDX-License-Identifier: Apache-2.0
//
// The body of `ebbctl status` (DESIGN 9 names the keys that scripts rely on). Conventions as in
// control_views.h. Values only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fs/control_json.h"
#include "index/types.h"

namespace ebbfs {

struct VolumeView {
  Bytes bytes_total;
  Bytes bytes_used;
  Bytes bytes_free;               // for new data: without the reserve
  std::int64_t inodes_total = 0;  // 0: the backing filesystem has no limit
  std::int64_t inodes_used = 0;
  std::int64_t inodes_free = 0;
  bool operator==(const VolumeView&) const = default;
};

struct BackingView {
  std::string path;     // as the daemon was given it; equal to `mount` when mounted in place
  std::string fs_type;  // "xfs", "ext4", "tmpfs"...
  bool operator==(const BackingView&) const = default;
};

// A number of units with what they hold.
struct HeapView {
  Bytes bytes;
  std::int64_t units = 0;
  bool operator==(const HeapView&) const = default;
};

// Of the trash: `units` being deleted are on their way, the rest can be deleted at once.
struct TrashHeapView {
  Bytes bytes;
  std::int64_t units = 0;
  Bytes reclaimable_bytes;  // that `ebbctl trash empty`, or need of space, would free now
  std::int64_t reclaimable_units = 0;
  bool operator==(const TrashHeapView&) const = default;
};

// The marks, and what is done about them.
struct SpaceView {
  std::string level;  // "ample"; "high": above the high mark; "full": the reserve is being used
  std::string high;   // as in the policy: "85%", "10GiB"
  std::optional<Bytes> bytes_high;  // the same of this volume; null: of inodes only
  std::string low;
  std::optional<Bytes> bytes_low;
  std::string reserve;
  Bytes bytes_reserve;
  bool evicting = false;
  std::int64_t waiting = 0;        // requests that wait for space
  std::int64_t evicted_units = 0;  // since the start
  Bytes evicted_bytes;
  std::optional<WallTime> last_eviction;
  std::int64_t refused = 0;  // requests that met ENOSPC, since the start
  std::string stuck;         // why the low mark was not reached; "" when it was
  bool operator==(const SpaceView&) const = default;
};

// Why removing units waits for `ebbctl resume`.
struct BrakeView {
  std::string cause;  // "mass" or "clock"
  std::string text;   // "2306 of 2400 units were due at once"
  WallTime since{};
  std::int64_t due = 0;  // of `all` units, when it was set
  std::int64_t all = 0;
  Duration step{};  // of the wall clock
  bool operator==(const BrakeView&) const = default;
};

struct ClassView {
  std::string name;
  std::string kind;        // "tree" or "lock"
  std::int64_t units = 0;  // for kind lock: locks
  Usage usage;             // of locks only inodes: their bytes are what the unit around them holds
  bool operator==(const ClassView&) const = default;
};

struct UserView {
  std::string name;  // empty when the daemon's host has none for it
  uid_t uid = 0;
  Usage usage;
  bool operator==(const UserView&) const = default;
};

// The first walk over content that was there before ebbfs.
struct AdoptionView {
  bool running = false;
  std::int64_t entries = 0;         // seen so far
  std::optional<WallTime> started;  // null when there was nothing to adopt
  bool operator==(const AdoptionView&) const = default;
};

struct FdsView {
  std::int64_t used = 0;
  std::int64_t limit = 0;
  bool operator==(const FdsView&) const = default;
};

// The check that runs, else the last one.
struct LastCheckView {
  bool running = false;
  std::int64_t percent = 0;          // while it runs
  std::optional<WallTime> finished;  // null: there was none since the daemon started
  std::int64_t differences = 0;      // scopes
  bool exact = false;
  bool operator==(const LastCheckView&) const = default;
};

// Requests of one operation that the kernel has sent since the start.
struct RequestsView {
  std::string op;
  std::uint64_t count = 0;
  bool operator==(const RequestsView&) const = default;
};

struct StatusView {
  std::string version;  // the daemon's
  pid_t pid = 0;
  Duration uptime{};
  std::string mount;
  std::string mode;                       // "enforce" or "observe"
  bool enforcing = false;                 // whether something would be removed if it were due now
  std::vector<std::string> degraded;      // each a sentence: why not enforcing, or what is wrong
  std::optional<WallTime> index_rebuilt;  // when a lost index was last replaced; null: never
  std::string transport;                  // "io_uring" or "/dev/fuse"
  bool passthrough = false;               // reads of large files bypass the daemon
  BackingView backing;
  std::string policy_source;
  bool provisional = false;  // usage is not exact yet
  AdoptionView adoption;
  std::optional<WallTime> adopt_grace_until;  // null once over
  VolumeView volume;
  SpaceView space;
  TrashHeapView trash;
  std::optional<BrakeView> brake;  // null when it does not hold
  std::vector<ClassView> classes;  // in the order of the policy
  std::vector<UserView> users;     // largest first
  HeapView due;                    // past their deadline now: what would go were nothing in its way
  std::optional<WallTime> next_expiry;
  std::string next_expiry_path;  // "" when null
  std::optional<WallTime> last_reclaim;
  Duration overdue{};  // how late the oldest removal that nothing holds back is
  std::int64_t open_files = 0;
  std::int64_t known_inodes = 0;  // to the kernel
  FdsView fds;
  LastCheckView check;
  std::vector<RequestsView> requests;  // those that there were
  bool operator==(const StatusView&) const = default;
};

}  // namespace ebbfs
