// SPDX-License-Identifier: Apache-2.0
#include "fs/recount.h"

namespace ebbfs {
namespace {

using Sums = std::map<std::pair<uid_t, gid_t>, Usage>;

std::vector<UsageCell> cells_of(const Sums& sums) {
  std::vector<UsageCell> cells;
  for (const auto& [who, usage] : sums) {
    if (usage != Usage{}) cells.push_back({who.first, who.second, usage});
  }
  return cells;
}

}  // namespace

void Recount::begin(UnitId unit) {
  for (Shard& shard : shards_) {
    const MutexLock lock(shard.mu);
    shard.unit = unit;
    std::unordered_set<std::uint64_t>().swap(shard.seen);
    shard.sums.clear();
  }
}

void Recount::count(UnitId unit, InodeId inode, uid_t uid, gid_t gid, const Usage& present) {
  Shard& shard = shards_[raw(inode) % kShards];
  const MutexLock lock(shard.mu);
  if (shard.unit == unit && shard.seen.insert(raw(inode)).second) shard.sums[{uid, gid}] += present;
}

void Recount::born(UnitId unit, InodeId inode) {
  Shard& shard = shards_[raw(inode) % kShards];
  const MutexLock lock(shard.mu);
  if (shard.unit == unit) shard.seen.insert(raw(inode));
}

std::vector<UsageCell> Recount::cells() const {
  Sums sums;
  for (const Shard& shard : shards_) {
    const MutexLock lock(shard.mu);
    for (const auto& [who, usage] : shard.sums) sums[who] += usage;
  }
  return cells_of(sums);
}

std::vector<UsageCell> difference(std::span<const UsageCell> counted,
                                  std::span<const UsageCell> held) {
  Sums sums;
  for (const UsageCell& cell : counted) sums[{cell.uid, cell.gid}] += cell.usage;
  for (const UsageCell& cell : held) sums[{cell.uid, cell.gid}] += -cell.usage;
  return cells_of(sums);
}

}  // namespace ebbfs
