// SPDX-License-Identifier: Apache-2.0
//
// When removing units should wait for somebody to look: too much is due at once, or the clock that
// all ages are made of was set. Pure: no clock, no I/O, no lock.
#pragma once

#include <cstdint>

#include "index/types.h"
#include "policy/limits.h"

namespace ebbfs {

// More than rule.brake_units, and at the same time more than rule.brake_percent of `all`.
[[nodiscard]] bool is_mass_expiry(std::uint64_t due, std::uint64_t all, const VolumeRule& rule);

// The wall clock beside one that nobody sets and that goes on while the machine sleeps
// (CLOCK_BOOTTIME), so that a suspend is no step.
struct ClockReading {
  WallTime wall{};
  Duration boottime{};
  BootId boot;

  bool operator==(const ClockReading&) const = default;
};

// How far the wall clock was set between two readings; negative when back. Across a boot, or where
// one is not known, time off cannot be told from a step forth: zero then, and a step back is what
// the wall clock itself shows.
[[nodiscard]] Duration clock_step(const ClockReading& before, const ClockReading& now);

// NTP steps seconds and virtual machines pause for some; what is longer than this, either way, is
// a jump.
inline constexpr Duration kClockStepMax = std::chrono::minutes(1);
[[nodiscard]] bool is_clock_jump(Duration step);

// The steps `so_far` and one more as one: how far forth what was seen before or between them may
// look too old at most. Negative when the last one led behind all that.
[[nodiscard]] Duration add_step(Duration so_far, Duration step);

}  // namespace ebbfs
