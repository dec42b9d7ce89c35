// SPDX-License-Identifier: Apache-2.0
//
// Ids, times and sizes as types, so that one cannot be passed for another. Values only.
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <string>

namespace ebbfs {

// The number of an inode on the backing filesystem, except for the root (always 1). Used again once
// its file is gone: see fs/node_id.h for what the kernel calls it.
enum class InodeId : std::uint64_t {};
inline constexpr InodeId kRootInode{1};

// Identity of a unit, never reused on a volume. 0 is the root unit: all that is outside any unit.
enum class UnitId : std::uint64_t {};
inline constexpr UnitId kRootUnit{0};

// Identity of one taking of a lock; a lock taken again has a new one. Never reused on a volume.
enum class LockId : std::uint64_t {};

// Identity of one thing in the trash, and the name of its directory there (decimal).
enum class TrashId : std::uint64_t {};

template <typename Id>
  requires std::is_enum_v<Id>
constexpr std::uint64_t raw(Id id) {
  return static_cast<std::uint64_t>(id);
}

using Duration = std::chrono::nanoseconds;
// Wall clock, UTC. Ages use it: they outlive a reboot.
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;
// CLOCK_MONOTONIC. Waits use it.
using MonoTime = std::chrono::time_point<std::chrono::steady_clock, Duration>;

inline constexpr WallTime kNever = WallTime::max();

// A number of bytes; differences may be negative.
struct Bytes {
  std::int64_t n = 0;

  constexpr auto operator<=>(const Bytes&) const = default;
  constexpr Bytes operator+(Bytes other) const { return {n + other.n}; }
  constexpr Bytes operator-(Bytes other) const { return {n - other.n}; }
  constexpr Bytes operator-() const { return {-n}; }
  constexpr Bytes& operator+=(Bytes other) {
    n += other.n;
    return *this;
  }
};

inline constexpr std::int64_t kChargeBlock = 4096;

// What a regular file of logical size `size` (bytes, >= 0) is charged: rounded up to 4 KiB. Sparse
// files reach 2^63 - 1 bytes on tmpfs and XFS; the last block that fits is then the charge.
constexpr Bytes charge_for_size(std::int64_t size) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / kChargeBlock;
  return {std::min(size / kChargeBlock + (size % kChargeBlock != 0 ? 1 : 0), kMost) * kChargeBlock};
}

inline constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max();

// What bounds one scope. Each >= 0 or kUnlimited.
struct ScopeLimits {
  std::int64_t bytes = kUnlimited;
  std::int64_t soft_bytes = kUnlimited;
  std::int64_t inodes = kUnlimited;
  std::int64_t soft_inodes = kUnlimited;
  // How long a soft limit may be passed before it is as hard. 0: it is at once; max(): never.
  Duration grace = std::chrono::days(7);

  constexpr bool operator==(const ScopeLimits&) const = default;
  [[nodiscard]] constexpr bool none() const {
    return bytes == kUnlimited && soft_bytes == kUnlimited && inodes == kUnlimited &&
           soft_inodes == kUnlimited;
  }
};

// Bytes and inodes held by something, or a change of them.
struct Usage {
  Bytes bytes;
  std::int64_t inodes = 0;

  constexpr bool operator==(const Usage&) const = default;
  constexpr Usage operator+(const Usage& o) const { return {bytes + o.bytes, inodes + o.inodes}; }
  constexpr Usage operator-(const Usage& o) const { return {bytes - o.bytes, inodes - o.inodes}; }
  constexpr Usage operator-() const { return {-bytes, -inodes}; }
  constexpr Usage& operator+=(const Usage& o) {
    bytes += o.bytes;
    inodes += o.inodes;
    return *this;
  }
};

// As people are told it: counters that a change behind the mount's back has left below zero mean
// nothing.
constexpr Usage at_least_zero(const Usage& usage) {
  return {std::max(usage.bytes, Bytes{0}), std::max<std::int64_t>(usage.inodes, 0)};
}

// What the backing filesystem gives to find an inode again without a path
// (name_to_handle_at(2)). Up to 32 bytes: ext4, XFS, tmpfs and btrfs need 24 at most.
struct FileHandle {
  static constexpr std::size_t kMaxBytes = 32;

  std::int32_t type = 0;
  std::uint8_t size = 0;  // of `data` in use; 0 means no handle
  std::array<std::uint8_t, kMaxBytes> data{};

  bool operator==(const FileHandle& o) const {
    return type == o.type && size == o.size && std::memcmp(data.data(), o.data.data(), size) == 0;
  }
  [[nodiscard]] bool empty() const { return size == 0; }
};

// A process for ever: a pid alone is reused.
struct ProcessId {
  pid_t tgid = 0;                // in the daemon's pid namespace; 0 is "not visible"
  std::uint64_t start_time = 0;  // clock ticks since boot, proc(5) stat field 22

  constexpr bool operator==(const ProcessId&) const = default;
  [[nodiscard]] constexpr bool known() const { return tgid > 0; }
};

// /proc/sys/kernel/random/boot_id; all zero when it could not be read, and then equal to none.
struct BootId {
  std::array<std::uint8_t, 16> bytes{};

  bool operator==(const BootId&) const = default;
};

}  // namespace ebbfs

template <>
struct std::hash<ebbfs::ProcessId> {
  std::size_t operator()(const ebbfs::ProcessId& id) const noexcept {
    return std::hash<std::uint64_t>{}((static_cast<std::uint64_t>(id.tgid) << 40) ^ id.start_time);
  }
};
