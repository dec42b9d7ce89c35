// SPDX-License-Identifier: Apache-2.0
#include "tools/render_top.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "tools/render_views.h"

namespace ebbfs {
namespace {

using enum Table::Align;

constexpr std::size_t kVolumeBarWidth = 32;
constexpr std::size_t kSections = 4;
// A head each, a line between them, and the three lines on top with one below.
constexpr std::size_t kFixedLines = 2 * kSections - 1 + 4;
constexpr std::size_t kRowsWithoutLimit = 20;

std::size_t rows_of_section(const Style& style) {
  if (style.height == 0) return kRowsWithoutLimit;
  return style.height > kFixedLines + kSections ? (style.height - kFixedLines) / kSections : 1;
}

double a_second(std::int64_t count, const ActivityView& view) {
  const double seconds = std::chrono::duration<double>(view.interval).count();
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

std::string byte_rate(std::int64_t bytes, const ActivityView& view) {
  const auto rate = static_cast<std::int64_t>(std::llround(a_second(bytes, view)));
  return rate == 0 ? "0" : human_bytes({rate}) + "/s";
}

std::string net_rate(std::int64_t bytes, const ActivityView& view) {
  const std::string rate = byte_rate(std::abs(bytes), view);
  return rate == "0" ? rate : (bytes < 0 ? "-" : "+") + rate;
}

std::string ops_rate(std::int64_t ops, const ActivityView& view) {
  const double rate = a_second(ops, view);
  if (rate > 0 && rate < 10) return fmt::format("{:.1f}", rate);
  return human_count(std::llround(rate));
}

std::string top_lines(const TopFrame& frame, const Style& style) {
  const StatusView& status = frame.status;
  const VolumeView& volume = status.volume;
  const double share = volume.bytes_total.n > 0 ? static_cast<double>(volume.bytes_used.n) /
                                                      static_cast<double>(volume.bytes_total.n)
                                                : 0;
  std::string out =
      paint(style, Color::bold, plain(status.mount)) + "  " +
      paint(style, status.enforcing ? Color::good : Color::loud,
            status.enforcing ? "ENFORCING" : "NOT ENFORCING") +
      fmt::format(
          "  {}, over {}\n", absolute(frame.activity.time).substr(11),
          human_duration(std::max<Duration>(frame.activity.interval, std::chrono::seconds(1))));
  out += fmt::format("{} {:.0f} %  {} of {}, {} free\n",
                     usage_bar(share, kVolumeBarWidth, style.unicode), share * 100,
                     human_bytes(volume.bytes_used), human_bytes(volume.bytes_total),
                     human_bytes(volume.bytes_free));
  const ActivityView& activity = frame.activity;
  out += fmt::format("{} new, {} net; {} ops/s, {} of them outside of units\n",
                     byte_rate(activity.volume.bytes_new.n, activity),
                     net_rate(activity.volume.bytes_net, activity),
                     ops_rate(activity.volume.ops, activity),
                     ops_rate(activity.ops_outside, activity));
  return out;
}

std::string actors(const char* kind, const std::vector<ActorView>& all,
                   const ActivityView& activity, const Style& style) {
  Table table({{"NEW", right}, {"NET", right}, {"OPS/S", right}, {"HOLDS", right}, {kind}});
  const std::size_t rows = std::min(all.size(), rows_of_section(style));
  for (std::size_t i = 0; i < rows; ++i) {
    const ActorView& one = all[i];
    table.add({{byte_rate(one.bytes_new.n, activity)},
               {net_rate(one.bytes_net, activity), one.bytes_net > 0 ? Color::warn : Color::none},
               {ops_rate(one.ops, activity)},
               {human_bytes(one.bytes_held)},
               {plain(one.name)}});
  }
  if (rows == 0) table.add({{"-"}, {"-"}, {"-"}, {"-"}, {"none", Color::faint}});
  return table.render(style);
}

std::string used_of(const LimitView& view, bool bytes) {
  const auto limit = view.hard ? view.hard : view.soft;
  if (!limit) return "-";
  if (!bytes) return human_count(view.used) + "/" + human_count(*limit);
  return human_bytes({view.used}) + "/" + human_bytes({*limit});
}

std::string scopes(const QuotasView& quotas, const Style& style) {
  Table table({{"FULL", right}, {"BYTES", right}, {"INODES", right}, {"SCOPE"}});
  std::vector<QuotaView> limited = fullest(quotas.quotas);
  if (limited.size() > rows_of_section(style)) limited.resize(rows_of_section(style));
  for (const QuotaView& one : limited) {
    table.add({{fmt::format("{} %", *one.percent),
                *one.percent >= kQuotaNearlyFull ? Color::bad : Color::none},
               {used_of(one.bytes, true)},
               {used_of(one.inodes, false)},
               {plain(one.scope)}});
  }
  if (limited.empty()) table.add({{"-"}, {"-"}, {"-"}, {"no limit is set", Color::faint}});
  return table.render(style);
}

std::string expiries(const UnitsView& units, const Style& style, WallTime now) {
  Table table({{"EXPIRES"}, {"BYTES", right}, {"OWNER"}, {"UNIT"}});
  std::size_t rows = 0;
  for (const UnitView& one : units.units) {
    if (!one.expires_at || rows == rows_of_section(style)) break;
    table.add({{*one.expires_at <= now ? "due" : relative(*one.expires_at, now)},
               {human_bytes(one.usage.bytes)},
               {owner_short(one.owner)},
               {plain(one.path)}});
    ++rows;
  }
  if (rows == 0) table.add({{"-"}, {"-"}, {"-"}, {"none", Color::faint}});
  return table.render(style);
}

// What a terminal has room for.
std::string first_lines(std::string text, std::size_t lines) {
  std::size_t end = 0;
  for (std::size_t i = 0; i < lines && end != std::string::npos; ++i) {
    end = text.find('\n', end == 0 ? 0 : end + 1);
  }
  if (lines > 0 && end != std::string::npos) text.resize(end + 1);
  return text;
}

nlohmann::json actors_json(const nlohmann::json& actors, const ActivityView& activity) {
  nlohmann::json all = actors;
  for (nlohmann::json& one : all) {
    one["ops_per_second"] = a_second(one["ops"].get<std::int64_t>(), activity);
    one["bytes_new_per_second"] = a_second(one["bytes_new"].get<std::int64_t>(), activity);
  }
  return all;
}

}  // namespace

std::string render(const TopFrame& frame, const Style& style, WallTime now) {
  return first_lines(top_lines(frame, style) + "\n" +
                         actors("USER", frame.activity.users, frame.activity, style) + "\n" +
                         actors("JOB", frame.activity.jobs, frame.activity, style) + "\n" +
                         scopes(frame.quotas, style) + "\n" + expiries(frame.next, style, now),
                     style.height);
}

nlohmann::json top_json(const TopFrame& frame) {
  nlohmann::json out = to_json(frame.activity);
  out.erase("token");
  const nlohmann::json volume = nlohmann::json::array({out["volume"]});
  out["volume"] = actors_json(volume, frame.activity)[0];
  out["volume"].erase("name");
  out["users"] = actors_json(out["users"], frame.activity);
  out["jobs"] = actors_json(out["jobs"], frame.activity);
  out["fullest"] = to_json(QuotasView{fullest(frame.quotas.quotas)})["quotas"];
  out["next"] = to_json(frame.next)["units"];
  return out;
}

}  // namespace ebbfs
