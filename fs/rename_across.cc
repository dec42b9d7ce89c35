// SPDX-License-Identifier: Apache-2.0
//
// Renames that take something from one unit to another: into a unit, out of one, or to a name that
// makes it one. The charge moves first, as a whole or not at all; then the one backing rename; then
// what the kernel knows of is bound to its new unit.
#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>

#include "fs/frozen_units.h"
#include "fs/rename_plan.h"
#include "fs/subtree.h"

namespace ebbfs {
namespace {

// For the requests inside the units concerned, and for others who freeze one of them.
constexpr Duration kFreezePatience = std::chrono::seconds(2);

// Open files go with their inode.
void carry_opens(Inode& inode, Unit& from, Unit& to) REQUIRES(inode.size_mu) {
  for (std::uint32_t i = 0; i < inode.extent.opens; ++i) {
    to.opened();
    (void)from.closed();
  }
}

// Charges on their way; they go back unless kept.
class Moves {
 public:
  explicit Moves(Accounting& accounting) : accounting_(accounting) {}
  [[nodiscard]] Status move(const UnitRef& from, const UnitRef& to, const Subtree::Item& item) {
    if (from == to) return {};
    auto moved = accounting_.begin_move({*from, item.uid, item.gid}, {*to, item.uid, item.gid},
                                        item.inode, item.charge);
    if (!moved) return std::unexpected(moved.error());
    moves_.push_back(std::move(*moved));
    return {};
  }
  // Of an open file without a name. It may be closed meanwhile, as that asks no unit, frozen or
  // not: then it has given back what it was charged, and nothing of it moves.
  [[nodiscard]] Status move_nameless(const UnitRef& from, const UnitRef& to, InodeRef inode) {
    Inode& object = *inode;
    const MutexLock size_lock(object.size_mu);
    Inode::Extent& extent = object.extent;
    if (!extent.unlinked || extent.opens == 0) return {};
    auto moved =
        accounting_.begin_move({*from, extent.uid, extent.gid}, {*to, extent.uid, extent.gid},
                               inode->id, {charge_for_size(extent.size), 1});
    if (!moved) return std::unexpected(moved.error());
    nameless_.push_back({std::move(*moved), from, to, std::move(inode)});
    return {};
  }
  void keep() {
    for (PendingMove& move : moves_) move.keep();
    moves_.clear();
    for (Nameless& one : nameless_) keep_nameless(one);
    nameless_.clear();
  }
  // Before a unit that was charged is removed: removing takes its whole charge from every scope.
  void undo() {
    moves_.clear();
    nameless_.clear();
  }

 private:
  struct Nameless {
    PendingMove move;
    UnitRef from;
    UnitRef to;
    InodeRef inode;
  };
  void keep_nameless(Nameless& one) {
    Inode& object = *one.inode;
    const MutexLock size_lock(object.size_mu);
    if (!object.extent.unlinked || object.extent.opens == 0) return;
    one.move.keep();
    accounting_.born(*one.to, object.id);
    carry_opens(object, *one.from, *one.to);
    object.move_to(one.to, kDeadState, false);
  }

