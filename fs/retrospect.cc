// SPDX-License-Identifier: Apache-2.0
//
// Explainer's answer about the course of time, and about the next day.
#include <algorithm>
#include <map>
#include <utility>

#include "fs/explainer.h"
#include "policy/space.h"

namespace ebbfs {
namespace {

// Leaves one sample of each step, with all removals of the step.
class ThinnedHistory {
 public:
  ThinnedHistory(Duration step, bool with_removals) : step_(step), with_removals_(with_removals) {}

  void add(const HistorySample& sample, bool is_last) {
    if (with_removals_) count_removals(sample);
    if (!is_last && !points_.empty() && sample.time - points_.back().time < step_) return;
    points_.push_back(point_of(sample));
  }
  std::vector<PointView> take() { return std::move(points_); }

 private:
  void count_removals(const HistorySample& sample) {
    for (const SampledRemovals& one : sample.removals) {
      SliceView& slice = removed_[std::string(to_string(one.reason))];
      slice.count += static_cast<std::int64_t>(one.count);
      slice.bytes += one.usage.bytes;
    }
  }
  PointView point_of(const HistorySample& sample) {
    PointView point;
    point.time = sample.time;
    point.bytes_total = sample.space.total;
    point.bytes_used = sample.space.used;
    point.bytes_outside = sample.outside.bytes;
    point.bytes_trash = sample.trash.bytes;
    for (const SampledClass& one : sample.classes) {
      point.classes.push_back({one.name, static_cast<std::int64_t>(one.units), one.usage.bytes});
    }
    for (auto& [reason, slice] : removed_) {
      slice.name = reason;
      point.removed.push_back(std::move(slice));
    }
    removed_.clear();
    return point;
  }

  const Duration step_;
  const bool with_removals_;
  std::vector<PointView> points_;
  std::map<std::string, SliceView> removed_;  // since the last point
};

}  // namespace

HistoryView Explainer::history(const Caller& caller, Duration since) {
  using enum History::Tier;
  const HistorySample now = sampler_.now();
  const WallTime from = earlier(now.time, since);
  HistoryView view;
  view.time = now.time;
  view.since = since;
  view.bytes_high = mark_in_bytes(volume_.rules.policy()->volume.high, now.space.total);
  const History& history = sampler_.history();
  // Where the minutes do not reach back so far, the hours tell, up to the newest of them.
  const auto oldest_minute = history.oldest(minute, now.time);
  const bool in_minutes = oldest_minute && (*oldest_minute <= from + History::step_of(hour) ||
                                            !history.newest(hour, now.time));
  // With room for the two points at the ends.
  const Duration step = since / (kPointsMax - 2);
  view.step = std::max(step, History::step_of(in_minutes ? minute : hour));
  ThinnedHistory points(step, caller.uid == 0);
  const auto add = [&](HistorySample&& sample) { points.add(sample, false); };
  WallTime minutes_from = from;
  if (!in_minutes) {
    minutes_from = std::max(from, history.newest(hour, now.time).value_or(from));
    (void)history.each(hour, from, minutes_from, add);
  }
  (void)history.each(minute, minutes_from, now.time, add);
  points.add(now, true);
  view.points = points.take();
  forecast(caller, view);
  return view;
}

void Explainer::forecast(const Caller& caller, HistoryView& view) const {
  using std::chrono::hours;
  std::vector<std::map<std::string, SliceView>> classes(kForecastHours);
  for (int hour = 0; hour < kForecastHours; ++hour) {
    view.forecast.push_back(
        {.from = view.time + hours(hour), .units = 0, .usage = {}, .classes = {}});
  }
  for (const UnitRef& unit : volume_.units.all()) {
    const UnitRecord record = unit->record();
    if (record.pinned || (caller.uid != 0 && caller.uid != record.owner.uid)) continue;
    const WallTime due = unit_deadline(volume_, record);
    if (due == kNever || due >= view.time + hours(kForecastHours)) continue;
    const auto at = static_cast<std::size_t>((std::max(due, view.time) - view.time) / hours(1));
    Usage held = unit->accounts().total().usage();
    held = {std::max(held.bytes, Bytes{}), std::max<std::int64_t>(held.inodes, 0)};
    ++view.forecast[at].units;
    view.forecast[at].usage += held;
    SliceView& slice = classes[at][record.class_name];
    ++slice.count;
    slice.bytes += held.bytes;
  }
  for (std::size_t at = 0; at < classes.size(); ++at) {
    for (auto& [name, slice] : classes[at]) {
      slice.name = name;
      view.forecast[at].classes.push_back(std::move(slice));
    }
  }
}

}  // namespace ebbfs
