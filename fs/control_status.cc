// SPDX-License-Identifier: Apache-2.0
#include "fs/control_status.h"

#include "fs/control_fields.h"

namespace ebbfs {

// Not in an unnamed namespace: the codec finds these by argument-dependent lookup.

template <typename Visitor, Like<VolumeView> View>
static void fields(Visitor& v, View& view) {
  v.field("bytes_total", view.bytes_total);
  v.field("bytes_used", view.bytes_used);
  v.field("bytes_free", view.bytes_free);
  const bool has_limit = view.inodes_total != 0;
  v.field_if(has_limit, "inodes_total", view.inodes_total);
  v.field_if(has_limit || view.inodes_used != 0, "inodes_used", view.inodes_used);
  v.field_if(has_limit, "inodes_free", view.inodes_free);
}

template <typename Visitor, Like<BackingView> View>
static void fields(Visitor& v, View& view) {
  v.path("path", view.path);
  v.field("fs_type", view.fs_type);
}

template <typename Visitor, Like<HeapView> View>
static void fields(Visitor& v, View& view) {
  v.field("bytes", view.bytes);
  v.field("units", view.units);
}

template <typename Visitor, Like<TrashHeapView> View>
static void fields(Visitor& v, View& view) {
  v.field("bytes", view.bytes);
  v.field("units", view.units);
  v.field("reclaimable_bytes", view.reclaimable_bytes);
  v.field("reclaimable_units", view.reclaimable_units);
}

template <typename Visitor, Like<SpaceView> View>
static void fields(Visitor& v, View& view) {
  const bool is_known = !view.level.empty();
  v.text("level", view.level);
  v.text("high", view.high);
  v.field("bytes_high", view.bytes_high);
  v.text("low", view.low);
  v.field("bytes_low", view.bytes_low);
  v.text("reserve", view.reserve);
  v.field_if(is_known, "bytes_reserve", view.bytes_reserve);
  v.field("evicting", view.evicting);
  v.field("waiting", view.waiting);
  v.field("evicted_units", view.evicted_units);
  v.field("evicted_bytes", view.evicted_bytes);
  v.field("last_eviction", view.last_eviction);
  v.field("refused", view.refused);
  v.text("stuck", view.stuck);
}

template <typename Visitor, Like<ClassView> View>
static void fields(Visitor& v, View& view) {
  v.field("name", view.name);
  v.field("kind", view.kind);
  v.field("units", view.units);
  v.usage(view.usage);
}

template <typename Visitor, Like<UserView> View>
static void fields(Visitor& v, View& view) {
  v.text("name", view.name);
  v.field("uid", view.uid);
  v.usage(view.usage);
}

template <typename Visitor, Like<AdoptionView> View>
static void fields(Visitor& v, View& view) {
  v.field("running", view.running);
  v.field("entries", view.entries);
  v.field("started", view.started);
}

template <typename Visitor, Like<FdsView> View>
static void fields(Visitor& v, View& view) {
  v.field("used", view.used);
  v.field("limit", view.limit);
}

template <typename Visitor, Like<LastCheckView> View>
static void fields(Visitor& v, View& view) {
  v.field("running", view.running);
  v.field_if(view.running, "percent", view.percent);
  v.field("finished", view.finished);
  v.field_if(view.finished.has_value(), "differences", view.differences);
  v.field_if(view.finished.has_value(), "exact", view.exact);
}

template <typename Visitor, Like<RequestsView> View>
static void fields(Visitor& v, View& view) {
  v.field("op", view.op);
  v.field("count", view.count);
}

template <typename Visitor, Like<StatusView> View>
static void fields(Visitor& v, View& view) {
  v.field("version", view.version);
  v.field("pid", view.pid);
  v.field("uptime_seconds", view.uptime);
  v.path("mount", view.mount);
  v.field("mode", view.mode);
  v.field("enforcing", view.enforcing);
  v.field("degraded", view.degraded);
  v.field("index_rebuilt", view.index_rebuilt);
  v.field("transport", view.transport);
  v.field("passthrough", view.passthrough);
  v.field("backing", view.backing);
  v.field("policy_source", view.policy_source);
  v.field("provisional", view.provisional);
  v.field("adoption", view.adoption);
  v.field("adopt_grace_until", view.adopt_grace_until);
  v.field("volume", view.volume);
  v.field("space", view.space);
  v.field("trash", view.trash);
  v.field("brake", view.brake);
  v.field("classes", view.classes);
  v.field("users", view.users);
  v.field("due", view.due);
  v.field("next_expiry", view.next_expiry);
  v.place("next_expiry_path", view.next_expiry_path);
  v.field("last_reclaim", view.last_reclaim);
  v.field("overdue_seconds", view.overdue);
  v.field("open_files", view.open_files);
  v.field("known_inodes", view.known_inodes);
  v.field("fds", view.fds);
  v.field("check", view.check);
  v.field("requests", view.requests);
}

template nlohmann::json to_json(const StatusView&);
template Result<StatusView> from_json(const nlohmann::json&);

}  // namespace ebbfs
