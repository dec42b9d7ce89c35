// SPDX-License-Identifier: Apache-2.0
//
// Quotas as repquota(8) shows them, and percent and origin beside.
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

std::string limit(const std::optional<std::int64_t>& value, bool bytes) {
  if (!value) return "-";
  return bytes ? human_bytes(Bytes{*value}) : human_count(*value);
}

// '+' above the soft limit, '-' not.
char flag(const LimitView& view) { return view.soft && view.used > *view.soft ? '+' : '-'; }

std::string grace(const LimitView& view, WallTime now) {
  if (!view.over_since) return "";
  if (!view.hard_at) return "none";
  return *view.hard_at <= now ? "over" : human_duration(*view.hard_at - now);
}

std::string origin(const QuotaView& quota) {
  if (quota.origin == "none") return "-";
  const std::string where = quota.origin == "set" ? "set" : plain(quota.origin);
  return quota.rule == quota.scope ? where : where + " " + plain(quota.rule);
}

Color color_of_quota(const QuotaView& quota) {
  const std::int64_t percent = quota.percent.value_or(0);
  if (percent >= kFull) return Color::bad;
  return percent >= kNear || quota.bytes.over_since || quota.inodes.over_since ? Color::warn
                                                                               : Color::none;
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
  Table table({{"FLAGS"},
               {"USED", right},
               {"SOFT", right},
               {"HARD", right},
               {"GRACE"},
               {"INODES", right},
               {"SOFT", right},
               {"HARD", right},
               {"GRACE"},
               {"%", right},
               {"FROM"},
               {"SCOPE"}});
  for (const QuotaView& quota : quotas) {
    const Color color = color_of_quota(quota);
    table.add({{std::string{flag(quota.bytes), flag(quota.inodes)}, color},
               {human_bytes(Bytes{quota.bytes.used})},
               {limit(quota.bytes.soft, true)},
               {limit(quota.bytes.hard, true)},
               {grace(quota.bytes, now), Color::warn},
               {human_count(quota.inodes.used)},
               {limit(quota.inodes.soft, false)},
               {limit(quota.inodes.hard, false)},
               {grace(quota.inodes, now), Color::warn},
               {quota.percent ? fmt::format("{}", *quota.percent) : "-", color},
               {origin(quota)},
               {plain(quota.scope)}});
  }
  return table.render(style);
}

}  // namespace ebbfs
