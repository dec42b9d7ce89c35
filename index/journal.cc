// SPDX-License-Identifier: Apache-2.0
#include "index/journal.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "index/schema.h"

namespace ebbfs {

Status Journal::open() {
  const auto stored = store_.get(Table::meta, kNextEventKey);
  if (!stored) return std::unexpected(stored.error());
  if (!*stored) return {};
  const auto number = parse_number_key(**stored);
  if (!number || *number == 0) return fail(EBADMSG);
  next_ = *number;
  return {};
}

Result<std::uint64_t> Journal::append(EventRecord event, Batch batch) {
  const MutexLock lock(mu_);
  const Status done = commit({&event, 1}, std::move(batch));
  if (!done) return std::unexpected(done.error());
  return event.sequence;
}

Status Journal::append(std::vector<EventRecord> events) {
  if (events.empty()) return {};
  const MutexLock lock(mu_);
  return commit(events, {});
}

Status Journal::commit(std::span<EventRecord> events, Batch batch) {
  std::uint64_t next = next_;
  for (EventRecord& event : events) {
    event.sequence = next++;
    batch.put(Table::journal, number_key(event.sequence), encode(event));
    if (event.sequence > max_) batch.erase(Table::journal, number_key(event.sequence - max_));
  }
  batch.put(Table::meta, std::string(kNextEventKey), number_key(next));
  Status done = store_.commit(batch, Durability::process_crash);
  if (done) next_ = next;
  return done;
}

Result<std::vector<EventRecord>> Journal::after(std::uint64_t sequence, std::size_t max) const {
  std::vector<EventRecord> events;
  if (max == 0 || sequence >= next_) return events;
  Status decoded;
  // Not from the front of the table: erased rows pile up there.
  const std::string from = number_key(std::max(sequence + 1, oldest()));
  const Status scanned = store_.scan(Table::journal, from, [&](auto, std::string_view value) {
    auto event = decode_event(value);
    if (!event) {
      decoded = std::unexpected(event.error());
      return false;
    }
    events.push_back(*std::move(event));
    return events.size() < max;
  });
  if (!scanned) return std::unexpected(scanned.error());
  if (!decoded) return std::unexpected(decoded.error());
  return events;
}

Result<std::vector<EventRecord>> Journal::newest(std::size_t max) const {
  const std::uint64_t next = next_;
  return after(next - 1 - std::min<std::uint64_t>(max, next - 1), max);
}

std::uint64_t Journal::oldest() const {
  const std::uint64_t next = next_;
  return next > max_ ? next - max_ : 1;
}

}  // namespace ebbfs
