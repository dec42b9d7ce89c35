// SPDX-License-Identifier: Apache-2.0
//
// One unit of the volume as it lives in memory. It is entered by every request that uses it
// (UnitUse) and frozen by whoever is about to take it away: while it is frozen no request is inside
// and none gets in, so a verdict reached then still holds at the rename. Watching (lookup, stat,
// readdir) does not enter.
//
// Threading: all from any thread. Units are shared_ptr, held by the table and by every inode in
// them; a unit that was taken away is `gone` for ever. The lock order is in fs/unit_table.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "index/mutex.h"
#include "index/record.h"
#include "index/types.h"
#include "index/usage.h"

namespace ebbfs {

class Unit {
 public:
  // A dirty `record` has usage that nobody knows: the unit starts out counting. `accounts` are of
  // the record's class. `due` is the deadline in the index, none when that is not known here.
  Unit(UnitRecord record, std::shared_ptr<UnitAccounts> accounts, std::optional<WallTime> due);
  Unit(const Unit&) = delete;
  Unit& operator=(const Unit&) = delete;

  [[nodiscard]] UnitId id() const { return id_; }
  [[nodiscard]] bool is_root() const { return id_ == kRootUnit; }
  [[nodiscard]] UnitAccounts& accounts() const { return *accounts_; }
  // The top directory or file; never changes.
  [[nodiscard]] InodeId top() const { return top_; }
  [[nodiscard]] const FileHandle& handle() const { return handle_; }
  [[nodiscard]] bool gone() const { return (gate_.load(std::memory_order_acquire) & kGone) != 0; }

  // The gate. `try_enter` fails while frozen or gone. `freeze` waits at most `patience` for the
  // requests inside to leave; false, and thawed, when they did not, or when it is frozen already or
  // gone. After `freeze`: exactly one of `thaw` and `kill`.
  [[nodiscard]] bool try_enter();
  void leave() { gate_.fetch_sub(kInside, std::memory_order_seq_cst); }
  // How often it has been entered since it came into memory. It is counted by the same atomic that
  // lets a request in, so that it costs them nothing.
  [[nodiscard]] std::uint64_t entries() const {
    return gate_.load(std::memory_order_relaxed) / kEntry;
  }
  [[nodiscard]] bool freeze(Duration patience) EXCLUDES(mu_);
  // For who has no reason to wait longer or less: requests mostly leave in microseconds. And how
  // long until it is tried again when they did not.
  static constexpr Duration kPatience = std::chrono::milliseconds(20);
  static constexpr Duration kRetryFreeze = std::chrono::milliseconds(50);
  void thaw();
  void kill() EXCLUDES(mu_);
  // Blocks until neither frozen nor being frozen: true when it can be tried again, false when gone.
  [[nodiscard]] bool wait_until_thawed() const;

  // Use. A time before the present one is ignored.
  void touch(WallTime now);
  [[nodiscard]] WallTime last_used() const {
    return WallTime(Duration(last_used_.load(std::memory_order_relaxed)));
  }
  // Files inside that are open through the mount, or mapped; but for those that the kernel reads by
  // itself (passthrough), which are no longer counted once closed, though a mapping may go on:
  // those are found in /proc (fs/proc_scan.h).
  void opened() { opens_.fetch_add(1, std::memory_order_seq_cst); }
  // True when that was the last one and somebody waits for it (see `await_close`).
  [[nodiscard]] bool closed() {
    return opens_.fetch_sub(1, std::memory_order_seq_cst) == 1 &&
           awaited_.exchange(false, std::memory_order_seq_cst);
  }
  [[nodiscard]] std::uint32_t opens() const { return opens_.load(std::memory_order_seq_cst); }
  // Asks `closed` to say so when the last open file goes. That may have happened just before: look
  // at `opens` again afterwards.
  void await_close() { awaited_.store(true, std::memory_order_seq_cst); }

