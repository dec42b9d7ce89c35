// SPDX-License-Identifier: Apache-2.0
#include "fs/inode_table.h"

#include <spdlog/spdlog.h>

#include <cstdlib>
#include <vector>

namespace ebbfs {

Inode::Bound Inode::bind(const Place& place, const Standpoint* from) {
  const MutexLock lock(mu_);
  if (from != nullptr && !from->holds()) return Bound::from_elsewhere;
  if (place_.handle != place.handle) return Bound::other_handle;
  // Mostly nothing has changed: spare the unit's reference count, which all its inodes share.
  if (place_ == place) return Bound::yes;
  place_ = place;
  moves_.fetch_add(1, std::memory_order_release);
  return Bound::yes;
}

void Inode::bind_anew(const Place& place, const Standpoint* from) {
  const MutexLock size_lock(size_mu);
  const MutexLock lock(mu_);
  if (place_.handle == place.handle) return;  // somebody else was first
  if (from != nullptr && !from->holds()) return;
  extent = Extent{};
  place_ = place;
  moves_.fetch_add(1, std::memory_order_release);
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
  return found == in.inodes.end() ? InodeRef() : hold(found->second);
}

InodeRef InodeTable::find(NodeId node) {
  Shard& in = shard(number_of(node));
  const MutexLock lock(in.mu);
  Inode* inode = known(in, node);
  return inode == nullptr ? InodeRef() : hold(*inode);
}

InodeRef InodeTable::hold(Inode& inode) {
  inode.refs_.fetch_add(1, std::memory_order_relaxed);
  return {this, &inode};
}

NodeId InodeTable::node_for(InodeId id) {
  const InodeRef inode = find(id);
  return inode ? inode->node() : kNoNode;
}

Inode* InodeTable::known(Shard& in, NodeId node) {
  const auto found = in.inodes.find(raw(number_of(node)));
  if (found != in.inodes.end() && found->second.node() == node) return &found->second;
  if (in.retired.empty()) return nullptr;
  const auto retired = in.retired.find(raw(node));
  return retired == in.retired.end() ? nullptr : &retired->second;
}

InodeRef InodeTable::intern(InodeId id, const Inode::Place& place, const Standpoint* from,
                            InodeRef* other) {
  for (;;) {
    InodeRef ref;
    {
      Shard& in = shard(id);
      const MutexLock lock(in.mu);
      // Who moves it from now on finds it here.
      if (from != nullptr && !from->holds()) return {};
      const auto [entry, made] = in.inodes.try_emplace(raw(id), id, free_use(in, id), place);
      ref = hold(entry->second);
      if (made) {
        size_.fetch_add(1, std::memory_order_relaxed);
        return ref;
      }
    }
    const Inode::Bound bound = ref->bind(place, from);
    if (bound == Inode::Bound::yes) return ref;
    if (bound == Inode::Bound::from_elsewhere) return {};
    if (other != nullptr && other->inode_ != ref.inode_) {
      *other = std::move(ref);
      return {};
    }
    if (!retire(*ref)) ref->bind_anew(place, from);
  }
}

std::uint32_t InodeTable::free_use(Shard& in, InodeId id) {
  if (in.retired.empty() || uses_of(id) == 0) return 0;
  while (in.retired.contains(raw(node_of(id, in.next_use)))) {
    in.next_use = in.next_use % kUsesMax + 1;
  }
  return in.next_use;
}

bool InodeTable::retire(Inode& inode) {
  Shard& in = shard(inode.id);
  const MutexLock lock(in.mu);
  if (inode.retired()) return true;
  if (in.retired.size() + 1 >= uses_of(inode.id)) return false;
  in.retired.reserve(in.retired.size() + 1);  // so that nothing below can fail
  auto node = in.inodes.extract(raw(inode.id));
  node.key() = raw(inode.node());
  inode.use_.fetch_or(Inode::kRetired, std::memory_order_release);
  in.retired.insert(std::move(node));
  return true;
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
  return inode.retired() ? in.retired.extract(raw(inode.node())) : in.inodes.extract(raw(inode.id));
}

void InodeTable::forget(NodeId node, std::uint64_t lookups) {
  if (lookups == 0) return;
  Shard& in = shard(number_of(node));
  Inodes::node_type dead;
  const MutexLock lock(in.mu);
  Inode* inode = known(in, node);
  const auto given = inode == nullptr ? 0 : inode->lookups_.load(std::memory_order_relaxed);
  if (given < lookups) {
    spdlog::critical("op=forget node={:#x} lookups={} known={}", raw(node), lookups, given);
    spdlog::default_logger_raw()->flush();
    std::abort();
  }
  inode->lookups_.fetch_sub(lookups, std::memory_order_relaxed);
  dead = drop_locked(in, *inode, lookups);
}

std::vector<InodeRef> InodeTable::all() {
  std::vector<InodeRef> found;
  for (Shard& in : shards_) {
    const MutexLock lock(in.mu);
    for (Inodes* inodes : {&in.inodes, &in.retired}) {
      for (auto& [key, inode] : *inodes) {
        found.push_back(hold(inode));
      }
    }
  }
  return found;
}

void InodeTable::clear_lookups() {
  for (Shard& in : shards_) {
    std::vector<Inodes::node_type> dead;
    const MutexLock lock(in.mu);
    for (Inodes* inodes : {&in.inodes, &in.retired}) {
      for (auto next = inodes->begin(); next != inodes->end();) {
        Inode& inode = (next++)->second;
        const auto lookups = inode.lookups_.exchange(0, std::memory_order_relaxed);
        if (lookups == 0) continue;
        if (auto node = drop_locked(in, inode, lookups)) dead.push_back(std::move(node));
      }
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
