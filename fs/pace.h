// SPDX-License-Identifier: Apache-2.0
//
// How fast work in the background goes on, so that requests get the disk and the processor too.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "index/types.h"

namespace ebbfs {

// Entries that a walk looks at between two pauses, and how long these are: about a tenth of one
// processor.
inline constexpr std::uint64_t kWalkBatch = 512;
inline constexpr Duration kWalkPause = std::chrono::milliseconds(10);

// Files deleted between two pauses: some ten thousand a second at most.
inline constexpr std::size_t kDeletionBatch = 64;
inline constexpr Duration kDeletionPause = std::chrono::milliseconds(5);

}  // namespace ebbfs
