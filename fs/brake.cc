// SPDX-License-Identifier: Apache-2.0
#include "fs/brake.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "policy/eviction.h"

namespace ebbfs {
namespace {

using Cause = BrakeRecord::Cause;

// Two clocks cannot be read at once: tried again when this much went by in between.
constexpr Duration kApartMax = std::chrono::seconds(1);
constexpr int kReadings = 8;

ClockReading reading_of(const ClockRecord& record) {
  return {record.wall, record.boottime, record.boot};
}

ClockRecord record_of(const ClockReading& reading) {
  return {reading.wall, reading.boottime, reading.boot};
}

void journal(UnitIndex& index, EventRecord event) {
  if (const auto told = index.append_event(std::move(event)); !told) {
    spdlog::error("op=append_event errno={}", code(told.error()));
  }
}

}  // namespace

std::string brake_text(const BrakeRecord& brake) {
  switch (brake.cause) {
    case Cause::none:
      return {};
    case Cause::mass:
      return fmt::format("{} of {} units were due at once", brake.due, brake.all);
    case Cause::clock:
      break;
  }
  const auto seconds = std::chrono::round<std::chrono::seconds>(brake.step);
  if (seconds == Duration::zero()) return "the wall clock was set forth and back again";
  return "the wall clock was set " + (seconds < Duration::zero()
                                          ? format_duration(-seconds) + " back"
                                          : format_duration(seconds) + " forth");
}

bool Brake::enforcing() const { return volume_.rules.policy()->mode == Mode::enforce; }

ClockReading Brake::read_clock() const {
  ClockReading reading;
  reading.boot = volume_.processes.boot_id();
  for (int i = 0; i < kReadings; ++i) {
    reading.boottime = volume_.clock.boot_now();
    reading.wall = volume_.clock.wall_now();
    if (volume_.clock.boot_now() - reading.boottime < kApartMax) break;
  }
  return reading;
}

void Brake::load() {
  const auto brake = volume_.index.load_brake();
  const auto clock = volume_.index.load_clock();
  const auto lowest = volume_.index.load_lowest_clock();
  if (!brake || !clock) {
    spdlog::error("op=load_brake errno={}", code(brake ? clock.error() : brake.error()));
  }
  const MutexLock lock(mu_);
  seen_ = read_clock();
  const bool same_boot =
      lowest && *lowest && seen_.boot != BootId{} && (*lowest)->boot == seen_.boot;
  lowest_ = same_boot ? reading_of(**lowest) : seen_;
  if (brake && *brake) record_ = **brake;
  if (record_.cause != Cause::none) {
    spdlog::error("event=braked why=\"{}\" since_the_last_run=true cure=\"ebbctl resume\"",
                  brake_text(record_));
  }
  if (clock && *clock) compare(reading_of(**clock), seen_);
  store();
}

// Read under the lock, so that two who look see the steps in the order they were made in.
void Brake::look_at_clock() {
  const ClockReading now = read_clock();
  compare(std::exchange(seen_, now), now);
}

void Brake::compare(const ClockReading& before, const ClockReading& now) {
  if (clock_step(lowest_, now) < Duration::zero()) lowest_ = now;
  const Duration step = clock_step(before, now);
  if (!is_clock_jump(step)) return;
  if (enforcing()) {
    set(Cause::clock, 0, volume_.units.size(), add_step(record_.step, step));
    return;
  }
  spdlog::warn("event=clock_jump seconds={}",
               std::chrono::round<std::chrono::seconds>(step).count());
  store();
}

Status Brake::put(const BrakeRecord& record) const {
  return volume_.index.put_brake(record, record_of(seen_), record_of(lowest_));
}

void Brake::store() const {
  if (const auto stored = put(record_); !stored) {
    spdlog::error("op=put_brake errno={}", code(stored.error()));
  }
}

void Brake::set(Cause cause, std::uint64_t due, std::uint64_t all, Duration step) {
  // Both: the clock holds more.
  if (record_.cause == Cause::clock && cause == Cause::mass) return;
  record_.cause = cause;
  record_.since = volume_.clock.wall_now();
  record_.due = due;
  record_.all = all;
  record_.step = step;
  const std::string text = brake_text(record_);
  spdlog::error("event=braked why=\"{}\" cure=\"ebbctl resume\"", text);
  EventRecord event;
  event.kind = EventRecord::Kind::braked;
  event.time = record_.since;
  event.detail = text + "; no unit is removed until: ebbctl resume";
  journal(volume_.index, std::move(event));
  store();
}

void Brake::look_at_due(WallTime not_before) {
  const WallTime resumed = [&] {
    const MutexLock lock(mu_);
    look_at_clock();
    return record_.cause == Cause::none ? record_.resumed : WallTime::max();
  }();
  if (!enforcing()) return;
  const WallTime now = volume_.clock.wall_now();
  if (resumed == WallTime::max() || now < not_before) return;
  const VolumeRule& rule = volume_.rules.policy()->volume;
  const std::uint64_t all = volume_.units.size();
  if (!is_mass_expiry(all, all, rule)) return;
  // As a rule there are few, and nothing to count.
  const auto enough = static_cast<std::size_t>(
      std::min<std::uint64_t>(rule.brake_units, std::numeric_limits<std::size_t>::max() - 1) + 1);
  if (volume_.index.due_units(now, enough).size() < enough) return;
  const auto due = volume_.index.due_units(now, std::numeric_limits<std::size_t>::max());
  const std::uint64_t units = count_due(due, now, resumed);
  if (!is_mass_expiry(units, all, rule)) return;
  const MutexLock lock(mu_);
  set(Cause::mass, units, all, {});
}

// A deadline is only a hint: most units that have one now were used since.
std::uint64_t Brake::count_due(const std::vector<Deadline>& due, WallTime now,
                               WallTime resumed) const {
  std::uint64_t count = 0;
  for (const Deadline& deadline : due) {
    const UnitRef unit = volume_.units.find(UnitId{deadline.id});
    if (unit == nullptr || unit->is_root() || unit->opens() > 0) continue;
    const UnitRecord record = unit->record();
    if (record.pinned) continue;
    const WallTime at = unit_deadline(volume_, record);
    if (at <= now && at > resumed) ++count;
  }
  return count;
}

bool Brake::holds_units() {
  const MutexLock lock(mu_);
  look_at_clock();
  return record_.cause != Cause::none;
}

bool Brake::holds_ages() {
  const MutexLock lock(mu_);
  look_at_clock();
  return record_.cause == Cause::clock;
}

WallTime Brake::eviction_now() {
  const MutexLock lock(mu_);
  look_at_clock();
  return eviction_time(seen_.wall, record_);
}

WallTime Brake::earliest_wall(Duration boottime) {
  const MutexLock lock(mu_);
  look_at_clock();
  return lowest_.wall + (boottime - lowest_.boottime);
}

void Brake::keep_clock() {
  const MutexLock lock(mu_);
  look_at_clock();
  store();
}

Result<bool> Brake::resume(const std::string& by) {
  const MutexLock lock(mu_);
  if (record_.cause == Cause::none) return false;
  BrakeRecord released;
  released.resumed = volume_.clock.wall_now();
  if (const auto stored = put(released); !stored) {
    return std::unexpected(stored.error());
  }
  EventRecord event;
  event.kind = EventRecord::Kind::resumed;
  event.time = released.resumed;
  event.detail = "was braked: " + brake_text(record_) + "; by " + by;
  spdlog::info("event=resumed was=\"{}\" by={:?}", brake_text(record_), by);
  record_ = released;
  journal(volume_.index, std::move(event));
  return true;
}

BrakeRecord Brake::state() const {
  const MutexLock lock(mu_);
  return record_;
}

}  // namespace ebbfs
