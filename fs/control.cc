// SPDX-License-Identifier: Apache-2.0
#include "fs/control.h"

#include <malloc.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>

#include "fs/user_names.h"

namespace ebbfs {
namespace {

constexpr uid_t kRootUser = 0;

bool may_change(const Caller& caller, uid_t owner) {
  return caller.uid == kRootUser || caller.uid == owner;
}

std::string shown(const std::string& path) { return path.empty() ? "the volume root" : path; }

ControlReply not_managed(const std::string& path) {
  return refused(
      shown(path) +
      " is no unit or lock and lies in none; `ebbctl units` and `ebbctl locks` list them");
}

ControlReply not_yours(const std::string& path, const Owner& owner) {
  return refused(shown(path) + " belongs to uid " + std::to_string(owner.uid) +
                 "; only that user and root may change it");
}

ControlReply only_questions() {
  return refused(
      "the mount is read-only here, and this would change something: run ebbctl where it is "
      "mounted read-write");
}

std::vector<BlockerView> views_of(const std::vector<Blocker>& blockers) {
  std::vector<BlockerView> views;
  views.reserve(blockers.size());
  for (const Blocker& blocker : blockers) {
    views.push_back({std::string(to_string(blocker.reason)), blocker.text});
  }
  return views;
}

std::string parent_of(std::string_view path) {
  const std::size_t slash = path.find_last_of('/');
  return slash == std::string_view::npos ? std::string() : std::string(path.substr(0, slash));
}

std::string sentence(const Report& report) {
  if (report.verdict.action == Verdict::Action::remove) return "is due: " + report.rule;
  if (!report.blockers.empty()) return "stays: " + report.blockers.front().text;
  return "stays: " + std::string(to_string(report.verdict.reason));
}

}  // namespace

std::string Control::answer(const Caller& caller, std::string_view text, Access access) {
  const auto request = decode_request(text);
  if (!request) return encode(request.error());
  if (access == Access::read_only && !only_asks(*request)) return encode(only_questions());
  std::string reply = encode(run(caller, *request));
  // What it took is given back at once, and not kept for the next.
  constexpr std::size_t kLarge = 1 << 20;
  if (reply.size() > kLarge) ::malloc_trim(0);
  return reply;
}

ControlReply Control::run(const Caller& caller, const ControlRequest& request) {
  const std::string& name = request.command;
  if (name == command::kStatus) return done(to_json(status_view(caller)));
  if (name == command::kUnits) return units(caller, request);
  if (name == command::kLocks) return locks(caller, request);
  if (name == command::kShow) return show(caller, request);
  if (name == command::kEvents) return events(caller, request);
  if (name == command::kExplain) return explain(caller, request);
  if (name == command::kTrace) return trace(caller, request);
  if (name == command::kHistory) return history(caller, request);
  if (name == command::kActivity) {
    return done(to_json(activity_.since(caller, request.token.value_or(0))));
  }
  if (name == command::kPin) return pin(caller, request, true);
  if (name == command::kUnpin) return pin(caller, request, false);
  if (name == command::kExpire) return expire(caller, request);
  if (name == command::kQuotaList) return quota_list(caller, request);
  if (name == command::kQuotaSet) return quota_set(caller, request);
  if (name == command::kQuotaClear) return quota_clear(caller, request);
  if (name == command::kCheck) return check(caller, request);
  if (name == command::kTrashList) return trash_list(caller, request);
  if (name == command::kRestore) return restore(caller, request);
  if (name == command::kTrashEmpty) return trash_empty(caller, request);
  if (name == command::kResume) return resume(caller, request);
  if (name == command::kPolicyShow) return policy_show();
  if (name == command::kPolicyReload) return policy_reload(caller);
  return misused("the daemon does not know the command \"" + name +
                 "\"; ebbctl may be newer than ebbfs: remount with the installed version");
}

UnitRef Control::unit_at(std::string_view path) const {
  for (std::string at(path); !at.empty(); at = parent_of(at)) {
    if (UnitRef unit = volume_.units.find_by_path(at)) return unit;
  }
  return nullptr;
}

LockRef Control::lock_at(std::string_view path) const {
  LockRef nearest;
  std::size_t longest = 0;
  for (LockRef& lock : volume_.locks.all()) {
    const MutexLock held(lock->mu);
    const std::string& at = lock->record.path;
    if (!path_within(path, at) || at.size() < longest) continue;
    longest = at.size();
    nearest = lock;
  }
  return nearest;
}

UnitView Control::view(const Unit& unit, WallTime now) const {
  const UnitRecord record = unit.record();
  UnitView view;
  view.path = record.path;
  view.class_name = record.class_name;
  view.owner = view_of(record.owner, user_name(record.owner.uid));
  view.created = record.created;
  view.last_used = record.last_used;
  view.usage = at_least_zero(unit.accounts().total().usage());
  view.pinned = record.pinned;
  view.open_files = unit.opens();
  const WallTime due = unit_deadline(volume_, record);
  if (record.pinned)
    view.state = UnitState::pinned;
  else if (due == kNever)
    view.state = UnitState::permanent;
  else if (unit.opens() > 0)
    view.state = UnitState::busy;
  else
    view.state = due <= now ? UnitState::due : UnitState::idle;
  if (!record.pinned) view.expires_at = or_null(due);
  return view;
}

LockView Control::view(const Lock& lock, WallTime now) const {
  const MutexLock held(lock.mu);
  const LockRecord& record = lock.record;
  const OwnerState& owner = lock.owner_state;
  const auto policy = volume_.rules.policy();
  const ClassRule* rule = policy->find_class(record.class_name);
  LockView view;
  view.path = record.path;
  view.class_name = record.class_name;
  view.owner = view_of(record.owner, user_name(record.owner.uid));
  view.certainty = to_string(record.certainty);
  view.made = record.made;
  view.age = now - record.made;
  view.held = view.age;
  view.life = "alive";
  if (record.certainty != OwnerCertainty::certain) {
    view.state = LockState::uncertain;
    view.life = "unknown";
    if (rule != nullptr && rule->ttl != kNoLimit) view.reclaim_at = record.made + rule->ttl;
    return view;
  }
  switch (owner.life) {
    case OwnerState::Life::alive:
      view.state = LockState::held;
      return view;
    case OwnerState::Life::killed:
      view.life = "killed";
      break;
    case OwnerState::Life::exited:
      view.life = "exited";
      break;
    case OwnerState::Life::ended:
      view.life = "ended";
      break;
    case OwnerState::Life::unknown:
      view.life = "unknown";
      return view;
  }
  view.state = LockState::orphan;
  view.held = owner.ended_at - record.made;
  if (rule != nullptr) view.reclaim_at = owner.ended_at + rule->orphan_grace;
  return view;
}

LockView Control::judged_view(const LockRef& lock, WallTime now) {
  LockView view = this->view(*lock, now);
  if (!view.reclaim_at || *view.reclaim_at > now) return view;
  const Verdict verdict = reaper_.verdict(lock).verdict;
  if (verdict.action != Verdict::Action::keep) return view;
  const bool waits = verdict.reason == Reason::heartbeat || verdict.reason == Reason::in_grace ||
                     verdict.reason == Reason::adopt_grace;
  view.reclaim_at = waits ? or_null(verdict.look_again) : std::nullopt;
  return view;
}

ControlReply Control::show(const Caller& caller, const ControlRequest& request) {
  const WallTime now = volume_.clock.wall_now();
  const auto policy = volume_.rules.policy();
  ShowView view;
  view.path = request.path;
  view.what = request.path.empty() ? "root" : "plain";
  view.verdict = "stays: it is in no unit, and what is outside of units never expires";
  if (const LockRef lock = lock_at(request.path)) {
    const Report report = reaper_.verdict(lock);
    view.lock = judged_view(lock, now);
    if (!may_change(caller, view.lock->owner.uid)) {
      return refused(shown(request.path) + " belongs to somebody else");
    }
    view.what = view.lock->path == request.path ? "lock" : "plain";
    view.rule = report.rule;
    view.blockers = views_of(report.blockers);
    view.verdict = sentence(report);
    if (const ClassRule* rule = policy->find_class(view.lock->class_name)) {
      view.ttl = or_null(rule->ttl);
    }
    view.expires_at = view.lock->reclaim_at;
    return done(to_json(view));
  }
  const UnitRef unit = unit_at(request.path);
  if (unit == nullptr) return done(to_json(view));
  const UnitRecord record = unit->record();
  if (!may_change(caller, record.owner.uid)) {
    return refused(shown(request.path) + " belongs to somebody else");
  }
  const Report report = reaper_.verdict(unit);
  view.unit = this->view(*unit, now);
  view.what = record.path == request.path ? "unit" : "plain";
  view.rule = report.rule;
  view.blockers = views_of(report.blockers);
  view.verdict = sentence(report);
  if (const ClassRule* rule = policy->find_class(record.class_name)) {
    view.ttl = or_null(rule->ttl);
    if (!record.pinned) view.evictable_at = or_null(later(record.last_used, rule->keep));
  }
  view.expires_at = view.unit->expires_at;
  return done(to_json(view));
}

ControlReply Control::explain(const Caller& caller, const ControlRequest& request) {
  const Duration since = request.since.value_or(Explainer::kWindow);
  if (since <= Duration::zero()) return misused("--since takes a time that is over");
  return done(to_json(explainer_.explain(caller, request.path, since)));
}

ControlReply Control::history(const Caller& caller, const ControlRequest& request) {
  const Duration since = request.since.value_or(Explainer::kWindow);
  if (since <= Duration::zero()) return misused("--since takes a time that is over");
  return done(to_json(explainer_.history(caller, since)));
}

ControlReply Control::pin(const Caller& caller, const ControlRequest& request, bool pinned) {
  const UnitRef unit = unit_at(request.path);
  if (unit == nullptr) return not_managed(request.path);
  const UnitRecord record = unit->record();
  if (!may_change(caller, record.owner.uid)) return not_yours(record.path, record.owner);
  ChangeView view;
  view.path = record.path;
  view.action = pinned ? "pinned" : "unpinned";
  view.dry_run = request.dry_run;
  view.changed = record.pinned != pinned;
  view.usage = at_least_zero(unit->accounts().total().usage());
  if (!view.changed || request.dry_run) return done(to_json(view));
  if (const auto set = volume_.units.set_pinned(*unit, pinned); !set) {
    return refused("cannot store the pin: errno " + std::to_string(code(set.error())));
  }
  EventRecord event;
  event.kind = pinned ? EventRecord::Kind::pinned : EventRecord::Kind::unpinned;
  event.time = volume_.clock.wall_now();
  event.path = record.path;
  event.class_name = record.class_name;
  event.owner = owner_text(record.owner);
  event.detail = "by uid=" + std::to_string(caller.uid);
  export_pins(volume_);
  spdlog::info("event={} path={:?} by_uid={}", view.action, record.path, caller.uid);
  (void)volume_.index.append_event(std::move(event));
  if (!pinned) agenda_due(record);
  return done(to_json(view));
}

void Control::agenda_due(const UnitRecord& record) {
  const WallTime due = unit_deadline(volume_, record);
  if (due == kNever) return;
  if (const UnitRef unit = volume_.units.find(record.id)) {
    (void)volume_.units.reschedule(*unit, due);
  }
  reaper_.due_at(due);
}

ControlReply Control::expire(const Caller& caller, const ControlRequest& request) {
  if (const LockRef lock = lock_at(request.path)) {
    const Owner owner = [&] {
      const MutexLock held(lock->mu);
      return lock->record.owner;
    }();
    if (!may_change(caller, owner.uid)) return not_yours(request.path, owner);
    return expire_lock(lock, request.dry_run);
  }
  const UnitRef unit = unit_at(request.path);
  if (unit == nullptr) return not_managed(request.path);
  const Owner owner = unit->record().owner;
  if (!may_change(caller, owner.uid)) return not_yours(request.path, owner);
  return expire_unit(unit, request.dry_run);
}

ControlReply Control::expire_unit(const UnitRef& unit, bool dry_run) {
  ChangeView view;
  view.path = unit->path();
  view.action = "expired";
  view.dry_run = dry_run;
  view.usage = at_least_zero(unit->accounts().total().usage());
  const auto expired = reaper_.expire(unit, dry_run);
  view.blockers = views_of(expired.report.blockers);
  view.changed = expired.report.verdict.action == Verdict::Action::remove;
  if (expired.trash) {
    view.restorable_until = expired.trash->purge_after;
    // What went in the end: it may have been written to until it was frozen.
    view.usage = {};
    for (const UsageCell& held : expired.trash->unit.usage) view.usage += held.usage;
    view.usage = at_least_zero(view.usage);
  }
  ControlReply reply = done(to_json(view));
  if (!view.changed) {
    reply.exit_code = kExitRefused;
    reply.error = view.path + " stays: " +
                  (view.blockers.empty() ? std::string(to_string(expired.report.verdict.reason))
                                         : view.blockers.front().text);
  }
  return reply;
}

ControlReply Control::expire_lock(const LockRef& lock, bool dry_run) {
  ChangeView view;
  {
    const MutexLock held(lock->mu);
    view.path = lock->record.path;
  }
  view.action = "reclaimed";
  view.dry_run = dry_run;
  const Report report = reaper_.expire(lock, dry_run);
  view.blockers = views_of(report.blockers);
  view.changed = report.verdict.action == Verdict::Action::remove && report.blockers.empty();
  ControlReply reply = done(to_json(view));
  if (!view.changed) {
    reply.exit_code = kExitRefused;
    reply.error = view.path + " stays: " +
                  (view.blockers.empty() ? std::string(to_string(report.verdict.reason))
                                         : view.blockers.front().text);
  }
  return reply;
}

ControlReply Control::policy_show() const {
  const auto policy = volume_.rules.policy();
  return done(to_json(view_of(*policy, to_toml(*policy))));
}

ControlReply Control::policy_reload(const Caller& caller) {
  if (caller.uid != kRootUser) return refused("only root may reload the policy");
  if (const auto loaded = facts_.reload_policy(); !loaded) {
    return refused("the policy in force stays: " + loaded.error());
  }
  return policy_show();
}

}  // namespace ebbfs
