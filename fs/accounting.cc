// SPDX-License-Identifier: Apache-2.0
#include "fs/accounting.h"

namespace ebbfs {

bool Accounting::mark(InodeId inode) {
  Shard& shard = shards_[raw(inode) % kShards];
  const MutexLock lock(shard.mu);
  return shard.counted.insert(raw(inode)).second;
}

Result<Reservation> Accounting::reserve(const Payer& payer, const Usage& usage) {
  Cell& cell = ledger_.cell(payer.unit.accounts(), payer.uid, payer.gid);
  const auto reserved = ledger_.reserve(cell, usage, now());
  if (!reserved) return std::unexpected(reserved.error());
  return Reservation(ledger_, cell, usage);
}

void Accounting::born(const Unit& unit, InodeId inode) {
  if (unit.counting()) (void)mark(inode);
  if (recounts(unit)) recount_.born(unit.id(), inode);
}

void Accounting::count(const Payer& payer, InodeId inode, const Usage& present) {
  if (recounts(payer.unit)) {
    recount_.count(payer.unit.id(), inode, payer.uid, payer.gid, present);
  }
  if (!payer.unit.counting() || !mark(inode)) return;
  ledger_.settle(ledger_.cell(payer.unit.accounts(), payer.uid, payer.gid), present);
}

void Accounting::release(const Payer& payer, InodeId inode, const Usage& present,
                         const Usage& freed) {
  count(payer, inode, present);
  ledger_.settle(ledger_.cell(payer.unit.accounts(), payer.uid, payer.gid), -freed);
}

void Accounting::release_outside(const Payer& payer, InodeId inode, const Usage& present) {
  const MutexLock lock(instant_mu_);
  release(payer, inode, present, present);
}

Status Accounting::move(const Payer& from, const Payer& to, InodeId inode, const Usage& present) {
  auto moved = begin_move(from, to, inode, present);
  if (!moved) return std::unexpected(moved.error());
  moved->keep();
  return {};
}

Result<PendingMove> Accounting::begin_move(const Payer& from, const Payer& to, InodeId inode,
                                           const Usage& present) {
  count(from, inode, present);
  Cell& source = ledger_.cell(from.unit.accounts(), from.uid, from.gid);
  Cell& target = ledger_.cell(to.unit.accounts(), to.uid, to.gid);
  if (&source == &target) return PendingMove(*this, {from, to, inode, present}, nullptr, target);
  const auto begun = ledger_.begin_move(source, target, present, now());
  if (!begun) return std::unexpected(begun.error());
  return PendingMove(*this, {from, to, inode, present}, &source, target);
}

void Accounting::end_move(const Move& move, Cell& source, Cell& target) {
  // A change of owner, by somebody inside.
  if (&move.from.unit == &move.to.unit) return ledger_.end_move(source, target, move.usage);
  const MutexLock lock(instant_mu_);
  if (recounts(move.from.unit)) {
    recount_.count(move.from.unit.id(), move.inode, move.from.uid, move.from.gid, move.usage);
  }
  ledger_.end_move(source, target, move.usage);
  if (recounts(move.to.unit)) recount_.born(move.to.unit.id(), move.inode);
}

void PendingMove::keep() {
  if (from_ != nullptr) accounting_.end_move(move_, *from_, *to_);
  from_ = nullptr;
}

PendingMove::~PendingMove() {
  if (from_ != nullptr) accounting_.ledger().cancel_move(*from_, *to_, move_.usage);
}

void Accounting::lost_name(InodeId inode) {
  const MutexLock lock(instant_mu_);
  nameless_.insert(raw(inode));
}

void Accounting::got_name(InodeId inode) {
  const MutexLock lock(instant_mu_);
  nameless_.erase(raw(inode));
}

std::vector<InodeId> Accounting::nameless() const {
  std::vector<InodeId> inodes;
  const MutexLock lock(instant_mu_);
  for (const std::uint64_t inode : nameless_) inodes.push_back(InodeId{inode});
  return inodes;
}

void Accounting::release_nameless(const Payer& payer, InodeId inode, const Usage& present) {
  const MutexLock lock(instant_mu_);
  nameless_.erase(raw(inode));
  release(payer, inode, present, present);
}

Accounting::Instant Accounting::begin_recount(const Unit& unit) {
  recount_.begin(unit.id());
  const MutexLock lock(instant_mu_);
  recounted_.store(&unit, std::memory_order_relaxed);
  Instant instant{unit.accounts().cells(), {}};
  for (const std::uint64_t inode : nameless_) instant.nameless.push_back(InodeId{inode});
  return instant;
}

void Accounting::end_recount() {
  const MutexLock lock(instant_mu_);
  recounted_.store(nullptr, std::memory_order_relaxed);
}

void Accounting::forget_counted() {
  for (Shard& shard : shards_) {
    const MutexLock lock(shard.mu);
    std::unordered_set<std::uint64_t>().swap(shard.counted);
  }
}

}  // namespace ebbfs
