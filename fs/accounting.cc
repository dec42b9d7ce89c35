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
}

void Accounting::count(const Payer& payer, InodeId inode, const Usage& present) {
  if (!payer.unit.counting() || !mark(inode)) return;
  ledger_.settle(ledger_.cell(payer.unit.accounts(), payer.uid, payer.gid), present);
}

void Accounting::release(const Payer& payer, InodeId inode, const Usage& present,
                         const Usage& freed) {
  count(payer, inode, present);
  ledger_.settle(ledger_.cell(payer.unit.accounts(), payer.uid, payer.gid), -freed);
}

Status Accounting::move(const Payer& from, const Payer& to, InodeId inode, const Usage& present) {
  count(from, inode, present);
  Cell& source = ledger_.cell(from.unit.accounts(), from.uid, from.gid);
  Cell& target = ledger_.cell(to.unit.accounts(), to.uid, to.gid);
  if (&source == &target) return {};
  return ledger_.move(source, target, present, now());
}

void Accounting::forget_counted() {
  for (Shard& shard : shards_) {
    const MutexLock lock(shard.mu);
    std::unordered_set<std::uint64_t>().swap(shard.counted);
  }
}

}  // namespace ebbfs
