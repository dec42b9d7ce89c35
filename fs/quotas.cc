// SPDX-License-Identifier: Apache-2.0
#include "fs/quotas.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "fs/control_protocol.h"
#include "fs/exports.h"
#include "fs/user_names.h"

namespace ebbfs {
namespace {

constexpr std::array kWarnAt = {100, 90, 80};
// A warning may come again when usage has fallen this far below.
constexpr int kRearmPercent = 5;

std::optional<std::int64_t> percent_of(std::int64_t held, std::int64_t hard, std::int64_t soft) {
  const std::int64_t limit = hard != kUnlimited ? hard : soft;
  if (limit == kUnlimited) return {};
  if (limit == 0) return held > 0 ? 100 : 0;
  return static_cast<std::int64_t>(100.0 * static_cast<double>(held) / static_cast<double>(limit));
}

std::string part_of(std::int64_t held, std::int64_t hard, std::int64_t soft, bool bytes) {
  const std::int64_t limit = hard != kUnlimited ? hard : soft;
  const auto text = [&](std::int64_t n) {
    return bytes ? format_bytes_exact(Bytes{n}) : std::to_string(n);
  };
  if (limit == kUnlimited) return text(held);
  return text(held) + " of " + text(limit);
}

// Users and groups by number. Those that the host does not know match nothing.
std::vector<QuotaRule> canonical_rules(const Policy& policy) {
  std::vector<QuotaRule> rules = policy.quotas;
  for (QuotaRule& rule : rules) {
    if (auto scope = Quotas::canonical(rule.scope, policy)) {
      rule.scope = std::move(*scope);
    } else {
      spdlog::warn("event=quota_ignored scope={:?} why={:?}", rule.scope, scope.error());
    }
  }
  return rules;
}

}  // namespace

std::expected<std::string, std::string> Quotas::canonical(std::string_view text,
                                                          const Policy& policy) {
  const std::size_t colon = text.find(':');
  const std::string_view kind = text.substr(0, colon);
  const std::string name(colon == std::string_view::npos ? "" : text.substr(colon + 1));
  const auto all = [&](auto number) { return std::string(kind) + ":" + std::to_string(number); };
  if (text == "volume") return std::string(text);
  if (!name.empty() &&
      (kind == "job" || kind == "user" || kind == "group" || kind == "class" || kind == "unit")) {
    if (name == "*" || kind == "job") return std::string(text);
    if (kind == "user") {
      if (const auto uid = user_id(name)) return all(*uid);
      return std::unexpected("there is no user " + name + "; a number does as well");
    }
    if (kind == "group") {
      if (const auto gid = group_id(name)) return all(*gid);
      return std::unexpected("there is no group " + name + "; a number does as well");
    }
    if (kind == "class") {
      if (policy.find_class(name) != nullptr) return std::string(text);
      return std::unexpected("the policy has no class " + name);
    }
    if (valid_volume_path(name)) return std::string(text);
    return std::unexpected("a unit is named by its path from the root of the volume, got " + name);
  }
  return std::unexpected(
      "expected volume, class:NAME, unit:PATH, user:NAME, group:NAME or job:NAME, or * for NAME, "
      "got \"" +
      std::string(text) + "\"");
}

std::string Quotas::shown(const std::string& scope) {
  const std::size_t colon = scope.find(':');
  if (colon == std::string::npos || scope.ends_with(":*")) return scope;
  const std::string kind = scope.substr(0, colon);
  if (kind != "user" && kind != "group") return scope;
  const auto id = static_cast<uid_t>(std::stoul(scope.substr(colon + 1)));
  const std::string name = kind == "user" ? user_name(id) : group_name(id);
  return name.empty() ? scope : kind + ":" + name;
}

std::optional<std::int64_t> Quotas::percent_held(const Usage& usage, const ScopeLimits& limits) {
  return std::max(percent_of(usage.bytes.n, limits.bytes, limits.soft_bytes),
                  percent_of(usage.inodes, limits.inodes, limits.soft_inodes));
}

std::shared_ptr<const QuotaTable> Quotas::table() const {
  const MutexLock lock(mu_);
  return table_;
}

void Quotas::replace_table(const std::vector<QuotaRule>& rules, QuotaTable::Exceptions exceptions) {
  auto table = std::make_shared<const QuotaTable>(rules, std::move(exceptions));
  const MutexLock lock(mu_);
  rules_ = rules;
  table_ = std::move(table);
}

QuotaInForce Quotas::in_force(std::string_view scope) const { return table()->in_force(scope); }

std::optional<QuotaInForce> Quotas::without_exception(const std::string& scope) const {
  const MutexLock lock(mu_);
  QuotaTable::Exceptions exceptions = table_->exceptions();
  if (exceptions.erase(scope) == 0) return std::nullopt;
  return QuotaTable(rules_, std::move(exceptions)).in_force(scope);
}

Status Quotas::load(const Policy& policy) {
  auto records = index_.load_quotas();
  if (!records) return std::unexpected(records.error());
  loaded_ = std::move(*records);
  QuotaTable::Exceptions exceptions;
  for (const QuotaRecord& record : loaded_) {
    if (record.exception) exceptions.emplace(record.scope, record.limits);
  }
  replace_table(canonical_rules(policy), std::move(exceptions));
  ledger_.set_limiter([this](std::string_view scope) { return in_force(scope).limits; });
  return {};
}

void Quotas::start(UnitTable& units) {
  units_ = &units;
  // Units have their limits since they were made.
  ledger_.apply_limits();
  limits_changed_ = true;
  for (const QuotaRecord& record : loaded_) {
    const Account::OverSoft since{record.bytes_over_since, record.inodes_over_since};
    if (since != Account::OverSoft{}) warned_[record.scope].over_soft = since;
  }
  loaded_.clear();
  if (warned_.empty()) return;
  for (const Named& named : accounts(Which::all)) {
    const auto stored = warned_.find(named.scope);
    if (stored != warned_.end()) named.account->restore_over_soft(stored->second.over_soft);
  }
}

void Quotas::apply() {
  ledger_.apply_limits();
  if (units_ == nullptr) return;
  for (const UnitRef& unit : units_->all()) ledger_.limit_unit(unit->accounts(), unit->path());
  limits_changed_ = true;
}

void Quotas::policy_changed(const Policy& policy) {
  {
    const MutexLock changing(changing_mu_);
    replace_table(canonical_rules(policy), table()->exceptions());
  }
  apply();
}

Status Quotas::set(const std::string& scope, const ScopeLimits& limits, uid_t by) {
  {
    const MutexLock changing(changing_mu_);
    QuotaRecord record;
    record.scope = scope;
    record.exception = true;
    record.limits = limits;
    record.set_by = by;
    record.set_at = clock_.wall_now();
    if (const auto stored = index_.put_quota(record); !stored) return stored;
    const auto rules = [&] {
      const MutexLock lock(mu_);
      return rules_;
    }();
    QuotaTable::Exceptions exceptions = table()->exceptions();
    exceptions.insert_or_assign(scope, limits);
    replace_table(rules, std::move(exceptions));
  }
  apply();
  return {};
}

void Quotas::export_to(Exports* exports) {
  if (exports == nullptr) return;
  const MutexLock changing(changing_mu_);
  if (const auto records = index_.load_quotas()) (void)exports->write_quotas(*records);
}

Result<bool> Quotas::clear(const std::string& scope) {
  {
    const MutexLock changing(changing_mu_);
    QuotaTable::Exceptions exceptions = table()->exceptions();
    if (exceptions.erase(scope) == 0) return false;
    if (const auto erased = index_.erase_quota(scope); !erased) {
      return std::unexpected(erased.error());
    }
    const auto rules = [&] {
      const MutexLock lock(mu_);
      return rules_;
    }();
    replace_table(rules, std::move(exceptions));
  }
  apply();
  return true;
}

std::vector<Quotas::Named> Quotas::accounts(Which which) const {
  const auto wanted = [which](const Account& account) {
    if (which == Which::refused) return account.refusals() > 0;
    return which == Which::all || !account.limits().none();
  };
  std::vector<Named> found{{"volume", nullptr, &ledger_.volume()}};
  ledger_.for_each([&](const std::string& scope, Account& account) {
    if (wanted(account)) found.push_back({scope, nullptr, &account});
  });
  if (units_ == nullptr) return found;
  for (UnitRef& unit : units_->all()) {
    Account& account = unit->accounts().total();
    if (wanted(account)) found.push_back({"unit:" + unit->path(), std::move(unit), &account});
  }
  return found;
}

void Quotas::keep_fullest(std::vector<Named>& all, std::size_t most) {
  std::erase_if(all, [](const Named& one) { return one.account->limits().none(); });
  if (all.size() <= most) return;
  std::vector<std::pair<std::int64_t, Named>> ranked;
  ranked.reserve(all.size());
  for (Named& one : all) {
    const auto percent = percent_held(one.account->usage(), one.account->limits()).value_or(0);
    ranked.emplace_back(percent, std::move(one));
  }
  const auto end = ranked.begin() + static_cast<std::ptrdiff_t>(most);
  std::ranges::nth_element(ranked, end, [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second.scope < b.second.scope;
  });
  all.clear();
  for (auto one = ranked.begin(); one != end; ++one) all.push_back(std::move(one->second));
}

std::vector<Quotas::Row> Quotas::rows(const Wanted& wanted) const {
  const auto table = this->table();
  const bool limited = wanted.limited || wanted.most > 0;
  std::vector<Named> all = accounts(limited ? Which::limited : Which::all);
  const auto hidden = [&](const std::string& scope) { return wanted.seen && !wanted.seen(scope); };
  std::erase_if(all, [&](const Named& named) { return hidden(named.scope); });
  if (wanted.most > 0) keep_fullest(all, wanted.most);
  // Those that were set and are not among them: they hold nothing yet, or set is that there is no
  // limit.
  std::set<std::string_view> others;
  if (wanted.most == 0) {
    for (const auto& [scope, limits] : table->exceptions()) others.insert(scope);
  }
  std::vector<Row> rows;
  for (const Named& named : all) {
    others.erase(named.scope);
    Row row{named.scope, named.account->usage(), table->in_force(named.scope),
            named.account->over_soft(), named.account->refusals()};
    const bool is_set = row.quota.origin != QuotaInForce::Origin::none;
    if (is_set || (!limited && row.usage != Usage{})) rows.push_back(std::move(row));
  }
  for (const std::string_view scope : others) {
    if (!hidden(std::string(scope))) rows.push_back(row(std::string(scope)));
  }
  return rows;
}

Quotas::Row Quotas::row(const std::string& scope) const {
  Row row{scope, {}, in_force(scope), {}, 0};
  const auto take = [&](const Account& account) {
    row.usage = account.usage();
    row.over_soft = account.over_soft();
    row.refusals = account.refusals();
  };
  constexpr std::string_view kUnit = "unit:";
  if (scope == "volume") {
    take(ledger_.volume());
  } else if (scope.starts_with(kUnit)) {
    const UnitRef unit =
        units_ == nullptr ? nullptr : units_->find_by_path(scope.substr(kUnit.size()));
    if (unit != nullptr) take(unit->accounts().total());
  } else {
    ledger_.for_each([&](const std::string& name, Account& account) {
      if (name == scope) take(account);
    });
  }
  return row;
}

std::map<std::string, std::uint64_t> Quotas::refusals() const {
  std::map<std::string, std::uint64_t> found;
  for (const Named& named : accounts(Which::refused)) {
    if (const auto count = named.account->refusals(); count > 0) found[named.scope] = count;
  }
  return found;
}

void Quotas::watch() {
  // Whoever was warned may have lost its limit.
  const bool changed = limits_changed_.exchange(false);
  for (const Named& named : accounts(changed ? Which::all : Which::limited)) {
    if (!named.account->limits().none()) {
      watch_one(named);
    } else if (warned_.contains(named.scope)) {
      Warned& warned = warned_[named.scope];
      keep_over_soft(named, warned);
      warned_.erase(named.scope);
    }
  }
}

void Quotas::watch_one(const Named& named) {
  const Account& account = *named.account;
  const std::uint64_t refusals = account.refusals();
  auto percent =
      std::min<std::int64_t>(percent_held(account.usage(), account.limits()).value_or(0), 100);
  const auto known = warned_.find(named.scope);
  if (known == warned_.end() && percent < kWarnAt.back() && refusals == 0 &&
      account.over_soft() == Account::OverSoft{}) {
    return;
  }
  Warned& warned = warned_[named.scope];
  if (refusals != warned.refusals) percent = 100;
  warned.refusals = refusals;
  for (const int level : kWarnAt) {
    if (percent < level) continue;
    if (warned.percent < level) {
      tell(named, level == 100 ? "limit reached" : std::to_string(level) + " % of the limit");
    }
    warned.percent = std::max(warned.percent, level);
    break;
  }
  while (warned.percent > 0 && percent <= warned.percent - kRearmPercent) {
    warned.percent = warned.percent > kWarnAt.back() ? warned.percent - 10 : 0;
  }
  keep_over_soft(named, warned);
}

void Quotas::keep_over_soft(const Named& named, Warned& warned) {
  const Account::OverSoft since = named.account->over_soft();
  if (since == warned.over_soft) return;
  const bool began = (since.bytes != WallTime{} && warned.over_soft.bytes == WallTime{}) ||
                     (since.inodes != WallTime{} && warned.over_soft.inodes == WallTime{});
  if (began) {
    tell(named, "above the soft limit, which is hard in " +
                    format_duration(named.account->limits().grace));
  }
  const MutexLock changing(changing_mu_);
  const auto exceptions = table()->exceptions();
  const auto set = exceptions.find(named.scope);
  QuotaRecord record;
  record.scope = named.scope;
  record.exception = set != exceptions.end();
  if (record.exception) record.limits = set->second;
  record.bytes_over_since = since.bytes;
  record.inodes_over_since = since.inodes;
  const bool empty = !record.exception && since == Account::OverSoft{};
  const Status kept = empty ? index_.erase_quota(named.scope) : index_.put_quota(record);
  if (kept) warned.over_soft = since;
}

void Quotas::tell(const Named& named, const std::string& what) {
  const Usage usage = named.account->usage();
  const ScopeLimits limits = named.account->limits();
  const std::string scope = shown(named.scope);
  EventRecord event;
  event.kind = EventRecord::Kind::quota;
  event.time = clock_.wall_now();
  if (named.unit) event.path = named.unit->path();
  event.rule = scope + ": " + what;
  event.detail = part_of(usage.bytes.n, limits.bytes, limits.soft_bytes, true) + ", " +
                 part_of(usage.inodes, limits.inodes, limits.soft_inodes, false) + " inodes";
  spdlog::warn("event=quota scope={:?} what={:?} usage={:?}", scope, what, event.detail);
  (void)index_.append_event(std::move(event));
}

}  // namespace ebbfs
