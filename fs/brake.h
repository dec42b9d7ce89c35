// SPDX-License-Identifier: Apache-2.0
//
// The brake (DESIGN 4.2): stops the removal of units when too many are due at once, or when the
// wall clock was set, until an administrator has looked (`ebbctl resume`). It outlives a restart.
//
// What asks it: expiry by time (holds_units); and, after the clock was set, what else is judged by
// ages: locks whose owner is not known, and the retention of the trash (holds_ages). What does not:
// removal for space, removal on request, and locks whose owner has ended, which no clock decides.
//
// Whoever has reached a verdict by the wall clock asks after it: the clock is looked at then, so a
// step that the verdict was misled by is seen. In mode "observe" it only watches the clock.
//
// Threading: any thread, but for load() and look_at_due(). Lock order: `mu_` is above the index.
#pragma once

#include <string>
#include <vector>

#include "fs/volume.h"
#include "policy/brake.h"

namespace ebbfs {

class Brake {
 public:
  explicit Brake(Volume& volume) : volume_(volume) {}
  Brake(const Brake&) = delete;
  Brake& operator=(const Brake&) = delete;

  // What the last run left, and whether the clock was set since. Before anything is judged.
  void load() EXCLUDES(mu_);
  // Looks at the units that are due now. Of the reaper's thread, before each of its passes.
  // `not_before`: end of the adopt grace.
  void look_at_due(WallTime not_before) EXCLUDES(mu_);

  [[nodiscard]] bool holds_units() EXCLUDES(mu_);
  [[nodiscard]] bool holds_ages() EXCLUDES(mu_);
  // What ages are judged by for space, which it does not hold: eviction_time(), by one look at the
  // clock, so that no step is between the two.
  [[nodiscard]] WallTime eviction_now() EXCLUDES(mu_);

  // The earliest that the wall clock can have shown when boot_now() was `boottime`, with all that
  // it was set by in this boot, looked after or not, and by NTP: what has an older stamp was there
  // before.
  [[nodiscard]] WallTime earliest_wall(Duration boottime) EXCLUDES(mu_);

  // Looks at the clocks and keeps their reading for the next start: now and then, and when
  // stopping.
  void keep_clock() EXCLUDES(mu_);

  // What is due now may go; false when nothing was held. `by`: for the journal, "uid=0". The caller
  // has everything judged again. Errors: those of the index; then it still holds.
  [[nodiscard]] Result<bool> resume(const std::string& by) EXCLUDES(mu_);

  // Cause::none when it does not hold.
  [[nodiscard]] BrakeRecord state() const EXCLUDES(mu_);

 private:
  [[nodiscard]] ClockReading read_clock() const;
  void look_at_clock() REQUIRES(mu_);
  void compare(const ClockReading& before, const ClockReading& now) REQUIRES(mu_);
  [[nodiscard]] Status put(const BrakeRecord& record) const REQUIRES(mu_);
  void store() const REQUIRES(mu_);
  void set(BrakeRecord::Cause cause, std::uint64_t due, std::uint64_t all, Duration step)
      REQUIRES(mu_);
  [[nodiscard]] std::uint64_t count_due(const std::vector<Deadline>& due, WallTime now,
                                        WallTime resumed) const;
  [[nodiscard]] bool enforcing() const;

  Volume& volume_;
  mutable Mutex mu_;
  BrakeRecord record_ GUARDED_BY(mu_);
  ClockReading seen_ GUARDED_BY(mu_);
  // Where the wall clock stood lowest beside the other in this boot, as far as was seen.
  ClockReading lowest_ GUARDED_BY(mu_);
};

// "2306 of 2400 units were due at once", "the wall clock was set 2d forth"; several steps of the
// clock as add_step() makes one of them.
[[nodiscard]] std::string brake_text(const BrakeRecord& brake);

}  // namespace ebbfs
