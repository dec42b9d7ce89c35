// SPDX-License-Identifier: Apache-2.0
#include "fs/control_activity.h"

#include "fs/control_codec.h"

namespace ebbfs {

template <typename Visitor, Like<ActorView> View>
static void fields(Visitor& v, View& view) {
  v.field("name", view.name);
  v.field("ops", view.ops);
  v.field("bytes_new", view.bytes_new);
  v.field("bytes_net", view.bytes_net);
  v.field("bytes_held", view.bytes_held);
}

template <typename Visitor, Like<ActivityView> View>
static void fields(Visitor& v, View& view) {
  v.field("token", view.token);
  v.field("time", view.time);
  v.field("interval_seconds", view.interval);
  v.field("volume", view.volume);
  v.field("ops_outside", view.ops_outside);
  v.field("users", view.users);
  v.field("jobs", view.jobs);
}

template nlohmann::json to_json(const ActivityView&);
template Result<ActivityView> from_json(const nlohmann::json&);

}  // namespace ebbfs
