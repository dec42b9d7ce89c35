// SPDX-License-Identifier: Apache-2.0
#include "tools/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "tools/render.h"
#include "tools/render_views.h"
#include "tools/report_style.h"

namespace ebbfs {
namespace {

std::string section(const std::string& title, const std::string& inside) {
  return "<section><h2>" + html(title) + "</h2>\n" + inside + "</section>\n";
}

std::string remark(const std::string& what) { return "<p class=soft>" + html(what) + "</p>\n"; }

std::string head_of(const VolumeReport& report) {
  const StatusView& status = report.status;
  std::string out = fmt::format(
      "<header><h1>{}</h1><p><span class=\"state {}\">{}</span> <span class=soft>{}, "
      "ebbfs {}</span></p>\n",
      html(status.mount), status.enforcing ? "good" : "bad",
      status.enforcing ? "enforcing" : "NOT ENFORCING", html(absolute(report.explained.time)),
      html(status.version));
  for (const std::string& sentence : report.explained.verdict) {
    out += "<p class=verdict>" + html(sentence) + "</p>\n";
  }
  for (const std::string& trouble : status.degraded) {
    out += "<p class=bad>" + html(trouble) + "</p>\n";
  }
  if (status.provisional) out += remark("Usage is still being counted.");
  if (report.explained.only_own) out += remark("The volume as a whole, and what is yours.");
  return out + "</header>\n";
}

std::string tile(const std::string& value, const std::string& what) {
  return "<div><b>" + html(value) + "</b><span>" + html(what) + "</span></div>";
}

// The soonest of what the usage of some time says.
std::string soonest_full(const ExplainView& view) {
  std::optional<Duration> soonest;
  for (const UsageThenView& then : view.usage) {
    if (then.time_to_full)
      soonest = std::min(soonest.value_or(Duration::max()), *then.time_to_full);
  }
  if (!soonest) return "-";
  return time_to_full(*soonest);
}

std::string tiles_of(const VolumeReport& report) {
  const ExplainView& view = report.explained;
  const Bytes used = view.usage.empty() ? Bytes{} : view.usage.front().bytes_used;
  const double percent = view.bytes_total.n > 0 ? 100.0 * static_cast<double>(used.n) /
                                                      static_cast<double>(view.bytes_total.n)
                                                : 0;
  Usage removed;
  for (const RemovedView& one : view.removed) removed += one.usage;
  Usage due;
  for (const ForecastView& hour : report.history.forecast) due += hour.usage;
  return "<div class=tiles>" +
         tile(fmt::format("{:.0f} %", percent),
              fmt::format("{} of {}", human_bytes(used), human_bytes(view.bytes_total))) +
         tile(human_bytes(view.bytes_free), "free for new data") +
         tile(soonest_full(view), "until full, at the fastest rate seen") +
         tile(human_bytes(due.bytes), "due in the next 24 hours") +
         tile(human_bytes(removed.bytes), "removed in " + human_duration(view.since)) +
         tile(human_bytes(report.status.trash.bytes), "in the trash") + "</div>\n";
}

std::string usage_of(const VolumeReport& report) {
  HtmlTable table({"when", "used>", "growth>", "-inodes>", "full in"});
  for (const UsageThenView& then : by_age(report.explained)) {
    const bool is_now = then.ago == Duration{};
    const std::string when = is_now ? "now" : human_duration(then.ago) + " ago";
    if (!then.time) {
      table.add({when, "", "", "", "no history"});
      continue;
    }
    table.add({when, human_bytes(then.bytes_used), is_now ? "" : signed_bytes({then.bytes_growth}),
               human_count(then.inodes_used), is_now ? "" : time_to_full(then)});
  }
  const std::string chart = usage_chart(report.history);
  return section("Usage",
                 (chart.empty() ? remark("There is no history yet.") : chart) + table.text());
}

std::string owners_of(const ExplainView& view) {
  HtmlTable table({"!who", "name", "holds>", "growth>", "-units>"});
  const auto add = [&](const char* kind, const std::vector<HolderView>& holders) {
    for (const HolderView& one : holders) {
      const std::string growth =
          one.bytes_growth ? (one.growth_at_least ? "&gt;" : "") + signed_bytes({*one.bytes_growth})
                           : "?";
      table.add({kind, html(shown_path(one.name)), human_bytes(one.usage.bytes), growth,
                 one.units.value_or(0) > 0 ? human_count(*one.units) : ""});
    }
  };
  add("user", view.users);
  add("job", view.jobs);
  add("class", view.classes);
  add("unit", view.units);
  if (table.empty()) return section("Who holds it", remark("Nobody holds anything."));
  return section("Who holds it",
                 table.text() + remark("Growth: in the last " + human_duration(view.since) + "."));
}

std::string removed_of(const VolumeReport& report) {
  const ExplainView& view = report.explained;
  const std::string window = human_duration(view.since);
  if (view.removed.empty()) return section("Removed", remark("Nothing in " + window + "."));
  HtmlTable table({"class", "why", "count>", "held>"});
  for (const RemovedView& one : view.removed) {
    table.add({html(one.class_name), html(one.reason), human_count(one.count),
               human_bytes(one.usage.bytes)});
  }
  return section("Removed in " + window, removal_chart(report.history) + table.text());
}

std::string held_of(const ExplainView& view) {
  HtmlTable table({"why", "holds>", "units>"});
  for (const HeldView& held : view.held) {
    table.add({"stays: " + html(held.text), human_bytes(held.usage.bytes),
               held.units > 0 ? human_count(held.units) : ""});
  }
  table.add({"goes when its time comes or space is needed", human_bytes(view.evictable.bytes),
             human_count(view.evictable_units)});
  return section("What can go, and what cannot", table.text());
}

std::string forecast_of(const VolumeReport& report) {
  std::int64_t units = 0;
  Bytes bytes;
  for (const ForecastView& hour : report.history.forecast) {
    units += hour.units;
    bytes += hour.usage.bytes;
  }
  const std::string text =
      units == 0
          ? "Nothing is due in the next 24 hours."
          : fmt::format("{} of {} {} due, should nobody use {}.", counted(units, "unit"),
                        human_bytes(bytes), units == 1 ? "is" : "are", units == 1 ? "it" : "them");
  return section("Expiry in the next 24 hours", remark(text) + forecast_chart(report.history));
}

std::string limit_text(const LimitView& view, bool bytes) {
  const auto limit = view.hard ? view.hard : view.soft;
  if (!limit) return "";
  const std::string text = bytes ? human_bytes({view.used}) + " of " + human_bytes({*limit})
                                 : human_count(view.used) + " of " + human_count(*limit);
  return view.hard ? text : text + " (soft)";
}

std::string quotas_of(const QuotasView& view) {
  const std::vector<QuotaView> limited = fullest(view.quotas);
  HtmlTable table({"scope", "full", "%>", "bytes>", "-inodes>", "-refused>"});
  for (const QuotaView& one : limited) {
    const std::int64_t percent = *one.percent;
    table.add({html(one.scope),
               fmt::format("<div class=bar><b{} style=\"width:{}%\"></b></div>",
                           percent >= kQuotaNearlyFull ? " class=bad" : "",
                           std::clamp<std::int64_t>(percent, 0, 100)),
               std::to_string(percent), limit_text(one.bytes, true), limit_text(one.inodes, false),
               human_count(one.refusals)});
  }
  if (table.empty()) return section("Limits", remark("None are set."));
  const std::string more =
      limited.size() >= kQuotasShown ? remark(fmt::format("The {} fullest.", kQuotasShown)) : "";
  return section("Limits", table.text() + more);
}

std::string actions_of(const ExplainView& view) {
  if (view.actions.empty()) return section("Next", remark("Nothing to do."));
  std::string out;
  for (const ActionView& action : view.actions) {
    out += "# " + html(action.why) + "\n";
    std::string line;
    for (const std::string& word : action.command) {
      line += (line.empty() ? "" : " ") + shell_word(word);
    }
    out += html(line) + "\n";
  }
  return section("Next", "<pre>" + out + "</pre>\n");
}

}  // namespace

nlohmann::json report_json(const VolumeReport& report) {
  return {{"status", to_json(report.status)},
          {"explain", to_json(report.explained)},
          {"history", to_json(report.history)},
          {"quotas", to_json(report.quotas)["quotas"]}};
}

std::string html(std::string_view text) {
  std::string out;
  for (const char c : plain(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

HtmlTable::HtmlTable(const std::vector<std::string>& heads) {
  for (std::string name : heads) {
    const bool wide = name.starts_with('-');
    const bool whole = name.starts_with('!');
    const bool number = name.ends_with('>');
    if (wide || whole) name.erase(0, 1);
    if (number) name.pop_back();
    columns_.push_back({name, std::string(number  ? "n"
                                          : whole ? "w"
                                                  : "t") +
                                  (wide ? " wide" : "")});
  }
}

void HtmlTable::add(const std::vector<std::string>& cells) {
  rows_ += "<tr>";
  for (std::size_t i = 0; i < cells.size(); ++i) {
    rows_ += "<td class=\"" + columns_[i].classes + "\">" + cells[i] + "</td>";
  }
  rows_ += "</tr>\n";
}

std::string HtmlTable::text() const {
  std::string head;
  for (const Column& column : columns_) {
    head += "<th class=\"" + column.classes + "\">" + html(column.name) + "</th>";
  }
  return "<div class=scroll><table><thead><tr>" + head + "</tr></thead><tbody>\n" + rows_ +
         "</tbody></table></div>\n";
}

std::string html_page(const VolumeReport& report) {
  return fmt::format(
             "<!doctype html>\n<html lang=en><head><meta charset=utf-8>\n"
             "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src "
             "'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n"
             "<meta name=viewport content=\"width=device-width,initial-scale=1\">\n"
             "<title>{}: ebbfs</title>\n<style>{}</style></head><body>\n",
             html(report.status.mount), kReportStyle) +
         head_of(report) + tiles_of(report) + usage_of(report) + owners_of(report.explained) +
         removed_of(report) + held_of(report.explained) + forecast_of(report) +
         quotas_of(report.quotas) + actions_of(report.explained) +
         "<footer class=soft>Made by ebbctl report. Times are those of the machine that it ran "
         "on.</footer>\n</body></html>\n";
}

}  // namespace ebbfs
