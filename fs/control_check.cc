// SPDX-License-Identifier: Apache-2.0
#include "fs/control_check.h"

#include "fs/control_codec.h"

namespace ebbfs {

template <typename Visitor, Like<DifferenceView> View>
static void fields(Visitor& v, View& view) {
  v.path("scope", view.scope);
  v.usage(view.usage);
}

template <typename Visitor, Like<RecountView> View>
static void fields(Visitor& v, View& view) {
  v.field("token", view.token);
  v.field("running", view.running);
  v.field("repair", view.repair);
  v.field("given_up", view.given_up);
  v.field("percent", view.percent);
  v.field("files", view.files);
  v.field("expected", view.expected);
  v.field("units", view.units);
  v.field("took_seconds", view.took);
  v.field("files_per_second", view.files_per_second);
  v.field("exact", view.exact);
  v.field("repaired", view.repaired);
  v.field("differences", view.differences);
  v.field("unchecked", view.unchecked);
}

template nlohmann::json to_json(const RecountView&);
template Result<RecountView> from_json(const nlohmann::json&);

}  // namespace ebbfs
