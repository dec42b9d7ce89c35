// SPDX-License-Identifier: Apache-2.0
//
// Limits in force: brings the policy's rules and what administrators set at run time to the
// accounts of the ledger, keeps the latter in the index, and warns when a scope comes near its
// limit. Threading: any thread, except load(), start() and watch(). Lock order: the ledger's, then
// mu_.
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fs/clock.h"
#include "fs/unit_table.h"
#include "index/mutex.h"
#include "index/record.h"
#include "index/unit_index.h"
#include "index/usage.h"
#include "policy/limits.h"
#include "policy/quota.h"

namespace ebbfs {

class Exports;

class Quotas {
 public:
  // All outlive the object.
  Quotas(UnitIndex& index, UsageLedger& ledger, const Clock& clock)
      : index_(index), ledger_(ledger), clock_(clock) {}
  Quotas(const Quotas&) = delete;
  Quotas& operator=(const Quotas&) = delete;

  // Reads what was set and has accounts limited as they are made. Before units are loaded. Errors:
  // those of the index.
  [[nodiscard]] Status load(const Policy& policy);
  // All units are loaded: soft limits go on where they were. `units` outlives the object.
  void start(UnitTable& units);
  // The policy was replaced.
  void policy_changed(const Policy& policy) EXCLUDES(mu_);

  // `text` as accounts are named: "user:ci" is "user:1001". Or why it is none.
  [[nodiscard]] static std::expected<std::string, std::string> canonical(std::string_view text,
                                                                         const Policy& policy);
  // For people: "user:ci" again.
  [[nodiscard]] static std::string shown(const std::string& scope);

  // How much of the nearest limit is held; a hard limit counts before a soft one. Nothing where
  // there is none.
  [[nodiscard]] static std::optional<std::int64_t> percent_held(const Usage& usage,
                                                                const ScopeLimits& limits);

  // Of a canonical scope, which may be a default ("user:*"). Errors: those of the index; then
  // nothing changed.
  [[nodiscard]] Status set(const std::string& scope, const ScopeLimits& limits, uid_t by)
      EXCLUDES(mu_);
  // False when nothing was set.
  [[nodiscard]] Result<bool> clear(const std::string& scope) EXCLUDES(mu_);
  // Brings .ebbfs/quotas up to date; no-op for null.
  void export_to(Exports* exports) EXCLUDES(mu_);
  [[nodiscard]] QuotaInForce in_force(std::string_view scope) const EXCLUDES(mu_);

  // What would be were it cleared; nothing when nothing is set.
  [[nodiscard]] std::optional<QuotaInForce> without_exception(const std::string& scope) const
      EXCLUDES(mu_);

  struct Row {
    std::string scope;
    Usage usage;
    QuotaInForce quota;
    Account::OverSoft over_soft;
    std::uint64_t refusals = 0;
  };
  struct Wanted {
    // Only what is limited or was set; on a volume of many units that costs much less.
    bool limited = false;
    std::size_t most = 0;  // only the fullest so many of those that are limited; 0: all
    std::function<bool(const std::string& scope)> seen{};  // only these; none: any
  };
  // Every scope that holds something or is limited, defaults that were set among them.
  [[nodiscard]] std::vector<Row> rows(const Wanted& wanted) const EXCLUDES(mu_);
  // Of one scope, which may hold nothing.
  [[nodiscard]] Row row(const std::string& scope) const EXCLUDES(mu_);
  // How often growth was refused, by scope, where it was.
  [[nodiscard]] std::map<std::string, std::uint64_t> refusals() const;

  // Warns, once each, of scopes that have reached 80, 90 and 100 percent or are above a soft limit;
  // keeps the times of soft limits. Called now and then by the reaper.
  void watch() EXCLUDES(mu_);

 private:
  struct Named {
    std::string scope;
    UnitRef unit;  // keeps the account of a unit
    Account* account;
  };
  struct Warned {
    int percent = 0;
    std::uint64_t refusals = 0;
    Account::OverSoft over_soft;
  };

  [[nodiscard]] std::shared_ptr<const QuotaTable> table() const EXCLUDES(mu_);
  void replace_table(const std::vector<QuotaRule>& rules, QuotaTable::Exceptions exceptions)
      EXCLUDES(mu_);
  void apply();
  // With `limited` those that have a limit, and the volume.
  enum class Which : std::uint8_t { limited, refused, all };
  [[nodiscard]] std::vector<Named> accounts(Which which) const;
  static void keep_fullest(std::vector<Named>& all, std::size_t most);
  void watch_one(const Named& named);
  void keep_over_soft(const Named& named, Warned& warned);
  void tell(const Named& named, const std::string& what);

  UnitIndex& index_;
  UsageLedger& ledger_;
  const Clock& clock_;
  UnitTable* units_ = nullptr;
  std::vector<QuotaRecord> loaded_;          // until start()
  std::map<std::string, Warned> warned_;     // of watch()
  std::atomic<bool> limits_changed_{false};  // since watch() last looked

  Mutex changing_mu_;  // one change of what is set at a time, with its commit
  mutable Mutex mu_;
  std::vector<QuotaRule> rules_ GUARDED_BY(mu_);  // canonical
  std::shared_ptr<const QuotaTable> table_ GUARDED_BY(mu_) = std::make_shared<QuotaTable>();
};

}  // namespace ebbfs
