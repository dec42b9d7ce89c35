// SPDX-License-Identifier: Apache-2.0
#include "fs/unit_table.h"

#include <algorithm>
#include <utility>

namespace ebbfs {

UnitTable::UnitTable(UnitIndex& index, UsageLedger& ledger, UnitRecord root)
    : index_(index), ledger_(ledger), root_(make(std::move(root), kNever)) {
  publish(root_);
}

Result<UnitUse> UnitTable::use(const UnitRef& unit, WallTime now, bool may_block) {
  while (!unit->try_enter()) {
    if (unit->gone()) return fail(ESTALE);
    if (!may_block) return std::unexpected(kDefer);
    if (!unit->wait_until_thawed()) return fail(ESTALE);
  }
  UnitUse inside(unit);
  unit->touch(now);
  // Entered first, read second; flush_one clears first and reads the gate second. So one of the two
  // sees the other, and no record is stored clean behind the back of a request.
  if (!unit->active_.load(std::memory_order_seq_cst)) {
    if (const auto marked = activate(unit); !marked) return std::unexpected(marked.error());
  }
  return inside;
}

Status UnitTable::activate(const UnitRef& unit) {
  const MutexLock lock(unit->mu_);
  if (unit->active_.load(std::memory_order_relaxed)) return {};
  UnitRecord record = unit->record_locked();
  record.dirty = true;
  if (auto stored = store(*unit, record); !stored) return stored;
  unit->active_.store(true, std::memory_order_seq_cst);
  const WriterLock maps(mu_);
  active_.insert_or_assign(raw(unit->id()), unit);
  return {};
}

Status UnitTable::store(Unit& unit, const UnitRecord& record) {
  return index_.put_unit(record, unit.due_.value_or(record.last_used));
}

UnitRef UnitTable::make(UnitRecord record, std::optional<WallTime> due) {
  auto accounts = ledger_.open_unit(record.id, record.class_name, record.owner.job);
  if (!record.dirty) {
    for (const UsageCell& held : record.usage) {
      ledger_.settle(ledger_.cell(*accounts, held.uid, held.gid), held.usage);
    }
  }
  if (record.id != kRootUnit) ledger_.limit_unit(*accounts, record.path);
  return std::make_shared<Unit>(std::move(record), std::move(accounts), due);
}

void UnitTable::publish(const UnitRef& unit) {
  const auto id = raw(unit->id());
  const WriterLock lock(mu_);
  if (unit->active_.load(std::memory_order_relaxed)) active_.insert_or_assign(id, unit);
  if (unit->is_root()) return;
  if (const auto before = by_id_.find(unit->id()); before != by_id_.end()) by_id_.erase(before);
  by_id_.insert(unit);
  by_top_.insert_or_assign(raw(unit->top()), unit->id());
}

void UnitTable::claim_top(const UnitRef& unit) {
  const WriterLock lock(mu_);
  by_top_.insert_or_assign(raw(unit->top()), unit->id());
}

UnitRef UnitTable::unpublish(const Unit& unit) {
  const auto id = raw(unit.id());
  const WriterLock lock(mu_);
  active_.erase(id);
  // The number may have become the top of another unit meanwhile.
  if (const auto top = by_top_.find(raw(unit.top()));
      top != by_top_.end() && top->second == unit.id()) {
    by_top_.erase(top);
  }
  const auto found = by_id_.find(unit.id());
  return found == by_id_.end() ? nullptr : std::move(by_id_.extract(found).value());
}

Result<UnitRef> UnitTable::create(UnitRecord record, WallTime due) {
  record.id = index_.next_unit_id();
  // Marked from the start: the request that makes it charges it next.
  UnitRecord marked = record;
  marked.dirty = true;
  if (const auto stored = index_.put_unit(marked, due); !stored) {
    return std::unexpected(stored.error());
  }
  UnitRef unit = make(std::move(record), due);
  unit->active_.store(true, std::memory_order_seq_cst);
  publish(unit);
  if (marked.pinned) pins_moved_ = true;
  return unit;
}

void UnitTable::retake_top(const UnitRef& unit) {
  const WriterLock lock(mu_);
  if (by_id_.contains(unit->id())) by_top_.insert_or_assign(raw(unit->top()), unit->id());
}

UnitRef UnitTable::restore(UnitRecord record, std::optional<WallTime> due) {
  UnitRef unit = make(std::move(record), due);
  publish(unit);
  return unit;
}

UnitRef UnitTable::restore(UnitRecord record, WallTime due,
                           std::shared_ptr<UnitAccounts> accounts) {
  auto unit = std::make_shared<Unit>(std::move(record), std::move(accounts), due);
  publish(unit);
  return unit;
}

Status UnitTable::remove(Unit& unit) {
  UnitRef kept;  // outlives the lock on it
  Status erased;
  {
    const MutexLock lock(unit.mu_);
    if (unit.retired_) return {};
    unit.retire();
    kept = unpublish(unit);
    if (unit.pinned_) pins_moved_ = true;
    erased = index_.erase_unit(unit.id());
  }
  // The tree is empty, so what is still charged are unlinked open files, each given back by its
  // release; or, without any, what a count that was going on has left behind.
  if (unit.opens() == 0) ledger_.forget(unit.accounts());
  return erased;
}

void UnitTable::detach(Unit& unit) {
  UnitRef kept;  // outlives the lock on it
  const MutexLock lock(unit.mu_);
  unit.retire();
  kept = unpublish(unit);
}

Status UnitTable::set_path(Unit& unit, std::string path) {
  const MutexLock lock(unit.mu_);
  if (unit.retired_) return fail(ESTALE);
  unit.path_ = std::move(path);
  if (unit.pinned_) pins_moved_ = true;
  ledger_.limit_unit(unit.accounts(), unit.path_);
  return store(unit, unit.record_locked());
}

Status UnitTable::set_pinned(Unit& unit, bool pinned) {
  while (!unit.try_enter()) {
    if (!unit.wait_until_thawed()) return fail(ESTALE);
  }
  const auto change = [&]() -> Status {
    const MutexLock lock(unit.mu_);
    if (unit.retired_) return fail(ESTALE);
    UnitRecord record = unit.record_locked();
    record.pinned = pinned;
    auto stored = store(unit, record);
    if (stored) unit.pinned_ = pinned;
    return stored;
  };
  const Status changed = change();
  unit.leave();
  return changed;
}

Status UnitTable::reschedule(Unit& unit, WallTime due) {
  const MutexLock lock(unit.mu_);
  if (unit.retired_) return {};
  auto moved = index_.reschedule(Deadline::Kind::unit, raw(unit.id()), due);
  if (moved) unit.due_ = due;
  return moved;
}

UnitRef UnitTable::find(UnitId id) const {
  if (id == kRootUnit) return root_;
  const ReaderLock lock(mu_);
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : *found;
}

UnitRef UnitTable::find_by_top(InodeId inode, const FileHandle& handle) const {
  const ReaderLock lock(mu_);
  const auto top = by_top_.find(raw(inode));
  if (top == by_top_.end()) return nullptr;
  const auto found = by_id_.find(top->second);
  if (found == by_id_.end() || (*found)->handle() != handle) return nullptr;
  return *found;
}

UnitRef UnitTable::find_by_path(std::string_view path) const {
  if (path.empty()) return root_;
  const auto units = all();
  const auto found =
      std::ranges::find_if(units, [path](const UnitRef& unit) { return unit->has_path(path); });
  return found == units.end() ? nullptr : *found;
}

std::vector<UnitRef> UnitTable::all() const {
  const ReaderLock lock(mu_);
  return {by_id_.begin(), by_id_.end()};
}

std::size_t UnitTable::size() const {
  const ReaderLock lock(mu_);
  return by_id_.size();
}

std::size_t UnitTable::flush(WallTime now, Duration idle_for, bool closing) {
  std::vector<UnitRef> dirty;
  {
    const ReaderLock lock(mu_);
    dirty.reserve(active_.size());
    for (const auto& [id, unit] : active_) dirty.push_back(unit);
  }
  for (const UnitRef& unit : dirty) flush_one(*unit, now, idle_for, closing);
  const ReaderLock lock(mu_);
  return active_.size();
}

void UnitTable::flush_one(Unit& unit, WallTime now, Duration idle_for, bool closing) {
  const MutexLock lock(unit.mu_);
  // Frozen: the record belongs to who froze it. Counting: usage is not known.
  if (unit.retired_ || unit.frozen() || unit.counting()) return;
  if (!closing && now - unit.last_used() < idle_for) return;

  unit.active_.store(false, std::memory_order_seq_cst);
  const bool in_use = unit.entered_or_frozen() || unit.opens() != 0;
  if (in_use && !closing) {
    unit.active_.store(true, std::memory_order_seq_cst);
    return;
  }
  UnitRecord record = unit.record_locked();
  if (!store(unit, record)) {
    unit.active_.store(true, std::memory_order_seq_cst);
    return;
  }
  unit.keep_usage(record.usage);
  const WriterLock maps(mu_);
  active_.erase(raw(unit.id()));
}

}  // namespace ebbfs
