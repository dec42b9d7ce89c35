// SPDX-License-Identifier: Apache-2.0
//
// What the volume held over time and what comes next, for `ebbctl report`. Conventions as in
// control_views.h. Values only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fs/control_json.h"
#include "index/types.h"

namespace ebbfs {

// Of one class, or of one reason to remove.
struct SliceView {
  std::string name;
  std::int64_t count = 0;
  Bytes bytes;
  bool operator==(const SliceView&) const = default;
};

struct PointView {
  WallTime time{};
  Bytes bytes_total;
  Bytes bytes_used;     // of the backing filesystem
  Bytes bytes_outside;  // charged, in no unit
  Bytes bytes_trash;
  std::vector<SliceView> classes;
  std::vector<SliceView> removed;  // since the point before, by reason; only for root
  bool operator==(const PointView&) const = default;
};

// Units that are due in one hour, should nobody use them.
struct ForecastView {
  WallTime from{};
  std::int64_t units = 0;
  Usage usage;
  std::vector<SliceView> classes;  // those that there are, by name
  bool operator==(const ForecastView&) const = default;
};

struct HistoryView {
  WallTime time{};   // now
  Duration since{};  // the window
  Duration step{};   // between two points; where it was much longer, the daemon was not there
  std::optional<Bytes> bytes_high;     // above, units are evicted; null: of inodes only
  std::vector<PointView> points;       // oldest first, the last is now; kPointsMax at most
  std::vector<ForecastView> forecast;  // an hour each, of the next kForecastHours
  bool operator==(const HistoryView&) const = default;
};

inline constexpr std::int64_t kPointsMax = 240;
inline constexpr int kForecastHours = 24;

}  // namespace ebbfs
