// SPDX-License-Identifier: Apache-2.0
//
// Who holds how much, exactly, and the refusal of what would pass a limit. An Account counts one
// scope (volume, class, unit, user, group, job); a Cell is one (unit, uid, gid) and knows the
// accounts that bound it. Reserve, then act, then settle: `reserve` charges first and refuses as a
// whole, `settle` gives back what was not used. Counters are atomics; no lock is taken after a cell
// is found.
//
// Invariant: an account's usage is the sum over the cells that name it, plus reservations in
// flight, and never passes its hard limit, not even for an instant: growth is charged first, scope
// by scope, each by compare-and-swap against its limit; what shrinks is given back only when
// nothing can be refused any more, so taking back a refused growth never has to grow anything.
// A reservation that is refused by a later scope holds room in the earlier ones for a moment, in
// which another may be refused that would have fitted.
//
// Threading: any thread, except that a unit has to be still (no other call that charges its cells)
// during detach, attach and forget, and the caller's lock for that orders them with later charges.
// Lock order: UnitAccounts::mu_, then UsageLedger::mu_.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "index/account.h"
#include "index/mutex.h"
#include "index/record.h"
#include "index/result.h"
#include "index/types.h"

namespace ebbfs {

class UnitAccounts;

// One (unit, uid, gid). Address is stable for the life of its UnitAccounts.
class Cell {
 public:
  Cell(uid_t owner, gid_t owner_group) : uid(owner), gid(owner_group) {}

  const uid_t uid;
  const gid_t gid;

  [[nodiscard]] Usage usage() const {
    return {{bytes_.load(std::memory_order_relaxed)}, inodes_.load(std::memory_order_relaxed)};
  }
  // Bytes that were ever reserved here: what is new, whatever has gone again.
  [[nodiscard]] std::int64_t reserved() const { return reserved_.load(std::memory_order_relaxed); }

 private:
  friend class UsageLedger;
  friend class UnitAccounts;

  // Place of each scope in scopes_. Volume first: where it and a quota are both full, it is ENOSPC.
  enum Scope : std::size_t { volume, unit, class_of_unit, user, group, job };
  static constexpr std::size_t kScopes = job + 1;
  // Those that a unit in the trash is not in.
  static constexpr std::array kPolicyScopes = {class_of_unit, user, group, job};

  void leave_policy_scopes();
  void add(const Usage& delta) {
    if (delta.bytes.n != 0) bytes_.fetch_add(delta.bytes.n, std::memory_order_relaxed);
    if (delta.inodes != 0) inodes_.fetch_add(delta.inodes, std::memory_order_relaxed);
  }

  // No Account: it has no limits of its own, and there is one in every unit.
  std::atomic<std::int64_t> bytes_{0};
  std::atomic<std::int64_t> inodes_{0};
  std::atomic<std::int64_t> reserved_{0};
  // Null where there is none. Written when the cell is made and while its unit is still.
  std::array<Account*, kScopes> scopes_{};
};

// The accounts of one unit: its own total and its cells. Made by UsageLedger::open_unit. Held by
// shared_ptr from the unit and from every inode in it, so cells outlive the unit's removal. Must
// not be charged after the ledger is gone.
class UnitAccounts {
 public:
  // Only for UsageLedger, which makes these.
  class Key {
    friend class UsageLedger;
    Key() = default;
  };
  UnitAccounts(Key, UnitId unit, NamedAccount* of_class, Account* of_job)
      : unit_(unit), class_(of_class), job_(of_job) {}

  [[nodiscard]] const Account& total() const { return total_; }
  [[nodiscard]] Account& total() { return total_; }
  // Those that hold something, by uid, then gid.
  [[nodiscard]] std::vector<UsageCell> cells() const EXCLUDES(mu_);
  // Cell::reserved() of each user, in no order; more than one of a user where groups differ.
  struct Reserved {
    uid_t uid = 0;
    std::int64_t bytes = 0;
  };
  [[nodiscard]] std::vector<Reserved> reserved() const EXCLUDES(mu_);
  [[nodiscard]] UnitId unit() const { return unit_; }
  // As open_unit() was told, as long as the ledger is there.
  [[nodiscard]] std::string_view class_name() const {
    return class_ == nullptr ? std::string_view() : std::string_view(class_->first).substr(kClass);
  }

