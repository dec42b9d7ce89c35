// SPDX-License-Identifier: Apache-2.0
#include "fs/control_quota.h"

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
  v.field("rule", view.rule);
  v.field("refusals", view.refusals);
}

template <typename Visitor, Like<QuotasView> View>
static void fields(Visitor& v, View& view) {
  v.field("quotas", view.quotas);
  v.field("dry_run", view.dry_run);
}

template nlohmann::json to_json(const QuotasView&);
template Result<QuotasView> from_json(const nlohmann::json&);

}  // namespace ebbfs
