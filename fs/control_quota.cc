// SPDX-License-Identifier: Apache-2.0
#include "fs/control_quota.h"

#include <algorithm>

#include "fs/control_codec.h"

namespace ebbfs {

template <typename Visitor, Like<LimitView> View>
static void fields(Visitor& v, View& view) {
  v.field("used", view.used);
  v.field("soft", view.soft);
  v.field("hard", view.hard);
  v.field("over_since", view.over_since);
  v.field("hard_at", view.hard_at);
}

template <typename Visitor, Like<QuotaView> View>
static void fields(Visitor& v, View& view) {
  v.path("scope", view.scope);
  v.field("bytes", view.bytes);
  v.field("inodes", view.inodes);
  v.field("percent", view.percent);
  v.field("grace_seconds", view.grace);
  v.field("origin", view.origin);
  v.place("rule", view.rule);
  v.field("refusals", view.refusals);
}

template <typename Visitor, Like<QuotasView> View>
static void fields(Visitor& v, View& view) {
  v.field("quotas", view.quotas);
  v.field("dry_run", view.dry_run);
}

template nlohmann::json to_json(const QuotasView&);
template Result<QuotasView> from_json(const nlohmann::json&);

std::vector<QuotaView> fullest(std::vector<QuotaView> quotas) {
  std::erase_if(quotas, [](const QuotaView& one) { return !one.percent; });
  std::ranges::sort(quotas, [](const QuotaView& a, const QuotaView& b) {
    return *a.percent != *b.percent ? *a.percent > *b.percent : a.scope < b.scope;
  });
  return quotas;
}

}  // namespace ebbfs
