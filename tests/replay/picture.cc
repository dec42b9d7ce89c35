// SPDX-License-Identifier: Apache-2.0
#include "tests/replay/picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

namespace ebbfs::replay {
namespace {

// Of the replay: half an hour of the incident's.
constexpr double kLagWorthSaying = 0.5;

const char* color_of(const Outcome& side) { return side.name == kBare ? "#d93025" : "#1a73e8"; }

std::string grouped(std::int64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

std::string percent(double share) { return fmt::format("{:.0f} %", share * 100); }

// 3,600 times as long as in the replay.
std::string in_the_incident(double seconds) {
  const double minutes = seconds * 60;
  return minutes < 90 ? fmt::format("{:.0f} min", minutes) : fmt::format("{:.0f} h", minutes / 60);
}

double most_used(const Outcome& side) {
  double most = 0;
  for (const Sample& sample : side.samples) most = std::max(most, sample.used);
  return most;
}

struct Row {
  const char* name;
  std::function<std::string(const Outcome&)> value;
};

Row count(const char* name, int Outcome::* field) {
  return {.name = name, .value = [field](const Outcome& side) { return grouped(side.*field); }};
}

// Those that are nothing on each side are left out.
std::vector<Row> refusals() {
  return {count("  killed", &Outcome::killed),
          count("  no lock: ENOSPC", &Outcome::locks_without_space),
          count("  no lock: other", &Outcome::locks_refused),
          count("  no worktree", &Outcome::worktrees_refused),
          count("  no space to work", &Outcome::work_refused),
          count("  not put away", &Outcome::not_put_away)};
}

std::vector<Row> rows() {
  std::vector<Row> all{count("jobs done", &Outcome::jobs_done),
                       count("jobs failed", &Outcome::jobs_failed)};
  all.push_back({.name = "first failed", .value = [](const Outcome& side) {
                   return side.first_failure_day < 0
                              ? std::string("never")
                              : fmt::format("day {:.1f}", side.first_failure_day);
                 }});
  all.push_back({.name = "failed, at the end", .value = [](const Outcome& side) {
                   return fmt::format("{} of {}", side.last_jobs_failed, side.last_jobs);
                 }});
  all.push_back(count("  left undone", &Outcome::jobs_left));
  all.push_back(count("attempts", &Outcome::attempts));
  std::ranges::move(refusals(), std::back_inserter(all));
  all.push_back({.name = "volume at the end",
                 .value = [](const Outcome& side) { return percent(side.samples.back().used); }});
  all.push_back({.name = "volume at most",
                 .value = [](const Outcome& side) { return percent(most_used(side)); }});
  all.push_back({.name = "locks at the end",
                 .value = [](const Outcome& side) { return grouped(side.samples.back().locks); }});
  all.push_back(count("locks 7 s later", &Outcome::locks_after_grace));
  all.push_back({.name = "worktrees at the end", .value = [](const Outcome& side) {
                   return grouped(side.samples.back().worktrees);
                 }});
  all.push_back(count("live objects removed", &Outcome::live_removed));
  return all;
}

// A place in the picture.
struct Frame {
  double left = 60;
  double width = 780;
  double top = 0;
  double height = 0;
  [[nodiscard]] double x(double share) const { return left + share * width; }
  [[nodiscard]] double y(double share) const { return top + (1 - share) * height; }
};

std::string curve(const Outcome& side, const Frame& frame, int days,
                  const std::function<double(const Sample&)>& share) {
  std::string points;
  for (const Sample& sample : side.samples) {
    points += fmt::format("{:.1f},{:.1f} ", frame.x(std::min(sample.day / days, 1.0)),
                          frame.y(std::clamp(share(sample), 0.0, 1.0)));
  }
  return fmt::format("<polyline fill='none' stroke='{}' stroke-width='2' points='{}'/>\n",
                     color_of(side), points);
}

std::string grid(const Frame& frame, const std::string& title, const std::vector<double>& shares,
                 const std::function<std::string(double)>& label) {
  std::string text = fmt::format("<text x='{:.0f}' y='{:.0f}' font-weight='bold'>{}</text>\n",
                                 frame.left, frame.top - 8, title);
  for (const double share : shares) {
    text += fmt::format(
        "<line x1='{:.1f}' y1='{:.1f}' x2='{:.1f}' y2='{:.1f}' stroke='#dadce0'/>"
        "<text x='{:.1f}' y='{:.1f}' text-anchor='end' fill='#5f6368'>{}</text>\n",
        frame.x(0), frame.y(share), frame.x(1), frame.y(share), frame.left - 6, frame.y(share) + 4,
        label(share));
  }
  return text;
}

std::string day_labels(const Frame& frame, int days) {
  const int step = std::max(days / 10, 1);
  std::string text;
  for (int day = 0; day <= days; day += step) {
    text +=
        fmt::format("<text x='{:.1f}' y='{:.1f}' text-anchor='middle' fill='#5f6368'>{}</text>\n",
                    frame.x(static_cast<double>(day) / days), frame.y(0) + 16,
                    day == 0 ? "day 0" : std::to_string(day));
  }
  return text;
}

// What is left and what it cost, a line a side.
std::string legend(const std::vector<Outcome>& sides) {
  std::string text;
  double y = 42;
  for (const Outcome& side : sides) {
    const Sample& last = side.samples.back();
    text += fmt::format(
        "<rect x='60' y='{:.0f}' width='10' height='10' fill='{}'/><text x='76' y='{:.0f}'>{}: "
        "{} jobs failed; at the end {} full, {} locks, {} worktrees; {} live objects "
        "removed</text>\n",
        y - 9, color_of(side), y, side.name == kBare ? "the bare volume" : side.name,
        grouped(side.jobs_failed), percent(last.used), grouped(last.locks), grouped(last.worktrees),
        side.live_removed);
    y += 16;
  }
  return text;
}

}  // namespace

std::string plot(const std::vector<Outcome>& sides, int days) {
  constexpr int kRows = 12;
  constexpr int kColumns = 72;
  std::array<std::string, kRows + 1> lines;
  lines.fill(std::string(kColumns, ' '));
  for (const Outcome& side : sides) {
    for (const Sample& sample : side.samples) {
      const auto column = static_cast<std::size_t>(
          std::clamp(sample.day / days * kColumns, 0.0, double{kColumns - 1}));
      const auto row =
          static_cast<std::size_t>(std::lround(std::clamp(sample.used, 0.0, 1.0) * kRows));
      lines[row][column] = side.name == kBare ? '#' : 'o';
    }
  }
  std::string text = "space used of the volume: # bare, o ebbfs\n";
  for (int row = kRows; row >= 0; --row) {
    const std::string label = row % 3 == 0 ? percent(static_cast<double>(row) / kRows) : "";
    text += fmt::format("{:>6} |{}\n", label, lines[static_cast<std::size_t>(row)]);
  }
  return text + fmt::format("{:>7}+{:-<{}}\n{:>8}{:<{}}{}\n", "", "", kColumns, "", "day 0",
                            kColumns - 6, fmt::format("day {}", days));
}

std::string svg(const std::vector<Outcome>& sides, int days, const std::string& pace) {
  const Frame space{.top = 100, .height = 220};
  const Frame failed{.top = 380, .height = 90};
  double most_failed = 1;
  for (const Outcome& side : sides) {
    most_failed = std::max(most_failed, static_cast<double>(side.jobs_failed));
  }
  std::string body =
      grid(space, "space used of the volume", {0, 0.25, 0.5, 0.75, 1}, percent) +
      grid(failed, "jobs failed for good", {0, 1},
           [&](double share) { return grouped(static_cast<std::int64_t>(most_failed * share)); }) +
      day_labels(space, days) + day_labels(failed, days);
  for (const Outcome& side : sides) {
    body += curve(side, space, days, [](const Sample& sample) { return sample.used; });
    body += curve(side, failed, days,
                  [&](const Sample& sample) { return sample.jobs_failed / most_failed; });
  }
  return fmt::format(
      "<svg xmlns='http://www.w3.org/2000/svg' width='880' height='510' viewBox='0 0 880 510' "
      "font-family='sans-serif' font-size='11'>\n"
      "<rect width='100%' height='100%' fill='white'/>\n"
      "<text x='60' y='20' font-size='14' font-weight='bold'>The incident, replayed: {}</text>\n"
      "{}{}</svg>\n",
      pace, legend(sides), body);
}

std::string table(const std::vector<Outcome>& sides) {
  std::string text = fmt::format("{:<22}", "");
  for (const Outcome& side : sides) text += fmt::format("{:>14}", side.name);
  text += "\n";
  for (const Row& row : rows()) {
    std::string values;
    bool all_nothing = true;
    for (const Outcome& side : sides) {
      const std::string value = row.value(side);
      all_nothing = all_nothing && value == "0";
      values += fmt::format("{:>14}", value);
    }
    if (row.name[0] == ' ' && all_nothing) continue;
    text += fmt::format("{:<22}{}\n", row.name, values);
  }
  return text;
}

std::string complaints(const std::vector<Outcome>& sides) {
  std::string text;
  const auto require = [&](bool holds, const Outcome& side, const char* what) {
    if (!holds) text += fmt::format("{}: {}\n", side.name, what);
  };
  for (const Outcome& side : sides) {
    require(side.live_removed == 0, side, "something that lived was removed");
    require(side.jobs_left == 0, side,
            "this machine does not hold the rate: jobs were left undone");
    if (side.name == kBare) {
      require(side.jobs_failed > 0, side, "no job has failed");
      require(side.locks_without_space > 0, side, "there was space for every lock");
      continue;
    }
    require(side.jobs_failed == 0, side, "jobs have failed");
    require(side.locks_after_grace == 0, side, "locks of killed processes were left");
    require(side.accounts_exact, side, "the accounts differ from a count of the tree");
  }
  return text;
}

std::string lag(const std::vector<Outcome>& sides) {
  std::string text;
  for (const Outcome& side : sides) {
    if (side.late_seconds_most < kLagWorthSaying) continue;
    text += fmt::format(
        "{}: this machine does not hold the rate: jobs began up to {:.1f} s late ({} of the "
        "incident), {:.2f} s on average\n",
        side.name, side.late_seconds_most, in_the_incident(side.late_seconds_most),
        side.late_seconds_mean);
  }
  return text;
}

}  // namespace ebbfs::replay
