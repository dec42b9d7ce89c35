// SPDX-License-Identifier: Apache-2.0
#include "fs/space_gate.h"

#include <algorithm>
#include <utility>

namespace ebbfs {
namespace {

// Of what is left above the high mark, so much is given out at a time: what others write meanwhile
// is seen soon enough.
constexpr std::int64_t kShare = 4;

// `below`: until the high mark; `above`: until the reserve.
std::int64_t allowance(std::int64_t below, std::int64_t above) {
  if (above <= 0) return 0;
  return below > 0 ? std::min(below, above) : above / kShare;
}

}  // namespace

SpaceReading read_space(const struct statvfs& space, const Account& volume) {
  const auto bytes = [&](std::uint64_t blocks) {
    return static_cast<std::int64_t>(blocks * space.f_frsize);
  };
  SpaceReading reading;
  // Blocks that only root may use are neither free nor ours.
  reading.bytes = {bytes(space.f_blocks - (space.f_bfree - space.f_bavail)), bytes(space.f_bavail)};
  reading.inodes = {static_cast<std::int64_t>(space.f_files - (space.f_ffree - space.f_favail)),
                    static_cast<std::int64_t>(space.f_favail)};
  const ScopeLimits limits = volume.limits();
  const Usage held = volume.usage();
  const auto gauge = [](std::int64_t limit, std::int64_t used) {
    return limit == kUnlimited ? Gauge{} : Gauge{limit, std::max<std::int64_t>(limit - used, 0)};
  };
  reading.quota_bytes = gauge(limits.bytes, held.bytes.n);
  reading.quota_inodes = gauge(limits.inodes, held.inodes);
  return reading;
}

void SpaceGate::allow(const Look& look, const Usage& taken) {
  const Usage below = room_below(look.reading, look.rule.high);
  const Usage above = room_above_reserve(look.reading, look.rule.reserve);
  bytes_left_.store(allowance(below.bytes.n - taken.bytes.n, above.bytes.n - taken.bytes.n),
                    std::memory_order_relaxed);
  inodes_left_.store(allowance(below.inodes - taken.inodes, above.inodes - taken.inodes),
                     std::memory_order_relaxed);
  if ((below.bytes.n < taken.bytes.n || below.inodes < taken.inodes) && pressed_) pressed_();
}

bool SpaceGate::look_and_admit(const Usage& wanted) {
  const MutexLock lock(mu_);
  const auto look = looker_();
  if (!look) return true;
  const Usage room = room_above_reserve(look->reading, look->rule.reserve);
  const bool fits = (wanted.bytes.n == 0 || wanted.bytes.n <= room.bytes.n) &&
                    (wanted.inodes == 0 || wanted.inodes <= room.inodes);
  allow(*look, fits ? wanted : Usage{});
  if (fits) return true;
  refusals_.fetch_add(1, std::memory_order_relaxed);
  want(wanted);
  return false;
}

void SpaceGate::want(const Usage& usage) {
  wanted_.bytes = std::max(wanted_.bytes, usage.bytes);
  wanted_.inodes = std::max(wanted_.inodes, usage.inodes);
}

void SpaceGate::missed(const Usage& usage) {
  const MutexLock lock(mu_);
  want(usage);
}

Usage SpaceGate::take_wanted() {
  const MutexLock lock(mu_);
  const Usage wanted = std::exchange(wanted_, {});
  return {std::max(wanted.bytes, Bytes{1}), std::max<std::int64_t>(wanted.inodes, 1)};
}

Result<SpaceGate::Look> SpaceGate::refresh() {
  const MutexLock lock(mu_);
  auto look = looker_();
  if (look) allow(*look, {});
  return look;
}

}  // namespace ebbfs
