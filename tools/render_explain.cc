// SPDX-License-Identifier: Apache-2.0
//
// Why it is full: first what is the matter, last what to do.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tools/render_views.h"

namespace ebbfs {
namespace {

using enum Table::Align;

constexpr std::size_t kRemovedShown = 8;

double percent_full(Bytes used, const ExplainView& view) {
  if (view.bytes_total.n <= 0) return 0;
  return 100.0 * static_cast<double>(used.n) / static_cast<double>(view.bytes_total.n);
}

std::string growth_of(const HolderView& holder) {
  if (!holder.bytes_growth) return "?";
  return (holder.growth_at_least ? ">" : "") + signed_bytes({*holder.bytes_growth});
}

Color color_of_growth(std::int64_t growth) { return growth > 0 ? Color::warn : Color::none; }

std::string usage_table(const ExplainView& view, const Style& style) {
  Table table({{"WHEN"},
               {"USED", right},
               {"FULL", right},
               {"GROWTH", right},
               {"INODES", right},
               {"FULL IN"}});
  for (const UsageThenView& then : by_age(view)) {
    const bool is_now = then.ago == Duration{};
    const std::string when = is_now ? "now" : human_duration(then.ago) + " ago";
    if (!then.time) {
      table.add({{when}, {"-"}, {"-"}, {"-"}, {"-"}, {"no history", Color::faint}});
      continue;
    }
    const double full = percent_full(then.bytes_used, view);
    table.add(
        {{when},
         {human_bytes(then.bytes_used)},
         {fmt::format("{:.0f} %", full), full >= kVolumeNearlyFull ? Color::bad : Color::none},
         {is_now ? "" : signed_bytes({then.bytes_growth}), color_of_growth(then.bytes_growth)},
         {human_count(then.inodes_used)},
         {is_now ? "" : time_to_full(then)}});
  }
  return table.render(style);
}

std::string holder_table(const ExplainView& view, const Style& style) {
  Table table({{"HOLDS", right}, {"GROWTH", right}, {"UNITS", right}, {"WHO"}, {"NAME"}});
  const auto add = [&](const char* kind, const std::vector<HolderView>& holders) {
    for (const HolderView& one : holders) {
      table.add({{human_bytes(one.usage.bytes)},
                 {growth_of(one), color_of_growth(one.bytes_growth.value_or(0))},
                 {one.units.value_or(0) > 0 ? human_count(*one.units) : ""},
                 {kind},
                 {shown_path(one.name)}});
    }
  };
  add("user", view.users);
  add("job", view.jobs);
  add("class", view.classes);
  add("unit", view.units);
  if (view.users.empty() && view.units.empty()) return label("owners") + "nobody holds anything\n";
  return table.render(style);
}

std::string removed_table(const ExplainView& view, const Style& style) {
  const std::string window = human_duration(view.since);
  if (view.removed.empty()) return label("removed") + "nothing in " + window + "\n";
  Table table({{"REMOVED IN " + window, right}, {"COUNT", right}, {"WHY"}, {"CLASS"}});
  for (const RemovedView& one : view.removed) {
    table.add({{human_bytes(one.usage.bytes)},
               {human_count(one.count)},
               {plain(one.reason)},
               {plain(one.class_name)}});
    if (&one - view.removed.data() + 1 == static_cast<std::ptrdiff_t>(kRemovedShown)) break;
  }
  return table.render(style);
}

std::string held_table(const ExplainView& view, const Style& style) {
  Table table({{"STAYS", right}, {"UNITS", right}, {"WHY IT CANNOT GO NOW"}});
  for (const HeldView& held : view.held) {
    table.add({{human_bytes(held.usage.bytes)},
               {held.units > 0 ? human_count(held.units) : ""},
               {plain(held.text)}});
  }
  std::string out = view.held.empty() ? label("stays") + "nothing has to\n" : table.render(style);
  std::string may_go =
      fmt::format("{} in {} when its time comes or space is needed",
                  human_bytes(view.evictable.bytes), counted(view.evictable_units, "unit"));
  // Of a part it is not told.
  if (!view.only_own && view.path.empty()) may_go += "; trash: " + human_bytes(view.trash.bytes);
  out += wrapped(label("may go"), may_go, style);
  return out;
}

std::string cleanup_line(const ExplainView& view, const Style& style) {
  const CleanupView& cleanup = view.cleanup;
  std::string text = "running";
  if (!cleanup.text.empty()) {
    text = "NOT RUNNING";
    if (cleanup.since) {
      text += fmt::format(" for {}{}", cleanup.since_at_least ? "at least " : "",
                          human_duration(view.time - *cleanup.since));
    }
    text += ": " + plain(cleanup.text);
  }
  if (cleanup.provisional) text += "; usage is still being counted, and waits for that";
  return wrapped(label("cleanup"),
                 paint(style, cleanup.text.empty() ? Color::good : Color::bad, text), style);
}

std::string action_lines(const ExplainView& view, const Style& style) {
  if (view.actions.empty()) return label("next") + "nothing to do\n";
  std::string out;
  for (const ActionView& action : view.actions) {
    out += wrapped("# ", paint(style, Color::faint, plain(action.why)), style);
    std::string line;
    for (const std::string& word : action.command) {
      line += (line.empty() ? "" : " ") + shell_word(word);
    }
    out += line + "\n";
  }
  return out;
}

std::string verdict_lines(const ExplainView& view, const Style& style) {
  std::string where = plain(view.mount);
  if (!view.path.empty()) where += "/" + plain(view.path);
  std::string out = paint(style, Color::bold, where) +
                    (view.only_own ? "  the volume, and what is yours\n" : "\n");
  for (const std::string& sentence : view.verdict) out += wrapped("", plain(sentence), style);
  return out;
}

bool is_harmless(char c) {
  constexpr std::string_view kOther = "_-./:=@%+,";
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         kOther.contains(c);
}

}  // namespace

std::string time_to_full(const UsageThenView& then) {
  if (!then.time) return "";
  if (then.time_to_full) return time_to_full(*then.time_to_full);
  return then.bytes_growth > 0 ? "?" : "not growing";
}

std::vector<UsageThenView> by_age(const ExplainView& view) {
  std::vector<UsageThenView> all = view.usage;
  for (UsageThenView& then : all) {
    if (!then.time || then.ago == Duration{} || then.ago != view.since) continue;
    const Duration age = view.time - *then.time;
    if (age < view.since - view.since / 10) then.ago = age;
  }
  std::ranges::sort(all, {}, &UsageThenView::ago);
  return all;
}

std::string shell_word(std::string_view word) {
  if (!word.empty() && std::ranges::all_of(word, is_harmless)) return std::string(word);
  std::string out;
  if (plain(word) == word) {
    for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return "'" + out + "'";
  }
  // What a terminal must not get is written in figures.
  for (const char c : word) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\'' || c == '\\') {
      out += std::string("\\") + c;
    } else if (byte < 0x20 || byte >= 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return "$'" + out + "'";
}

std::string time_to_full(Duration time) {
  return time > std::chrono::days(365) ? "over a year" : human_duration(time);
}

std::string render(const ExplainView& view, const Style& style, WallTime /*now*/) {
  return verdict_lines(view, style) + "\n" + usage_table(view, style) + "\n" +
         holder_table(view, style) + "\n" + removed_table(view, style) + "\n" +
         held_table(view, style) + cleanup_line(view, style) + "\n" + action_lines(view, style);
}

}  // namespace ebbfs
