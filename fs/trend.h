// SPDX-License-Identifier: Apache-2.0
//
// What the history says of a volume up to now: how full it was some time ago, what was removed
// since, and for how long nothing has been. Reads each row of the history once and keeps a few.
// Threading: none of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "fs/removal_tally.h"
#include "index/history.h"
#include "index/history_sample.h"
#include "index/types.h"

namespace ebbfs {

class Trend {
 public:
  // `window`: what removals are told of, > 0. `asked`: other spans to look back, each > 0.
  // `now`: as it is, with the removals since the newest sample of a minute.
  Trend(HistorySample now, Duration window, const std::vector<Duration>& asked);

  // Reads the history. Errors: those of History; then little is known.
  [[nodiscard]] Status read(const History& history);

  [[nodiscard]] const HistorySample& now() const { return now_; }
  // The sample that tells what was `ago` (one of those asked for, or the window): the newest that
  // is as old, else one that is nearly; null where history does not reach back so far.
  [[nodiscard]] const HistorySample* then(Duration ago) const;
  // The same for the window, or the oldest sample there is; null where there is none.
  [[nodiscard]] const HistorySample* window_begin() const;
  // Removals in the window, by class, then reason.
  [[nodiscard]] std::vector<SampledRemovals> removals() const { return removed_.removals(); }

  struct Held {
    WallTime since{};
    bool at_least = false;  // the history begins with it
  };
  // Since when cleanup is held as it is now; nothing when it runs, or when there is no sample.
  [[nodiscard]] std::optional<Held> held() const { return held_; }

 private:
  struct Mark {
    Duration ago{};
    std::optional<HistorySample> before;  // the newest not after that time
    std::optional<HistorySample> after;   // the oldest after it
  };
  void look(const HistorySample& sample);
  void count(const HistorySample& sample);
  [[nodiscard]] Status read_hours(const History& history, WallTime minutes_from, bool count_them);
  [[nodiscard]] Status read_minutes(const History& history, WallTime count_from);

  const HistorySample now_;
  const Duration window_;
  std::vector<Mark> marks_;  // that of the window first
  std::optional<HistorySample> oldest_;
  std::optional<Held> held_;
  RemovalTally removed_;
};

// Until `free` is used up by what grew by `growth` in `time`, going on like that. Nothing when it
// does not grow, or when `time` is too short to say.
[[nodiscard]] std::optional<Duration> time_to_full(std::int64_t free, std::int64_t growth,
                                                   Duration time);

// `ago` before `time`, the beginning of time where that is before it.
[[nodiscard]] WallTime earlier(WallTime time, Duration ago);

}  // namespace ebbfs
