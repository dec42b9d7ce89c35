// SPDX-License-Identifier: Apache-2.0
//
// Samples of usage over time: a row a minute for the last day, a row an hour for the last 90 days.
// It is only looked at: a row that cannot be read is passed over, and losing it all harms nothing.
//
// Bounded by number, whatever the clock does. Each append takes away at most kDropMax rows that are
// too old or lie in the future, so a clock that was set wrong for minutes costs some rows and not
// all of them; what lies in the future is not shown meanwhile.
//
// Threading: any thread. Lock order: a leaf, but for the store.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <vector>

#include "index/history_sample.h"
#include "index/mutex.h"
#include "index/result.h"
#include "index/store.h"

namespace ebbfs {

class History {
 public:
  // The first byte of a row's key, so the numbers are on disk.
  enum class Tier : std::uint8_t { minute = 0, hour = 1 };
  static constexpr std::size_t kTiers = 2;
  static constexpr std::size_t kDropMax = 2;
  static constexpr Duration span_of(Tier tier) {
    return tier == Tier::minute ? std::chrono::days(1) : std::chrono::days(90);
  }
  static constexpr Duration step_of(Tier tier) {
    return tier == Tier::minute ? Duration(std::chrono::minutes(1)) : std::chrono::hours(1);
  }

  // Rows of each tier at most, by its number. A row is some 1 KiB, 20 KiB at the very most.
  using Bounds = std::array<std::size_t, kTiers>;
  static constexpr Bounds kBounds = {1440, 2160};
  // For a volume of so many bytes: a small one has little room for it.
  [[nodiscard]] static Bounds bounds_for(std::int64_t volume_bytes);

  // `store` outlives it. Call open() before anything else.
  explicit History(Store& store, Bounds bounds = kBounds) : store_(store), bounds_(bounds) {}
  History(const History&) = delete;
  History& operator=(const History&) = delete;

  // Errors of all: those of Store.
  [[nodiscard]] Status open() EXCLUDES(mu_);

  // Adds `sample` at its time, in place of one of that very time.
  [[nodiscard]] Status append(Tier tier, const HistorySample& sample) EXCLUDES(mu_);

  // When the newest sample not after `now` was taken; nothing when there is none.
  [[nodiscard]] std::optional<WallTime> newest(Tier tier, WallTime now) const EXCLUDES(mu_);

  // The same of the oldest there is.
  [[nodiscard]] std::optional<WallTime> oldest(Tier tier, WallTime now) const EXCLUDES(mu_);

  // Calls `visit` for each sample of from < time <= to, oldest first.
  using Visitor = std::function<void(HistorySample&& sample)>;
  [[nodiscard]] Status each(Tier tier, WallTime from, WallTime to, const Visitor& visit) const;
  // The same as a list.
  [[nodiscard]] Result<std::vector<HistorySample>> between(Tier tier, WallTime from,
                                                           WallTime to) const;

 private:
  using Times = std::set<WallTime>;
  [[nodiscard]] std::vector<WallTime> surplus(Tier tier, WallTime now) const REQUIRES(mu_);

  Store& store_;
  const Bounds bounds_;
  mutable Mutex mu_;
  // Of the rows that there are, by tier.
  std::array<Times, kTiers> times_ GUARDED_BY(mu_);
};

}  // namespace ebbfs
