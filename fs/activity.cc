// SPDX-License-Identifier: Apache-2.0
#include "fs/activity.h"

#include <algorithm>
#include <charconv>
#include <tuple>
#include <utility>

#include "fs/user_names.h"

namespace ebbfs {
namespace {

// A unit is entered a moment before its last use says so.
constexpr Duration kSlack = std::chrono::seconds(1);
constexpr std::string_view kVolume = "volume";
constexpr std::size_t kActorsMax = 100;

std::string shown_user(uid_t uid) {
  std::string name = user_name(uid);
  return name.empty() ? std::to_string(uid) : name;
}

constexpr std::string_view kUser = "user:";
constexpr std::string_view kJob = "job:";

uid_t uid_in(std::string_view scope) {
  uid_t uid = 0;
  std::from_chars(scope.data() + kUser.size(), scope.data() + scope.size(), uid);
  return uid;
}

std::int64_t bytes_of(const std::map<std::string, std::int64_t, std::less<>>& held,
                      std::string_view scope) {
  const auto found = held.find(scope);
  return found == held.end() ? 0 : found->second;
}

void keep_busiest(std::vector<ActorView>& actors) {
  std::erase_if(actors, [](const ActorView& one) {
    return one.ops == 0 && one.bytes_new.n == 0 && one.bytes_net == 0;
  });
  std::ranges::sort(actors, std::greater(), [](const ActorView& one) {
    return std::tuple(one.bytes_new, one.ops, one.bytes_net);
  });
  if (actors.size() > kActorsMax) actors.resize(kActorsMax);
}

}  // namespace

ActivityView Activity::since(const Caller& caller, std::uint64_t token) {
  const MonoTime now = volume_.clock.mono_now();
  const MutexLock lock(mu_);
  Asker* asker = find(caller, token);
  const bool begins = asker == nullptr;
  if (begins) token = admit(caller, now);
  asker = &askers_[token];
  ActivityView view;
  view.token = token;
  view.time = volume_.clock.wall_now();
  // A clock that was set back says of no unit that it was used since.
  const bool all = begins || view.time < asker->wall;
  const Totals totals = read_units(*asker, all ? WallTime::min() : asker->wall - kSlack);
  Held held_now = held();
  if (!begins) {
    view.interval = now - asker->asked;
    tell(caller, totals, asker->held, held_now, view);
  }
  view.volume.bytes_held = {bytes_of(held_now, kVolume)};
  asker->held = std::move(held_now);
  asker->asked = now;
  asker->wall = view.time;
  return view;
}

Activity::Asker* Activity::find(const Caller& caller, std::uint64_t token) {
  const auto found = askers_.find(token);
  return found == askers_.end() || found->second.uid != caller.uid ? nullptr : &found->second;
}

std::uint64_t Activity::admit(const Caller& caller, MonoTime now) {
  std::erase_if(askers_, [&](const auto& one) { return now - one.second.asked > kPatience; });
  if (askers_.size() >= kAskersMax) {
    askers_.erase(
        std::ranges::min_element(askers_, {}, [](const auto& one) { return one.second.asked; }));
  }
  askers_[++last_token_].uid = caller.uid;
  return last_token_;
}

Activity::Totals Activity::read_units(Asker& asker, WallTime from) const {
  Totals totals;
  const auto units = volume_.units.all();
  // What is gone stays until there is too much of it.
  if (asker.units.size() > 2 * units.size() + 1024) {
    std::erase_if(asker.units,
                  [&](const auto& one) { return volume_.units.find(one.first) == nullptr; });
  }
  for (const UnitRef& unit : units) {
    if (unit->last_used() >= from || !asker.units.contains(unit->id())) {
      read_unit(*unit, asker, totals);
    }
  }
  read_unit(*volume_.units.root(), asker, totals);
  return totals;
}

void Activity::read_unit(const Unit& unit, Asker& asker, Totals& totals) const {
  Reading& before = asker.units[unit.id()];
  Reading now{.entries = unit.entries(), .reserved = unit.accounts().reserved()};
  // It was away, in the trash.
  if (now.entries < before.entries) before = {};
  const auto ops = static_cast<std::int64_t>(now.entries - before.entries);
  if (ops == 0) return;
  std::map<uid_t, std::int64_t> grown;
  for (const auto& one : now.reserved) grown[one.uid] += one.bytes;
  for (const auto& one : before.reserved) grown[one.uid] -= one.bytes;
  before = std::move(now);
  std::int64_t bytes = 0;
  for (auto& [uid, by] : grown) {
    by = std::max<std::int64_t>(by, 0);
    totals.users[uid].bytes_new += by;
    bytes += by;
  }
  totals.all.bytes_new += bytes;
  totals.all.ops += ops;
  if (unit.is_root()) {
    totals.ops_outside += ops;
    return;
  }
  const Owner owner = unit.record().owner;
  totals.users[owner.uid].ops += ops;
  if (owner.job.empty() || (asker.uid != 0 && asker.uid != owner.uid)) return;
  Counted& job = totals.jobs[owner.job];
  job.ops += ops;
  job.bytes_new += bytes;
}

Activity::Held Activity::held() const {
  Held held;
  for (const UsageLedger::Scope& scope : volume_.ledger.scopes()) {
    held[scope.name] = std::max<std::int64_t>(scope.usage.bytes.n, 0);
  }
  held[std::string(kVolume)] = volume_.ledger.volume().usage().bytes.n;
  return held;
}

void Activity::tell(const Caller& caller, const Totals& totals, const Held& before, const Held& now,
                    ActivityView& view) {
  const auto actor = [&](std::string name, std::string_view scope, const Counted& counted) {
    const std::int64_t held = bytes_of(now, scope);
    return ActorView{.name = std::move(name),
                     .ops = counted.ops,
                     .bytes_new = {counted.bytes_new},
                     .bytes_net = held - bytes_of(before, scope),
                     .bytes_held = {held}};
  };
  view.volume = actor("", kVolume, totals.all);
  view.ops_outside = totals.ops_outside;
  const auto counted = [](const auto& all, const auto& key) {
    const auto found = all.find(key);
    return found == all.end() ? Counted{} : found->second;
  };
  // What only went is told of as well, so every scope is looked at.
  for (const auto& [scope, bytes] : now) {
    if (scope.starts_with(kUser)) {
      const uid_t uid = uid_in(scope);
      if (caller.uid != 0 && caller.uid != uid) continue;
      view.users.push_back(actor(scope, scope, counted(totals.users, uid)));
    } else if (scope.starts_with(kJob)) {
      const std::string name = scope.substr(kJob.size());
      // Of jobs users see those of their units.
      if (caller.uid != 0 && !totals.jobs.contains(name)) continue;
      view.jobs.push_back(actor(name, scope, counted(totals.jobs, name)));
    }
  }
  keep_busiest(view.users);
  keep_busiest(view.jobs);
  for (ActorView& user : view.users) {
    user.name = shown_user(uid_in(user.name));
  }
}

}  // namespace ebbfs
