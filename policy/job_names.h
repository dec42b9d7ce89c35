// SPDX-License-Identifier: Apache-2.0
//
// The job names that {job} captures, each under a small number that fits beside a node of the
// automaton in a MatchState. Names are only ever added; number and text stay valid as long as the
// table.
//
// Threading: any thread. A name met before is found without a lock: an entry is complete before the
// atomic pointer that leads to it is stored (release) and never changes after.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "index/mutex.h"

namespace ebbfs {

class JobNames {
 public:
  static constexpr int kNumberBits = 20;
  static constexpr std::uint32_t kNone = 0;
  static constexpr std::uint32_t kMax = (1U << kNumberBits) - 1;  // names, and the largest number

  // A million names make chains of 8, the thousands of a usual life hardly any. 1 MiB.
  static constexpr std::size_t kBuckets = 1U << 17;
  static constexpr std::uint32_t kChainMax = 64;

  // Remembers `limit` names, 1..kMax.
  explicit JobNames(std::uint32_t limit = kMax) : limit_(limit) {}
  ~JobNames() = default;
  JobNames(const JobNames&) = delete;
  JobNames& operator=(const JobNames&) = delete;

  // 1..limit; kNone once the table is full, or when names chosen to collide fill a bucket. `name`
  // is not empty.
  [[nodiscard]] std::uint32_t number(std::string_view name) EXCLUDES(mu_);
  // Empty for kNone and for numbers that were never given.
  [[nodiscard]] std::string_view name(std::uint32_t number) const;

 private:
  struct Entry {
    std::string name;
    std::size_t hash = 0;
    std::uint32_t number = kNone;
    std::uint32_t depth = 0;      // of the chain from here on, with this one
    const Entry* next = nullptr;  // in the same bucket, older
  };
  static constexpr std::size_t kChunkEntries = 1U << 10;
  static constexpr std::size_t kChunks = (kMax / kChunkEntries) + 1;

  [[nodiscard]] const Entry* find(std::size_t hash, std::string_view name) const;

  const std::uint32_t limit_;

  // Atomic because readers take no lock; stored under mu_ only.
  std::array<std::atomic<const Entry*>, kBuckets> buckets_{};
  std::array<std::atomic<const Entry*>, kChunks> chunks_{};

  Mutex mu_;
  std::vector<std::unique_ptr<Entry[]>> storage_ GUARDED_BY(mu_);  // what chunks_ points to
  std::uint32_t count_ GUARDED_BY(mu_) = 0;
};

}  // namespace ebbfs