 private:
  friend class UsageLedger;
  static constexpr std::size_t kClass = std::string_view("class:").size();
  // The cell of (uid, gid), null while there is none.
  [[nodiscard]] Cell* find(uid_t uid, gid_t gid) REQUIRES(mu_);
  [[nodiscard]] Cell& make(uid_t uid, gid_t gid) REQUIRES(mu_);
  // All cells of `self`, in no order.
  template <typename Self, typename Visit>
  static void for_each_cell(Self& self, const Visit& visit) REQUIRES(self.mu_) {
    if (self.first_) visit(*self.first_);
    if (!self.others_) return;
    for (auto& [who, cell] : *self.others_) visit(cell);
  }

  const UnitId unit_;
  NamedAccount* const class_;  // null for the root unit
  Account* const job_;         // null when there is no job
  Account total_;
  mutable Mutex mu_;
  bool detached_ GUARDED_BY(mu_) = false;
  // The cell asked for last.
  std::atomic<Cell*> recent_{nullptr};
  // Most units have one user, and there may be 100,000 of these. Cells stay where they are.
  std::optional<Cell> first_ GUARDED_BY(mu_);
  std::unique_ptr<std::map<std::pair<uid_t, gid_t>, Cell>> others_ GUARDED_BY(mu_);
};

class UsageLedger {
 public:
  UsageLedger() = default;
  UsageLedger(const UsageLedger&) = delete;
  UsageLedger& operator=(const UsageLedger&) = delete;

  // Accounts of a unit of class `class_name` (empty: root unit) and `job` (empty: none).
  [[nodiscard]] std::shared_ptr<UnitAccounts> open_unit(UnitId unit, std::string_view class_name,
                                                        std::string_view job) EXCLUDES(mu_);

  // The cell of (uid, gid) in `unit`, made on first use. A short lock per call; callers keep the
  // pointer (valid while they hold the UnitAccounts).
  [[nodiscard]] Cell& cell(UnitAccounts& unit, uid_t uid, gid_t gid) EXCLUDES(mu_, unit.mu_);

  // Charges `delta` to the cell and to every scope it is in, as a whole or not at all. Shrinking
  // parts always succeed. `now` is for soft limits and may be left out while has_soft_limits() is
  // false. Errors: ENOSPC when `volume` is the one that is full, else EDQUOT.
  [[nodiscard]] Status reserve(Cell& cell, const Usage& delta, WallTime now = {});
  // Adds `delta` (of either sign) without asking: settling, giving back, loading counts.
  void settle(Cell& cell, const Usage& delta);
  // Moves `usage` from one cell to another: EDQUOT, and nothing moved, where a scope that `from` is
  // not in would pass its limit. Scopes that both are in do not change. Either part of `usage` may
  // be negative; it is `from` that grows by that one then, within the limits of its scopes.
  [[nodiscard]] Status move(Cell& from, Cell& to, const Usage& usage, WallTime now = {});
  // The same in two steps, with what may fail between them: begin_move takes the room and refuses
  // like `move`; then exactly one of end_move, which gives free what was left behind, and
  // cancel_move. So nobody takes the old room while it may still be needed. Same arguments for all.
  [[nodiscard]] Status begin_move(Cell& from, Cell& to, const Usage& usage, WallTime now = {});
  void end_move(Cell& from, Cell& to, const Usage& usage);
  void cancel_move(Cell& from, Cell& to, const Usage& usage);

  // Of these, REQUIRES: the unit is still. Detaches a whole unit from class, user, group and job;
  // the volume keeps the charge (trash), as does the unit's own total. Later changes through its
  // cells, old or new, reach these two only. `attach` is the opposite (restore): EDQUOT, and
  // nothing changed, where it does not fit.
  void detach(UnitAccounts& unit) EXCLUDES(unit.mu_);
  [[nodiscard]] Status attach(UnitAccounts& unit, WallTime now = {}) EXCLUDES(mu_, unit.mu_);
  // Takes the whole unit's charge from every scope (trash purged, or contents gone): all counters
  // of its cells become zero. What they held must not be given back again afterwards.
  void forget(UnitAccounts& unit) EXCLUDES(unit.mu_);

