// SPDX-License-Identifier: Apache-2.0
#include "index/id_counter.h"

#include <tuple>

#include "index/schema.h"

namespace ebbfs {

Status IdCounter::open() {
  const auto stored = store_.get(Table::meta, key_);
  if (!stored) return std::unexpected(stored.error());
  if (*stored) {
    const auto number = parse_number_key(**stored);
    if (!number || *number == 0) return fail(EBADMSG);
    next_ = *number;
    reserved_ = *number;
  }
  return reserve_above(next_);
}

std::uint64_t IdCounter::next() {
  const std::uint64_t id = next_.fetch_add(1, std::memory_order_relaxed);
  // A failure here is met again by cover(), which can report it.
  if (id + kBlock / 2 >= reserved_) std::ignore = reserve_above(id);
  return id;
}

Status IdCounter::cover(std::uint64_t id) { return id < reserved_ ? Status{} : reserve_above(id); }

Status IdCounter::skip(std::uint64_t id) {
  if (id < next_) return {};
  next_ = id + 1;
  return reserve_above(id + 1);
}

void IdCounter::close_into(Batch& batch) {
  const MutexLock lock(mu_);
  reserved_ = next_.load();  // from here on every id has to reserve anew
  batch.put(Table::meta, key_, number_key(reserved_));
}

// At least half a block beyond `id`, a whole one when anything is written.
Status IdCounter::reserve_above(std::uint64_t id) {
  const MutexLock lock(mu_);
  if (id + kBlock / 2 < reserved_) return {};  // another thread was faster
  Batch batch;
  batch.put(Table::meta, key_, number_key(id + kBlock));
  const Status done = store_.commit(batch, Durability::process_crash);
  if (done) reserved_ = id + kBlock;
  return done;
}

}  // namespace ebbfs
