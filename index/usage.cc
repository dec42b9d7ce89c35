// SPDX-License-Identifier: Apache-2.0
#include "index/usage.h"

#include <algorithm>
#include <optional>
#include <span>

namespace ebbfs {
namespace {

// A change of one account, as a part of a change of several.
struct Charge {
  Account* account;
  Usage delta;
};

void give_back_growth(std::span<const Charge> charges) {
  for (const Charge& charge : charges) charge.account->add(-growing(charge.delta));
}

void shrink_all(std::span<const Charge> charges) {
  for (const Charge& charge : charges) charge.account->add(charge.delta - growing(charge.delta));
}

// Makes the growing part of all changes or none. Returns the place of the first that was refused.
std::optional<std::size_t> grow_all(std::span<const Charge> charges, WallTime now) {
  for (std::size_t i = 0; i < charges.size(); ++i) {
    if (charges[i].account->try_add(growing(charges[i].delta), now)) continue;
    give_back_growth(charges.first(i));
    return i;
  }
  return std::nullopt;
}

// Makes all changes or none. Returns the place of the first that was refused.
std::optional<std::size_t> charge_all(std::span<const Charge> charges, WallTime now) {
  const auto refused = grow_all(charges, now);
  if (!refused) shrink_all(charges);
  return refused;
}

}  // namespace

void Cell::leave_policy_scopes() {
  for (const auto scope : kPolicyScopes) scopes_[scope] = nullptr;
}

std::vector<UsageCell> UnitAccounts::cells() const {
  std::vector<UsageCell> held;
  {
    const MutexLock lock(mu_);
    for_each_cell(*this, [&held](const Cell& cell) {
      const Usage usage = cell.usage();
      if (usage != Usage{}) held.push_back({cell.uid, cell.gid, usage});
    });
  }
  std::ranges::sort(held, {}, [](const UsageCell& cell) { return std::pair(cell.uid, cell.gid); });
  return held;
}

std::vector<UnitAccounts::Reserved> UnitAccounts::reserved() const {
  std::vector<Reserved> all;
  const MutexLock lock(mu_);
  for_each_cell(*this, [&all](const Cell& cell) { all.push_back({cell.uid, cell.reserved()}); });
  return all;
}

Cell* UnitAccounts::find(uid_t uid, gid_t gid) {
  if (first_ && first_->uid == uid && first_->gid == gid) return &*first_;
  if (!others_) return nullptr;
  const auto found = others_->find({uid, gid});
  return found == others_->end() ? nullptr : &found->second;
}

Cell& UnitAccounts::make(uid_t uid, gid_t gid) {
  if (!first_) return first_.emplace(uid, gid);
  if (!others_) others_ = std::make_unique<std::map<std::pair<uid_t, gid_t>, Cell>>();
  return others_->try_emplace({uid, gid}, uid, gid).first->second;
}

std::shared_ptr<UnitAccounts> UsageLedger::open_unit(UnitId unit, std::string_view class_name,
                                                     std::string_view job) {
  const MutexLock lock(mu_);
  NamedAccount* const of_class =
      class_name.empty() ? nullptr : &entry(accounts_, "class:" + std::string(class_name));
  Account* const of_job =
      job.empty() ? nullptr : &entry(jobs_, std::string(kJobPrefix) + std::string(job)).second;
  return std::make_shared<UnitAccounts>(UnitAccounts::Key(), unit, of_class, of_job);
}

Cell& UsageLedger::cell(UnitAccounts& unit, uid_t uid, gid_t gid) {
  if (Cell* recent = unit.recent_.load(std::memory_order_acquire);
      recent != nullptr && recent->uid == uid && recent->gid == gid) {
    return *recent;
  }
  const MutexLock lock(unit.mu_);
  Cell* cell = unit.find(uid, gid);
  if (cell == nullptr) {
    cell = &unit.make(uid, gid);
    open_cell(unit, *cell);
  }
  unit.recent_.store(cell, std::memory_order_release);
  return *cell;
}

void UsageLedger::open_cell(UnitAccounts& unit, Cell& cell) {
  cell.scopes_[Cell::volume] = &volume_;
  cell.scopes_[Cell::unit] = &unit.total_;
  if (!unit.detached_) fill_scopes(unit, cell);
}

void UsageLedger::fill_scopes(const UnitAccounts& unit, Cell& cell) {
  cell.scopes_[Cell::class_of_unit] = unit.class_ == nullptr ? nullptr : &unit.class_->second;
  cell.scopes_[Cell::user] = &scope("user:" + std::to_string(cell.uid));
  cell.scopes_[Cell::group] = &scope("group:" + std::to_string(cell.gid));
  cell.scopes_[Cell::job] = unit.job_;
}

Status UsageLedger::reserve(Cell& cell, const Usage& delta, WallTime now) {
  std::array<Charge, Cell::kScopes> charges;
  std::size_t count = 0;
  for (Account* scope : cell.scopes_) {
    if (scope != nullptr) charges[count++] = {scope, delta};
  }
  if (const auto refused = charge_all(std::span(charges).first(count), now)) {
    return fail(charges[*refused].account == &volume_ ? ENOSPC : EDQUOT);
  }
  cell.add(delta);
  if (delta.bytes.n > 0) cell.reserved_.fetch_add(delta.bytes.n, std::memory_order_relaxed);
  return {};
}

void UsageLedger::settle(Cell& cell, const Usage& delta) {
  for (Account* scope : cell.scopes_) {
    if (scope != nullptr) scope->add(delta);
  }
  cell.add(delta);
  if (delta.bytes.n >= 0 && delta.inodes >= 0) return;
  const Usage left = cell.usage();
  if (left.bytes.n < 0 || left.inodes < 0) went_below_zero_.store(true, std::memory_order_relaxed);
}

// What moving from one cell to another changes: scopes that both are in do not change.
class UsageLedger::MoveCharges {
 public:
  MoveCharges(const Cell& from, const Cell& to, const Usage& usage) {
    for (std::size_t i = 0; i < Cell::kScopes; ++i) {
      Account* const loses = from.scopes_[i];
      Account* const gains = to.scopes_[i];
      if (loses == gains) continue;
      if (gains != nullptr) charges_[count_++] = {gains, usage};
      if (loses != nullptr) charges_[count_++] = {loses, -usage};
    }
  }
  [[nodiscard]] std::span<const Charge> all() const { return std::span(charges_).first(count_); }

