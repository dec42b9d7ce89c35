// SPDX-License-Identifier: Apache-2.0
//
// The deadlines of all things, in order and in memory: what the `deadlines` table says, without
// reading it, and those of locks, which are not stored. About 110 bytes for each queued thing.
// Invariant: a thing has at most one deadline.
// Threading: any thread; one short lock a call, no I/O under it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <set>
#include <unordered_map>
#include <vector>

#include "index/mutex.h"
#include "index/record.h"
#include "index/types.h"

namespace ebbfs {

class DeadlineQueue {
 public:
  // Replaces the deadline of `thing`; kNever takes it out of the queue.
  void set(Thing thing, WallTime due) EXCLUDES(mu_);

  // kNever when `thing` is not queued.
  [[nodiscard]] WallTime find(Thing thing) const EXCLUDES(mu_);

  // Entries with due <= now, earliest first, at most `max`. Cost: the entries returned.
  [[nodiscard]] std::vector<Deadline> due(WallTime now, std::size_t max) const EXCLUDES(mu_);
  // The same of one kind.
  [[nodiscard]] std::vector<Deadline> due(Deadline::Kind kind, WallTime now, std::size_t max) const
      EXCLUDES(mu_);

  // The earliest due time; kNever when the queue is empty.
  [[nodiscard]] WallTime first() const EXCLUDES(mu_);

 private:
  static constexpr std::size_t kKinds = 3;
  using Ordered = std::set<Deadline>;

  mutable Mutex mu_;
  std::array<Ordered, kKinds> ordered_ GUARDED_BY(mu_);                   // by kind
  std::unordered_map<std::uint64_t, WallTime> by_thing_ GUARDED_BY(mu_);  // by packed()
};

}  // namespace ebbfs
