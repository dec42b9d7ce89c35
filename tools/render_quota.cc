// SPDX-License-Identifier: Apache-2.0
//
// Limits and what is held: a line for each scope; where inodes are limited anywhere, a line of
// bytes and one of inodes.
#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "tools/render_views.h"

namespace ebbfs {
namespace {

using enum Table::Align;

constexpr std::int64_t kNear = 80;  // percent
constexpr std::int64_t kFull = 95;

enum class Of : bool { bytes, inodes };

std::string amount(std::int64_t value, Of of) {
  return of == Of::bytes ? human_bytes(Bytes{value}) : human_count(value);
}

std::string limit(const std::optional<std::int64_t>& value, Of of) {
  return value ? amount(*value, of) : "-";
}

std::string grace(const LimitView& view, WallTime now) {
  if (!view.over_since) return "";
  if (!view.hard_at) return "none";
  return *view.hard_at <= now ? "over" : human_duration(*view.hard_at - now);
}

std::string percent(const std::optional<std::int64_t>& value) {
  return value ? fmt::format("{}", *value) : "-";
}

// Of one counter, as the daemon reckons that of both.
std::optional<std::int64_t> percent_of(const LimitView& view) {
  const auto most = view.hard ? view.hard : view.soft;
  if (!most) return {};
  if (*most == 0) return view.used > 0 ? 100 : 0;
  return static_cast<std::int64_t>(100.0 * static_cast<double>(view.used) /
                                   static_cast<double>(*most));
}

// "policy" and "set" of the scope itself, else the rule that holds for it, such as "user:*".
std::string origin(const QuotaView& quota) {
  if (quota.origin == "none") return "-";
  if (quota.rule == quota.scope || quota.rule.empty()) return plain(quota.origin);
  return (quota.origin == "set" ? "set " : "") + plain(quota.rule);
}

Color color_of_quota(std::int64_t percent, bool is_over) {
  if (percent >= kFull) return Color::bad;
  return percent >= kNear || is_over ? Color::warn : Color::none;
}

bool limits_inodes(const QuotaView& quota) { return quota.inodes.hard || quota.inodes.soft; }

bool is_over(const QuotaView& quota) { return quota.bytes.over_since || quota.inodes.over_since; }

// Adds a column only where somebody has something to show in it.
std::vector<Table::Column> columns_of(bool with_grace, const char* after) {
  std::vector<Table::Column> columns = {{"USED", right}, {"SOFT", right}, {"HARD", right}};
  if (with_grace) columns.push_back({"GRACE"});
  columns.push_back({after, right});
  for (const char* header : {"FROM", "SCOPE"}) columns.push_back({header});
  return columns;
}

std::vector<Table::Cell> counter(const LimitView& view, Of of, bool with_grace, WallTime now) {
  std::vector<Table::Cell> cells = {
      {amount(view.used, of)}, {limit(view.soft, of)}, {limit(view.hard, of)}};
  if (with_grace) cells.push_back({grace(view, now), Color::warn});
  return cells;
}

std::string bytes_table(const std::vector<QuotaView>& quotas, bool with_grace, const Style& style,
                        WallTime now) {
  auto columns = columns_of(with_grace, "%");
  columns.insert(columns.begin() + (with_grace ? 4 : 3), {"INODES", right});
  Table table(std::move(columns));
  for (const QuotaView& quota : quotas) {
    auto row = counter(quota.bytes, Of::bytes, with_grace, now);
    row.push_back({human_count(quota.inodes.used)});
    row.push_back(
        {percent(quota.percent), color_of_quota(quota.percent.value_or(0), is_over(quota))});
    row.push_back({origin(quota)});
    row.push_back({plain(quota.scope)});
    table.add(std::move(row));
  }
  return table.render(style);
}

std::string both_table(const std::vector<QuotaView>& quotas, bool with_grace, const Style& style,
                       WallTime now) {
  auto columns = columns_of(with_grace, "%");
  columns.insert(columns.begin(), {"OF"});
  Table table(std::move(columns));
  const auto add = [&](const QuotaView& quota, const LimitView& view, Of of) {
    const auto share = percent_of(view);
    const bool first = of == Of::bytes;
    auto row = counter(view, of, with_grace, now);
    row.insert(row.begin(), {first ? "bytes" : "inodes"});
    row.push_back({percent(share), color_of_quota(share.value_or(0), view.over_since.has_value())});
    row.push_back({first ? origin(quota) : ""});
    row.push_back({first ? plain(quota.scope) : ""});
    table.add(std::move(row));
  };
  for (const QuotaView& quota : quotas) {
    add(quota, quota.bytes, Of::bytes);
    add(quota, quota.inodes, Of::inodes);
  }
  return table.render(style);
}

}  // namespace

std::string render(const QuotasView& view, const Style& style, WallTime now) {
  if (view.dry_run) {
    QuotasView same = view;
    same.dry_run = false;
    return "nothing is changed; it would be:\n" + render(same, style, now);
  }
  if (view.quotas.empty()) return "no quotas; `ebbctl quota list --all` shows usage\n";
  // The fullest first; by name where they are equally full.
  std::vector<QuotaView> quotas = view.quotas;
  std::ranges::sort(quotas, {}, [](const QuotaView& quota) {
    return std::pair(-quota.percent.value_or(-1), std::string_view(quota.scope));
  });
  const bool with_grace = std::ranges::any_of(quotas, is_over);
  return std::ranges::any_of(quotas, limits_inodes) ? both_table(quotas, with_grace, style, now)
                                                    : bytes_table(quotas, with_grace, style, now);
}

}  // namespace ebbfs
