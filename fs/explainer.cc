// SPDX-License-Identifier: Apache-2.0
#include "fs/explainer.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "fs/brake.h"
#include "fs/control_protocol.h"
#include "fs/explain_words.h"
#include "fs/user_names.h"

namespace ebbfs {
namespace {

using std::chrono::days;

// That usage is told of, beside the window.
constexpr std::array<Duration, 4> kSpans = {days(1), days(3), days(7), days(30)};
constexpr std::size_t kWorkMax = 100'000;
constexpr std::size_t kEventsTalliedMax = 100'000;
// Of a kind of holder: so many that hold most, and so many more that have grown most.
constexpr std::size_t kLargest = 4;
constexpr std::size_t kGrown = 2;

std::string named(uid_t uid) {
  std::string name = user_name(uid);
  return name.empty() ? std::to_string(uid) : name;
}

// What something held in the sample at the beginning of the window, by key.
template <typename Key>
struct Before {
  bool known = false;      // there is a sample
  bool whole = false;      // that names all there were
  std::int64_t least = 0;  // the smallest that it names
  std::map<Key, std::int64_t> bytes;
};

template <typename Key, typename Sampled>
Before<Key> before(const HistorySample* sample, const std::vector<Sampled> HistorySample::* list,
                   Key Sampled::* key) {
  Before<Key> before;
  if (sample == nullptr) return before;
  const auto& all = sample->*list;
  before.known = true;
  before.whole = all.size() < kSampledMax;
  if (!all.empty()) before.least = all.back().usage.bytes.n;
  for (const Sampled& one : all) before.bytes[one.*key] = one.usage.bytes.n;
  return before;
}

template <typename Key>
void compare(const Before<Key>& before, const Key& key, HolderView& view) {
  if (!before.known) return;
  const std::int64_t held = view.usage.bytes.n;
  if (const auto found = before.bytes.find(key); found != before.bytes.end()) {
    view.bytes_growth = held - found->second;
  } else if (before.whole) {
    view.bytes_growth = held;
  } else {
    view.bytes_growth = std::max<std::int64_t>(held - before.least, 0);
    view.growth_at_least = true;
  }
}

// Leaves the largest and those that have grown most, the largest first.
void keep_foremost(std::vector<HolderView>& all) {
  const auto grown = [](const HolderView& v) { return v.bytes_growth.value_or(0); };
  std::ranges::sort(all, std::greater(), [](const HolderView& v) { return v.usage.bytes; });
  if (all.size() <= kLargest) return;
  const auto rest = all.begin() + kLargest;
  std::sort(rest, all.end(), [&](const auto& a, const auto& b) { return grown(a) > grown(b); });
  const auto last = std::find_if(rest, std::min(all.end(), rest + kGrown),
                                 [&](const HolderView& v) { return grown(v) <= 0; });
  all.erase(last, all.end());
  std::ranges::sort(all, std::greater(), [](const HolderView& v) { return v.usage.bytes; });
}

}  // namespace

void Explainer::set_mounted(dev_t device, std::string mount) {
  device_ = device;
  mount_ = std::move(mount);
}

void Explainer::note_work(const Unit& unit, bool holds) {
  const MutexLock lock(mu_);
  if (!holds) {
    work_.erase(unit.id());
    return;
  }
  if (work_.size() >= kWorkMax) work_.clear();
  work_[unit.id()] = unit.last_used();
}

bool Explainer::holds_work(const SurveyedUnit& one) const {
  const MutexLock lock(mu_);
  const auto found = work_.find(one.record.id);
  return found != work_.end() && found->second == one.record.last_used;
}

std::optional<Occupants> Explainer::inside() {
  const MutexLock lock(scan_mu_);
  const MonoTime now = volume_.clock.mono_now();
  if (!scanned_ || now - *scanned_ > kFresh) {
    inside_ = look_for_occupants(volume_, device_);
    scanned_ = volume_.clock.mono_now();
  }
  return inside_;
}

std::vector<SurveyedUnit> Explainer::survey(const Caller& caller, const std::string& path) {
  auto units = survey_units(volume_, reaper_, inside());
  std::erase_if(units, [&](const SurveyedUnit& one) {
    return (caller.uid != 0 && one.record.owner.uid != caller.uid) ||
           !path_within(one.record.path, path);
  });
  return units;
}

ExplainView Explainer::explain(const Caller& caller, const std::string& path, Duration since) {
  Trend trend(sampler_.now(), since, {kSpans.begin(), kSpans.end()});
  // Without it there is still the present.
  (void)trend.read(sampler_.history());
  const auto units = survey(caller, path);
  ExplainView view;
  view.mount = mount_;
  view.path = path;
  view.only_own = caller.uid != 0;
  view.time = trend.now().time;
  view.since = since;
  tell_usage(trend, view);
  tell_holders(units, trend, view);
  if (view.only_own && path.empty()) tell_own_user(caller, trend, view);
  keep_foremost(view.users);
  keep_foremost(view.jobs);
  keep_foremost(view.units);
  tell_removed(caller, trend, view);
  tell_held(units, trend, view);
  tell_cleanup(trend, view);
  view.verdict = verdict_of(view);
  view.actions = actions_of(view, limited_users(units));
  return view;
}

std::set<std::string> Explainer::limited_users(const std::vector<SurveyedUnit>& units) const {
  std::set<std::string> limited;
  std::set<uid_t> seen;
  for (const SurveyedUnit& one : units) {
    const uid_t uid = one.record.owner.uid;
    if (!seen.insert(uid).second) continue;
    const Account& account = volume_.ledger.scope("user:" + std::to_string(uid));
    if (account.limits().bytes != kUnlimited) limited.insert(named(uid));
  }
  return limited;
}

void Explainer::tell_usage(const Trend& trend, ExplainView& view) const {
  const SampledSpace& space = trend.now().space;
  view.bytes_total = space.total;
  view.bytes_free = space.free;
  view.inodes_total = space.inodes_total;
  view.charged = trend.now().charged.bytes;
  UsageThenView now;
  now.time = view.time;
  now.bytes_used = space.used;
  now.inodes_used = space.inodes_used;
  view.usage.push_back(now);
  std::set<Duration> asked(kSpans.begin(), kSpans.end());
  asked.insert(view.since);
  for (const Duration ago : asked) {
    UsageThenView then;
    then.ago = ago;
    const HistorySample* sample = ago == view.since ? trend.window_begin() : trend.then(ago);
    if (sample != nullptr) {
      then.time = sample->time;
      then.bytes_used = sample->space.used;
      then.inodes_used = sample->space.inodes_used;
      then.bytes_growth = (space.used - sample->space.used).n;
      // While nobody was there, nothing grew.
      const Duration passed = std::min(view.time - sample->time, ago);
      then.time_to_full = time_to_full(space.free.n, then.bytes_growth, passed);
    }
    if (ago == view.since) view.from = then.time;
    view.usage.push_back(then);
  }
}

void Explainer::tell_holders(const std::vector<SurveyedUnit>& units, const Trend& trend,
                             ExplainView& view) const {
  const bool all = !view.only_own && view.path.empty();
  // Of a part of the volume, the history knows its units only.
  const HistorySample* begin = trend.window_begin();
  const HistorySample* whole = all ? begin : nullptr;
  const auto users = before(whole, &HistorySample::users, &SampledUser::uid);
  const auto jobs = before(whole, &HistorySample::jobs, &SampledJob::name);
  const auto known = before(begin, &HistorySample::units, &SampledUnit::id);
  auto classes = before(whole, &HistorySample::classes, &SampledClass::name);
  classes.whole = true;
  std::map<uid_t, HolderView> by_user;
  std::map<std::string, HolderView> by_job;
  std::map<std::string, HolderView> by_class;
  for (const SurveyedUnit& one : units) {
    const auto add = [&](HolderView& holder) {
      holder.units = holder.units.value_or(0) + 1;
      holder.usage += one.usage;
    };
    add(by_user[one.record.owner.uid]);
    add(by_class[one.record.class_name]);
    if (!one.record.owner.job.empty()) add(by_job[one.record.owner.job]);
    HolderView unit{.name = one.record.path, .units = {}, .usage = one.usage, .bytes_growth = {}};
    compare(known, one.record.id, unit);
    if (begin != nullptr && one.record.created > begin->time) {
      unit.bytes_growth = unit.usage.bytes.n;
      unit.growth_at_least = false;
    }
    view.units.push_back(std::move(unit));
  }
  if (all) {
    // Users hold things outside of units as well.
    for (auto& [uid, holder] : by_user) holder.usage = {};
    for (const SampledUser& user : trend.now().users) by_user[user.uid].usage = user.usage;
  }
  for (auto& [uid, holder] : by_user) {
    holder.name = named(uid);
    holder.units = holder.units.value_or(0);
    compare(users, uid, holder);
    view.users.push_back(std::move(holder));
  }
  for (auto& [name, holder] : by_job) {
    holder.name = name;
    compare(jobs, name, holder);
    view.jobs.push_back(std::move(holder));
  }
  for (auto& [name, holder] : by_class) {
    holder.name = name;
    compare(classes, name, holder);
    view.classes.push_back(std::move(holder));
  }
  std::ranges::sort(view.classes, std::greater(), [](const auto& v) { return v.usage.bytes; });
}

// With what lies outside of units.
void Explainer::tell_own_user(const Caller& caller, const Trend& trend, ExplainView& view) const {
  HolderView own{.name = named(caller.uid), .units = 0, .usage = {}, .bytes_growth = {}};
  if (!view.users.empty()) own.units = view.users.front().units;
  const std::string name = "user:" + std::to_string(caller.uid);
  for (const UsageLedger::Scope& scope : volume_.ledger.scopes()) {
    if (scope.name == name) own.usage = scope.usage;
  }
  compare(before(trend.window_begin(), &HistorySample::users, &SampledUser::uid), caller.uid, own);
  view.users.assign(1, own);
}

// Of a part, the journal knows, as far as it reaches.
void Explainer::tell_removed(const Caller& caller, const Trend& trend, ExplainView& view) const {
  std::vector<SampledRemovals> removals;
  if (!view.only_own && view.path.empty()) {
    removals = trend.removals();
  } else {
    RemovalTally tally;
    const auto events = volume_.index.newest_events(kEventsTalliedMax);
    const WallTime from = earlier(view.time, view.since);
    const std::string own = "uid=" + std::to_string(caller.uid) + " ";
    for (const EventRecord& event : events.value_or(std::vector<EventRecord>{})) {
      const bool seen = caller.uid == 0 || (event.owner + " ").starts_with(own);
      if (seen && event.time > from && path_within(event.path, view.path)) tally.add(event);
    }
    removals = tally.removals();
  }
  for (const SampledRemovals& one : removals) {
    view.removed.push_back({one.class_name, std::string(to_string(one.reason)),
                            static_cast<std::int64_t>(one.count), one.usage});
  }
  std::ranges::sort(view.removed, std::greater(),
                    [](const RemovedView& v) { return v.usage.bytes; });
}

void Explainer::tell_held(const std::vector<SurveyedUnit>& units, const Trend& trend,
                          ExplainView& view) const {
  std::map<std::string, std::pair<HeldView, Bytes>> held;
  const auto add = [&](std::string reason, std::string text, const SurveyedUnit& one) {
    auto& [heap, largest] = held[reason];
    heap.reason = std::move(reason);
    heap.text = std::move(text);
    if (++heap.units == 1 || one.usage.bytes > largest) {
      heap.largest = one.record.path;
      largest = one.usage.bytes;
    }
    heap.usage += one.usage;
  };
  for (const SurveyedUnit& one : units) {
    if (one.reason != Reason::space) {
      add(std::string(to_string(one.reason)), held_text(one.reason), one);
    } else if (holds_work(one)) {
      add("git_work", "holds work that git has nowhere else: goes last", one);
    } else {
      ++view.evictable_units;
      view.evictable += one.usage;
    }
  }
  for (auto& [reason, heap] : held) view.held.push_back(std::move(heap.first));
  if (!view.only_own && view.path.empty()) {
    HeldView outside;
    outside.reason = "outside";
    outside.text = "outside of any unit: nothing there ever expires";
    outside.usage = trend.now().outside;
    if (outside.usage != Usage{}) view.held.push_back(std::move(outside));
    view.trash = trend.now().trash;
  }
  std::ranges::sort(view.held, std::greater(), [](const HeldView& v) { return v.usage.bytes; });
}

void Explainer::tell_cleanup(const Trend& trend, ExplainView& view) const {
  using enum HistorySample::Cleanup;
  CleanupView& cleanup = view.cleanup;
  const HistorySample::Cleanup state = trend.now().cleanup;
  cleanup.state = to_string(state);
  cleanup.provisional = volume_.units.root()->counting() ||
                        std::ranges::any_of(volume_.units.all(),
                                            [](const UnitRef& unit) { return unit->counting(); });
  if (state == running) return;
  if (state == observing) cleanup.text = "the policy only observes (mode = \"observe\")";
  if (state == paused) cleanup.text = volume_.health.why_paused();
  if (state == braked) cleanup.text = "the brake: " + brake_text(reaper_.brake());
  if (state == grace) cleanup.text = "the volume is new, or its index: adopt_grace is not over";
  if (const auto held = trend.held()) {
    cleanup.since = held->since;
    cleanup.since_at_least = held->at_least;
  }
  if (state == braked) cleanup.since = reaper_.brake().since;
  if (state == braked) cleanup.since_at_least = false;
}

}  // namespace ebbfs
