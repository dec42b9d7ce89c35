// SPDX-License-Identifier: Apache-2.0
#include "index/deadline_queue.h"

#include <algorithm>

namespace ebbfs {
namespace {

std::size_t index_of(Deadline::Kind kind) { return static_cast<std::size_t>(kind); }

void append_due(const std::set<Deadline>& ordered, WallTime now, std::size_t max,
                std::vector<Deadline>& to) {
  for (const Deadline& entry : ordered) {
    if (entry.due > now || max-- == 0) break;
    to.push_back(entry);
  }
}

}  // namespace

void DeadlineQueue::set(Thing thing, WallTime due) {
  const MutexLock lock(mu_);
  if (const auto known = by_thing_.find(packed(thing)); known != by_thing_.end()) {
    if (known->second == due) return;
    ordered_.at(index_of(thing.kind)).erase({known->second, thing.kind, thing.id});
    by_thing_.erase(known);
  }
  if (due == kNever) return;
  by_thing_.emplace(packed(thing), due);
  ordered_.at(index_of(thing.kind)).insert({due, thing.kind, thing.id});
}

WallTime DeadlineQueue::find(Thing thing) const {
  const MutexLock lock(mu_);
  const auto known = by_thing_.find(packed(thing));
  return known == by_thing_.end() ? kNever : known->second;
}

std::vector<Deadline> DeadlineQueue::due(WallTime now, std::size_t max) const {
  std::vector<Deadline> entries;
  {
    const MutexLock lock(mu_);
    for (const Ordered& ordered : ordered_) append_due(ordered, now, max, entries);
  }
  std::ranges::sort(entries);
  if (entries.size() > max) entries.resize(max);
  return entries;
}

std::vector<Deadline> DeadlineQueue::due(Deadline::Kind kind, WallTime now, std::size_t max) const {
  std::vector<Deadline> entries;
  const MutexLock lock(mu_);
  append_due(ordered_.at(index_of(kind)), now, max, entries);
  return entries;
}

WallTime DeadlineQueue::first() const {
  const MutexLock lock(mu_);
  WallTime first = kNever;
  for (const Ordered& ordered : ordered_) {
    if (!ordered.empty()) first = std::min(first, ordered.begin()->due);
  }
  return first;
}

}  // namespace ebbfs