  // Usage is being counted in the background: see fs/accounting.h. Once set_counting(true) has
  // returned, nothing takes the unit's accounts for exact.
  [[nodiscard]] bool counting() const { return counting_.load(std::memory_order_acquire); }
  void set_counting(bool counting) EXCLUDES(mu_);

  // The record, with last_used and (unless counting) usage as they are now.
  [[nodiscard]] UnitRecord record() const EXCLUDES(mu_);
  [[nodiscard]] std::string path() const EXCLUDES(mu_);
  [[nodiscard]] std::string_view class_name() const { return accounts_->class_name(); }
  [[nodiscard]] bool pinned() const EXCLUDES(mu_);

 private:
  friend class UnitTable;
  // The gate, from its lowest bit: two flags, requests inside (22 bits), entries (40 bits, which
  // wrap).
  static constexpr std::uint64_t kFrozen = 1;
  static constexpr std::uint64_t kGone = 2;
  static constexpr std::uint64_t kInside = 4;
  static constexpr std::uint64_t kEntry = 1ULL << 24;
  static constexpr std::uint64_t kInsideMask = (kEntry - 1) & ~(kFrozen | kGone);

  [[nodiscard]] bool drained(Duration patience) const;
  [[nodiscard]] bool frozen() const {
    return (gate_.load(std::memory_order_seq_cst) & kFrozen) != 0;
  }
  // Or gone.
  [[nodiscard]] bool entered_or_frozen() const {
    return (gate_.load(std::memory_order_seq_cst) & (kEntry - 1)) != 0;
  }
  [[nodiscard]] UnitRecord record_locked() const REQUIRES(mu_);
  void keep_usage(const std::vector<UsageCell>& usage) REQUIRES(mu_);
  [[nodiscard]] bool has_path(std::string_view path) const EXCLUDES(mu_);
  // The record is stored no more; requests that are inside, or still get in, need not mark it.
  void retire() REQUIRES(mu_);

  const UnitId id_;
  const InodeId top_;
  const FileHandle handle_;
  const std::shared_ptr<UnitAccounts> accounts_;

  // Atomics, because every request inside changes them. seq_cst where two of them decide together:
  // entering then reading `active_` against clearing `active_` then reading the gate.
  std::atomic<std::uint64_t> gate_{0};
  std::atomic<std::int64_t> last_used_;
  std::atomic<std::uint32_t> opens_{0};
  std::atomic<bool> awaited_{false};
  std::atomic<bool> active_;    // the stored record is marked dirty; changed only under `mu_`
  std::atomic<bool> counting_;  // changed only under `mu_`
  bool pinned_ GUARDED_BY(mu_);
  bool retired_ GUARDED_BY(mu_) = false;

  mutable Mutex mu_;
  std::string path_ GUARDED_BY(mu_);
  // What else is in the record, in its byte form with zeros shortened: there may be 100,000 of
  // these, which are looked at now and then. Usage as last stored; numbers, path, class and handle
  // are left out, dirty and last_used mean nothing.
  std::string rest_ GUARDED_BY(mu_);
  std::optional<WallTime> due_ GUARDED_BY(mu_);  // as in the index
};

using UnitRef = std::shared_ptr<Unit>;

// A request inside a unit. Entering touches the unit and, the first time since it was idle, marks
// its stored record dirty, so that a crash from now on is known to have met it in use.
class UnitUse {
 public:
  UnitUse() = default;
  explicit UnitUse(UnitRef entered) : unit_(std::move(entered)) {}
  UnitUse(UnitUse&&) noexcept = default;
  UnitUse& operator=(UnitUse&& other) noexcept {
    if (this == &other) return *this;
    if (unit_) unit_->leave();
    unit_ = std::move(other.unit_);
    return *this;
  }
  UnitUse(const UnitUse&) = delete;
  UnitUse& operator=(const UnitUse&) = delete;
  ~UnitUse() {
    if (unit_) unit_->leave();
  }
  [[nodiscard]] Unit& unit() const { return *unit_; }

 private:
  UnitRef unit_;
};

}  // namespace ebbfs
