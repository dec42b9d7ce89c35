// SPDX-License-Identifier: Apache-2.0
#include "fs/metric_counts.h"

#include <unistd.h>

#include <array>
#include <fstream>

namespace ebbfs {
namespace {

constexpr std::array kKinds = {"volume", "class", "unit", "user", "group", "job"};

}  // namespace

MetricCounts::MetricCounts(Volume& volume) : volume_(volume) {
  const auto newest = volume.index.newest_events(1);
  const MutexLock lock(mu_);
  if (newest && !newest->empty()) tally_ = RemovalTally(newest->back().sequence);
  for (const char* kind : kKinds) denials_[kind] = 0;
}

std::vector<SampledRemovals> MetricCounts::removals() {
  const MutexLock lock(mu_);
  // What cannot be read now is read later.
  (void)tally_.catch_up(volume_.index);
  return tally_.removals();
}

std::map<std::string, std::uint64_t> MetricCounts::quota_denials() {
  std::map<std::string, std::uint64_t> seen = volume_.quotas.refusals();
  const MutexLock lock(mu_);
  for (const auto& [scope, refusals] : seen) {
    const auto known = last_.find(scope);
    const std::uint64_t before = known == last_.end() ? 0 : known->second;
    // Fewer: another unit has that path now.
    const std::uint64_t more = refusals >= before ? refusals - before : refusals;
    const auto kind = denials_.find(scope.substr(0, scope.find(':')));
    if (kind != denials_.end()) kind->second += more;
  }
  last_ = std::move(seen);
  return denials_;
}

std::int64_t resident_bytes() {
  std::ifstream in("/proc/self/statm");
  std::int64_t size = 0;
  std::int64_t resident = 0;
  in >> size >> resident;
  return in ? resident * ::sysconf(_SC_PAGESIZE) : 0;
}

}  // namespace ebbfs
