// SPDX-License-Identifier: Apache-2.0
#include "fs/inode_table.h"

#include <spdlog/spdlog.h>

#include <cstdlib>
#include <vector>

namespace ebbfs {

Inode::Bound Inode::rebind(const Place& place, const Standpoint* from) {
  const MutexLock lock(mu_);
  if (from != nullptr && !from->holds()) return Bound::from_elsewhere;
  if (place_.handle != place.handle) return Bound::other_handle;
  // Mostly nothing has changed: spare the unit's reference count, which all its inodes share.
  if (place_ == place) return Bound::yes;
  place_ = place;
  moves_.fetch_add(1, std::memory_order_release);
  return Bound::yes;
}

bool Inode::bind(const Place& place, const Standpoint* from) {
  Bound bound = rebind(place, from);
  if (bound != Bound::other_handle) return bound == Bound::yes;
  const MutexLock size_lock(size_mu);
  bound = rebind(place, from);
  if (bound != Bound::other_handle) return bound == Bound::yes;  // somebody else was first
  const MutexLock lock(mu_);
  if (from != nullptr && !from->holds()) return false;
  extent = Extent{};
  place_ = place;
  moves_.fetch_add(1, std::memory_order_release);
  return true;
}

InodeRef& InodeRef::operator=(InodeRef&& other) noexcept {
  if (this == &other) return *this;
  if (inode_ != nullptr) table_->drop(*inode_);
  table_ = std::exchange(other.table_, nullptr);
  inode_ = std::exchange(other.inode_, nullptr);
  return *this;
}

InodeRef::~InodeRef() {
  if (inode_ != nullptr) table_->drop(*inode_);
}

// The reference that `this` is keeps both counts from zero meanwhile.
void InodeRef::add_lookup() const {
  inode_->refs_.fetch_add(1, std::memory_order_relaxed);
  inode_->lookups_.fetch_add(1, std::memory_order_relaxed);
}

InodeRef InodeTable::find(InodeId id) {
  Shard& in = shard(id);
  const MutexLock lock(in.mu);
  const auto found = in.inodes.find(raw(id));
  if (found == in.inodes.end()) return {};
  found->second.refs_.fetch_add(1, std::memory_order_relaxed);
  return {this, &found->second};
}

InodeRef InodeTable::intern(InodeId id, const Inode::Place& place, const Standpoint* from) {
  Inode* inode = nullptr;
  {
    Shard& in = shard(id);
    const MutexLock lock(in.mu);
    // Who moves it from now on finds it here.
    if (from != nullptr && !from->holds()) return {};
    const auto [entry, made] = in.inodes.try_emplace(raw(id), id, place);
    inode = &entry->second;
    inode->refs_.fetch_add(1, std::memory_order_relaxed);
    if (made) {
      size_.fetch_add(1, std::memory_order_relaxed);
      return {this, inode};
    }
  }
  InodeRef ref(this, inode);
  return ref->bind(place, from) ? std::move(ref) : InodeRef();
}

void InodeTable::drop(Inode& inode) {
  auto refs = inode.refs_.load(std::memory_order_relaxed);
  while (refs > 1) {
    if (inode.refs_.compare_exchange_weak(refs, refs - 1, std::memory_order_release,
                                          std::memory_order_relaxed)) {
      return;
    }
  }
  Shard& in = shard(inode.id);
  Inodes::node_type dead;  // destroyed after the lock is let go: may drop the last of a unit
  const MutexLock lock(in.mu);
  dead = drop_locked(in, inode, 1);
}

// New references are made under the shard's mutex, or by who has one already: so a count that is
// zero here stays zero.
InodeTable::Inodes::node_type InodeTable::drop_locked(Shard& in, Inode& inode,
                                                      std::uint64_t count) {
  if (inode.refs_.fetch_sub(count, std::memory_order_acq_rel) != count) return {};
  size_.fetch_sub(1, std::memory_order_relaxed);
  return in.inodes.extract(raw(inode.id));
}

void InodeTable::forget(InodeId id, std::uint64_t lookups) {
  if (lookups == 0) return;
  Shard& in = shard(id);
  Inodes::node_type dead;
  const MutexLock lock(in.mu);
  const auto found = in.inodes.find(raw(id));
  const auto known =
      found == in.inodes.end() ? 0 : found->second.lookups_.load(std::memory_order_relaxed);
  if (known < lookups) {
    spdlog::critical("op=forget inode={} lookups={} known={}", raw(id), lookups, known);
    spdlog::default_logger_raw()->flush();
    std::abort();
  }
  found->second.lookups_.fetch_sub(lookups, std::memory_order_relaxed);
  dead = drop_locked(in, found->second, lookups);
}

void InodeTable::clear_lookups() {
  for (Shard& in : shards_) {
    std::vector<Inodes::node_type> dead;
    const MutexLock lock(in.mu);
    for (auto next = in.inodes.begin(); next != in.inodes.end();) {
      Inode& inode = (next++)->second;
      const auto lookups = inode.lookups_.exchange(0, std::memory_order_relaxed);
      if (lookups == 0) continue;
      if (auto node = drop_locked(in, inode, lookups)) dead.push_back(std::move(node));
    }
  }
}

std::uint64_t generation_of(const FileHandle& handle) {
  // FNV-1a, then a finaliser that spreads every bit of it over all 64.
  std::uint64_t hash = 0xCBF29CE484222325ULL ^ static_cast<std::uint32_t>(handle.type);
  for (std::size_t i = 0; i < handle.size; ++i) hash = (hash ^ handle.data[i]) * 0x100000001B3ULL;
  hash = (hash ^ (hash >> 33)) * 0xFF51AFD7ED558CCDULL;
  hash = (hash ^ (hash >> 33)) * 0xC4CEB9FE1A85EC53ULL;
  hash ^= hash >> 33;
  return static_cast<std::uint32_t>(hash) == 0 ? 1 : hash;
}

}  // namespace ebbfs
