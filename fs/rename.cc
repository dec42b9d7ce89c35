// SPDX-License-Identifier: Apache-2.0
//
// Renaming. Most renames stay within one unit and are one backing call. A unit's top that is
// renamed to another name of the same class keeps its identity. Everything else moves the charge
// between units: rename_across.cc.
#include <fcntl.h>

#include <array>
#include <cstdio>

#include "fs/rename_plan.h"

namespace ebbfs {

Result<Filesystem::RenameSide> Filesystem::rename_side(NodeId parent, const char* name) {
  auto directory = find(parent);
  if (!directory) return std::unexpected(directory.error());
  auto fd = directory_fd(volume_, **directory);
  if (!fd) return std::unexpected(fd.error());
  RenameSide side;
  side.at = Standpoint(**directory);
  side.directory = std::move(*directory);
  side.fd = std::move(*fd);
  side.match = volume_.rules.classifier().step(side.place().state, name);
  side.name = name;
  side.unit = side.place().unit;
  const auto present = volume_.backing.stat(side.fd->get(), name);
  if (!present && present.error() != Errno{ENOENT}) return std::unexpected(present.error());
  if (!present) return side;
  side.present = *present;
  const auto handle = volume_.backing.handle(side.fd->get(), name);
  if (!handle) return std::unexpected(handle.error());
  side.handle = *handle;
  if (side.makes_unit()) {
    if (UnitRef unit = volume_.units.find_by_top(InodeId{present->stx_ino}, side.handle)) {
      side.unit = std::move(unit);
      side.unit_top = true;
    }
  }
  return side;
}

Result<std::string> Filesystem::child_path(const RenameSide& side) {
  auto path = volume_.backing.path_of(side.fd->get());
  if (path && !path->empty()) path->push_back('/');
  if (path) path->append(side.name);
  return path;
}

Status Filesystem::rename(const Caller& caller, NodeId parent, const char* name, NodeId to_parent,
                          const char* to_name, unsigned flags) {
  if (is_reserved(parent, name) || is_reserved(to_parent, to_name)) return fail(EPERM);
  if ((flags & ~static_cast<unsigned>(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0)
    return fail(EINVAL);
  if (const auto clear = clear_way(caller, to_parent, to_name); !clear) return clear;
  auto from = rename_side(parent, name);
  if (!from) return std::unexpected(from.error());
  auto to = rename_side(to_parent, to_name);
  if (!to) return std::unexpected(to.error());
  if (!from->present) return fail(ENOENT);
  RenamePlan plan{std::move(*from), std::move(*to), flags};
  // What is below may be many locks, which are asked about one by one.
  if (!caller.may_block && plan.moves_directory() && !volume_.locks.empty()) {
    return std::unexpected(kDefer);
  }
  if ((flags & RENAME_EXCHANGE) != 0) return rename_exchange(caller, plan);

  const Classifier& classifier = volume_.rules.classifier();
  const bool keeps_unit = plan.from.unit_top && plan.to.makes_unit() &&
                          plan.from.match.tree_class == plan.to.match.tree_class &&
                          classifier.job(plan.from.match) == classifier.job(plan.to.match);
  const bool same_unit = !plan.from.unit_top && !plan.to.makes_unit() &&
                         plan.from.place().unit == plan.to.place().unit;
  const bool same_state = !plan.is_tree() || plan.from.match.state == plan.to.match.state;
  if (keeps_unit || (same_unit && same_state)) return rename_in_place(caller, plan);
  return plan.is_tree() ? rename_tree_across(caller, plan) : rename_file_across(caller, plan);
}

Status Filesystem::rename_backing(const Caller& caller, RenamePlan& plan) {
  const auto act = [&] {
    return volume_.backing.rename(plan.from.fd->get(), plan.from.name.c_str(), plan.to.fd->get(),
                                  plan.to.name.c_str(), plan.flags);
  };
  const bool replaces = plan.to.present && !plan.same_file() &&
                        (plan.flags & (RENAME_NOREPLACE | RENAME_EXCHANGE)) == 0;
  if (!replaces) return act();
  Victim replaced{*plan.to.present,  volume_.inodes.find(InodeId{plan.to.present->stx_ino}),
                  plan.to.unit,      plan.to.unit_top,
                  plan.to.fd->get(), plan.to.name.c_str()};
  const auto renamed = remove_victim(caller, replaced, act);
  if (renamed && replaced.unit_top) return volume_.units.remove(*replaced.unit);
  return renamed;
}

std::vector<std::string> Filesystem::renamed_directories(const RenamePlan& plan) {
  std::vector<std::string> paths;
  if (volume_.locks.empty()) return paths;
  const auto add = [&](const RenameSide& side) {
    if (!is_directory(*side.present)) return;
    if (auto path = child_path(side)) paths.push_back(std::move(*path));
  };
  add(plan.from);
  if ((plan.flags & RENAME_EXCHANGE) != 0) add(plan.to);
  return paths;
}

Status Filesystem::settle_names(const Caller& caller, const RenamePlan& plan) {
  if (plan.same_file()) return {};
  move_locks_below(renamed_directories(plan));
  // The records of what the names stood for go last: while there is one, a crash does not lose who
  // the owner is.
  std::array<LockRef, 2> before;
  if (!volume_.locks.empty()) {
    before = {volume_.locks.find(plan.from.directory->id, plan.from.name),
              volume_.locks.find(plan.to.directory->id, plan.to.name)};
  }
  const auto retake = [&](const RenameSide& side, const RenameSide& came_from) -> Status {
    Parent parent{volume_.inodes.find(side.directory->node()), side.place(), side.fd, UnitUse(),
                  side.match};
    Child child{volume_.inodes.find(InodeId{came_from.present->stx_ino}), *came_from.present};
    if (!child.inode) return {};
    return take_lock(caller, parent, side.name.c_str(), child);
  };
  Status taken = retake(plan.to, plan.from);
  if (taken && (plan.flags & RENAME_EXCHANGE) != 0) taken = retake(plan.from, plan.to);
  for (const LockRef& lock : before) {
    if (lock != nullptr) volume_.locks.remove(lock);
  }
  return taken;
}

void Filesystem::update_paths_below(const std::string& from, const std::string& to) {
  const std::string prefix = from + "/";
  for (const UnitRef& unit : volume_.units.all()) {
    const std::string path = unit->path();
    if (!path.starts_with(prefix)) continue;
    (void)volume_.units.set_path(*unit, to + path.substr(from.size()));
  }
}

Status Filesystem::rename_in_place(const Caller& caller, RenamePlan& plan) {
  const auto entered = use(caller, plan.from.place().unit);
  if (!plan.holds()) return std::unexpected(kDefer);
  if (!entered) return std::unexpected(entered.error());
  UnitUse moved_unit;
  if (plan.from.unit_top) {
    auto inside = use(caller, plan.from.unit);
    if (!inside) return std::unexpected(inside.error());
    moved_unit = std::move(*inside);
  }
  const bool renames_paths = plan.is_tree() && plan.from.place().unit->is_root();
  const auto old_path = renames_paths ? child_path(plan.from) : Result<std::string>();
  const auto new_path =
      renames_paths || plan.from.unit_top ? child_path(plan.to) : Result<std::string>();
  if (!old_path) return std::unexpected(old_path.error());
  if (!new_path) return std::unexpected(new_path.error());

  count_in_sight(*plan.from.unit, *plan.from.present);
  NewPaths paths(volume_);
  if (plan.from.unit_top) {
    if (const auto fits = paths.add(plan.from.unit, *new_path); !fits) return fits;
  }
  const auto renamed = rename_backing(caller, plan);
  if (!renamed) return renamed;
  paths.keep();
  if (plan.from.unit_top) {
    (void)volume_.units.set_path(*plan.from.unit, *new_path);
  } else if (renames_paths) {
    update_paths_below(*old_path, *new_path);
  }
  if (plan.is_tree() && volume_.accounting.watches(*plan.from.unit) && directory_moved_) {
    directory_moved_(plan.from.handle);
  }
  return settle_names(caller, plan);
}

Status Filesystem::rename_exchange(const Caller& caller, RenamePlan& plan) {
  if (!plan.to.present) return fail(ENOENT);
  const bool directories = plan.moves_directory();
  const bool same_states = !directories || plan.from.match.state == plan.to.match.state;
  const bool plain = !plan.from.unit_top && !plan.to.unit_top && plan.from.unit == plan.to.unit &&
                     !plan.from.makes_unit() && !plan.to.makes_unit() && same_states;
  const Classifier& classifier = volume_.rules.classifier();
  const bool tops = plan.from.unit_top && plan.to.unit_top &&
                    plan.from.match.tree_class == plan.to.match.tree_class &&
                    classifier.job(plan.from.match) == classifier.job(plan.to.match);
  // Two charges would have to change places at once, each against the other's limits.
  if (!plain && !tops) return fail(EXDEV);

  const auto entered = use(caller, plan.from.place().unit);
  if (!plan.holds()) return std::unexpected(kDefer);
  if (!entered) return std::unexpected(entered.error());
  const auto old_path = child_path(plan.from);
  const auto new_path = child_path(plan.to);
  if (!old_path) return std::unexpected(old_path.error());
  if (!new_path) return std::unexpected(new_path.error());
  for (const RenameSide* side : {&plan.from, &plan.to}) count_in_sight(*side->unit, *side->present);
  NewPaths paths(volume_);
  if (tops) {
    if (const auto fits = paths.add(plan.from.unit, *new_path); !fits) return fits;
    if (const auto fits = paths.add(plan.to.unit, *old_path); !fits) return fits;
  }
  const auto renamed = rename_backing(caller, plan);
  if (!renamed) return renamed;
  paths.keep();
  if (tops) {
    (void)volume_.units.set_path(*plan.from.unit, *new_path);
    (void)volume_.units.set_path(*plan.to.unit, *old_path);
  } else if (directories && plan.from.unit->is_root()) {
    // Through a name that no path can have, so that the two do not meet on the way.
    const std::string between = *old_path + "/";
    update_paths_below(*old_path, between);
    update_paths_below(*new_path, *old_path);
    update_paths_below(between, *new_path);
  }
  for (const RenameSide* side : {&plan.from, &plan.to}) {
    if (is_directory(*side->present) && volume_.accounting.watches(*side->unit) &&
        directory_moved_) {
      directory_moved_(side->handle);
    }
  }
  return settle_names(caller, plan);
}

}  // namespace ebbfs
