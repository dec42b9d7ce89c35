// SPDX-License-Identifier: Apache-2.0
//
// Descriptors that leave the cache are closed after the shard's mutex is let go: close(2) may take
// long. Hence the locals above the locks.
#include "fs/dir_cache.h"

#include <iterator>
#include <utility>

namespace ebbfs {

SharedFd DirCache::get(InodeId id) {
  Shard& in = shard(id);
  const MutexLock lock(in.mu);
  const auto found = in.slots.find(raw(id));
  if (found == in.slots.end()) return nullptr;
  in.order.splice(in.order.begin(), in.order, found->second);
  return found->second->fd;
}

SharedFd DirCache::put(InodeId id, UniqueFd fd) {
  const auto shared = std::make_shared<const UniqueFd>(std::move(fd));
  std::list<Slot> out;
  Shard& in = shard(id);
  const MutexLock lock(in.mu);
  const auto [entry, added] = in.slots.try_emplace(raw(id));
  // What is there may be an old use of the same inode number.
  if (!added) out.splice(out.end(), in.order, entry->second);
  entry->second = in.order.insert(in.order.begin(), Slot{id, shared});
  trim(in, capacity_per_shard_, out);
  return shared;
}

void DirCache::trim(Shard& in, std::size_t left, std::list<Slot>& out) {
  while (in.order.size() > left) {
    const auto oldest = std::prev(in.order.end());
    in.slots.erase(raw(oldest->id));
    out.splice(out.end(), in.order, oldest);
  }
}

void DirCache::erase(InodeId id) {
  std::list<Slot> out;
  Shard& in = shard(id);
  const MutexLock lock(in.mu);
  const auto found = in.slots.find(raw(id));
  if (found == in.slots.end()) return;
  out.splice(out.end(), in.order, found->second);
  in.slots.erase(found);
}

void DirCache::clear() {
  for (Shard& in : shards_) {
    std::list<Slot> out;
    const MutexLock lock(in.mu);
    trim(in, 0, out);
  }
}

void DirCache::shrink() {
  for (Shard& in : shards_) {
    std::list<Slot> out;
    const MutexLock lock(in.mu);
    trim(in, in.order.size() / 2, out);
  }
}

std::size_t DirCache::size() {
  std::size_t total = 0;
  for (Shard& in : shards_) {
    const MutexLock lock(in.mu);
    total += in.order.size();
  }
  return total;
}

}  // namespace ebbfs
