// SPDX-License-Identifier: Apache-2.0
//
// Times for tests of units alone, which have no clock.
#pragma once

#include <chrono>

#include "index/types.h"

namespace ebbfs {

inline constexpr WallTime kStart{std::chrono::hours(1000)};
// For what must happen: never waited out.
inline constexpr Duration kPatience = std::chrono::seconds(30);

}  // namespace ebbfs