 private:
  std::array<Charge, 2 * Cell::kScopes> charges_;
  std::size_t count_ = 0;
};

Status UsageLedger::move(Cell& from, Cell& to, const Usage& usage, WallTime now) {
  auto begun = begin_move(from, to, usage, now);
  if (begun) end_move(from, to, usage);
  return begun;
}

Status UsageLedger::begin_move(Cell& from, Cell& to, const Usage& usage, WallTime now) {
  if (grow_all(MoveCharges(from, to, usage).all(), now)) return fail(EDQUOT);
  return {};
}

void UsageLedger::end_move(Cell& from, Cell& to, const Usage& usage) {
  shrink_all(MoveCharges(from, to, usage).all());
  from.add(-usage);
  to.add(usage);
}

void UsageLedger::cancel_move(Cell& from, Cell& to, const Usage& usage) {
  give_back_growth(MoveCharges(from, to, usage).all());
}

void UsageLedger::detach(UnitAccounts& unit) {
  const MutexLock lock(unit.mu_);
  unit.detached_ = true;
  UnitAccounts::for_each_cell(unit, [](Cell& cell) {
    for (const auto scope : Cell::kPolicyScopes) {
      if (cell.scopes_[scope] != nullptr) cell.scopes_[scope]->add(-cell.usage());
    }
    cell.leave_policy_scopes();
  });
}

Status UsageLedger::attach(UnitAccounts& unit, WallTime now) {
  const MutexLock lock(unit.mu_);
  if (!unit.detached_) return {};
  std::vector<Charge> charges;
  UnitAccounts::for_each_cell(unit, [&](Cell& cell) {
    fill_scopes(unit, cell);
    for (const auto scope : Cell::kPolicyScopes) {
      if (cell.scopes_[scope] != nullptr) charges.push_back({cell.scopes_[scope], cell.usage()});
    }
  });
  if (charge_all(charges, now)) {
    UnitAccounts::for_each_cell(unit, [](Cell& cell) { cell.leave_policy_scopes(); });
    return fail(EDQUOT);
  }
  unit.detached_ = false;
  return {};
}

void UsageLedger::forget(UnitAccounts& unit) {
  const MutexLock lock(unit.mu_);
  UnitAccounts::for_each_cell(unit, [this](Cell& cell) { settle(cell, -cell.usage()); });
}

Account& UsageLedger::scope(std::string_view name) {
  const MutexLock lock(mu_);
  if (name.starts_with(kJobPrefix)) return entry(jobs_, name).second;
  return entry(accounts_, name).second;
}

void UsageLedger::set_limiter(Limiter limiter) {
  const MutexLock lock(mu_);
  limiter_ = std::move(limiter);
}

void UsageLedger::apply_limits() {
  const MutexLock lock(mu_);
  if (!limiter_) return;
  limit(volume_, limiter_("volume"));
  // By its address: in a lambda clang does not see that the lock is held.
  const Limiter* const limiter = &limiter_;
  for_each_named(*this, [this, limiter](const std::string& name, Account& account) {
    limit(account, (*limiter)(name));
  });
}

void UsageLedger::limit_unit(UnitAccounts& unit, const std::string& path) {
  const MutexLock lock(mu_);
  if (limiter_) limit(unit.total_, limiter_("unit:" + path));
}

Status UsageLedger::limit_moving_unit(UnitAccounts& unit, const std::string& path) {
  const MutexLock lock(mu_);
  if (!limiter_) return {};
  Account& account = unit.total_;
  const ScopeLimits before = account.limits();
  const ScopeLimits after = limiter_("unit:" + path);
  // In force first, looked at second: what grows meanwhile is bounded by the new ones.
  limit(account, after);
  const Usage held = account.usage();
  const auto passes = [](std::int64_t usage, std::int64_t was, std::int64_t becomes) {
    return becomes < was && usage > becomes;
  };
  if (!passes(held.bytes.n, before.bytes, after.bytes) &&
      !passes(held.inodes, before.inodes, after.inodes)) {
    return {};
  }
  account.set_limits(before);
  return fail(EDQUOT);
}

void UsageLedger::limit(Account& account, const ScopeLimits& limits) {
  // Before the limit itself: who meets it must know the time.
  if (limits.soft_bytes != kUnlimited || limits.soft_inodes != kUnlimited) has_soft_limits_ = true;
  account.set_limits(limits);
}

void UsageLedger::for_each(
    const std::function<void(const std::string& scope, Account& account)>& visit) {
  const MutexLock lock(mu_);
  for_each_named(*this, visit);
}

std::vector<UsageLedger::Scope> UsageLedger::scopes() const {
  std::vector<Scope> all;
  const MutexLock lock(mu_);
  all.reserve(accounts_.size() + jobs_.size());
  for_each_named(*this, [&all](const std::string& name, const Account& account) {
    all.push_back({name, account.usage()});
  });
  return all;
}

Usage UsageLedger::class_usage(std::string_view class_name) const {
  const MutexLock lock(mu_);
  const auto found = accounts_.find("class:" + std::string(class_name));
  return found == accounts_.end() ? Usage{} : found->second.usage();
}

}  // namespace ebbfs
