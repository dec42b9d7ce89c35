// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace ebbfs::bench {
namespace {

const std::string kNative = "native";
const std::string kJudged = "ebbfs";

const char* unit_name(Unit unit) {
  switch (unit) {
    case Unit::milliseconds:
      return "ms";
    case Unit::microseconds:
      return "us";
    case Unit::megabytes_per_second:
      return "MB/s";
    case Unit::count:
      break;
  }
  return "";
}

bool is_time(Unit unit) { return unit == Unit::milliseconds || unit == Unit::microseconds; }
bool is_rate(Unit unit) { return unit == Unit::megabytes_per_second; }

std::string number(double value) {
  if (value >= 100) return fmt::format("{:.0f}", value);
  return value >= 10 ? fmt::format("{:.1f}", value) : fmt::format("{:.2f}", value);
}

}  // namespace

std::optional<double> Figures::Row::median(const std::string& contender) const {
  const auto found = values.find(contender);
  if (found == values.end() || found->second.empty()) return {};
  std::vector<double> sorted = found->second;
  std::ranges::sort(sorted);
  const std::size_t half = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

std::optional<double> Figures::Row::ratio(const std::string& contender) const {
  const auto own = median(contender);
  const auto native = median(kNative);
  if (!own || !native || *native <= 0 || line.unit == Unit::count) return {};
  return *own / *native;
}

std::optional<double> Figures::Row::slowdown(const std::string& contender) const {
  const auto as_measured = ratio(contender);
  if (!as_measured || *as_measured <= 0) return {};
  return is_rate(line.unit) ? 1 / *as_measured : *as_measured;
}

void Figures::add(const std::string& ground, const Line& line, const std::string& contender,
                  double value) {
  auto section = std::ranges::find(sections_, ground, &Section::ground);
  if (section == sections_.end()) section = sections_.insert(section, {ground, {}});
  auto row =
      std::ranges::find_if(section->rows, [&](const Row& r) { return r.line.name == line.name; });
  if (row == section->rows.end()) row = section->rows.insert(row, {line, {}});
  row->values[contender].push_back(value);
}

std::string Figures::table(const std::vector<Contender>& all) const {
  std::string text;
  for (const Section& section : sections_) {
    text += fmt::format("{:<40}{:>14}", section.ground, "native");
    for (const Contender& one : all) {
      if (one.name != kNative) text += fmt::format("{:>18}", one.name);
    }
    text += fmt::format("{:>16}\n", "goal");
    for (const Row& row : section.rows) {
      const bool plain = row.line.unit == Unit::count;
      const auto native = row.median(kNative);
      text += fmt::format("{:<40}{:>14}", row.line.name,
                          native && !plain ? number(*native) + " " + unit_name(row.line.unit) : "");
      for (const Contender& one : all) {
        if (one.name == kNative) continue;
        const auto value = plain ? row.median(one.name) : row.ratio(one.name);
        text += fmt::format("{:>18}", value ? number(*value) : "-");
      }
      if (const auto goal = row.line.goal; goal && row.ratio(kJudged)) {
        const double ratio = *row.ratio(kJudged);
        const bool met = is_time(row.line.unit) ? ratio <= *goal : ratio >= *goal;
        text += fmt::format("{:>16}", fmt::format("{} {} {}", met ? "ok" : "MISSED",
                                                  is_time(row.line.unit) ? "<=" : ">=", *goal));
      }
      text += "\n";
    }
    text += "\n";
  }
  return text;
}

nlohmann::json Figures::json() const {
  nlohmann::json list = nlohmann::json::array();
  for (const Section& section : sections_) {
    for (const Row& row : section.rows) {
      for (const auto& [contender, values] : row.values) {
        nlohmann::json one{{"ground", section.ground},         {"line", row.line.name},
                           {"unit", unit_name(row.line.unit)}, {"contender", contender},
                           {"median", *row.median(contender)}, {"values", values}};
        if (const auto ratio = row.ratio(contender)) one["ratio"] = *ratio;
        if (row.line.goal && contender == kJudged) one["goal"] = *row.line.goal;
        list.push_back(std::move(one));
      }
    }
  }
  return list;
}

// One bar a contender, grouped by line; a group for each line of each ground.
std::string Figures::svg(const std::vector<Contender>& all, const std::string& title) const {
  constexpr double kLabel = 250;
  constexpr double kWidth = 900;
  constexpr double kDecades = 2.1;  // 0.5 to about 60 times
  constexpr double kBar = 7;
  constexpr double kFrom = 0.5;
  const auto x_of = [&](double times) {
    const double at = std::clamp(std::log10(times / kFrom) / kDecades, 0.0, 1.0);
    return kLabel + at * (kWidth - kLabel - 60);
  };
  std::string body;
  double y = 60;
  double x = kLabel;
  for (const Contender& one : all) {
    if (one.name == kNative) continue;
    body += fmt::format(
        "<rect x='{:.0f}' y='34' width='10' height='10' fill='{}'/>"
        "<text x='{:.0f}' y='43'>{}</text>\n",
        x, one.color, x + 14, one.name);
    x += 30 + 7.0 * static_cast<double>(one.name.size());
  }
  for (const Section& section : sections_) {
    y += 14;
    body += fmt::format("<text x='8' y='{:.0f}' font-weight='bold'>{}</text>\n", y, section.ground);
    y += 8;
    for (const Row& row : section.rows) {
      double top = y;
      for (const Contender& one : all) {
        const auto slower = row.slowdown(one.name);
        if (one.name == kNative || !slower) continue;
        const double from = x_of(std::min(1.0, *slower));
        const double to = x_of(std::max(1.0, *slower));
        body += fmt::format(
            "<rect x='{:.1f}' y='{:.1f}' width='{:.1f}' height='{:.1f}' "
            "fill='{}'/><text x='{:.1f}' y='{:.1f}' font-size='7'>{}</text>\n",
            from, y, std::max(to - from, 1.0), kBar - 1, one.color, to + 3, y + kBar - 1,
            number(*slower));
        y += kBar;
      }
      if (y == top) continue;
      body += fmt::format("<text x='{:.0f}' y='{:.1f}' text-anchor='end'>{}</text>\n", kLabel - 8,
                          (top + y) / 2 + 4, row.line.name);
      y += 6;
    }
  }
  std::string grid;
  for (const double times : {0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0}) {
    grid += fmt::format(
        "<line x1='{0:.1f}' y1='56' x2='{0:.1f}' y2='{1:.0f}' stroke='{2}'/>"
        "<text x='{0:.1f}' y='56' text-anchor='middle' fill='#5f6368'>{3}</text>\n",
        x_of(times), y, times == 1.0 ? "#202124" : "#dadce0", number(times));
  }
  return fmt::format(
      "<svg xmlns='http://www.w3.org/2000/svg' width='{0:.0f}' height='{1:.0f}' "
      "viewBox='0 0 {0:.0f} {1:.0f}' font-family='sans-serif' font-size='11'>\n"
      "<rect width='100%' height='100%' fill='white'/>\n"
      "<text x='8' y='20' font-size='14' font-weight='bold'>{2}</text>\n{3}{4}</svg>\n",
      kWidth, y + 12, title, grid, body);
}

}  // namespace ebbfs::bench
