// SPDX-License-Identifier: Apache-2.0
//
// The units of the volume, found by id, by top inode and by path, and what the index is told of
// them: a unit's record is marked dirty once, when the first request enters it, and stored clean,
// with exact usage, when nobody has used it for a while. Invariant: a stored record that is not
// dirty is exact, whenever the daemon dies.
//
// Threading: all from any thread. Lock order, outer to inner:
//   Unit::mu_            the record and its storing
//     UnitTable::mu_     map access only
//     the index and the accounts, which lock for themselves
// A frozen gate is waited for while holding neither.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "fs/unit.h"
#include "index/mutex.h"
#include "index/record.h"
#include "index/result.h"
#include "index/types.h"
#include "index/unit_index.h"
#include "index/usage.h"

namespace ebbfs {

// Returned instead of blocking where the caller may not block: run the same call again from a
// worker. Never reaches the kernel.
inline constexpr Errno kDefer{1 << 20};

class UnitTable {
 public:
  // `index` and `ledger` outlive the table. `root` is the stored root unit or a new one.
  UnitTable(UnitIndex& index, UsageLedger& ledger, UnitRecord root);
  UnitTable(const UnitTable&) = delete;
  UnitTable& operator=(const UnitTable&) = delete;

  [[nodiscard]] const UnitRef& root() const { return root_; }

  // Enters `unit` at `now`. Errors: ESTALE when it is gone; kDefer when it is frozen and
  // `may_block` is false (else waits); those of the index when it cannot be marked dirty.
  [[nodiscard]] Result<UnitUse> use(const UnitRef& unit, WallTime now, bool may_block);

  // Marks the stored record dirty unless it is. `use` does this by itself; whoever changes the
  // usage of a unit that it has frozen calls this before. Errors: those of the index.
  [[nodiscard]] Status activate(const UnitRef& unit);

  // A new unit, stored with deadline `due` and marked in use; its identity is given here. The usage
  // in `record` is charged to it, unless that is dirty: then its contents are still to be counted,
  // from nothing. Where `record.inode` is the top of another unit, it is this one's from now on.
  [[nodiscard]] Result<UnitRef> create(UnitRecord record, WallTime due);
  // `unit` is found by its top again, after one that was to take its place was removed.
  void retake_top(const UnitRef& unit);
  // A unit as loaded from the index, charged in the same way; nothing is written. Without `due` its
  // next store makes it due at its last use: looked at too early once, never too late.
  UnitRef restore(UnitRecord record, std::optional<WallTime> due = std::nullopt);
  // The same for one whose usage `accounts`, limited as its path asks, is charged with already.
  UnitRef restore(UnitRecord record, WallTime due, std::shared_ptr<UnitAccounts> accounts);
  // The unit's top is gone from the tree by the user's hand, its own charge given back: forgets the
  // unit and what usage is left. Files of it may still be open, and written: then it can be entered
  // as before, and their charge stays until each is released. No-op when it has left the table.
  [[nodiscard]] Status remove(Unit& unit);
  // The unit went to the trash: leaves the table, usage stays for the ledger's caller to decide.
  void detach(Unit& unit);
  // The unit was renamed: changes the path, which holds even when storing it fails. Does not ask
  // the gate: the caller keeps names stable. ESTALE when it has left the table.
  [[nodiscard]] Status set_path(Unit& unit, std::string path);
  // Changes the pin, or fails and does not. Waits while the unit is frozen, so that none is pinned
  // between the verdict and the removal. ESTALE when it has left the table.
  [[nodiscard]] Status set_pinned(Unit& unit, bool pinned);
  // True, once, when a pinned unit has come, gone or got another path, so that .ebbfs/pins is
  // behind.
  [[nodiscard]] bool take_pins_moved() { return pins_moved_.exchange(false); }
  // Moves the unit's deadline. Go through here, not to the index: whatever stores the record later
  // keeps the deadline given last. No-op when it has left the table.
  [[nodiscard]] Status reschedule(Unit& unit, WallTime due);

  // Of several units with one top: from now on it is `unit` that find_by_top() finds.
  void claim_top(const UnitRef& unit);

  [[nodiscard]] UnitRef find(UnitId id) const;
  // The unit whose top directory or file is this inode.
  [[nodiscard]] UnitRef find_by_top(InodeId inode, const FileHandle& handle) const;
  // The unit whose top has this path; "" is the root unit. Compares them all.
  [[nodiscard]] UnitRef find_by_path(std::string_view path) const;
  [[nodiscard]] std::vector<UnitRef> all() const;  // without the root unit
  [[nodiscard]] std::size_t size() const;          // without the root unit

  // Stores units that nobody uses any more as clean, with exact usage; the rest stay dirty. Called
  // now and then by the reaper, and with `closing` before the index is closed (then idle or not).
  // Returns how many are still dirty.
  std::size_t flush(WallTime now, Duration idle_for, bool closing);

 private:
  void flush_one(Unit& unit, WallTime now, Duration idle_for, bool closing);
  // A unit that is in no map yet, its accounts open and charged.
  [[nodiscard]] UnitRef make(UnitRecord record, std::optional<WallTime> due);
  void publish(const UnitRef& unit);
  // Takes the unit out of all maps and keeps it alive for the caller.
  UnitRef unpublish(const Unit& unit);
  [[nodiscard]] Status store(Unit& unit, const UnitRecord& record) REQUIRES(unit.mu_);

  UnitIndex& index_;
  UsageLedger& ledger_;
  const UnitRef root_;

  // The unit is its own key.
  struct ById {
    using is_transparent = void;  // NOLINT(readability-identifier-naming): the standard's name
    static UnitId id(UnitId id) { return id; }
    static UnitId id(const UnitRef& unit) { return unit->id(); }
    std::size_t operator()(const auto& one) const noexcept { return raw(id(one)); }
    bool operator()(const auto& one, const auto& other) const noexcept {
      return id(one) == id(other);
    }
  };

  mutable SharedMutex mu_;
  std::unordered_set<UnitRef, ById, ById> by_id_ GUARDED_BY(mu_);
  std::unordered_map<std::uint64_t, UnitId> by_top_ GUARDED_BY(mu_);   // by raw InodeId
  std::unordered_map<std::uint64_t, UnitRef> active_ GUARDED_BY(mu_);  // by id, also the root
  // One value; what it is about is written before it.
  std::atomic<bool> pins_moved_{false};
};

}  // namespace ebbfs
