// SPDX-License-Identifier: Apache-2.0
//
// Control's answers about quotas.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

#include "fs/control.h"
#include "fs/control_quota.h"
#include "fs/user_names.h"

namespace ebbfs {
namespace {

LimitView limit_view(std::int64_t used, std::int64_t hard, std::int64_t soft, Duration grace,
                     WallTime over_since) {
  LimitView view;
  view.used = used;
  if (hard != kUnlimited) view.hard = hard;
  if (soft != kUnlimited) view.soft = soft;
  if (over_since != WallTime{}) {
    view.over_since = over_since;
    if (grace != kNoLimit) view.hard_at = over_since + grace;
  }
  return view;
}

QuotaView view_of(const Quotas::Row& row) {
  const ScopeLimits& limits = row.quota.limits;
  QuotaView view;
  view.scope = Quotas::shown(row.scope);
  view.bytes = limit_view(row.usage.bytes.n, limits.bytes, limits.soft_bytes, limits.grace,
                          row.over_soft.bytes);
  view.inodes = limit_view(row.usage.inodes, limits.inodes, limits.soft_inodes, limits.grace,
                           row.over_soft.inodes);
  view.percent = Quotas::percent_held(row.usage, limits);
  if (limits.grace != kNoLimit) view.grace = limits.grace;
  switch (row.quota.origin) {
    case QuotaInForce::Origin::none:
      view.origin = "none";
      break;
    case QuotaInForce::Origin::policy:
      view.origin = "policy";
      break;
    case QuotaInForce::Origin::exception:
      view.origin = "set";
      break;
  }
  if (!row.quota.rule.empty()) view.rule = Quotas::shown(row.quota.rule);
  view.refusals = static_cast<std::int64_t>(row.refusals);
  return view;
}

// Whether a limit in `change` is malformed, or passes the other; says which.
std::optional<std::string> wrong_in(const ScopeLimits& limits) {
  if (std::min({limits.bytes, limits.soft_bytes, limits.inodes, limits.soft_inodes}) < 0) {
    return "a limit cannot be negative";
  }
  const auto above = [](std::int64_t soft, std::int64_t hard) {
    return soft != kUnlimited && soft > hard;
  };
  if (above(limits.soft_bytes, limits.bytes) || above(limits.soft_inodes, limits.inodes)) {
    return "the soft limit would be above the hard one; give both, or `none` for one of them";
  }
  return {};
}

ControlReply nothing_set(const std::string& scope) {
  return refused("nothing is set for " + scope + "; limits of the policy are changed in its file");
}

}  // namespace

ControlReply Control::as_it_would_be(const std::string& scope, QuotaInForce limits) const {
  Quotas::Row row = volume_.quotas.row(scope);
  row.quota = std::move(limits);
  QuotasView view;
  view.dry_run = true;
  view.quotas.push_back(view_of(row));
  return done(to_json(view));
}

// What is the caller's own, or everybody's.
bool Control::may_see_quota(const Caller& caller, const std::string& scope,
                            const std::set<std::string>& own) {
  return caller.uid == 0 || scope == "volume" || scope.starts_with("class:") ||
         scope == "user:" + std::to_string(caller.uid) ||
         scope == "group:" + std::to_string(caller.gid) || scope.ends_with(":*") ||
         own.contains(scope);
}

ControlReply Control::quota_list(const Caller& caller, const ControlRequest& request) {
  std::set<std::string> own;
  if (caller.uid != 0) {
    for (const UnitRef& unit : volume_.units.all()) {
      const UnitRecord record = unit->record();
      if (record.owner.uid != caller.uid) continue;
      own.insert("unit:" + record.path);
      if (!record.owner.job.empty()) own.insert("job:" + record.owner.job);
    }
  }
  const auto seen = [&](const std::string& scope) { return may_see_quota(caller, scope, own); };
  QuotasView view;
  if (!request.scope.empty()) {
    const auto scope = Quotas::canonical(request.scope, *volume_.rules.policy());
    if (!scope) return misused(scope.error());
    if (!seen(*scope)) return refused(request.scope + " is not yours; only root may look at it");
    // What would bind it, too, where nothing is held and nothing set.
    view.quotas.push_back(view_of(volume_.quotas.row(*scope)));
    return done(to_json(view));
  }
  const bool limited = request.filter.state == quota_state::kLimited;
  const auto rows = volume_.quotas.rows({.limited = limited, .most = request.limit, .seen = seen});
  for (const Quotas::Row& row : rows) view.quotas.push_back(view_of(row));
  return done(to_json(view));
}

ControlReply Control::quota_set(const Caller& caller, const ControlRequest& request) {
  if (caller.uid != 0) return refused("only root may set quotas");
  const auto scope = Quotas::canonical(request.scope, *volume_.rules.policy());
  if (!scope) return misused(scope.error());
  const QuotaChange& change = request.quota;
  ScopeLimits limits = volume_.quotas.in_force(*scope).limits;
  limits.bytes = change.bytes.value_or(limits.bytes);
  limits.soft_bytes = change.soft_bytes.value_or(limits.soft_bytes);
  limits.inodes = change.inodes.value_or(limits.inodes);
  limits.soft_inodes = change.soft_inodes.value_or(limits.soft_inodes);
  if (!change.grace.empty()) {
    const auto grace = parse_duration(change.grace);
    if (!grace) return misused("grace: expected a duration such as 7d, got " + change.grace);
    limits.grace = *grace;
  }
  if (const auto wrong = wrong_in(limits)) return refused(*wrong);
  if (request.dry_run) {
    return as_it_would_be(*scope, {limits, QuotaInForce::Origin::exception, *scope});
  }
  if (const auto set = volume_.quotas.set(*scope, limits, caller.uid); !set) {
    return refused("the index does not take it: " + std::string(std::strerror(code(set.error()))));
  }
  volume_.quotas.export_to(volume_.exports);
  journal_quota(caller, *scope, "set");
  return quota_list(caller, request);
}

ControlReply Control::quota_clear(const Caller& caller, const ControlRequest& request) {
  if (caller.uid != 0) return refused("only root may clear quotas");
  const auto scope = Quotas::canonical(request.scope, *volume_.rules.policy());
  if (!scope) return misused(scope.error());
  if (request.dry_run) {
    if (auto left = volume_.quotas.without_exception(*scope)) {
      return as_it_would_be(*scope, std::move(*left));
    }
    return nothing_set(request.scope);
  }
  const auto cleared = volume_.quotas.clear(*scope);
  if (!cleared) {
    return refused("the index does not take it: " +
                   std::string(std::strerror(code(cleared.error()))));
  }
  if (!*cleared) return nothing_set(request.scope);
  volume_.quotas.export_to(volume_.exports);
  journal_quota(caller, *scope, "cleared");
  return quota_list(caller, request);
}

void Control::journal_quota(const Caller& caller, const std::string& scope, std::string_view what) {
  EventRecord event;
  event.kind = EventRecord::Kind::quota;
  event.time = volume_.clock.wall_now();
  event.rule = Quotas::shown(scope) + ": " + std::string(what);
  event.detail = "by uid=" + std::to_string(caller.uid);
  spdlog::info("event=quota scope={:?} what={} by_uid={}", scope, what, caller.uid);
  (void)volume_.index.append_event(std::move(event));
}

}  // namespace ebbfs
