// SPDX-License-Identifier: Apache-2.0
#include "tools/report_scale.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>

#include "tools/render.h"

namespace ebbfs {
namespace {

constexpr int kByteMarks = 5;
// Fuller than this, the whole volume is shown.
constexpr double kShowWhole = 0.4;
constexpr std::int64_t kDay = 86'400;

// The least of 1, 2, 5, 10, 20, 50, ..., 500 times a power of 1024 that is not below `least`.
double round_step(double least) {
  double unit = 1;
  while (unit * 500 < least) unit *= 1024;
  for (const double factor : {1., 2., 5., 10., 20., 50., 100., 200.}) {
    if (unit * factor >= least) return unit * factor;
  }
  return unit * 500;
}

std::int64_t seconds_of_time(WallTime time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

std::tm local_time(std::int64_t seconds) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm local{};
  ::localtime_r(&time, &local);
  return local;
}

std::string label_of(std::int64_t seconds) {
  constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::tm local = local_time(seconds);
  if (local.tm_hour == 0 && local.tm_min == 0) {
    return fmt::format("{} {}", kMonths.at(static_cast<std::size_t>(local.tm_mon)), local.tm_mday);
  }
  return fmt::format("{:02}:{:02}", local.tm_hour, local.tm_min);
}

std::string exact_label_of(std::int64_t seconds) {
  const std::tm local = local_time(seconds);
  return fmt::format("{:02}:{:02}:{:02}", local.tm_hour, local.tm_min, local.tm_sec);
}

std::int64_t step_of_time(std::int64_t span, int count) {
  constexpr std::array<std::int64_t, 17> kSteps = {
      60,    120,   300,  600,      900,      1800,      3600,      7200,     10800,
      21600, 43200, kDay, 2 * kDay, 7 * kDay, 14 * kDay, 30 * kDay, 90 * kDay};
  for (const std::int64_t step : kSteps) {
    if (span / step <= count) return step;
  }
  return span / count + 1;
}

}  // namespace

ByteScale byte_scale(double most, double total) {
  ByteScale scale;
  const double step = round_step(std::max(most, 1.0) / kByteMarks);
  scale.end = std::ceil(std::max(most, 1.0) / step) * step;
  if (total > 0 && most >= kShowWhole * total) scale.end = std::max(most, total);
  const double between = round_step(scale.end / kByteMarks);
  for (double value = 0; value <= scale.end * 1.000001; value += between) {
    const auto bytes = static_cast<std::int64_t>(value);
    scale.marks.push_back({value / scale.end, bytes, value == 0 ? "0" : human_bytes({bytes})});
  }
  return scale;
}

std::vector<ScaleMark> time_marks(WallTime from, WallTime to, int count) {
  const std::int64_t begin = seconds_of_time(from);
  const std::int64_t end = seconds_of_time(to);
  const std::int64_t span = end - begin;
  std::vector<ScaleMark> marks;
  if (span <= 0) return marks;
  const std::int64_t step = step_of_time(span, count);
  // Round where the clock on the wall is.
  const std::int64_t offset = local_time(begin).tm_gmtoff;
  std::int64_t at = (begin + offset) / step * step - offset;
  for (; at <= end; at += step) {
    if (at < begin) continue;
    const Duration passed =
        std::max<Duration>(WallTime(std::chrono::seconds(at)) - from, Duration::zero());
    marks.push_back(
        {std::chrono::duration<double>(passed) / std::chrono::duration<double>(to - from), at,
         label_of(at)});
  }
  if (marks.size() > 1) return marks;
  return {{0, begin, exact_label_of(begin)}, {1, end, exact_label_of(end)}};
}

}  // namespace ebbfs
