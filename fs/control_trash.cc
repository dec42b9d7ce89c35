// SPDX-License-Identifier: Apache-2.0
#include "fs/control_trash.h"

#include "fs/control_fields.h"

namespace ebbfs {

template <typename Visitor, Like<TrashItemView> View>
static void fields(Visitor& v, View& view) {
  v.field("id", view.id);
  v.path("path", view.path);
  v.field("class", view.class_name);
  v.field("owner", view.owner);
  v.field("reason", view.reason);
  v.field("removed_at", view.removed_at);
  v.field("restorable_until", view.restorable_until);
  v.usage(view.usage);
  v.field("purging", view.purging);
  v.place("git_entry", view.git_entry);
}

template <typename Visitor, Like<TrashView> View>
static void fields(Visitor& v, View& view) {
  v.field("items", view.items);
  v.usage(view.usage);
  v.field("emptied", view.emptied);
  v.field("dry_run", view.dry_run);
}

template <typename Visitor, Like<RestoreView> View>
static void fields(Visitor& v, View& view) {
  v.field("id", view.id);
  v.path("path", view.path);
  v.path("was", view.was);
  v.field("dry_run", view.dry_run);
  v.usage(view.usage);
  v.place("git_entry", view.git_entry);
  v.text("git_entry_lost", view.git_entry_lost);
  v.field("expires_at", view.expires_at);
  v.field("others", view.others);
}

template <typename Visitor, Like<ResumeView> View>
static void fields(Visitor& v, View& view) {
  v.field("changed", view.changed);
  v.field("dry_run", view.dry_run);
  v.field("brake", view.brake);
  v.field("due_units", view.due_units);
}

template nlohmann::json to_json(const TrashView&);
template nlohmann::json to_json(const RestoreView&);
template nlohmann::json to_json(const ResumeView&);
template Result<TrashView> from_json(const nlohmann::json&);
template Result<RestoreView> from_json(const nlohmann::json&);
template Result<ResumeView> from_json(const nlohmann::json&);

}  // namespace ebbfs
