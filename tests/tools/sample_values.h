// SPDX-License-Identifier: Apache-2.0
//
// What the samples in these tests are made of.
#pragma once

#include <chrono>
#include <cstdint>

#include "index/types.h"

namespace ebbfs {

// A noon.
inline const WallTime kNow =
    WallTime(std::chrono::sys_days(std::chrono::days(20'000))) + std::chrono::hours(12);
inline constexpr std::int64_t kMiB = std::int64_t{1} << 20;
inline constexpr std::int64_t kGiB = std::int64_t{1} << 30;

}  // namespace ebbfs
