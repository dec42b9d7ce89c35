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
  // A change of owner, by somebody inside.
  if (&from.unit == &to.unit) return move_charge(from, to, inode, present);
  const MutexLock lock(instant_mu_);
  auto moved = move_charge(from, to, inode, present);
  if (moved && recounts(to.unit)) recount_.born(to.unit.id(), inode);
  return moved;
}

Status Accounting::move_charge(const Payer& from, const Payer& to, InodeId inode,
                               const Usage& present) {
  count(from, inode, present);
  Cell& source = ledger_.cell(from.unit.accounts(), from.uid, from.gid);
  Cell& target = ledger_.cell(to.unit.accounts(), to.uid, to.gid);
  if (&source == &target) return {};
  return ledger_.move(source, target, present, now());
}

void Accounting::lost_name(InodeId inode) {
  const MutexLock lock(instant_mu_);
  nameless_.insert(raw(inode));
}

void Accounting::got_name(InodeId inode) {
  const MutexLock lock(instant_mu_);
  nameless_.erase(raw(inode));
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
