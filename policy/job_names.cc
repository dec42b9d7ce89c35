// SPDX-License-Identifier: Apache-2.0
#include "policy/job_names.h"

#include <functional>

namespace ebbfs {

const JobNames::Entry* JobNames::find(std::size_t hash, std::string_view name) const {
  const Entry* entry = buckets_[hash % kBuckets].load(std::memory_order_acquire);
  while (entry != nullptr && (entry->hash != hash || entry->name != name)) entry = entry->next;
  return entry;
}

std::uint32_t JobNames::number(std::string_view name) {
  const std::size_t hash = std::hash<std::string_view>{}(name);
  if (const Entry* known = find(hash, name)) return known->number;

  const MutexLock lock(mu_);
  if (const Entry* known = find(hash, name)) return known->number;
  std::atomic<const Entry*>& bucket = buckets_[hash % kBuckets];
  const Entry* const older = bucket.load(std::memory_order_relaxed);
  const std::uint32_t depth = older == nullptr ? 1 : older->depth + 1;
  if (count_ == limit_ || depth > kChainMax) return kNone;

  const std::uint32_t number = count_ + 1;
  const std::size_t chunk = number / kChunkEntries;
  if (chunk == storage_.size()) storage_.push_back(std::make_unique<Entry[]>(kChunkEntries));
  Entry& entry = storage_[chunk][number % kChunkEntries];
  entry = {std::string(name), hash, number, depth, older};
  count_ = number;
  chunks_[chunk].store(storage_[chunk].get(), std::memory_order_release);
  bucket.store(&entry, std::memory_order_release);
  return number;
}

// Whoever has a number got it from number(), or through a lock from somebody who did: the entry is
// complete.
std::string_view JobNames::name(std::uint32_t number) const {
  if (number == kNone || number > kMax) return {};
  const Entry* chunk = chunks_[number / kChunkEntries].load(std::memory_order_acquire);
  return chunk == nullptr ? std::string_view() : chunk[number % kChunkEntries].name;
}

}  // namespace ebbfs
