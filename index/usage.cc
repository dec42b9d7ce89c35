// SPDX-License-Identifier: Apache-2.0
#include "index/usage.h"

#include <algorithm>
#include <optional>
#include <span>

namespace ebbfs {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

Usage growing(const Usage& delta) {
  return {{std::max<std::int64_t>(delta.bytes.n, 0)}, std::max<std::int64_t>(delta.inodes, 0)};
}

// False, and nothing changed, where `amount` (>= 0) more would pass `hard`.
bool grow(std::atomic<std::int64_t>& counter, const std::atomic<std::int64_t>& hard,
          std::int64_t amount) {
  if (amount == 0) return true;
  std::int64_t held = counter.load(kRelaxed);
  do {
    // Compared this way round, nothing overflows: sparse files may be of nearly 2^63 bytes.
    if (amount > hard.load(kRelaxed) - std::max<std::int64_t>(held, 0)) return false;
  } while (!counter.compare_exchange_weak(held, held + amount, kRelaxed));
  return true;
}

// A change of one account, as a part of a change of several.
struct Charge {
  Account* account;
  Usage delta;
};

// Makes all changes or none. Returns the place of the first that was refused.
std::optional<std::size_t> charge_all(std::span<const Charge> charges) {
  for (std::size_t i = 0; i < charges.size(); ++i) {
    if (charges[i].account->try_add(growing(charges[i].delta))) continue;
    for (const Charge& done : charges.first(i)) done.account->add(-growing(done.delta));
    return i;
  }
  for (const Charge& charge : charges) charge.account->add(charge.delta - growing(charge.delta));
  return std::nullopt;
}

}  // namespace

void Account::set_hard(std::int64_t bytes, std::int64_t inodes) {
  hard_bytes_.store(bytes, kRelaxed);
  hard_inodes_.store(inodes, kRelaxed);
}

bool Account::try_add(const Usage& delta) {
  const Usage growth = growing(delta);
  if (!grow(bytes_, hard_bytes_, growth.bytes.n)) return false;
  if (!grow(inodes_, hard_inodes_, growth.inodes)) {
    add({-growth.bytes, 0});
    return false;
  }
  add(delta - growth);
  return true;
}

void Account::add(const Usage& delta) {
  if (delta.bytes.n != 0) bytes_.fetch_add(delta.bytes.n, kRelaxed);
  if (delta.inodes != 0) inodes_.fetch_add(delta.inodes, kRelaxed);
}

void Cell::leave_policy_scopes() {
  for (const auto scope : kPolicyScopes) scopes_[scope] = nullptr;
}

std::vector<UsageCell> UnitAccounts::cells() const {
  std::vector<UsageCell> held;
  const MutexLock lock(mu_);
  for (const auto& [who, cell] : cells_) {
    const Usage usage = cell.usage();
    if (usage != Usage{}) held.push_back({cell.uid, cell.gid, usage});
  }
  return held;
}

std::shared_ptr<UnitAccounts> UsageLedger::open_unit(UnitId unit, std::string_view class_name,
                                                     std::string_view job) {
  Account* const of_class =
      class_name.empty() ? nullptr : &scope("class:" + std::string(class_name));
  Account* const of_job = job.empty() ? nullptr : &scope("job:" + std::string(job));
  return std::shared_ptr<UnitAccounts>(new UnitAccounts(unit, of_class, of_job));
}

Cell& UsageLedger::cell(UnitAccounts& unit, uid_t uid, gid_t gid) {
  const MutexLock lock(unit.mu_);
  const auto [place, made] = unit.cells_.try_emplace({uid, gid}, uid, gid);
  Cell& cell = place->second;
  if (!made) return cell;
  cell.scopes_[Cell::volume] = &volume_;
  cell.scopes_[Cell::unit] = &unit.total_;
  if (!unit.detached_) fill_scopes(unit, cell);
  return cell;
}

void UsageLedger::fill_scopes(const UnitAccounts& unit, Cell& cell) {
  cell.scopes_[Cell::class_of_unit] = unit.class_account_;
  cell.scopes_[Cell::user] = &scope("user:" + std::to_string(cell.uid));
  cell.scopes_[Cell::group] = &scope("group:" + std::to_string(cell.gid));
  cell.scopes_[Cell::job] = unit.job_account_;
}

Status UsageLedger::reserve(Cell& cell, const Usage& delta) {
  std::array<Charge, Cell::kScopes> charges;
  std::size_t count = 0;
  for (Account* scope : cell.scopes_) {
    if (scope != nullptr) charges[count++] = {scope, delta};
  }
  if (const auto refused = charge_all(std::span(charges).first(count))) {
    return fail(charges[*refused].account == &volume_ ? ENOSPC : EDQUOT);
  }
  cell.own_.add(delta);
  return {};
}

void UsageLedger::settle(Cell& cell, const Usage& delta) {
  for (Account* scope : cell.scopes_) {
    if (scope != nullptr) scope->add(delta);
  }
  cell.own_.add(delta);
}

Status UsageLedger::move(Cell& from, Cell& to, const Usage& usage) {
  std::array<Charge, 2 * Cell::kScopes> charges;
  std::size_t count = 0;
  for (std::size_t i = 0; i < Cell::kScopes; ++i) {
    Account* const loses = from.scopes_[i];
    Account* const gains = to.scopes_[i];
    if (loses == gains) continue;
    if (gains != nullptr) charges[count++] = {gains, usage};
    if (loses != nullptr) charges[count++] = {loses, -usage};
  }
  if (charge_all(std::span(charges).first(count))) return fail(EDQUOT);
  from.own_.add(-usage);
  to.own_.add(usage);
  return {};
}

void UsageLedger::detach(UnitAccounts& unit) {
  const MutexLock lock(unit.mu_);
  unit.detached_ = true;
  for (auto& [who, cell] : unit.cells_) {
    for (const auto scope : Cell::kPolicyScopes) {
      if (cell.scopes_[scope] != nullptr) cell.scopes_[scope]->add(-cell.usage());
    }
    cell.leave_policy_scopes();
  }
}

Status UsageLedger::attach(UnitAccounts& unit) {
  const MutexLock lock(unit.mu_);
  if (!unit.detached_) return {};
  std::vector<Charge> charges;
  for (auto& [who, cell] : unit.cells_) {
    fill_scopes(unit, cell);
    for (const auto scope : Cell::kPolicyScopes) {
      if (cell.scopes_[scope] != nullptr) charges.push_back({cell.scopes_[scope], cell.usage()});
    }
  }
  if (charge_all(charges)) {
    for (auto& [who, cell] : unit.cells_) cell.leave_policy_scopes();
    return fail(EDQUOT);
  }
  unit.detached_ = false;
  return {};
}

void UsageLedger::forget(UnitAccounts& unit) {
  const MutexLock lock(unit.mu_);
  for (auto& [who, cell] : unit.cells_) settle(cell, -cell.usage());
}

Account& UsageLedger::scope(std::string_view name) {
  const MutexLock lock(mu_);
  return accounts_.try_emplace(std::string(name)).first->second;
}

std::vector<UsageLedger::Scope> UsageLedger::scopes() const {
  std::vector<Scope> all;
  const MutexLock lock(mu_);
  all.reserve(accounts_.size());
  for (const auto& [name, account] : accounts_) all.push_back({name, account.usage()});
  return all;
}

Usage UsageLedger::class_usage(std::string_view class_name) const {
  const MutexLock lock(mu_);
  const auto found = accounts_.find("class:" + std::string(class_name));
  return found == accounts_.end() ? Usage{} : found->second.usage();
}

}  // namespace ebbfs
