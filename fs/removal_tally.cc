// SPDX-License-Identifier: Apache-2.0
#include "fs/removal_tally.h"

#include <algorithm>

namespace ebbfs {
namespace {

// Read at once; a mass expiry writes tens of thousands.
constexpr std::size_t kAtOnce = 4096;

}  // namespace

std::optional<RemovalReason> removal_of(EventRecord::Kind kind) {
  switch (kind) {
    case EventRecord::Kind::expired:
      return RemovalReason::expire;
    case EventRecord::Kind::evicted:
      return RemovalReason::evict;
    case EventRecord::Kind::reclaimed:
      return RemovalReason::reclaim;
    case EventRecord::Kind::requested:
      return RemovalReason::request;
    default:
      return std::nullopt;
  }
}

void RemovalTally::add(const EventRecord& event) {
  event_ = std::max(event_, event.sequence);
  const auto reason = removal_of(event.kind);
  if (!reason) return;
  add(SampledRemovals{event.class_name, *reason, 1, event.usage});
}

void RemovalTally::add(const SampledRemovals& counted) {
  Counted& all = counted_[{counted.class_name, counted.reason}];
  all.count += counted.count;
  all.usage += counted.usage;
}

Status RemovalTally::catch_up(UnitIndex& index) {
  for (;;) {
    const auto events = index.events_after(event_, kAtOnce);
    if (!events) return std::unexpected(events.error());
    for (const EventRecord& event : *events) add(event);
    if (events->size() < kAtOnce) return {};
  }
}

std::vector<SampledRemovals> RemovalTally::removals() const {
  std::vector<SampledRemovals> all;
  all.reserve(counted_.size());
  for (const auto& [of, counted] : counted_) {
    const auto& [class_name, reason] = of;
    all.push_back({class_name, reason, counted.count, counted.usage});
  }
  return all;
}

}  // namespace ebbfs
