// SPDX-License-Identifier: Apache-2.0
#include "policy/quota.h"

#include <span>

namespace ebbfs {
namespace {

constexpr std::string_view kUnitPrefix = "unit:";

bool matches_names(std::span<const GlobComponent> components, std::string_view path) {
  if (components.empty()) return path.empty();
  if (components.front().kind == GlobComponent::Kind::any_depth) {
    for (;;) {
      if (matches_names(components.subspan(1), path)) return true;
      const std::size_t slash = path.find('/');
      if (slash == std::string_view::npos) return false;
      path.remove_prefix(slash + 1);
    }
  }
  const std::size_t slash = path.find('/');
  const std::string_view name = path.substr(0, slash);
  if (name.empty() || !components.front().pattern.matches(name)) return false;
  return matches_names(components.subspan(1),
                       slash == std::string_view::npos ? "" : path.substr(slash + 1));
}

// "user:*" for "user:1000"; empty for the volume.
std::string default_of(std::string_view scope) {
  const std::size_t colon = scope.find(':');
  return colon == std::string_view::npos ? "" : std::string(scope.substr(0, colon + 1)) + "*";
}

}  // namespace

ScopeLimits limits_of(const QuotaRule& rule) {
  ScopeLimits limits;
  if (rule.bytes) limits.bytes = rule.bytes->n;
  if (rule.soft_bytes) limits.soft_bytes = rule.soft_bytes->n;
  limits.inodes = rule.inodes.value_or(kUnlimited);
  limits.soft_inodes = rule.soft_inodes.value_or(kUnlimited);
  limits.grace = rule.grace;
  return limits;
}

bool matches_path(const Glob& glob, std::string_view path) {
  return matches_names(glob.components, path);
}

QuotaTable::QuotaTable(const std::vector<QuotaRule>& rules, Exceptions exceptions)
    : exceptions_(std::move(exceptions)) {
  for (const QuotaRule& rule : rules) {
    const std::string_view scope = rule.scope;
    if (scope.starts_with(kUnitPrefix) && scope != "unit:*") {
      auto glob = compile_glob(scope.substr(kUnitPrefix.size()), ClassKind::tree);
      if (glob) unit_rules_.push_back({rule.scope, std::move(*glob), limits_of(rule)});
      continue;
    }
    rules_.emplace(rule.scope, limits_of(rule));
  }
}

QuotaInForce QuotaTable::in_force(std::string_view scope) const {
  using enum QuotaInForce::Origin;
  if (const auto set = exceptions_.find(scope); set != exceptions_.end()) {
    return {set->second, exception, set->first};
  }
  if (const auto rule = rules_.find(scope); rule != rules_.end()) {
    return {rule->second, policy, rule->first};
  }
  if (scope.starts_with(kUnitPrefix)) {
    const std::string_view path = scope.substr(kUnitPrefix.size());
    for (const UnitRule& rule : unit_rules_) {
      if (matches_path(rule.glob, path)) return {rule.limits, policy, rule.scope};
    }
  }
  const std::string all = default_of(scope);
  if (const auto set = exceptions_.find(all); set != exceptions_.end()) {
    return {set->second, exception, set->first};
  }
  if (const auto rule = rules_.find(all); rule != rules_.end()) {
    return {rule->second, policy, rule->first};
  }
  return {};
}

}  // namespace ebbfs
