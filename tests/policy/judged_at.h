// SPDX-License-Identifier: Apache-2.0
//
// What tests of verdicts have in common: when they judge, and a unit that nothing holds.
#pragma once

#include <chrono>

#include "policy/expiry.h"

namespace ebbfs {

inline constexpr WallTime kNow{std::chrono::days(20'000)};
inline constexpr WallTime kNoGrace = WallTime::min();
inline constexpr UnitBusy kNotBusy{.open_files = Answer::no,
                                   .process_inside = Answer::no,
                                   .live_lock = Answer::no,
                                   .git_locked = Answer::no,
                                   .mount_inside = Answer::no};

}  // namespace ebbfs
