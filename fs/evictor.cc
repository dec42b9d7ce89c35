// SPDX-License-Identifier: Apache-2.0
#include "fs/evictor.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "fs/pace.h"

namespace ebbfs {
namespace {

// Others may fill the backing filesystem: so often it is looked at.
constexpr Duration kLookEach = std::chrono::seconds(2);
// After everything that may go has gone, so long until that is asked again: by requests, and by the
// mark alone.
constexpr Duration kGaveUp = std::chrono::milliseconds(250);
constexpr Duration kGaveUpLong = std::chrono::seconds(10);
// After a deletion, until the backing filesystem says that there is more room.
constexpr int kFreedLooks = 40;
// Units remembered as looked at for work; more cost a look twice.
constexpr std::size_t kLookedMax = 100'000;
// The same trouble is told so often.
constexpr Duration kTellEach = std::chrono::seconds(60);

bool goes_after(const EvictionCandidate& a, const EvictionCandidate& b) {
  return goes_before(b, a);
}

std::string percent(const Gauge& gauge) {
  const auto used = static_cast<double>(gauge.total - gauge.free);
  return fmt::format("{:.1f} %", 100 * used / static_cast<double>(gauge.total));
}

}  // namespace

std::string space_text(const SpaceReading& reading, const VolumeRule& rule) {
  std::string text = percent(reading.bytes) + " of bytes";
  if (reading.inodes.total > 0) text += " and " + percent(reading.inodes) + " of inodes";
  text += " used, " + bytes_text(Bytes{reading.bytes.free}) + " free";
  if (reading.quota_bytes.total > 0) {
    text += ", " + percent(reading.quota_bytes) + " of the volume's quota";
  }
  return text + "; marks " + format_threshold(rule.high) + " and " + format_threshold(rule.low) +
         ", reserve " + format_threshold(rule.reserve);
}

Evictor::Evictor(Volume& volume, Trash& trash, Reaper& reaper, SpaceGate& gate, Invalidator& tell,
                 HoldsWork holds_work)
    : volume_(volume),
      trash_(trash),
      reaper_(reaper),
      gate_(gate),
      tell_(tell),
      holds_work_(std::move(holds_work)) {}

Evictor::~Evictor() { stop(); }

void Evictor::start() {
  const MutexLock lock(mu_);
  thread_ = std::thread([this] { run(); });
}

void Evictor::stop() {
  std::thread ended;
  {
    const MutexLock lock(mu_);
    stopping_.store(true, std::memory_order_relaxed);
    wake_.notify_all();
    ended.swap(thread_);
  }
  if (ended.joinable()) ended.join();
  serve(true);
}

void Evictor::press() {
  const MutexLock lock(mu_);
  pressed_ = true;
  wake_.notify_all();
}

bool Evictor::may_help() const {
  const MonoTime gave_up{Duration(gave_up_.load(std::memory_order_relaxed))};
  return !stopping() && (gave_up == MonoTime{} || volume_.clock.mono_now() - gave_up >= kGaveUp);
}

void Evictor::wait_for_space(MonoTime since, Job job) {
  {
    const MutexLock lock(mu_);
    // Asked under the lock, so that stop() either finds it or has been seen.
    if (!stopping()) {
      const auto after =
          std::ranges::upper_bound(waiting_, since, {}, [](const Waiting& w) { return w.since; });
      waiting_.insert(after, {since, std::move(job)});
      wake_.notify_all();
      return;
    }
  }
  job(true);
}

bool Evictor::has_waiting() const {
  const MutexLock lock(mu_);
  return !waiting_.empty();
}

void Evictor::serve(bool last_try, bool only_overdue) {
  const MonoTime now = volume_.clock.mono_now();
  for (;;) {
    Waiting first;
    {
      const MutexLock lock(mu_);
      if (waiting_.empty()) return;
      if (only_overdue && now - waiting_.front().since < kPatience) return;
      first = std::move(waiting_.front());
      waiting_.pop_front();
    }
    first.job(last_try || now - first.since >= kPatience);
  }
}

void Evictor::run() {
  while (!stopping()) {
    {
      const MutexLock lock(mu_);
      const auto until = std::chrono::steady_clock::now() + kLookEach;
      bool in_time = true;
      while (!stopping() && !pressed_ && waiting_.empty() && in_time) {
        in_time = wake_.wait_until(mu_, until);
      }
      pressed_ = false;
    }
    if (stopping()) return;
    const MonoTime gave_up{Duration(gave_up_.load(std::memory_order_relaxed))};
    const MonoTime now = volume_.clock.mono_now();
    // Nothing more may go: only time, or somebody who waits, can change that.
    if (!has_waiting() && gave_up != MonoTime{} && now - gave_up < kGaveUpLong) {
      (void)gate_.refresh();
      pause(kGaveUp);
      continue;
    }
    round();
  }
}

void Evictor::pause(Duration time) {
  const MutexLock lock(mu_);
  if (stopping()) return;
  (void)wake_.wait_until(mu_, std::chrono::steady_clock::now() + time);
}

bool Evictor::look(Round& round) {
  auto look = gate_.refresh();
  if (!look) {
    spdlog::error("op=statvfs errno={}", code(look.error()));
    return false;
  }
  round.look = *look;
  return true;
}

void Evictor::round() {
  Round round;
  const bool asked = has_waiting();
  if (asked) round.wanted = gate_.take_wanted();
  if (!look(round) || !must_evict(round.look.reading, round.look.rule, round.wanted)) {
    gave_up_.store(0, std::memory_order_relaxed);
    {
      const MutexLock lock(mu_);
      state_.stuck.clear();
    }
    serve(true);
    return;
  }
  if (const auto held = removal_held(volume_)) return give_up(round, *held);
  {
    const MutexLock lock(mu_);
    state_.evicting = true;
  }
  std::string why;
  while (!stopping()) {
    trash_.hurry(has_waiting());
    serve(false, true);
    if (!look(round)) break;
    const SpaceReading& reading = round.look.reading;
    if (is_room(room_for_more(reading, round.look.rule.reserve)) && has_waiting()) serve(false);
    if (still_to_free(reading, round.look.rule, round.wanted) == Usage{}) break;
    if (free_trash(round) || evict_next(round)) continue;
    why = "nothing more may go";
    break;
  }
  trash_.hurry(false);
  probe_.reset();
  if (!why.empty()) return give_up(round, why);
  gave_up_.store(0, std::memory_order_relaxed);
  {
    const MutexLock lock(mu_);
    state_.evicting = false;
    state_.stuck.clear();
  }
  serve(true);
}

bool Evictor::free_trash(Round& round) {
  if (const auto oldest = trash_.oldest(round.stuck_trash)) {
    delete_now(round, oldest->id, oldest->usage);
    return true;
  }
  if (!trash_.is_purging()) return false;
  pause(kDeletionPause);
  return true;
}

void Evictor::delete_now(Round& round, TrashId id, const Usage& held) {
  const auto before = gate_.look();
  std::size_t deleted = 0;
  if (!trash_.purge_now(id, [&] { return proceed(deleted); })) {
    round.stuck_trash.insert(id);
    return;
  }
  if (before) await_freed(before->reading, held);
}

// XFS frees what was deleted a little later. Not waiting for it would evict too much.
void Evictor::await_freed(const SpaceReading& before, const Usage& freed) {
  for (int i = 0; i < kFreedLooks && !stopping(); ++i) {
    const auto now = gate_.look();
    if (!now || now->reading.bytes.free - before.bytes.free >= freed.bytes.n / 2) return;
    pause(kDeletionPause);
  }
}

bool Evictor::proceed(std::size_t& deleted) {
  if (++deleted % kDeletionBatch != 0) return !stopping();
  serve(false, true);
  if (!has_waiting()) pause(kDeletionPause);
  return !stopping();
}

void Evictor::keep(Round& round, const UnitRef& unit, Reason reason) {
  Kept& kept = round.kept[reason];
  ++kept.units;
  kept.bytes += unit->accounts().total().usage().bytes;
}

void Evictor::list(Round& round) {
  round.listed = true;
  const auto policy = volume_.rules.policy();
  const WallTime now = reaper_.eviction_now();
  const WallTime not_before = reaper_.not_before();
  for (const UnitRef& unit : volume_.units.all()) {
    const UnitRecord record = unit->record();
    const ClassRule* rule = policy->find_class(record.class_name);
    if (rule == nullptr || unit->counting()) {
      keep(round, unit, Reason::use_unknown);
      continue;
    }
    const Verdict verdict = judge_keep(record, *rule, now, not_before);
    if (verdict.action == Verdict::Action::keep) {
      keep(round, unit, verdict.reason);
    } else if (unit->opens() > 0) {
      keep(round, unit, Reason::open_files);
    } else {
      round.candidates.push_back({unit->id(), record.last_used});
    }
  }
  // A heap: of many, few are needed as a rule.
  std::ranges::make_heap(round.candidates, goes_after);
}

std::optional<EvictionCandidate> Evictor::next(Round& round) {
  if (!round.candidates.empty()) {
    std::ranges::pop_heap(round.candidates, goes_after);
    const EvictionCandidate first = round.candidates.back();
    round.candidates.pop_back();
    return first;
  }
  if (round.last.empty()) return std::nullopt;
  const EvictionCandidate first = round.last.front();
  round.last.erase(round.last.begin());
  return first;
}

bool Evictor::holds_work(const UnitRef& unit, WallTime last_used) {
  if (!holds_work_) return false;
  if (looked_.size() >= kLookedMax) looked_.clear();
  const auto [looked, first] = looked_.try_emplace(unit->id(), last_used, false);
  if (first || looked->second.last_used != last_used) {
    looked->second = {last_used, holds_work_(unit)};
  }
  return looked->second.holds_work;
}

bool Evictor::evict_next(Round& round) {
  if (!round.listed) list(round);
  auto candidate = next(round);
  if (!candidate) return false;
  const UnitRef unit = volume_.units.find(candidate->id);
  if (unit == nullptr) return true;
  if (!candidate->holds_work && holds_work(unit, candidate->last_used)) {
    candidate->holds_work = true;
    round.last.push_back(*candidate);
    return true;
  }
  if (!probe_) probe_ = reaper_.make_probe();
  const std::string why = space_text(round.look.reading, round.look.rule) +
                          (candidate->holds_work ? "; holds work that is nowhere else" : "");
  const UnitReaper::Evicted evicted = reaper_.evict(unit, why, *probe_, tell_);
  if (!evicted.trash) {
    keep(round, unit, evicted.verdict.reason);
    return true;
  }
  ++round.evicted;
  Usage held;
  for (const UsageCell& cell : evicted.trash->unit.usage) held += cell.usage;
  {
    const MutexLock lock(mu_);
    ++state_.evicted;
    state_.evicted_usage += held;
    state_.last = evicted.trash->removed;
  }
  delete_now(round, evicted.trash->id, held);
  return true;
}

void Evictor::give_up(Round& round, std::string why) {
  for (const auto& [reason, kept] : round.kept) {
    why += fmt::format("; {} ({})", kept_text(reason, kept.units), bytes_text(kept.bytes));
  }
  if (!round.stuck_trash.empty()) {
    why += fmt::format("; {} in the trash cannot be deleted", round.stuck_trash.size());
  }
  const std::string text = space_text(round.look.reading, round.look.rule) + "; " + why;
  const MonoTime now = volume_.clock.mono_now();
  gave_up_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  bool told = true;
  {
    const MutexLock lock(mu_);
    state_.evicting = false;
    state_.stuck = why;
    if (told_ == MonoTime{} || now - told_ >= kTellEach) {
      told_ = now;
      told = false;
    }
  }
  if (!told) {
    spdlog::warn("event=no_space why={:?} evicted={} waiting={}", text, round.evicted,
                 round.wanted != Usage{});
    EventRecord event;
    event.kind = EventRecord::Kind::no_space;
    event.time = volume_.clock.wall_now();
    event.detail = text;
    if (const auto written = volume_.index.append_event(std::move(event)); !written) {
      spdlog::error("op=append_event errno={}", code(written.error()));
    }
  }
  serve(true);
}

Evictor::State Evictor::state() const {
  const auto look = gate_.look();
  const MutexLock lock(mu_);
  State state = state_;
  if (look) state.look = *look;
  state.waiting = waiting_.size();
  state.refused = refused_.load(std::memory_order_relaxed);
  return state;
}

}  // namespace ebbfs
