// SPDX-License-Identifier: Apache-2.0
//
// Control's answers about the trash and the brake.
#include <fcntl.h>

#include <algorithm>
#include <cstring>

#include "fs/control.h"
#include "fs/control_trash.h"
#include "fs/tree.h"
#include "fs/user_names.h"

namespace ebbfs {
namespace {

TrashItemView view_of(const Trash::Item& item) {
  const TrashRecord& record = item.record;
  TrashItemView view;
  view.id = raw(record.id);
  view.path = record.unit.path;
  view.class_name = record.unit.class_name;
  view.owner = view_of(record.unit.owner, user_name(record.unit.owner.uid));
  view.reason = to_string(record.reason);
  view.removed_at = record.removed;
  view.restorable_until = record.purge_after;
  view.usage = item.usage;
  view.purging = item.purging;
  view.git_entry = record.git_admin_path;
  return view;
}

std::string who(const Caller& caller) { return "uid=" + std::to_string(caller.uid); }

}  // namespace

// The newest first.
std::vector<Trash::Item> Control::trash_of(const Caller& caller,
                                           const ControlRequest& request) const {
  std::vector<Trash::Item> items = trash_.items();
  const std::string& user = request.filter.user;
  std::erase_if(items, [&](const Trash::Item& item) {
    const uid_t owner = item.record.unit.owner.uid;
    return (caller.uid != 0 && caller.uid != owner) || (!user.empty() && user_id(user) != owner) ||
           !path_within(item.record.unit.path, request.path) ||
           (request.trash_id && raw(item.record.id) != *request.trash_id);
  });
  std::ranges::reverse(items);
  return items;
}

ControlReply Control::trash_list(const Caller& caller, const ControlRequest& request) {
  TrashView view;
  for (const Trash::Item& item : trash_of(caller, request)) {
    view.usage += item.usage;
    view.items.push_back(view_of(item));
  }
  return done(to_json(view));
}

// By the mode bits alone, without the caller's further groups: enough to keep others out.
bool Control::may_put_into(const Caller& caller, std::string_view path) const {
  if (caller.uid == 0) return true;
  const Backing& backing = volume_.backing;
  const auto directory =
      open_beneath(backing.root(), split_path(path).directory, O_PATH | O_DIRECTORY);
  const auto is = directory ? backing.stat(directory->get(), "")
                            : Result<Attributes>(std::unexpected(directory.error()));
  if (!is) return true;  // it will be refused for that
  constexpr std::uint32_t kWriteAndSearch = 3;
  const int shift = is->stx_uid == caller.uid ? 6 : is->stx_gid == caller.gid ? 3 : 0;
  return ((is->stx_mode >> shift) & kWriteAndSearch) == kWriteAndSearch;
}

ControlReply Control::restore(const Caller& caller, const ControlRequest& request) {
  std::vector<Trash::Item> items = trash_of(caller, request);
  if (!request.trash_id) {
    std::erase_if(items,
                  [&](const Trash::Item& item) { return item.record.unit.path != request.path; });
  }
  const std::string what =
      request.trash_id ? "entry " + std::to_string(*request.trash_id) : request.path;
  if (items.empty()) {
    return refused((what.empty() ? "the volume root" : what) +
                   " is not in the trash, or not yours; see: ebbctl trash list");
  }
  // One that is being deleted is not what somebody wants who names a path.
  const auto whole = std::ranges::find(items, false, &Trash::Item::purging);
  const Trash::Item& item = whole == items.end() ? items.front() : *whole;
  if (!request.to.empty() && !may_put_into(caller, request.to)) {
    return refused("you may not write to " + split_path(request.to).directory);
  }
  const auto restored = reaper_.restore(
      item.record.id, {.to = request.to, .dry_run = request.dry_run, .by = who(caller)});
  if (!restored) return refused(what + " stays in the trash: " + restored.error().why);
  RestoreView view;
  view.id = raw(item.record.id);
  view.path = restored->path;
  view.was = item.record.unit.path;
  view.dry_run = request.dry_run;
  view.usage = restored->usage;
  view.git_entry = restored->git_admin_path;
  view.git_entry_lost = restored->git_admin_lost;
  if (restored->unit != nullptr) {
    view.expires_at = or_null(unit_deadline(volume_, restored->unit->record()));
  }
  view.others = static_cast<std::int64_t>(items.size()) - 1;
  return done(to_json(view));
}

ControlReply Control::trash_empty(const Caller& caller, const ControlRequest& request) {
  if (!request.dry_run && volume_.rules.policy()->mode == Mode::observe) {
    return refused("the policy only observes: nothing is deleted");
  }
  const WallTime now = volume_.clock.wall_now();
  TrashView view;
  view.emptied = true;
  view.dry_run = request.dry_run;
  for (const Trash::Item& item : trash_of(caller, request)) {
    if (request.older && item.record.removed > now - *request.older) continue;
    view.usage += item.usage;
    view.items.push_back(view_of(item));
    if (request.dry_run) continue;
    // Due from now on, should the daemon die before it is through.
    (void)volume_.index.reschedule(Deadline::Kind::trash, raw(item.record.id), now);
    trash_.purge(item.record.id);
  }
  return done(to_json(view));
}

ControlReply Control::resume(const Caller& caller, const ControlRequest& request) {
  if (caller.uid != 0) return refused("only root may resume");
  const ReaperState before = reaper_.state();
  if (request.dry_run) {
    ResumeView view;
    view.dry_run = true;
    view.due_units = static_cast<std::int64_t>(before.due_units);
    if (before.brake.cause != BrakeRecord::Cause::none) view.brake = brake_view(before.brake);
    return done(to_json(view));
  }
  const auto resumed = reaper_.resume(who(caller));
  if (!resumed) {
    return refused("the index does not take it: " +
                   std::string(std::strerror(code(resumed.error()))));
  }
  ResumeView view;
  view.changed = *resumed;
  if (*resumed) view.brake = brake_view(before.brake);
  view.due_units = static_cast<std::int64_t>(before.due_units);
  return done(to_json(view));
}

TrashHeapView Control::trash_view() const {
  const Trash::Held held = trash_.held();
  TrashHeapView view{held.usage.bytes, static_cast<std::int64_t>(held.units), {}, 0};
  for (const Trash::Item& item : trash_.items()) {
    if (item.purging) continue;
    view.reclaimable_bytes += item.usage.bytes;
    ++view.reclaimable_units;
  }
  return view;
}

BrakeView Control::brake_view(const BrakeRecord& brake) {
  BrakeView view;
  view.cause = brake.cause == BrakeRecord::Cause::mass ? "mass" : "clock";
  view.text = brake_text(brake);
  view.since = brake.since;
  view.due = static_cast<std::int64_t>(brake.due);
  view.all = static_cast<std::int64_t>(brake.all);
  view.step = brake.step;
  return view;
}

}  // namespace ebbfs
