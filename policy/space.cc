// SPDX-License-Identifier: Apache-2.0
#include "policy/space.h"

#include <algorithm>

namespace ebbfs {
namespace {

enum class Of : std::uint8_t { bytes, inodes };

std::int64_t share(std::int64_t total, double fraction) {
  return static_cast<std::int64_t>(static_cast<double>(total) * fraction);
}

// So many of `gauge` make `mark`.
std::int64_t amount(const Gauge& gauge, const Threshold& mark, Of of) {
  if (of == Of::inodes) return mark.fraction ? share(gauge.total, *mark.fraction) : gauge.total;
  return mark_in_bytes(mark, {gauge.total}).value_or(Bytes{gauge.total}).n;
}

std::int64_t room_in(const Gauge& gauge, const Threshold& mark, Of of) {
  if (gauge.total <= 0) return kAmple;
  if (of == Of::inodes && !mark.fraction) return kAmple;
  return amount(gauge, mark, of) - (gauge.total - gauge.free);
}

// A share of a small volume is too little for the index to work in.
constexpr std::int64_t kReserveMin = std::int64_t{4} << 20;
constexpr std::int64_t kReserveMinShare = 16;

std::int64_t kept_of(const Gauge& gauge, const Threshold& reserve, Of of) {
  if (gauge.total <= 0 || (of == Of::inodes && !reserve.fraction)) return 0;
  const std::int64_t kept = amount(gauge, reserve, of);
  if (of == Of::inodes || !reserve.fraction || *reserve.fraction == 0) return kept;
  return std::max(kept, std::min(kReserveMin, gauge.total / kReserveMinShare));
}

std::int64_t free_of(const Gauge& gauge) { return gauge.total <= 0 ? kAmple : gauge.free; }

}  // namespace

std::optional<Bytes> mark_in_bytes(const Threshold& mark, Bytes total) {
  if (mark.fraction) return Bytes{share(total.n, *mark.fraction)};
  if (mark.bytes) return std::min(*mark.bytes, total);
  return std::nullopt;
}

Usage room_below(const SpaceReading& reading, const Threshold& mark) {
  return {{std::min(room_in(reading.bytes, mark, Of::bytes),
                    room_in(reading.quota_bytes, mark, Of::bytes))},
          std::min(room_in(reading.inodes, mark, Of::inodes),
                   room_in(reading.quota_inodes, mark, Of::inodes))};
}

Usage reserve_of(const SpaceReading& reading, const Threshold& reserve) {
  return {{kept_of(reading.bytes, reserve, Of::bytes)},
          kept_of(reading.inodes, reserve, Of::inodes)};
}

Usage room_above_reserve(const SpaceReading& reading, const Threshold& reserve) {
  const Usage kept = reserve_of(reading, reserve);
  return {{free_of(reading.bytes) - kept.bytes.n}, free_of(reading.inodes) - kept.inodes};
}

Usage room_for_more(const SpaceReading& reading, const Threshold& reserve) {
  const Usage room = room_above_reserve(reading, reserve);
  return {{std::min(room.bytes.n, free_of(reading.quota_bytes))},
          std::min(room.inodes, free_of(reading.quota_inodes))};
}

SpaceLevel space_level(const SpaceReading& reading, const VolumeRule& rule) {
  if (!is_room(room_for_more(reading, rule.reserve))) return SpaceLevel::full;
  const Usage below = room_below(reading, rule.high);
  return below.bytes.n < 0 || below.inodes < 0 ? SpaceLevel::high : SpaceLevel::ample;
}

std::string_view to_string(SpaceLevel level) {
  switch (level) {
    case SpaceLevel::ample:
      return "ample";
    case SpaceLevel::high:
      return "high";
    case SpaceLevel::full:
      break;
  }
  return "full";
}

bool must_evict(const SpaceReading& reading, const VolumeRule& rule, const Usage& wanted) {
  const Usage below = room_below(reading, rule.high);
  if (below.bytes.n < 0 || below.inodes < 0) return true;
  const Usage room = room_for_more(reading, rule.reserve);
  if (wanted.bytes.n <= room.bytes.n && wanted.inodes <= room.inodes) return false;
  const Usage left = still_to_free(reading, rule, {});
  return wanted.bytes.n <= room.bytes.n + left.bytes.n &&
         wanted.inodes <= room.inodes + left.inodes;
}

Usage still_to_free(const SpaceReading& reading, const VolumeRule& rule, const Usage& wanted) {
  const Usage below = room_below(reading, rule.low);
  const Usage room = room_for_more(reading, rule.reserve);
  const auto missing = [](std::int64_t wish, std::int64_t there) {
    return std::max<std::int64_t>(wish - there, 0);
  };
  Usage left{{missing(0, below.bytes.n)}, missing(0, below.inodes)};
  if (wanted.bytes.n > 0)
    left.bytes.n = std::max(left.bytes.n, missing(wanted.bytes.n, room.bytes.n));
  if (wanted.inodes > 0) left.inodes = std::max(left.inodes, missing(wanted.inodes, room.inodes));
  return left;
}

}  // namespace ebbfs
