// SPDX-License-Identifier: Apache-2.0
//
// The events behind `ebbctl events`: numbered from 1 without gaps, the newest `max` of them kept.
// Invariant: whoever sees an event sees all that came before it and are still kept, so a reader
// that asks for "after N" misses nothing. Hence the lock across the commit; nothing that a request
// waits for writes events. Threading: any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "index/mutex.h"
#include "index/record.h"
#include "index/result.h"
#include "index/store.h"

namespace ebbfs {

class Journal {
 public:
  // Keeps the newest `max` (> 0) events. Call open() before anything else.
  Journal(Store& store, std::uint64_t max) : store_(store), max_(max) {}

  // Errors of all: those of Store; EBADMSG where a row is not what append() wrote.
  [[nodiscard]] Status open();

  // Commits `batch` and the event together. Returns the sequence given to the event.
  [[nodiscard]] Result<std::uint64_t> append(EventRecord event, Batch batch) EXCLUDES(mu_);
  // Commits them together, in this order.
  [[nodiscard]] Status append(std::vector<EventRecord> events) EXCLUDES(mu_);

  // Events after `sequence`, oldest first, at most `max`.
  [[nodiscard]] Result<std::vector<EventRecord>> after(std::uint64_t sequence,
                                                       std::size_t max) const;

  // The newest `max` events, oldest first.
  [[nodiscard]] Result<std::vector<EventRecord>> newest(std::size_t max) const;

 private:
  [[nodiscard]] std::uint64_t oldest() const;
  [[nodiscard]] Status commit(std::span<EventRecord> events, Batch batch) REQUIRES(mu_);

  Store& store_;
  const std::uint64_t max_;
  Mutex mu_;
  // Sequence of the next event. Changes under mu_ only; readers need no more than a recent value.
  std::atomic<std::uint64_t> next_{1};
};

}  // namespace ebbfs
