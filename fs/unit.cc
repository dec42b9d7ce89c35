// SPDX-License-Identifier: Apache-2.0
#include "fs/unit.h"

#include <chrono>
#include <thread>
#include <utility>

#include "index/zero_runs.h"

namespace ebbfs {
namespace {

// How a freeze waits for the requests inside: they mostly end within microseconds.
constexpr int kFreezeYields = 64;
constexpr auto kFreezeNap = std::chrono::microseconds(50);

std::int64_t ticks(WallTime time) { return time.time_since_epoch().count(); }

// Less what a Unit keeps beside it.
std::string encoded_rest(UnitRecord record) {
  record.id = {};
  record.inode = {};
  record.path.clear();
  record.class_name.clear();
  record.handle = {};
  return shorten_zeros(encode(record));
}

UnitRecord decoded_rest(std::string_view rest) { return decode_unit(restore_zeros(rest)).value(); }

}  // namespace

Unit::Unit(UnitRecord record, std::shared_ptr<UnitAccounts> accounts, std::optional<WallTime> due)
    : id_(record.id),
      top_(record.inode),
      handle_(record.handle),
      accounts_(std::move(accounts)),
      last_used_(ticks(record.last_used)),
      active_(record.dirty),
      counting_(record.dirty),
      pinned_(record.pinned),
      path_(std::move(record.path)),
      rest_(encoded_rest(std::move(record))),
      due_(due) {}

// By compare-and-swap, not by counting first and looking then: so the count is never more than the
// requests inside, and a freeze cannot be delayed by those that it refuses.
bool Unit::try_enter() {
  auto gate = gate_.load(std::memory_order_relaxed);
  do {
    if ((gate & (kFrozen | kGone)) != 0) return false;
  } while (!gate_.compare_exchange_weak(gate, gate + kEntry + kInside, std::memory_order_seq_cst,
                                        std::memory_order_relaxed));
  return true;
}

bool Unit::freeze(Duration patience) {
  auto gate = gate_.load(std::memory_order_relaxed);
  do {
    if ((gate & (kFrozen | kGone)) != 0) return false;
  } while (!gate_.compare_exchange_weak(gate, gate | kFrozen, std::memory_order_seq_cst,
                                        std::memory_order_relaxed));
  if (!drained(patience)) {
    thaw();
    return false;
  }
  // A flush may have looked at the gate just before: let it finish, so that from now on nobody
  // stores the record but who froze it.
  const MutexLock barrier(mu_);
  return true;
}

bool Unit::drained(Duration patience) const {
  const auto start = std::chrono::steady_clock::now();
  for (int round = 0;; ++round) {
    if ((gate_.load(std::memory_order_seq_cst) & kInsideMask) == 0) return true;
    if (std::chrono::steady_clock::now() - start >= patience) return false;
    if (round < kFreezeYields) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(kFreezeNap);
    }
  }
}

void Unit::thaw() {
  gate_.fetch_and(~kFrozen, std::memory_order_seq_cst);
  gate_.notify_all();
}

void Unit::kill() {
  {
    const MutexLock lock(mu_);
    retire();
    gate_.fetch_or(kGone, std::memory_order_seq_cst);
  }
  gate_.notify_all();
}

void Unit::retire() {
  retired_ = true;
  active_.store(true, std::memory_order_seq_cst);
}

bool Unit::wait_until_thawed() const {
  for (;;) {
    const auto gate = gate_.load(std::memory_order_seq_cst);
    if ((gate & kGone) != 0) return false;
    if ((gate & kFrozen) == 0) return true;
    gate_.wait(gate, std::memory_order_seq_cst);
  }
}

void Unit::touch(WallTime now) {
  const auto at = ticks(now);
  auto latest = last_used_.load(std::memory_order_relaxed);
  while (latest < at && !last_used_.compare_exchange_weak(latest, at, std::memory_order_relaxed)) {
  }
}

void Unit::set_counting(bool counting) {
  const MutexLock lock(mu_);
  counting_.store(counting, std::memory_order_release);
}

UnitRecord Unit::record_locked() const {
  UnitRecord record = decoded_rest(rest_);
  record.id = id_;
  record.inode = top_;
  record.path = path_;
  record.class_name = class_name();
  record.handle = handle_;
  record.pinned = pinned_;
  record.last_used = last_used();
  record.dirty = active_.load(std::memory_order_relaxed);
  if (!counting()) record.usage = accounts_->cells();
  return record;
}

void Unit::keep_usage(const std::vector<UsageCell>& usage) {
  UnitRecord record = decoded_rest(rest_);
  if (record.usage == usage) return;
  record.usage = usage;
  rest_ = encoded_rest(std::move(record));
}

UnitRecord Unit::record() const {
  const MutexLock lock(mu_);
  return record_locked();
}

std::string Unit::path() const {
  const MutexLock lock(mu_);
  return path_;
}

bool Unit::has_path(std::string_view path) const {
  const MutexLock lock(mu_);
  return path_ == path;
}

bool Unit::pinned() const {
  const MutexLock lock(mu_);
  return pinned_;
}

}  // namespace ebbfs
