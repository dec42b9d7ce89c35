// SPDX-License-Identifier: Apache-2.0
#include "fs/trend.h"

#include <algorithm>
#include <utility>

namespace ebbfs {
namespace {

using Tier = History::Tier;

// A line through less is a guess.
constexpr Duration kShortest = std::chrono::minutes(5);
constexpr Duration kLongest = std::chrono::days(3650);
// How much younger than asked for a sample may be: a tenth, but no less than a minute and a half.
constexpr Duration kNearly = std::chrono::seconds(90);

Duration tolerance(Duration ago) { return std::max(ago / 10, kNearly); }

}  // namespace

WallTime earlier(WallTime time, Duration ago) {
  return time < WallTime::min() + ago ? WallTime::min() : time - ago;
}

std::optional<Duration> time_to_full(std::int64_t free, std::int64_t growth, Duration time) {
  if (growth <= 0 || time < kShortest) return std::nullopt;
  const double seconds = static_cast<double>(std::max<std::int64_t>(free, 0)) /
                         static_cast<double>(growth) * std::chrono::duration<double>(time).count();
  if (seconds > std::chrono::duration<double>(kLongest).count()) return kLongest;
  return std::chrono::round<std::chrono::seconds>(std::chrono::duration<double>(seconds));
}

Trend::Trend(HistorySample now, Duration window, const std::vector<Duration>& asked)
    : now_(std::move(now)), window_(window) {
  marks_.push_back({.ago = window, .before = {}, .after = {}});
  for (const Duration ago : asked) marks_.push_back({.ago = ago, .before = {}, .after = {}});
  count(now_);
}

Status Trend::read(const History& history) {
  const WallTime now = now_.time;
  const WallTime from = earlier(now, window_);
  const auto minutes_from = history.oldest(Tier::minute, now);
  const auto last_hour = history.newest(Tier::hour, now);
  // Minutes tell the window exactly where they reach back so far.
  const bool in_minutes = minutes_from && *minutes_from <= from + kNearly;
  const Status hours = read_hours(history, minutes_from.value_or(now), !in_minutes);
  if (!hours) return hours;
  return read_minutes(history, in_minutes ? from : std::max(from, last_hour.value_or(from)));
}

// Where there are minutes, they tell more.
Status Trend::read_hours(const History& history, WallTime minutes_from, bool count_them) {
  const WallTime from = earlier(now_.time, window_);
  return history.each(Tier::hour, WallTime::min(), now_.time, [&](HistorySample&& sample) {
    if (sample.time < minutes_from) look(sample);
    if (count_them && sample.time > from) count(sample);
  });
}

Status Trend::read_minutes(const History& history, WallTime count_from) {
  return history.each(Tier::minute, WallTime::min(), now_.time, [&](HistorySample&& sample) {
    look(sample);
    if (sample.time > count_from) count(sample);
  });
}

void Trend::look(const HistorySample& sample) {
  if (!oldest_) oldest_ = sample;
  for (Mark& mark : marks_) {
    if (sample.time <= earlier(now_.time, mark.ago)) {
      mark.before = sample;
    } else if (!mark.after) {
      mark.after = sample;
    }
  }
  if (sample.cleanup != now_.cleanup || sample.cleanup == HistorySample::Cleanup::running) {
    held_.reset();
  } else if (!held_) {
    held_ = Held{.since = sample.time, .at_least = oldest_->time == sample.time};
  }
}

void Trend::count(const HistorySample& sample) {
  for (const SampledRemovals& one : sample.removals) removed_.add(one);
}

const HistorySample* Trend::then(Duration ago) const {
  const auto mark = std::ranges::find(marks_, ago, &Mark::ago);
  if (mark == marks_.end()) return nullptr;
  if (mark->before) return &*mark->before;
  const WallTime limit = earlier(now_.time, ago - tolerance(ago));
  return mark->after && mark->after->time <= limit ? &*mark->after : nullptr;
}

const HistorySample* Trend::window_begin() const {
  if (const HistorySample* found = then(window_)) return found;
  return oldest_ ? &*oldest_ : nullptr;
}

}  // namespace ebbfs
