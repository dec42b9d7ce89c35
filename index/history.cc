// SPDX-License-Identifier: Apache-2.0
#include "index/history.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "index/schema.h"

namespace ebbfs {
namespace {

// From this size on a volume has room for all of it, which is some 0.3 % then.
constexpr std::int64_t kAmpleVolume = std::int64_t{2} << 30;
constexpr History::Bounds kLeast = {60, 48};

std::size_t tier_index(History::Tier tier) { return std::to_underlying(tier); }

}  // namespace

History::Bounds History::bounds_for(std::int64_t volume_bytes) {
  const double share =
      std::clamp(static_cast<double>(volume_bytes) / static_cast<double>(kAmpleVolume), 0.0, 1.0);
  Bounds bounds = kBounds;
  for (std::size_t i = 0; i < kTiers; ++i) {
    const auto cut = static_cast<std::size_t>(static_cast<double>(kBounds[i]) * share);
    bounds[i] = std::max(cut, kLeast[i]);
  }
  return bounds;
}

Status History::open() {
  std::array<Times, kTiers> times;
  const Status scanned = store_.scan(Table::history, {}, [&](std::string_view key, auto) {
    const auto parsed = parse_history_key(key);
    if (parsed && parsed->tier < kTiers) times[parsed->tier].insert(parsed->time);
    return true;
  });
  if (!scanned) return scanned;
  const MutexLock lock(mu_);
  times_ = std::move(times);
  return {};
}

std::vector<WallTime> History::surplus(Tier tier, WallTime now) const {
  const Times& times = times_[tier_index(tier)];
  const std::size_t most = bounds_[tier_index(tier)];
  std::vector<WallTime> drop;
  // Saturates for the earliest times there are.
  const Duration span = span_of(tier);
  const WallTime oldest = now < WallTime::min() + span ? WallTime::min() : now - span;
  for (const WallTime time : times) {
    if (drop.size() == kDropMax) return drop;
    const bool too_many = times.size() - drop.size() >= most;
    if (time > oldest && !too_many) break;
    drop.push_back(time);
  }
  for (auto time = times.rbegin(); time != times.rend() && drop.size() < kDropMax; ++time) {
    if (*time <= now || *time - now <= step_of(tier)) break;
    if (std::ranges::find(drop, *time) == drop.end()) drop.push_back(*time);
  }
  return drop;
}

Status History::append(Tier tier, const HistorySample& sample) {
  const MutexLock lock(mu_);
  Times& times = times_[tier_index(tier)];
  Batch batch;
  const std::vector<WallTime> drop = surplus(tier, sample.time);
  for (const WallTime time : drop) {
    batch.erase(Table::history, history_key({std::to_underlying(tier), time}));
  }
  batch.put(Table::history, history_key({std::to_underlying(tier), sample.time}), encode(sample));
  if (const Status done = store_.commit(batch, Durability::process_crash); !done) return done;
  for (const WallTime time : drop) times.erase(time);
  times.insert(sample.time);
  return {};
}

std::optional<WallTime> History::newest(Tier tier, WallTime now) const {
  const MutexLock lock(mu_);
  const Times& times = times_[tier_index(tier)];
  const auto after = times.upper_bound(now);
  if (after == times.begin()) return std::nullopt;
  return *std::prev(after);
}

std::optional<WallTime> History::oldest(Tier tier, WallTime now) const {
  const MutexLock lock(mu_);
  const Times& times = times_[tier_index(tier)];
  if (times.empty() || *times.begin() > now) return std::nullopt;
  return *times.begin();
}

Status History::each(Tier tier, WallTime from, WallTime to, const Visitor& visit) const {
  const std::string start = history_key({std::to_underlying(tier), from});
  return store_.scan(Table::history, start, [&](std::string_view key, std::string_view value) {
    const auto parsed = parse_history_key(key);
    if (!parsed || parsed->tier != std::to_underlying(tier) || parsed->time > to) return false;
    auto sample = decode_sample(value);
    if (parsed->time > from && sample && sample->time == parsed->time) visit(*std::move(sample));
    return true;
  });
}

Result<std::vector<HistorySample>> History::between(Tier tier, WallTime from, WallTime to) const {
  std::vector<HistorySample> samples;
  const auto take = [&](HistorySample&& sample) { samples.push_back(std::move(sample)); };
  if (const Status read = each(tier, from, to, take); !read) return std::unexpected(read.error());
  return samples;
}

}  // namespace ebbfs
