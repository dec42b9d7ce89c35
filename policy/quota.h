// SPDX-License-Identifier: Apache-2.0
//
// Which limits bind a scope: an exception that an administrator set, else the policy's own rule for
// it, else a default ("user:*") that was set, else the policy's default; the first that there is,
// whole. Immutable; may be used from any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "index/types.h"
#include "policy/glob.h"
#include "policy/limits.h"

namespace ebbfs {

// A rule's limits; what it leaves out is unlimited.
[[nodiscard]] ScopeLimits limits_of(const QuotaRule& rule);

struct QuotaInForce {
  enum class Origin : std::uint8_t { none, policy, exception };
  ScopeLimits limits;
  Origin origin = Origin::none;
  std::string rule;  // the scope that the rule or exception names, "user:*"

  bool operator==(const QuotaInForce&) const = default;
};

class QuotaTable {
 public:
  using Exceptions = std::map<std::string, ScopeLimits, std::less<>>;

  QuotaTable() = default;
  // Scopes as those that are asked for: users and groups by number, units by path or glob.
  QuotaTable(const std::vector<QuotaRule>& rules, Exceptions exceptions);

  // `scope`: "volume", "class:NAME", "unit:PATH", "user:UID", "group:GID" or "job:NAME".
  [[nodiscard]] QuotaInForce in_force(std::string_view scope) const;
  [[nodiscard]] const Exceptions& exceptions() const { return exceptions_; }

 private:
  struct UnitRule {
    std::string scope;
    Glob glob;
    ScopeLimits limits;
  };
  std::map<std::string, ScopeLimits, std::less<>> rules_;  // but those of units by glob
  std::vector<UnitRule> unit_rules_;                       // in the order of the file
  Exceptions exceptions_;
};

// Whether `glob` matches the whole `path`.
[[nodiscard]] bool matches_path(const Glob& glob, std::string_view path);

}  // namespace ebbfs
