// SPDX-License-Identifier: Apache-2.0
//
// What a volume held at one instant, and what had been removed since the sample before: one row of
// the `history` table (history.h). Its size is bounded: lists are cut to kSampledMax, units are
// named by their number. Values only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "index/record.h"
#include "index/result.h"
#include "index/types.h"

namespace ebbfs {

// How many users, jobs and units a sample names: those that hold most.
inline constexpr std::size_t kSampledMax = 20;

struct SampledClass {
  std::string name;
  std::uint64_t units = 0;  // or locks
  Usage usage;
  bool operator==(const SampledClass&) const = default;
};

struct SampledUser {
  uid_t uid = 0;
  Usage usage;
  bool operator==(const SampledUser&) const = default;
};

struct SampledJob {
  std::string name;
  Usage usage;
  bool operator==(const SampledJob&) const = default;
};

struct SampledUnit {
  UnitId id{};
  Usage usage;
  bool operator==(const SampledUnit&) const = default;
};

// Of one class and reason.
struct SampledRemovals {
  std::string class_name;
  RemovalReason reason = RemovalReason::expire;
  std::uint64_t count = 0;
  Usage usage;
  bool operator==(const SampledRemovals&) const = default;
};

// The filesystem underneath, with what is on it that is none of ours.
struct SampledSpace {
  Bytes total;
  Bytes used;
  Bytes free;                     // for new data: without the reserve
  std::int64_t inodes_total = 0;  // 0: no limit
  std::int64_t inodes_used = 0;
  bool operator==(const SampledSpace&) const = default;
};

struct HistorySample {
  // Whether units were removed when their time had come, or why not.
  enum class Cleanup : std::uint8_t {
    running = 0,
    observing = 1,  // the policy only observes
    paused = 2,     // degraded: the index cannot be relied on
    braked = 3,
    grace = 4,  // the volume is new: adopt_grace
  };

  WallTime time{};
  std::uint64_t event = 0;  // of the journal: removals up to this one are in
  Cleanup cleanup = Cleanup::running;
  SampledSpace space;
  Usage charged;  // to the volume: all that is counted, trash among it
  Usage outside;  // of it, in no unit
  Usage trash;
  std::vector<SampledClass> classes;
  std::vector<SampledUser> users;  // each of these the largest first
  std::vector<SampledJob> jobs;
  std::vector<SampledUnit> units;
  std::vector<SampledRemovals> removals;  // since the sample before it of its tier

  bool operator==(const HistorySample&) const = default;
};

[[nodiscard]] std::string_view to_string(HistorySample::Cleanup cleanup);

// As in record.h.
[[nodiscard]] std::string encode(const HistorySample& sample);
[[nodiscard]] Result<HistorySample> decode_sample(std::string_view bytes);

}  // namespace ebbfs
