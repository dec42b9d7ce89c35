// SPDX-License-Identifier: Apache-2.0
//
// Counters for Prometheus that nobody else keeps: removals, from the journal, and refusals of
// quotas, from the accounts. Both are looked up when they are asked for and only ever rise.
// Threading: any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "fs/removal_tally.h"
#include "fs/volume.h"
#include "index/mutex.h"

namespace ebbfs {

class MetricCounts {
 public:
  // Removals from now on. `volume` outlives it.
  explicit MetricCounts(Volume& volume);
  MetricCounts(const MetricCounts&) = delete;
  MetricCounts& operator=(const MetricCounts&) = delete;

  // By class and reason, since the start.
  [[nodiscard]] std::vector<SampledRemovals> removals() EXCLUDES(mu_);

  // How often growth was refused, by kind of scope ("volume", "class", "unit", "user", "group",
  // "job"). What a unit refused after it was last looked at is lost when it goes.
  [[nodiscard]] std::map<std::string, std::uint64_t> quota_denials() EXCLUDES(mu_);

 private:
  Volume& volume_;
  Mutex mu_;
  RemovalTally tally_ GUARDED_BY(mu_);
  std::map<std::string, std::uint64_t> denials_ GUARDED_BY(mu_);  // by kind of scope
  std::map<std::string, std::uint64_t> last_ GUARDED_BY(mu_);     // by scope, when last looked at
};

// What /proc/self/statm says; 0 when it cannot be read.
[[nodiscard]] std::int64_t resident_bytes();

}  // namespace ebbfs