  // Whether a settle() ever left a cell below zero: it was told of something that nobody counted.
  [[nodiscard]] bool went_below_zero() const {
    return went_below_zero_.load(std::memory_order_relaxed);
  }

  [[nodiscard]] Account& volume() { return volume_; }
  // Whether a soft limit was ever set.
  [[nodiscard]] bool has_soft_limits() const {
    return has_soft_limits_.load(std::memory_order_relaxed);
  }
  // What limits each account, by the name that scopes() gives it: asked when it is made, and for
  // all of them, and "volume", by apply_limits(). Set before accounts are made; called with a lock
  // held, so it must not call back.
  using Limiter = std::function<ScopeLimits(std::string_view scope)>;
  void set_limiter(Limiter limiter) EXCLUDES(mu_);
  void apply_limits() EXCLUDES(mu_);
  // The same for a unit, whose account has no name here: "unit:PATH".
  void limit_unit(UnitAccounts& unit, const std::string& path) EXCLUDES(mu_);
  // The same for a unit that is about to get this path: EDQUOT, and nothing changed, where what it
  // holds would pass a hard limit that is lower there than the present one.
  [[nodiscard]] Status limit_moving_unit(UnitAccounts& unit, const std::string& path) EXCLUDES(mu_);
  // Calls `visit` for every named account, by name.
  void for_each(const std::function<void(const std::string& scope, Account& account)>& visit)
      EXCLUDES(mu_);
  // The account of a scope by the name that scopes() gives it, made on first use: to limit it.
  [[nodiscard]] Account& scope(std::string_view name) EXCLUDES(mu_);
  // Usage by name of scope, for showing: "class:worktree", "user:1000", "group:1000", "job:ci-1".
  // Only scopes that were ever used, sorted by name.
  struct Scope {
    std::string name;
    Usage usage;
  };
  [[nodiscard]] std::vector<Scope> scopes() const EXCLUDES(mu_);
  // Zero for a class that no unit has been in.
  [[nodiscard]] Usage class_usage(std::string_view class_name) const EXCLUDES(mu_);

 private:
  static constexpr std::string_view kJobPrefix = "job:";
  class MoveCharges;
  void limit(Account& account, const ScopeLimits& limits);
  // The entry of `name` in one of the maps below, made on first use.
  template <typename Accounts>
  auto& entry(Accounts& accounts, std::string_view name) REQUIRES(mu_) {
    auto found = accounts.find(name);
    if (found == accounts.end()) {
      found = accounts.try_emplace(std::string(name)).first;
      if (limiter_) limit(found->second, limiter_(name));
    }
    return *found;
  }
  // Every named account of `self`, by name.
  template <typename Self, typename Visit>
  static void for_each_named(Self& self, const Visit& visit) REQUIRES(self.mu_) {
    auto at = self.accounts_.begin();
    for (; at != self.accounts_.end() && at->first < kJobPrefix; ++at) visit(at->first, at->second);
    for (auto& [name, account] : self.jobs_) visit(name, account);
    for (; at != self.accounts_.end(); ++at) visit(at->first, at->second);
  }
  void open_cell(UnitAccounts& unit, Cell& cell) REQUIRES(unit.mu_) EXCLUDES(mu_);
  void fill_scopes(const UnitAccounts& unit, Cell& cell) EXCLUDES(mu_);

  SharedAccount volume_;
  mutable Mutex mu_;
  // By the name of the scope; those of jobs, "job:...", apart.
  std::map<std::string, SharedAccount, std::less<>> accounts_ GUARDED_BY(mu_);
  std::map<std::string, Account, std::less<>> jobs_ GUARDED_BY(mu_);
  Limiter limiter_ GUARDED_BY(mu_);
  std::atomic<bool> has_soft_limits_{false};
  std::atomic<bool> went_below_zero_{false};  // stays; asked for now and then
};

}  // namespace ebbfs
