// SPDX-License-Identifier: Apache-2.0
//
// What the marks of a volume (DESIGN 4.5) mean for what is free just now. Bytes and inodes alike,
// of the backing filesystem and of a limit on the volume, whichever is the tighter. Pure: no clock,
// no I/O, no lock.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "index/types.h"
#include "policy/limits.h"

namespace ebbfs {

// Bytes or inodes: so many of `total` are free. A total of 0 has no limit (btrfs has no number of
// inodes).
struct Gauge {
  std::int64_t total = 0;
  std::int64_t free = 0;

  bool operator==(const Gauge&) const = default;
};

struct SpaceReading {
  Gauge bytes{};        // of the backing filesystem, as an ordinary user sees it
  Gauge inodes{};       // likewise
  Gauge quota_bytes{};  // of a hard limit on the scope `volume`
  Gauge quota_inodes{};

  bool operator==(const SpaceReading&) const = default;
};

// More than any room there is; far enough from the end of the type to be added to.
inline constexpr std::int64_t kAmple = std::int64_t{1} << 61;

// So many of `total` bytes make `mark`, all of them at most; nothing where that is of inodes only.
[[nodiscard]] std::optional<Bytes> mark_in_bytes(const Threshold& mark, Bytes total);

// How much may still be taken until usage reaches `mark`; each part is negative by how much must
// become free, and kAmple where nothing is limited. A mark that is a size says nothing of inodes.
[[nodiscard]] Usage room_below(const SpaceReading& reading, const Threshold& mark);

// What is kept of the backing filesystem for locks, removals and the index. Of bytes, where the
// mark is a share: at least 4 MiB, but no more for that than a sixteenth.
[[nodiscard]] Usage reserve_of(const SpaceReading& reading, const Threshold& reserve);

// How much of the backing filesystem may still be taken: what is free beside the reserve. Each part
// is negative where the reserve is being used.
[[nodiscard]] Usage room_above_reserve(const SpaceReading& reading, const Threshold& reserve);

// The same, and below a limit on the volume.
[[nodiscard]] Usage room_for_more(const SpaceReading& reading, const Threshold& reserve);

// Whether to begin evicting: usage is above `high`; or there is no room for `wanted`, the largest
// of the requests that wait (zero when none does), though there would be at `low`.
[[nodiscard]] bool must_evict(const SpaceReading& reading, const VolumeRule& rule,
                              const Usage& wanted);
// What has to become free, once begun: until `low`, and until there is room for `wanted`.
[[nodiscard]] Usage still_to_free(const SpaceReading& reading, const VolumeRule& rule,
                                  const Usage& wanted);

// How full that is.
enum class SpaceLevel : std::uint8_t {
  ample,
  high,  // above the high mark
  full,  // the reserve is being used, or a limit on the volume is reached
};
[[nodiscard]] SpaceLevel space_level(const SpaceReading& reading, const VolumeRule& rule);
[[nodiscard]] std::string_view to_string(SpaceLevel level);

// Nothing of either part is missing.
[[nodiscard]] constexpr bool is_room(const Usage& room) {
  return room.bytes.n > 0 && room.inodes > 0;
}

}  // namespace ebbfs
