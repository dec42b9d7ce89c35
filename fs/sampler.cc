// SPDX-License-Identifier: Apache-2.0
#include "fs/sampler.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "fs/space_gate.h"
#include "fs/whole_number.h"
#include "policy/space.h"

namespace ebbfs {
namespace {

constexpr auto kMinute = History::step_of(History::Tier::minute);
constexpr auto kHour = History::step_of(History::Tier::hour);

// Leaves the largest, the largest first.
template <typename Sampled>
void keep_largest(std::vector<Sampled>& all) {
  const auto larger = [](const Sampled& a, const Sampled& b) {
    return std::pair(a.usage.bytes, a.usage.inodes) > std::pair(b.usage.bytes, b.usage.inodes);
  };
  const std::size_t kept = std::min(all.size(), kSampledMax);
  std::ranges::partial_sort(all, all.begin() + static_cast<std::ptrdiff_t>(kept), larger);
  all.resize(kept);
}

// What follows `prefix` in `scope`; nothing where it does not begin so.
std::optional<std::string_view> after(std::string_view prefix, std::string_view scope) {
  if (!scope.starts_with(prefix)) return std::nullopt;
  return scope.substr(prefix.size());
}

// The newest event that the newest sample of `tier` knows; nothing where there is no sample.
Result<std::optional<std::uint64_t>> event_of_newest(const History& history, History::Tier tier,
                                                     WallTime now) {
  const auto newest = history.newest(tier, now);
  if (!newest) return std::nullopt;
  const auto samples = history.between(tier, *newest - Duration(1), *newest);
  if (!samples) return std::unexpected(samples.error());
  if (samples->empty()) return std::nullopt;
  return samples->front().event;
}

}  // namespace

Result<std::unique_ptr<Sampler>> Sampler::open(Volume& volume, const Trash& trash, Reaper& reaper,
                                               Store& store) {
  const auto space = volume.backing.filesystem_stat();
  const std::uint64_t size = space ? space->f_blocks * space->f_frsize : 0;
  std::unique_ptr<Sampler> sampler(new Sampler(
      volume, trash, reaper, store, History::bounds_for(static_cast<std::int64_t>(size))));
  if (const Status opened = sampler->history_.open(); !opened) {
    return std::unexpected(opened.error());
  }
  return sampler;
}

Sampler::~Sampler() { stop(); }

void Sampler::start() {
  {
    const MutexLock lock(mu_);
    stopping_ = false;
  }
  thread_ = std::thread([this] { run(); });
}

void Sampler::stop() {
  {
    const MutexLock lock(mu_);
    stopping_ = true;
    wake_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void Sampler::run() {
  bool failing = false;
  for (auto next = std::chrono::steady_clock::now();;) {
    {
      const MutexLock lock(mu_);
      bool in_time = true;
      while (!stopping_ && in_time) in_time = wake_.wait_until(mu_, next);
      if (stopping_) return;
    }
    const Status done = sample();
    if (!done && !failing) spdlog::warn("op=sample errno={}", code(done.error()));
    failing = !done;
    // What was missed while the machine slept is not made up for.
    next = std::max(next, std::chrono::steady_clock::now() - kMinute) + kMinute;
  }
}

Status Sampler::resume(WallTime now) {
  if (resumed_) return {};
  const auto newest = volume_.index.newest_events(1);
  if (!newest) return std::unexpected(newest.error());
  const std::uint64_t end = newest->empty() ? 0 : newest->back().sequence;
  for (const auto tier : {History::Tier::minute, History::Tier::hour}) {
    const auto known = event_of_newest(history_, tier, now);
    if (!known) return std::unexpected(known.error());
    RemovalTally& tally = tier == History::Tier::minute ? minute_ : hour_;
    // The journal begins anew with an index that was lost.
    tally = RemovalTally(std::min(known->value_or(end), end));
  }
  resumed_ = true;
  return {};
}

bool Sampler::hour_is_over(WallTime now) const {
  const auto last = history_.newest(History::Tier::hour, now);
  // Half a step early rather than nearly one late.
  return !last || now - *last >= kHour - kMinute / 2;
}

Status Sampler::store(History::Tier tier, HistorySample sample, RemovalTally& tally) {
  if (const Status counted = tally.catch_up(volume_.index); !counted) return counted;
  sample.event = tally.event();
  sample.removals = tally.removals();
  const Status stored = history_.append(tier, sample);
  if (stored) tally.clear();
  return stored;
}

Status Sampler::sample() {
  const HistorySample sample = take();
  const MutexLock lock(mu_);
  if (const Status resumed = resume(sample.time); !resumed) return resumed;
  const Status minute = store(History::Tier::minute, sample, minute_);
  if (!minute || !hour_is_over(sample.time)) return minute;
  return store(History::Tier::hour, sample, hour_);
}

HistorySample Sampler::now() {
  HistorySample sample = take();
  const MutexLock lock(mu_);
  if (!resume(sample.time) || !minute_.catch_up(volume_.index)) return sample;
  sample.event = minute_.event();
  sample.removals = minute_.removals();
  return sample;
}

HistorySample Sampler::take() const {
  HistorySample sample;
  sample.time = volume_.clock.wall_now();
  sample.cleanup = cleanup(sample.time);
  sample.charged = at_least_zero(volume_.ledger.volume().usage());
  sample.outside = at_least_zero(volume_.units.root()->accounts().total().usage());
  sample.trash = at_least_zero(trash_.held().usage);
  sample_space(sample);
  sample_scopes(sample);
  sample_units(sample);
  return sample;
}

void Sampler::sample_space(HistorySample& sample) const {
  const auto space = volume_.backing.filesystem_stat();
  if (!space) return;
  const auto bytes = [&](std::uint64_t blocks) {
    return Bytes{static_cast<std::int64_t>(blocks * space->f_frsize)};
  };
  const SpaceReading reading = read_space(*space, volume_.ledger.volume());
  const Usage room = room_for_more(reading, volume_.rules.policy()->volume.reserve);
  sample.space = {.total = bytes(space->f_blocks),
                  .used = bytes(space->f_blocks - space->f_bfree),
                  .free = std::clamp(room.bytes, Bytes{0}, bytes(space->f_bavail)),
                  .inodes_total = static_cast<std::int64_t>(space->f_files),
                  .inodes_used = static_cast<std::int64_t>(space->f_files - space->f_ffree)};
}

void Sampler::sample_scopes(HistorySample& sample) const {
  for (const UsageLedger::Scope& scope : volume_.ledger.scopes()) {
    const Usage usage = at_least_zero(scope.usage);
    if (usage == Usage{}) continue;
    if (const auto user = after("user:", scope.name)) {
      if (const auto uid = whole_number<uid_t>(*user)) sample.users.push_back({*uid, usage});
    } else if (const auto job = after("job:", scope.name)) {
      sample.jobs.push_back({std::string(*job), usage});
    }
  }
  keep_largest(sample.users);
  keep_largest(sample.jobs);
}

void Sampler::sample_units(HistorySample& sample) const {
  std::map<std::string, SampledClass, std::less<>> classes;
  for (const UnitRef& unit : volume_.units.all()) {
    const Usage usage = at_least_zero(unit->accounts().total().usage());
    SampledClass& of = classes[std::string(unit->class_name())];
    ++of.units;
    of.usage += usage;
    sample.units.push_back({unit->id(), usage});
  }
  keep_largest(sample.units);
  for (const LockRef& lock : volume_.locks.all()) {
    const MutexLock held(lock->mu);
    SampledClass& of = classes[lock->record.class_name];
    ++of.units;
    of.usage.inodes += 1;
  }
  for (auto& [name, one] : classes) {
    one.name = name;
    sample.classes.push_back(std::move(one));
  }
}

HistorySample::Cleanup Sampler::cleanup(WallTime now) const {
  using enum HistorySample::Cleanup;
  if (volume_.rules.policy()->mode != Mode::enforce) return observing;
  if (volume_.health.removal_paused()) return paused;
  if (reaper_.brake().cause != BrakeRecord::Cause::none) return braked;
  return now < reaper_.not_before() ? grace : running;
}

}  // namespace ebbfs
