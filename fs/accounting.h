// SPDX-License-Identifier: Apache-2.0
//
// The charge points: every change of what the tree holds passes here, and the ledger moves by
// exactly that. A unit whose usage is not known yet (adopted, or found dirty after a crash) is
// `counting`: a background walk counts each inode once, requests count an inode before they change
// it, and a set of the inodes already counted keeps the two from doing it twice. When the walk is
// done the counters are exact, whatever happened meanwhile.
//
// The same marks serve a check (fs/checker.h), which counts one unit again into a Recount, beside
// the counters. While none runs it costs one relaxed load.
//
// Threading: all from any thread; the caller holds the inode's size_mu (or knows nobody else can
// change the inode), so that `Usage` arguments are what the inode holds at that moment, and is
// inside the unit, or has it frozen. Those that are not are move() between units, and what has
// "outside" in its name. Lock order: instant_mu_, then the ledger's and the Recount's.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <unordered_set>
#include <utility>
#include <vector>

#include "fs/clock.h"
#include "fs/recount.h"
#include "fs/unit_table.h"
#include "index/mutex.h"
#include "index/result.h"
#include "index/types.h"
#include "index/usage.h"

namespace ebbfs {

// Who pays for an inode.
struct Payer {
  Unit& unit;
  uid_t uid;
  gid_t gid;
};

// What a new name costs at first.
inline constexpr Usage kOneInode{.bytes = {0}, .inodes = 1};

class Accounting;

// What moves a charge: the whole of one inode.
struct Move {
  Payer from;
  Payer to;
  InodeId inode;
  Usage usage;
};

// A charge on its way from one cell to another: both hold it. Goes back unless kept.
class PendingMove {
 public:
  PendingMove(PendingMove&& other) noexcept
      : accounting_(other.accounting_),
        move_(other.move_),
        from_(std::exchange(other.from_, nullptr)),
        to_(other.to_) {}
  PendingMove& operator=(PendingMove&&) = delete;
  PendingMove(const PendingMove&) = delete;
  PendingMove& operator=(const PendingMove&) = delete;
  ~PendingMove();
  void keep();

 private:
  friend class Accounting;
  // `from` may be null: there is nothing to move.
  PendingMove(Accounting& accounting, const Move& move, Cell* from, Cell& to)
      : accounting_(accounting), move_(move), from_(from), to_(&to) {}
  Accounting& accounting_;
  Move move_;
  Cell* from_;
  Cell* to_;
};

// A charge made in advance; given back unless kept.
class Reservation {
 public:
  Reservation(Reservation&& other) noexcept
      : ledger_(other.ledger_), cell_(std::exchange(other.cell_, nullptr)), usage_(other.usage_) {}
  Reservation& operator=(Reservation&&) = delete;
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;
  ~Reservation() {
    if (cell_ != nullptr) ledger_.settle(*cell_, -usage_);
  }
  void keep() { cell_ = nullptr; }
  // Keeps only `used` of it (a short write).
  void keep_only(const Usage& used) {
    ledger_.settle(*cell_, used - usage_);
    cell_ = nullptr;
  }

 private:
  friend class Accounting;
  Reservation(UsageLedger& ledger, Cell& cell, const Usage& usage)
      : ledger_(ledger), cell_(&cell), usage_(usage) {}
  UsageLedger& ledger_;
  Cell* cell_;
  Usage usage_;
};

class Accounting {
 public:
  // Both outlive the object.
  Accounting(UsageLedger& ledger, const Clock& clock) : ledger_(ledger), clock_(clock) {}
  Accounting(const Accounting&) = delete;
  Accounting& operator=(const Accounting&) = delete;

  // Charges `usage` (>= 0 in each part) before it is taken. Errors: EDQUOT, ENOSPC; then nothing
  // changed.
  [[nodiscard]] Result<Reservation> reserve(const Payer& payer, const Usage& usage);
  // `inode` has just been made; its charge was reserved.
  void born(const Unit& unit, InodeId inode);
  // `inode` is about to change and holds `present` now: counts it if the walk has not yet.
  void count(const Payer& payer, InodeId inode, const Usage& present);
  // `inode` has let go of `freed` (its whole charge when it is gone, a part when it shrank); it
  // held `present` before.
  void release(const Payer& payer, InodeId inode, const Usage& present, const Usage& freed);
  // The same for the whole charge of `inode`, by somebody who need not be inside the unit.
  void release_outside(const Payer& payer, InodeId inode, const Usage& present)
      EXCLUDES(instant_mu_);
  // Moves the whole charge of `inode`. EDQUOT, nothing moved, where it does not fit.
  [[nodiscard]] Status move(const Payer& from, const Payer& to, InodeId inode, const Usage& present)
      EXCLUDES(instant_mu_);
  // The same, to be kept once the backing filesystem has followed. The caller keeps both units.
  [[nodiscard]] Result<PendingMove> begin_move(const Payer& from, const Payer& to, InodeId inode,
                                               const Usage& present);

  // Open files without a name: no walk finds them.
  void lost_name(InodeId inode) EXCLUDES(instant_mu_);
  void got_name(InodeId inode) EXCLUDES(instant_mu_);
  // The last close of one.
  void release_nameless(const Payer& payer, InodeId inode, const Usage& present)
      EXCLUDES(instant_mu_);

  [[nodiscard]] std::vector<InodeId> nameless() const EXCLUDES(instant_mu_);

  // Whether somebody counts `unit`: then names that move in it have to be told of.
  [[nodiscard]] bool watches(const Unit& unit) const { return unit.counting() || recounts(unit); }
  // A check of `unit`, which is frozen: its instant is now. Returns what the cells hold, and which
  // inodes of the volume are nameless. One at a time, each followed by end_recount() before the
  // unit goes out of memory.
  struct Instant {
    std::vector<UsageCell> held;
    std::vector<InodeId> nameless;
  };
  [[nodiscard]] Instant begin_recount(const Unit& unit) EXCLUDES(instant_mu_);
  void end_recount() EXCLUDES(instant_mu_);
  [[nodiscard]] Recount& recount() { return recount_; }

  // The set of counted inodes is no longer needed: no unit is counting.
  void forget_counted();

  [[nodiscard]] UsageLedger& ledger() { return ledger_; }

 private:
  static constexpr std::size_t kShards = 64;
  struct Shard {
    Mutex mu;
    std::unordered_set<std::uint64_t> counted GUARDED_BY(mu);
  };
  // False when it was marked before.
  bool mark(InodeId inode);
  // Relaxed: the freeze around begin_recount, or instant_mu_, orders it with what follows.
  [[nodiscard]] bool recounts(const Unit& unit) const {
    return recounted_.load(std::memory_order_relaxed) == &unit;
  }
  friend class PendingMove;
  void end_move(const Move& move, Cell& source, Cell& target) EXCLUDES(instant_mu_);

  // For soft limits; the clock is not read while there is none.
  [[nodiscard]] WallTime now() const {
    return ledger_.has_soft_limits() ? clock_.wall_now() : WallTime{};
  }

  UsageLedger& ledger_;
  const Clock& clock_;
  std::array<Shard, kShards> shards_;

  // Held by who counts and charges without being inside, so that the instant of a check is before
  // or after, never between the two.
  mutable Mutex instant_mu_;
  std::atomic<const Unit*> recounted_{nullptr};  // compared only, never followed
  Recount recount_;
  std::unordered_set<std::uint64_t> nameless_ GUARDED_BY(instant_mu_);
};

}  // namespace ebbfs
