// SPDX-License-Identifier: Apache-2.0
#include "fs/control_explain.h"

#include "fs/control_codec.h"

namespace ebbfs {

template <typename Visitor, Like<UsageThenView> View>
static void fields(Visitor& v, View& view) {
  v.field("ago_seconds", view.ago);
  v.field("time", view.time);
  v.field_if(view.time.has_value(), "bytes_used", view.bytes_used);
  v.field_if(view.time.has_value(), "inodes_used", view.inodes_used);
  v.field_if(view.time.has_value() && view.ago != Duration{}, "bytes_growth", view.bytes_growth);
  v.field("time_to_full_seconds", view.time_to_full);
}

template <typename Visitor, Like<HolderView> View>
static void fields(Visitor& v, View& view) {
  v.path("name", view.name);
  v.field("units", view.units);
  v.usage(view.usage);
  v.field("bytes_growth", view.bytes_growth);
  v.field("growth_at_least", view.growth_at_least);
}

template <typename Visitor, Like<RemovedView> View>
static void fields(Visitor& v, View& view) {
  v.field("class", view.class_name);
  v.field("reason", view.reason);
  v.field("count", view.count);
  v.usage(view.usage);
}

template <typename Visitor, Like<HeldView> View>
static void fields(Visitor& v, View& view) {
  v.field("reason", view.reason);
  v.field("text", view.text);
  v.field("units", view.units);
  v.usage(view.usage);
  v.place("largest", view.largest);
}

template <typename Visitor, Like<CleanupView> View>
static void fields(Visitor& v, View& view) {
  v.field("state", view.state);
  v.text("text", view.text);
  v.field("since", view.since);
  v.field("since_at_least", view.since_at_least);
  v.field("provisional", view.provisional);
}

template <typename Visitor, Like<ActionView> View>
static void fields(Visitor& v, View& view) {
  v.field("why", view.why);
  v.field("command", view.command);
}

template <typename Visitor, Like<ExplainView> View>
static void fields(Visitor& v, View& view) {
  v.path("mount", view.mount);
  v.path("path", view.path);
  v.field("only_own", view.only_own);
  v.field("time", view.time);
  v.field("since_seconds", view.since);
  v.field("from", view.from);
  v.field("verdict", view.verdict);
  v.field("bytes_total", view.bytes_total);
  v.field("bytes_free", view.bytes_free);
  v.field_if(view.inodes_total != 0, "inodes_total", view.inodes_total);
  v.field("bytes_charged", view.charged);
  v.field("usage", view.usage);
  v.field("users", view.users);
  v.field("jobs", view.jobs);
  v.field("classes", view.classes);
  v.field("units", view.units);
  v.field("removed", view.removed);
  v.field("held", view.held);
  v.field("evictable_bytes", view.evictable.bytes);
  v.field("evictable_inodes", view.evictable.inodes);
  v.field("evictable_units", view.evictable_units);
  v.field("trash_bytes", view.trash.bytes);
  v.field("trash_inodes", view.trash.inodes);
  v.field("cleanup", view.cleanup);
  v.field("actions", view.actions);
}

template nlohmann::json to_json(const ExplainView&);
template Result<ExplainView> from_json(const nlohmann::json&);

}  // namespace ebbfs
