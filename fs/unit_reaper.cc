// SPDX-License-Identifier: Apache-2.0
//
// Judging units; removing them is unit_removal.cc.
#include "fs/unit_reaper.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "fs/unit_recovery.h"
#include "policy/eviction.h"

namespace ebbfs {
namespace {

using Action = Verdict::Action;

// After something could not be found out.
constexpr Duration kRetryUnknown = std::chrono::seconds(1);
// While removal is paused.
constexpr Duration kRetryPaused = std::chrono::seconds(10);
// Units remembered as told of; more cost an event told twice.
constexpr std::size_t kUnitsToldMax = 100'000;

// What the clock says of a unit that is asked for: nothing.
void forget_age(UnitRecord& record, ClassRule& rule) {
  record.last_used = record.created = WallTime{};
  rule.ttl = Duration::zero();
  rule.max_age = kNoLimit;
}

}  // namespace

void UnitReaper::set_mounted(MountedAt mounted) {
  mounted_ = std::move(mounted);
  probe_.reset();
}

WallTime UnitReaper::not_before() const {
  return later(volume_.index.volume_state().first_mounted,
               volume_.rules.policy()->volume.adopt_grace);
}

void UnitReaper::judge(std::span<const UnitId> ids) {
  while (!ids.empty()) {
    const auto batch = ids.first(std::min(ids.size(), kBatch));
    judge_batch(batch);
    ids = ids.subspan(batch.size());
  }
}

void UnitReaper::judge_batch(std::span<const UnitId> ids) {
  if (!probe_) probe_ = std::make_unique<BusyProbe>(volume_, locks_, mounted_);
  std::vector<Going> all;
  for (const UnitId id : ids) {
    const UnitRef unit = volume_.units.find(id);
    if (unit == nullptr) {
      (void)volume_.index.reschedule(Deadline::Kind::unit, raw(id), kNever);
      continue;
    }
    Judged judged = judge_now(unit, Cause::age, *probe_);
    if (judged.verdict.action == Action::keep) {
      keep(unit, judged);
    } else if (volume_.health.removal_paused()) {
      reschedule(unit, later(now(), kRetryPaused));
    } else if (!enforcing()) {
      would_remove(unit, judged);
    } else {
      all.push_back({unit, std::move(judged), {Cause::age, invalidator_}});
    }
  }
  remove(all, *probe_);
  for (const Going& going : all) {
    if (going.outcome == Outcome::busy) reschedule(going.unit, later(now(), Unit::kRetryFreeze));
    if (going.outcome == Outcome::kept) keep(going.unit, going.judged);
  }
}

UnitReaper::Judged UnitReaper::judge_now(const UnitRef& unit, Cause cause, BusyProbe& probe,
                                         BusyProbe::Listing listing) {
  Judged judged;
  judged.record = unit->record();
  const auto policy = volume_.rules.policy();
  const ClassRule* rule = policy->find_class(judged.record.class_name);
  if (rule == nullptr) {
    judged.verdict = {Action::keep, Reason::no_ttl, kNever};
    return judged;
  }
  judged.rule = *rule;
  UnitRecord aged = judged.record;
  ClassRule in_force = *rule;
  WallTime from = not_before();
  if (cause == Cause::request) {
    forget_age(aged, in_force);
    from = WallTime::min();
  }
  const bool for_space = cause == Cause::space;
  const WallTime at = for_space ? brake_.eviction_now() : now();
  judged.verdict =
      for_space ? judge_keep(aged, in_force, at, from) : judge_age(aged, in_force, at, from);
  if (judged.verdict.action == Action::keep) return judged;
  const bool counting = unit->counting();
  if (!counting) judge_busy(unit, judged, probe, listing);
  if (counting || judged.place.top != Place::Top::there) {
    judged.verdict = {Action::keep, Reason::use_unknown, later(now(), kRetryUnknown)};
    return judged;
  }
  judged.verdict = for_space ? judge_eviction(aged, judged.found.busy, in_force, at, from)
                             : judge_expiry(aged, judged.found.busy, in_force, at, from);
  // Asked last: a clock that was set has misled what came before.
  if (judged.verdict.action == Action::remove && cause == Cause::age && enforcing() &&
      brake_.holds_units()) {
    judged.verdict = {Action::keep, Reason::brake, kNever};
  }
  if (judged.verdict.action == Action::keep) {
    judged.verdict.look_again = later(now(), retry_after(*rule));
  }
  return judged;
}

void UnitReaper::judge_busy(const UnitRef& unit, Judged& judged, BusyProbe& probe,
                            BusyProbe::Listing listing) {
  judged.place = locate(unit, judged.record);
  if (judged.place.top != Place::Top::there) return;
  judged.found = probe.look(unit, judged.record.path, judged.place.parent.get(),
                            judged.place.name.c_str(), listing);
}

UnitReaper::Place UnitReaper::locate(const UnitRef& unit, const UnitRecord& record) {
  Place place;
  SplitPath split = split_path(record.path);
  place.name = std::move(split.name);
  const Backing& backing = volume_.backing;
  auto parent = open_beneath(backing.root(), split.directory, O_RDONLY | O_DIRECTORY);
  if (!parent) {
    return is_absent(parent.error()) ? find_moved(unit, record, std::move(place))
                                     : std::move(place);
  }
  const auto top = backing.handle(parent->get(), place.name.c_str());
  if (!top && !is_absent(top.error())) return place;
  if (!top || *top != record.handle) return find_moved(unit, record, std::move(place));
  const auto handle = backing.handle(parent->get(), "");
  const auto attributes = backing.stat(parent->get(), "");
  if (!handle || !attributes) return place;
  place.parent_handle = *handle;
  place.parent_inode = inode_id_of(backing, *attributes);
  place.parent = std::move(*parent);
  place.top = Place::Top::there;
  return place;
}

UnitReaper::Place UnitReaper::find_moved(const UnitRef& unit, const UnitRecord& record,
                                         Place place) {
  const FoundTop found = follow_top(volume_, record);
  switch (found.where) {
    case FoundTop::Where::gone:
      place.top = Place::Top::gone;
      break;
    case FoundTop::Where::misplaced:
      // Out of reach of its class: no longer a unit, and nothing that may be removed.
      spdlog::warn("event=unit_moved_out path={:?} now={:?}", record.path, found.path);
      place.top = Place::Top::gone;
      break;
    case FoundTop::Where::moved:
      spdlog::warn("event=unit_moved_unseen path={:?} now={:?}", record.path, found.path);
      if (volume_.units.set_path(*unit, found.path)) place.top = Place::Top::moved;
      break;
    case FoundTop::Where::here:
    case FoundTop::Where::astray:
    case FoundTop::Where::unknown:
      break;
  }
  return place;
}

void UnitReaper::keep(const UnitRef& unit, const Judged& judged) {
  if (judged.place.top == Place::Top::gone) {
    drop(unit, judged);
    return;
  }
  if (judged.verdict.reason == Reason::open_files) {
    unit->await_close();
    // The last close may have come just before it was waited for.
    const bool closed = unit->opens() == 0;
    if (closed) {
      reschedule(unit, later(now(), kJudgedAgainAfter));
      return;
    }
  }
  const WallTime next = judged.verdict.look_again;
  reschedule(unit, next > now() ? next : later(now(), kJudgedAgainAfter));
}

void UnitReaper::would_remove(const UnitRef& unit, const Judged& judged) {
  if (told_.size() >= kUnitsToldMax) told_.clear();
  const auto [told, first] = told_.try_emplace(unit->id(), judged.record.last_used);
  if (first || told->second != judged.record.last_used) {
    told->second = judged.record.last_used;
    const auto written =
        volume_.index.append_event(event_of(judged, EventRecord::Kind::would_remove));
    if (!written) spdlog::error("op=append_event errno={}", code(written.error()));
  }
  reschedule(unit, later(now(), retry_after(judged.rule)));
}

void UnitReaper::drop(const UnitRef& unit, const Judged& judged) {
  spdlog::warn("event=unit_vanished path={:?}", judged.record.path);
  EventRecord event = event_of(judged, EventRecord::Kind::warning);
  event.rule.clear();
  event.detail = "the unit is no longer there: forgotten";
  (void)volume_.index.append_event(std::move(event));
  if (const auto removed = volume_.units.remove(*unit); !removed) {
    spdlog::error("op=erase_unit path={:?} errno={}", judged.record.path, code(removed.error()));
  }
  for (const LockRef& lock : volume_.locks.in_unit(unit->id())) volume_.locks.remove(lock);
}

void UnitReaper::reschedule(const UnitRef& unit, WallTime due) {
  if (const auto moved = volume_.units.reschedule(*unit, due); !moved) {
    spdlog::error("op=reschedule unit={} errno={}", raw(unit->id()), code(moved.error()));
  }
}

bool UnitReaper::enforcing() const { return !removal_held(volume_); }

Report UnitReaper::report(const UnitRef& unit) {
  BusyProbe probe(volume_, locks_, mounted_);
  Judged judged = judge_now(unit, Cause::age, probe);
  const bool looked = judged.place.top != Place::Top::unknown;
  if (!looked && !unit->is_root()) judge_busy(unit, judged, probe, BusyProbe::Listing::fresh);
  return report_of(unit, judged);
}

Report UnitReaper::report_of(const UnitRef& unit, const Judged& judged) const {
  Report report;
  report.verdict = judged.verdict;
  const Reason reason = judged.verdict.reason;
  const bool by_age_only = judged.rule.max_age != kNoLimit && judged.rule.ttl == kNoLimit;
  if (judged.rule.ttl != kNoLimit || by_age_only) {
    report.rule = unit_rule_text(
        judged.rule, by_age_only || reason == Reason::too_old ? Reason::too_old : Reason::idle);
  }
  if (judged.record.pinned) report.blockers.push_back({Reason::pinned, "pinned"});
  if (reason == Reason::no_ttl) {
    report.blockers.push_back(
        {Reason::no_ttl, judged.rule.name.empty()
                             ? "the policy has no class " + judged.record.class_name + " any more"
                             : "its class sets neither ttl nor max_age"});
  }
  if (reason == Reason::adopt_grace) {
    report.blockers.push_back(
        {Reason::adopt_grace, "the volume was mounted for the first time a short while ago"});
  }
  if (reason == Reason::brake) {
    report.blockers.push_back(
        {Reason::brake, "the brake: " + brake_text(brake_.state()) + "; undo with: ebbctl resume"});
  }
  if (unit->counting()) {
    report.blockers.push_back({Reason::use_unknown, "what is in it is still being counted"});
  }
  for (const Blocker& blocker : judged.found.blockers) report.blockers.push_back(blocker);
  if (reason == Reason::use_unknown && report.blockers.empty()) {
    report.blockers.push_back({reason, "it could not be found out whether it is in use"});
  }
  return report;
}

}  // namespace ebbfs
