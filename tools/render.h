// SPDX-License-Identifier: Apache-2.0
//
// How ebbctl writes for people: sizes, times, tables, colour. Everything shown that came from
// somebody else (paths, command names, even the daemon's sentences) passes through plain(), because
// a file name may hold terminal control sequences. Pure functions, but for the process's time zone
// and character type locale.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "index/types.h"

namespace ebbfs {

// What the output can show.
struct Style {
  bool terminal = false;  // cut what does not fit; a pipe gets everything
  bool color = false;
  bool unicode = false;    // else ASCII replacements for bars and the ellipsis
  std::size_t width = 80;  // columns
  std::size_t height = 0;  // lines of the terminal; 0 is no limit
};

enum class Color : std::uint8_t { none, good, warn, bad, loud, faint, bold };

// `text` in `color`, unchanged without Style::color.
[[nodiscard]] std::string paint(const Style& style, Color color, std::string_view text);

// Escapes control characters, what is not UTF-8, and invisible characters that reorder text, as
// \n, \x1b, \u{202e}.
[[nodiscard]] std::string plain(std::string_view text);
// Columns that `text` takes on a terminal; `text` is as from plain().
[[nodiscard]] std::size_t display_width(std::string_view text);
// `text` with its middle replaced by an ellipsis so that it takes at most `width` columns (>= 4).
[[nodiscard]] std::string shorten(std::string_view text, std::size_t width, bool unicode);

// "0 B", "4.0 KiB", "1.4 GiB", "512 MiB": three significant digits.
[[nodiscard]] std::string human_bytes(Bytes bytes);
// A difference: "+4.0 KiB", "-512 MiB", "0 B".
[[nodiscard]] std::string signed_bytes(Bytes bytes);
// "1,204,331".
[[nodiscard]] std::string human_count(std::int64_t count);
// "1 unit", "1,204 units".
[[nodiscard]] std::string counted(std::int64_t count, std::string_view noun);
// The two largest units of it, from whole seconds: "2h 13m", "3d 4h", "14s". Of the absolute value.
[[nodiscard]] std::string human_duration(Duration duration);
// "2h 13m ago", "in 2h 13m", "now" within a second.
[[nodiscard]] std::string relative(WallTime time, WallTime now);
// "2026-11-23 20:01:07" in local time.
[[nodiscard]] std::string absolute(WallTime time);
// "2h 13m ago (2026-11-23 20:01:07)".
[[nodiscard]] std::string both(WallTime time, WallTime now);

// "[#####-----]" of `width` columns (>= 3) for a share of 0..1; beyond is cut.
[[nodiscard]] std::string usage_bar(double share, std::size_t width, bool unicode);
// What stands before the text of a line, as wide as all of them.
inline constexpr std::size_t kLabelWidth = 14;
[[nodiscard]] std::string label(std::string_view text);
// Words of `text` in lines of at most `width` columns, the first beginning with `first`, the others
// with spaces of the same width. Ends with a newline. One line where output is no terminal.
[[nodiscard]] std::string wrapped(std::string_view first, std::string_view text,
                                  const Style& style);

// Aligned columns under a header line. On a terminal the last column is shortened to what is left
// of the width, but never below kLastMin columns.
class Table {
 public:
  enum class Align : std::uint8_t { left, right };
  struct Column {
    std::string header;
    Align align = Align::left;
  };
  struct Cell {
    std::string text;  // as from plain()
    Color color = Color::none;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // As many cells as columns.
  void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
  [[nodiscard]] std::string render(const Style& style) const;

  static constexpr std::size_t kLastMin = 20;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace ebbfs