  Accounting& accounting_;
  std::vector<PendingMove> moves_;
  std::vector<Nameless> nameless_;
};

}  // namespace

Result<UnitRef> Filesystem::new_unit_for(const Caller& caller, const RenamePlan& plan) {
  auto path = child_path(plan.to);
  if (!path) return std::unexpected(path.error());
  UnitRecord record;
  record.path = std::move(*path);
  record.handle = plan.from.handle;
  record.inode = InodeId{plan.from.present->stx_ino};
  record.class_name = volume_.rules.policy()->classes[plan.to.match.tree_class].name;
  const std::string_view job = volume_.rules.classifier().job(plan.to.match);
  if (plan.from.unit_top) {
    // It stays its owner's and pinned, as a tree does.
    const UnitRecord was = plan.from.unit->record();
    record.owner = was.owner;
    record.owner.uid = plan.from.present->stx_uid;
    record.owner.gid = plan.from.present->stx_gid;
    record.owner.job = job;
    record.pinned = was.pinned;
  } else {
    record.owner = owner_of(caller, job, nullptr);
  }
  record.created = record.last_used = volume_.clock.wall_now();
  const WallTime due = unit_deadline(volume_, record);
  auto unit = volume_.units.create(std::move(record), due);
  if (unit) agenda_.due_at(due);
  return unit;
}

Status Filesystem::rename_file_across(const Caller& caller, RenamePlan& plan) {
  const auto leaving = use(caller, plan.from.place().unit);
  const auto entering = use(caller, plan.to.place().unit);
  if (!plan.holds()) return std::unexpected(kDefer);
  if (!leaving) return std::unexpected(leaving.error());
  if (!entering) return std::unexpected(entering.error());
  const InodeRef inode = volume_.inodes.find(InodeId{plan.from.present->stx_ino});
  if (!inode) return fail(ESTALE);
  const PatientLock size_lock(inode->size_mu, caller.may_block);
  if (!size_lock) return std::unexpected(kDefer);
  // Once more: its size, owner and number of names may have changed on the way to the lock.
  const auto present = volume_.backing.stat(plan.from.fd->get(), plan.from.name.c_str());
  if (!present) return std::unexpected(present.error());
  if (present->stx_ino != plan.from.present->stx_ino) return fail(ESTALE);
  plan.from.present = *present;
  const Attributes& source = *plan.from.present;
  if (source.stx_nlink > 1) return fail(EXDEV);

  if (plan.from.unit_top) {
    if (auto marked = volume_.units.activate(plan.from.unit); !marked) return marked;
  }
  Result<UnitRef> to = plan.to.place().unit;
  if (plan.to.makes_unit()) to = new_unit_for(caller, plan);
  if (!to) return std::unexpected(to.error());
  Usage charge = charge_for(source);
  if (inode->extent.known && is_regular(source)) charge.bytes = charge_for_size(inode->extent.size);
  const Subtree::Item item{inode->id,  source.stx_uid,       source.stx_gid,    charge, 0, 0,
                           kDeadState, plan.to.makes_unit(), plan.from.unit_top};
  Moves moves(volume_.accounting);
  Status done = moves.move(plan.from.unit, *to, item);
  if (done) done = rename_backing(caller, plan);
  if (!done) {
    moves.undo();
    if (plan.to.makes_unit()) (void)volume_.units.remove(**to);
    if (plan.from.unit_top) volume_.units.retake_top(plan.from.unit);
    return done;
  }
  moves.keep();
  volume_.accounting.born(**to, inode->id);
  carry_opens(*inode, *plan.from.unit, **to);
  inode->move_to(*to, kDeadState, plan.to.makes_unit());
  if (plan.from.unit_top) (void)volume_.units.remove(*plan.from.unit);
  return settle_names(caller, plan);
}

// In no order, some of them twice.
std::vector<UnitRef> Filesystem::concerned_units(const RenamePlan& plan, const std::string& path) {
  std::vector<UnitRef> units{plan.from.place().unit, plan.to.place().unit, plan.from.unit};
  if (!plan.from.unit->is_root()) return units;
  for (UnitRef& unit : volume_.units.all()) {
    if (unit->path().starts_with(path + "/")) units.push_back(std::move(unit));
  }
  return units;
}

Status Filesystem::rename_tree_across(const Caller& caller, RenamePlan& plan) {
  // Walks the tree with its units frozen: always from a worker.
  if (!caller.may_block) return std::unexpected(kDefer);
  const auto old_path = child_path(plan.from);
  if (!old_path) return std::unexpected(old_path.error());
  const auto new_path = child_path(plan.to);
  if (!new_path) return std::unexpected(new_path.error());

  const FrozenUnits frozen(concerned_units(plan, *old_path), kFreezePatience);
  if (!plan.holds()) return std::unexpected(kDefer);
  if (!frozen) return fail(EBUSY);
  // One that was found on the way is not frozen.
  if (!frozen.has_all(concerned_units(plan, *old_path))) return std::unexpected(kDefer);
  auto tree = Subtree::walk(volume_, plan.from.fd->get(), plan.from.name.c_str(),
                            plan.from.place().unit, plan.to.place().unit, plan.to.match, *new_path);
  if (!tree) return std::unexpected(tree.error());
  return move_tree(caller, plan, *tree);
}

// Frozen units are not marked by requests: a crash from here on has met them in use. Of those that
// stay as they are only the path changes, which is found again from the directory above.
Status Filesystem::mark_concerned(const RenamePlan& plan, Subtree& tree) {
  std::vector<UnitRef> concerned{plan.from.place().unit, plan.to.place().unit};
  for (const Subtree::Item& item : tree.items()) {
    const UnitRef& from = tree.sources()[item.from];
    if (from != tree.destinations()[item.to].unit && from != concerned.back()) {
      concerned.push_back(from);
    }
  }
  for (const UnitRef& unit : concerned) {
    if (auto marked = volume_.units.activate(unit); !marked) return marked;
  }
  return {};
}

Status Filesystem::make_destinations(Subtree& tree) {
  const WallTime now = volume_.clock.wall_now();
  for (Subtree::Destination& destination : tree.destinations()) {
    if (destination.unit != nullptr) continue;
    UnitRecord record = destination.record;
    record.created = record.last_used = now;
    const WallTime due = unit_deadline(volume_, record);
    auto unit = volume_.units.create(std::move(record), due);
    if (!unit) return std::unexpected(unit.error());
    destination.unit = std::move(*unit);
    destination.made = true;
    agenda_.due_at(due);
  }
  return {};
}

Status Filesystem::move_tree(const Caller& caller, RenamePlan& plan, Subtree& tree) {
  Moves moves(volume_.accounting);
  NewPaths paths(volume_);
  Status done = mark_concerned(plan, tree);
  if (done) done = make_destinations(tree);
  for (const Subtree::Destination& destination : tree.destinations()) {
    if (!done) break;
    if (destination.keeps) done = paths.add(destination.unit, destination.record.path);
  }
  for (const Subtree::Item& item : tree.items()) {
    if (!done) break;
    done = moves.move(tree.sources()[item.from], tree.destinations()[item.to].unit, item);
  }
  // They are in no tree, and go where the top of their unit goes.
  for (const InodeId id : volume_.accounting.nameless()) {
    if (!done) break;
    InodeRef inode = volume_.inodes.find(id);
    const UnitRef from = inode ? inode->unit() : nullptr;
    const UnitRef to = from != nullptr ? tree.unit_of_top(from) : nullptr;
    if (to != nullptr && to != from) done = moves.move_nameless(from, to, std::move(inode));
  }
  if (done) done = rename_backing(caller, plan);
  if (!done) {
    moves.undo();
    for (const Subtree::Destination& destination : tree.destinations()) {
      if (destination.made) (void)volume_.units.remove(*destination.unit);
    }
    for (const Subtree::Item& item : tree.items()) {
      if (item.was_top) volume_.units.retake_top(tree.sources()[item.from]);
    }
    return done;
  }
  moves.keep();
  paths.keep();
  rebind_tree(tree);
  return settle_names(caller, plan);
}

void Filesystem::rebind_tree(Subtree& tree) {
  for (const Subtree::Item& item : tree.items()) {
    const UnitRef& from = tree.sources()[item.from];
    const UnitRef& to = tree.destinations()[item.to].unit;
    volume_.accounting.born(*to, item.inode);
    const InodeRef inode = volume_.inodes.find(item.inode);
    if (!inode) continue;
    const MutexLock size_lock(inode->size_mu);
    if (from != to) carry_opens(*inode, *from, *to);
    inode->move_to(to, item.state, item.unit_top);
  }
  // Units whose top is in the tree and that are not kept have dissolved into others.
  for (const UnitRef& unit : tree.sources()) {
    if (unit->is_root()) continue;
    const bool tops = std::ranges::any_of(tree.items(), [&](const Subtree::Item& item) {
      return tree.sources()[item.from] == unit && item.was_top;
    });
    const bool kept = std::ranges::any_of(tree.destinations(), [&](const auto& destination) {
      return destination.keeps && destination.unit == unit;
    });
    if (tops && !kept) (void)volume_.units.remove(*unit);
  }
  for (const Subtree::Destination& destination : tree.destinations()) {
    if (destination.keeps) {
      (void)volume_.units.set_path(*destination.unit, destination.record.path);
    }
  }
}

}  // namespace ebbfs
