// SPDX-License-Identifier: Apache-2.0
#include "index/deadline_queue.h"

namespace ebbfs {

void DeadlineQueue::set(Thing thing, WallTime due) {
  const MutexLock lock(mu_);
  if (const auto known = by_thing_.find(thing); known != by_thing_.end()) {
    if (known->second == due) return;
    ordered_.erase({known->second, thing.kind, thing.id});
    by_thing_.erase(known);
  }
  if (due == kNever) return;
  by_thing_.emplace(thing, due);
  ordered_.insert({due, thing.kind, thing.id});
}

WallTime DeadlineQueue::find(Thing thing) const {
  const MutexLock lock(mu_);
  const auto known = by_thing_.find(thing);
  return known == by_thing_.end() ? kNever : known->second;
}

std::vector<Deadline> DeadlineQueue::due(WallTime now, std::size_t max) const {
  std::vector<Deadline> entries;
  const MutexLock lock(mu_);
  for (const Deadline& entry : ordered_) {
    if (entry.due > now || entries.size() == max) break;
    entries.push_back(entry);
  }
  return entries;
}

WallTime DeadlineQueue::first() const {
  const MutexLock lock(mu_);
  return ordered_.empty() ? kNever : ordered_.begin()->due;
}

}  // namespace ebbfs
