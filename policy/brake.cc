// SPDX-License-Identifier: Apache-2.0
#include "policy/brake.h"

#include <algorithm>

namespace ebbfs {

bool is_mass_expiry(std::uint64_t due, std::uint64_t all, const VolumeRule& rule) {
  return due > rule.brake_units &&
         static_cast<double>(due) > rule.brake_percent * static_cast<double>(all);
}

Duration clock_step(const ClockReading& before, const ClockReading& now) {
  const Duration wall = now.wall - before.wall;
  if (now.boot == BootId{} || now.boot != before.boot) return std::min(wall, Duration::zero());
  return wall - (now.boottime - before.boottime);
}

bool is_clock_jump(Duration step) { return step > kClockStepMax || step < -kClockStepMax; }

Duration add_step(Duration so_far, Duration step) {
  // After a step back that leads behind all, everything is at least as old as it looks: nothing is
  // left of it to take off of a later step forth.
  return std::max(so_far, Duration::zero()) + step;
}

}  // namespace ebbfs
