// SPDX-License-Identifier: Apache-2.0
//
// What a check found, and what it cost.
#include <fmt/format.h>

#include "tools/render_views.h"

namespace ebbfs {
namespace {

using enum Table::Align;

std::string signed_count(std::int64_t count) {
  if (count == 0) return "0";
  return (count < 0 ? "-" : "+") + human_count(count < 0 ? -count : count);
}

std::string seconds_text(Duration took) {
  return fmt::format("{:.1f} s", std::chrono::duration<double>(took).count());
}

std::string cost(const RecountView& check) {
  return fmt::format("looked at {} in {} in {}, {} a second", counted(check.files, "file"),
                     counted(check.units, "unit"), seconds_text(check.took),
                     human_count(check.files_per_second));
}

}  // namespace

std::string render(const RecountView& check, const Style& style, WallTime /*now*/) {
  if (check.running) return render_progress(check) + "\n";
  std::string out;
  if (check.exact) {
    out = paint(style, Color::good, "exact") +
          ": the counters of every scope equal a fresh count, to the byte\n";
  } else if (!check.differences.empty()) {
    // Counted less charged.
    Table table({{"BYTES", right}, {"", right}, {"INODES", right}, {"SCOPE"}});
    for (const DifferenceView& one : check.differences) {
      table.add({{signed_bytes(one.usage.bytes), Color::bad},
                 {fmt::format("({})", one.usage.bytes.n), Color::faint},
                 {signed_count(one.usage.inodes), Color::bad},
                 {plain(one.scope)}});
    }
    out = "The tree holds more (+) or less (-) than was charged:\n" + table.render(style);
    if (check.repaired) out += "The counters are right now.\n";
  }
  for (const std::string& unit : check.unchecked) {
    out += wrapped("not checked  ", plain(unit), style);
  }
  return out + wrapped("", cost(check), style);
}

std::string render_progress(const RecountView& check) {
  return fmt::format("checking: {} %, {}, {} a second", check.percent, counted(check.files, "file"),
                     human_count(check.files_per_second));
}

}  // namespace ebbfs
