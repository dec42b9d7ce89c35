// SPDX-License-Identifier: Apache-2.0
//
// One unit counted again while requests go on, as it was at one instant.
//
// The rule. At the instant T everybody is out of the unit (it is frozen for that moment) and what
// its cells hold is written down. From then on an inode counts once, with what it held at T, by
// whoever comes first:
//   - a request, just before it changes, moves or removes the inode: what it holds is still what it
//     held at T;
//   - the walk, which finds the inode unchanged: it has not been counted by a request.
// What was made or moved in after T is marked as born and does not count. So whatever happened
// meanwhile, the sum in the end is what the tree held at T, to be compared with what the cells held
// at T; changes after T move both the tree and the counters and need not be followed.
//
// What a walk has seen may be a name so young that its request has not marked it yet. Therefore the
// walk counts what it has seen only after the unit was frozen once more, for an instant: by then
// every request that was inside has marked what it made.
//
// It is one unit at a time, so memory is bounded by the largest. How the inodes that no name leads
// to, and names that move, are covered: fs/checker.h.
//
// Threading: all from any thread.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <unordered_set>
#include <utility>
#include <vector>

#include "index/mutex.h"
#include "index/record.h"
#include "index/types.h"

namespace ebbfs {

class Recount {
 public:
  Recount() = default;
  Recount(const Recount&) = delete;
  Recount& operator=(const Recount&) = delete;

  // Forgets everything; the instant is now, and what is said of another unit than `unit`, by a
  // request that is late, is passed over.
  void begin(UnitId unit);
  // `inode` is about to change, or was found by the walk: it holds `present`, of (uid, gid).
  void count(UnitId unit, InodeId inode, uid_t uid, gid_t gid, const Usage& present);
  // `inode` was not there at the instant.
  void born(UnitId unit, InodeId inode);
  // What the unit held at the instant, once everything was counted; by uid, then gid.
  [[nodiscard]] std::vector<UsageCell> cells() const;

 private:
  static constexpr std::size_t kShards = 64;
  struct Shard {
    mutable Mutex mu;
    UnitId unit GUARDED_BY(mu){};
    std::unordered_set<std::uint64_t> seen GUARDED_BY(mu);
    std::map<std::pair<uid_t, gid_t>, Usage> sums GUARDED_BY(mu);
  };
  std::array<Shard, kShards> shards_;
};

// What `counted` has more than `held` (parts may be negative), by uid, then gid; empty when they
// agree. Both in any order, cells at most once. Pure.
[[nodiscard]] std::vector<UsageCell> difference(std::span<const UsageCell> counted,
                                                std::span<const UsageCell> held);

}  // namespace ebbfs
