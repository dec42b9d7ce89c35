// SPDX-License-Identifier: Apache-2.0
#include "tools/render.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>

namespace ebbfs {
namespace {

namespace chrono = std::chrono;

constexpr std::string_view kGap = "  ";

std::string_view color_code(Color color) {
  switch (color) {
    case Color::none:
      return "";
    case Color::good:
      return "\x1b[1;32m";
    case Color::warn:
      return "\x1b[33m";
    case Color::bad:
      return "\x1b[31m";
    case Color::loud:
      return "\x1b[1;37;41m";
    case Color::faint:
      return "\x1b[2m";
    case Color::bold:
      return "\x1b[1m";
  }
  return "";
}

// Where the first word ends that a line may end with: not between "1.0" and "MiB".
std::size_t end_of_word(std::string_view text) {
  const std::size_t end = text.find(' ');
  if (end == std::string_view::npos ||
      text.substr(0, end).find_last_not_of("0123456789.") != std::string_view::npos) {
    return end;
  }
  const std::size_t next = text.find_first_of(" ,;:.)", end + 1);
  const std::string_view unit = text.substr(end + 1, next - end - 1);
  if (unit != "B" && !(unit.size() == 3 && unit.ends_with("iB"))) return end;
  return text.find(' ', end + 1);
}

}  // namespace

std::string paint(const Style& style, Color color, std::string_view text) {
  if (!style.color || color == Color::none || text.empty()) return std::string(text);
  return fmt::format("{}{}\x1b[0m", color_code(color), text);
}

std::string human_bytes(Bytes bytes) {
  constexpr std::array<std::string_view, 7> kUnits = {"B",   "KiB", "MiB", "GiB",
                                                      "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes.n);
  std::size_t unit = 0;
  // 999.5 would round to four digits.
  while (std::abs(value) >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  if (unit == 0 || std::abs(value) >= 99.95) return fmt::format("{:.0f} {}", value, kUnits[unit]);
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string signed_bytes(Bytes bytes) {
  if (bytes.n == 0) return "0 B";
  return (bytes.n < 0 ? "-" : "+") + human_bytes({std::abs(bytes.n)});
}

std::string human_count(std::int64_t count) {
  std::string text = std::to_string(count);
  const std::size_t first = count < 0 ? 1 : 0;
  for (std::size_t at = text.size(); at > first + 3;) {
    at -= 3;
    text.insert(at, ",");
  }
  return text;
}

std::string counted(std::int64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", human_count(count), noun, count == 1 ? "" : "s");
}

std::string human_duration(Duration duration) {
  struct Unit {
    std::int64_t seconds;
    char name;
  };
  constexpr std::array<Unit, 4> kUnits = {{{86'400, 'd'}, {3'600, 'h'}, {60, 'm'}, {1, 's'}}};
  std::int64_t left = std::abs(chrono::round<chrono::seconds>(duration).count());
  for (std::size_t i = 0; i < kUnits.size(); ++i) {
    const std::int64_t count = left / kUnits[i].seconds;
    if (count == 0) continue;
    left %= kUnits[i].seconds;
    const std::int64_t next = i + 1 < kUnits.size() ? left / kUnits[i + 1].seconds : 0;
    if (next == 0) return fmt::format("{}{}", count, kUnits[i].name);
    return fmt::format("{}{} {}{}", count, kUnits[i].name, next, kUnits[i + 1].name);
  }
  return "0s";
}

std::string relative(WallTime time, WallTime now) {
  const Duration distance = time - now;
  if (chrono::abs(distance) < chrono::seconds(1)) return "now";
  const std::string text = human_duration(distance);
  return distance > Duration{} ? "in " + text : text + " ago";
}

std::string absolute(WallTime time) {
  const std::time_t seconds = chrono::duration_cast<chrono::seconds>(
                                  chrono::floor<chrono::seconds>(time).time_since_epoch())
                                  .count();
  std::tm local{};
  if (::localtime_r(&seconds, &local) == nullptr) return "?";
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", local.tm_year + 1900, local.tm_mon + 1,
                     local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec);
}

std::string both(WallTime time, WallTime now) {
  return fmt::format("{} ({})", relative(time, now), absolute(time));
}

std::string usage_bar(double share, std::size_t width, bool unicode) {
  const std::size_t inside = width - 2;
  const double cells = std::clamp(share, 0.0, 1.0) * static_cast<double>(inside);
  const auto full = static_cast<std::size_t>(std::lround(cells));
  std::string bar = "[";
  for (std::size_t i = 0; i < inside; ++i) {
    if (unicode) {
      bar += i < full ? "█" : "░";
    } else {
      bar += i < full ? "#" : "-";
    }
  }
  return bar + "]";
}

std::string label(std::string_view text) { return fmt::format("{:<{}}", text, kLabelWidth); }

std::string wrapped(std::string_view first, std::string_view text, const Style& style) {
  const std::size_t indent = display_width(first);
  std::string out(first);
  std::size_t column = indent;
  bool fresh = true;
  while (!text.empty()) {
    const std::size_t end = end_of_word(text);
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const std::size_t width = display_width(word);
    if (!fresh && style.terminal && column + 1 + width > style.width) {
      out += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (!fresh) {
      out += ' ';
      ++column;
    }
    out += word;
    column += width;
    fresh = false;
  }
  return out + "\n";
}

std::string Table::render(const Style& style) const {
  const std::size_t last = columns_.size() - 1;
  std::vector<std::size_t> widths;
  std::size_t before_last = 0;
  for (std::size_t c = 0; c <= last; ++c) {
    std::size_t width = display_width(columns_[c].header);
    for (const auto& row : rows_) width = std::max(width, display_width(row[c].text));
    widths.push_back(width);
    if (c < last) before_last += width + kGap.size();
  }
  if (style.terminal) {
    const std::size_t left = style.width > before_last ? style.width - before_last : 0;
    widths[last] = std::min(widths[last], std::max(left, kLastMin));
  }

  std::string out;
  // `end` is the last column of its row that has a text: no line ends with blanks.
  const auto put = [&](std::size_t c, std::size_t end, std::string_view whole, Color color) {
    const bool cut = style.terminal && display_width(whole) > widths[c];
    const std::string text = cut ? shorten(whole, widths[c], style.unicode) : std::string(whole);
    const std::size_t width = display_width(text);
    const std::string padding(widths[c] > width ? widths[c] - width : 0, ' ');
    if (c > 0) out += kGap;
    if (columns_[c].align == Align::right) out += padding;
    out += paint(style, color, text);
    if (columns_[c].align == Align::left && c < end) out += padding;
  };
  for (std::size_t c = 0; c <= last; ++c) put(c, last, columns_[c].header, Color::faint);
  out += '\n';
  for (const auto& row : rows_) {
    std::size_t end = last;
    while (end > 0 && row[end].text.empty()) --end;
    for (std::size_t c = 0; c <= end; ++c) put(c, end, row[c].text, row[c].color);
    out += '\n';
  }
  return out;
}

}  // namespace ebbfs
