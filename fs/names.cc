// SPDX-License-Identifier: Apache-2.0
//
// Looking names up, making and removing them, listing directories.
#include <fcntl.h>

#include <cstring>

#include "fs/credentials.h"
#include "fs/filesystem.h"
#include "fs/virtual_files.h"

namespace ebbfs {
bool Filesystem::is_reserved(NodeId parent, const char* name) {
  return parent == kRootNode && std::strcmp(name, kStateDirName) == 0;
}

Filesystem::Filesystem(Volume& volume, Agenda& agenda, BackingIds& backing_ids,
                       std::int64_t passthrough_from, std::uint64_t open_files_max)
    : volume_(volume),
      agenda_(agenda),
      backing_ids_(backing_ids),
      passthrough_from_(passthrough_from),
      open_files_max_(open_files_max) {}

Result<InodeRef> Filesystem::find(NodeId id) {
  if (VirtualFiles::owns(id)) return fail(EPERM);
  InodeRef inode = volume_.inodes.find(id);
  if (!inode) return fail(ESTALE);
  return inode;
}

Result<UnitUse> Filesystem::use(const Caller& caller, const UnitRef& unit) {
  return volume_.units.use(unit, volume_.clock.wall_now(), caller.may_block);
}

Result<Filesystem::AnyFd> Filesystem::any_fd(Inode& inode) {
  const Inode::Place place = inode.place();
  if (S_ISDIR(place.mode)) {
    auto shared = directory_fd(volume_, inode);
    if (!shared) return std::unexpected(shared.error());
    return AnyFd{.shared = std::move(*shared)};
  }
  auto fd = open_by_handle(volume_, place.handle, O_PATH | O_NOFOLLOW);
  if (!fd) return std::unexpected(fd.error());
  return AnyFd{.own = std::move(*fd)};
}

Result<Filesystem::Parent> Filesystem::enter_parent(const Caller& caller, NodeId id,
                                                    const char* name) {
  if (is_reserved(id, name)) return fail(EPERM);
  auto inode = find(id);
  if (!inode) return std::unexpected(inode.error());
  auto fd = directory_fd(volume_, **inode);
  if (!fd) return std::unexpected(fd.error());
  const Standpoint at(**inode);
  auto entered = use(caller, at.place().unit);
  // Moved to another unit meanwhile: what is done in it would be charged to the one before.
  if (!at.holds()) return std::unexpected(kDefer);
  if (!entered) return std::unexpected(entered.error());
  const Match match = volume_.rules.classifier().step(at.place().state, name);
  return Parent{std::move(*inode), at.place(), std::move(*fd), std::move(*entered), match};
}

Entry Filesystem::entry_of(Child child) {
  Entry entry;
  entry.id = child.inode->node();
  entry.generation = generation_of(child.inode->handle());
  entry.attributes = child.attributes;
  entry.inode = std::move(child.inode);
  return entry;
}

Result<Entry> Filesystem::lookup(const Caller& caller, NodeId parent, const char* name) {
  auto directory = find(parent);
  if (!directory) return std::unexpected(directory.error());
  const auto fd = directory_fd(volume_, **directory);
  if (!fd) return std::unexpected(fd.error());
  Standpoint at(**directory);
  if (at.place().unit->gone()) return fail(ESTALE);

  if (const auto clear = clear_way(caller, parent, name); !clear) {
    return std::unexpected(clear.error());
  }
  auto child = look_at_child(volume_, at, (*fd)->get(), name);
  if (!child) {
    if (child.error() != Errno{ENOENT}) return std::unexpected(child.error());
    Entry missing;
    missing.entry_seconds = kForeverSeconds;
    return missing;
  }
  Entry entry = entry_of(std::move(*child));
  if (suspect_lock(parent, name) != nullptr) entry.entry_seconds = 0;
  return entry;
}

gid_t Filesystem::new_gid(const Caller& caller, const Parent& parent) const {
  return (parent.place.mode & S_ISGID) != 0 ? parent.place.gid : caller.gid;
}

Status Filesystem::charge_new(const Caller& caller, const Parent& parent, const Child& child,
                              Reservation reservation) {
  const UnitRef unit = child.inode->unit();
  const Attributes& made = child.attributes;
  const Payer expected{parent.use.unit(), caller.uid, new_gid(caller, parent)};
  const Payer actual{*unit, made.stx_uid, made.stx_gid};
  volume_.accounting.born(expected.unit, child.inode->id);
  volume_.accounting.born(actual.unit, child.inode->id);
  reservation.keep();
  if (&expected.unit == &actual.unit && expected.uid == actual.uid && expected.gid == actual.gid) {
    return {};
  }
  // A new unit, or a filesystem with rules of its own for the group (bsdgroups).
  const auto moved = volume_.accounting.move(expected, actual, child.inode->id, kOneInode);
  if (!moved) {
    volume_.accounting.release(expected, child.inode->id, kOneInode, kOneInode);
  }
  return moved;
}

Result<Child> Filesystem::adopt_new(const Caller& caller, Parent& parent, const char* name) {
  const int dir = parent.fd->get();
  const auto attributes = volume_.backing.stat(dir, name);
  if (!attributes) return std::unexpected(attributes.error());
  if (!has_node(InodeId{attributes->stx_ino})) return fail(EOVERFLOW);
  const auto handle = volume_.backing.handle(dir, name);
  if (!handle) return std::unexpected(handle.error());
  const bool new_unit = parent.match.tree_class != kNoClass && parent.place.unit->is_root();
  std::optional<Owner> maker;
  if (new_unit) {
    maker = owner_of(caller, volume_.rules.classifier().job(parent.match), nullptr);
  }
  const auto place =
      place_child(volume_, parent.place, name, *attributes, *handle, maker ? &*maker : nullptr);
  if (!place) return std::unexpected(place.error());
  if (place->unit_top) agenda_.due_at(unit_deadline(volume_, place->unit->record()));
  return Child{volume_.inodes.intern(InodeId{attributes->stx_ino}, *place), *attributes};
}

Result<Entry> Filesystem::make_name(const Caller& caller, NodeId parent_id, const char* name,
                                    Make make, bool directory) {
  if (const auto clear = clear_way(caller, parent_id, name); !clear) {
    return std::unexpected(clear.error());
  }
  auto parent = enter_parent(caller, parent_id, name);
  if (!parent) return std::unexpected(parent.error());
  if (const auto room = room_for_name(*parent, name); !room) return std::unexpected(room.error());
  const Payer payer{parent->use.unit(), caller.uid, new_gid(caller, *parent)};
  auto reservation = reserve(payer, kOneInode);
  if (!reservation) return std::unexpected(reservation.error());
  if (directory) {
    const auto intended = intend_lock(caller, *parent, name);
    if (!intended) return std::unexpected(intended.error());
  }

  const int dir = parent->fd->get();
  const auto done = [&]() -> Status {
    const auto credentials = CredentialScope::enter(caller.uid, caller.gid, caller.umask);
    if (!credentials) return std::unexpected(credentials.error());
    return make(dir, name);
  }();
  auto child = done ? settle_new(caller, *parent, name, std::move(*reservation))
                    : Result<Child>(std::unexpected(done.error()));
  if (!child) {
    abandon_lock(*parent);
    return std::unexpected(child.error());
  }
  return entry_of(std::move(*child));
}

Result<Child> Filesystem::settle_new(const Caller& caller, Parent& parent, const char* name,
                                     Reservation reservation) {
  const int dir = parent.fd->get();
  const auto undo = [&](Errno error) -> Result<Child> {
    if (!volume_.backing.unlink(dir, name)) (void)volume_.backing.remove_directory(dir, name);
    return std::unexpected(error);
  };
  auto child = adopt_new(caller, parent, name);
  if (!child) return undo(child.error());
  const Inode::Place place = child->inode->place();
  const auto forget_unit = [&] {
    if (place.unit_top) (void)volume_.units.remove(*place.unit);
  };
  const auto charged = charge_new(caller, parent, *child, std::move(reservation));
  if (!charged) {
    forget_unit();
    return undo(charged.error());
  }
  if (const auto locked = take_lock(caller, parent, name, *child); !locked) {
    volume_.accounting.release({*place.unit, child->attributes.stx_uid, child->attributes.stx_gid},
                               child->inode->id, kOneInode, kOneInode);
    forget_unit();
    return undo(locked.error());
  }
  return child;
}

Result<Entry> Filesystem::make_directory(const Caller& caller, NodeId parent, const char* name,
                                         mode_t mode) {
  return make_name(
      caller, parent, name,
      [&](int dir, const char* leaf) { return volume_.backing.make_directory(dir, leaf, mode); },
      true);
}

Result<Entry> Filesystem::make_node(const Caller& caller, NodeId parent, const char* name,
                                    mode_t mode, dev_t device) {
  return make_name(caller, parent, name, [&](int dir, const char* leaf) {
    return volume_.backing.make_node(dir, leaf, mode, device);
  });
}

Result<Entry> Filesystem::make_symlink(const Caller& caller, NodeId parent, const char* name,
                                       const char* target) {
  return make_name(caller, parent, name, [&](int dir, const char* leaf) {
    return volume_.backing.make_symlink(target, dir, leaf);
  });
}

// No size_mu: whoever changes an inode counts it before, so what is not counted yet is as it was.
void Filesystem::count_in_sight(Unit& unit, const Attributes& attributes) {
  if (!volume_.accounting.watches(unit) || is_directory(attributes)) return;
  volume_.accounting.count({unit, attributes.stx_uid, attributes.stx_gid},
                           InodeId{attributes.stx_ino}, charge_for(attributes));
}

Result<Entry> Filesystem::link(const Caller& caller, NodeId id, NodeId parent_id,
                               const char* name) {
  if (const auto clear = clear_way(caller, parent_id, name); !clear) {
    return std::unexpected(clear.error());
  }
  auto inode = find(id);
  if (!inode) return std::unexpected(inode.error());
  auto parent = enter_parent(caller, parent_id, name);
  if (!parent) return std::unexpected(parent.error());
  // A unit lives and dies as a whole, so a file cannot be in two.
  const bool new_unit = parent->match.tree_class != kNoClass && parent->place.unit->is_root();
  if (new_unit || (*inode)->unit() != parent->place.unit) return fail(EXDEV);
  const auto fd = open_by_handle(volume_, (*inode)->handle(), O_PATH | O_NOFOLLOW);
  if (!fd) return std::unexpected(fd.error());
  {
    const PatientLock size_lock((*inode)->size_mu, caller.may_block);
    if (!size_lock || !(*inode)->is_in(parent->use.unit())) return std::unexpected(kDefer);
    const auto linked = volume_.backing.link(fd->get(), parent->fd->get(), name);
    if (!linked) return std::unexpected(linked.error());
    if ((*inode)->extent.unlinked) volume_.accounting.got_name((*inode)->id);
    (*inode)->extent.unlinked = false;
  }
  const auto attributes = volume_.backing.stat(fd->get(), "");
  if (!attributes) return std::unexpected(attributes.error());
  count_in_sight(*parent->place.unit, *attributes);
  Child child{std::move(*inode), *attributes};
  if (const auto locked = take_lock(caller, *parent, name, child); !locked) {
    (void)volume_.backing.unlink(parent->fd->get(), name);
    return std::unexpected(locked.error());
  }
  return entry_of(std::move(child));
}

Result<Filesystem::Victim> Filesystem::victim(const Parent& parent, const char* name) {
  const auto attributes = volume_.backing.stat(parent.fd->get(), name);
  if (!attributes) return std::unexpected(attributes.error());
  Victim victim{*attributes,       volume_.inodes.find(InodeId{attributes->stx_ino}),
                parent.place.unit, false,
                parent.fd->get(),  name};
  if (parent.match.tree_class != kNoClass && parent.place.unit->is_root()) {
    const auto handle = volume_.backing.handle(parent.fd->get(), name);
    if (!handle) return std::unexpected(handle.error());
    if (UnitRef unit = volume_.units.find_by_top(InodeId{attributes->stx_ino}, *handle)) {
      victim.unit = std::move(unit);
      victim.unit_top = true;
    }
  }
  return victim;
}

void Filesystem::settle_gone(Victim& victim) {
  const Attributes& was = victim.attributes;
  const Usage charge = charge_for(was);
  const Payer payer{*victim.unit, was.stx_uid, was.stx_gid};
  const InodeId id{was.stx_ino};
  if (victim.unit_top) {
    volume_.accounting.release_outside(payer, id, charge);
  } else {
    volume_.accounting.release(payer, id, charge, charge);
  }
}

Status Filesystem::remove_victim(const Caller& caller, Victim& victim,
                                 FunctionRef<Status()> remove) {
  // Its stored usage must not pass for exact when a crash comes before its record is erased.
  if (victim.unit_top) {
    if (auto marked = volume_.units.activate(victim.unit); !marked) return marked;
  }
  if (!victim.inode || is_directory(victim.attributes)) {
    const bool last = is_directory(victim.attributes) || victim.attributes.stx_nlink <= 1;
    const auto removed = remove();
    if (!removed) return removed;
    if (last) settle_gone(victim);
    // A descriptor of it would keep the inode.
    volume_.directories.erase(InodeId{victim.attributes.stx_ino});
    if (victim.inode && is_directory(victim.attributes)) {
      removed_.add(victim.inode->node(), victim.inode->handle(), victim.attributes,
                   volume_.clock.wall_now());
    }
    return {};
  }
  Inode& inode = *victim.inode;
  const PatientLock size_lock(inode.size_mu, caller.may_block);
  if (!size_lock) return std::unexpected(kDefer);
  // Once more: its size, owner and number of names may have changed on the way to the lock.
  const auto present = volume_.backing.stat(victim.directory, victim.name);
  if (!present) return std::unexpected(present.error());
  if (present->stx_ino != victim.attributes.stx_ino) return fail(ESTALE);
  victim.attributes = *present;
  Inode::Extent& extent = inode.extent;
  if (extent.known && is_regular(victim.attributes)) {
    victim.attributes.stx_size = static_cast<std::uint64_t>(extent.size);
  }
  const bool last = victim.attributes.stx_nlink <= 1;
  const auto removed = remove();
  if (!removed || !last) return removed;
  if (extent.opens == 0) {
    settle_gone(victim);
    return {};
  }
  // Still open: charged until the last close, from what is known now. No walk comes by any more.
  const Attributes& last_seen = victim.attributes;
  volume_.accounting.lost_name(inode.id);
  volume_.accounting.count({*victim.unit, last_seen.stx_uid, last_seen.stx_gid}, inode.id,
                           charge_for(last_seen));
  extent.size = static_cast<std::int64_t>(victim.attributes.stx_size);
  extent.uid = victim.attributes.stx_uid;
  extent.gid = victim.attributes.stx_gid;
  extent.known = true;
  extent.unlinked = true;
  return {};
}

Status Filesystem::unlink(const Caller& caller, NodeId parent_id, const char* name) {
  auto parent = enter_parent(caller, parent_id, name);
  if (!parent) return std::unexpected(parent.error());
  auto target = victim(*parent, name);
  if (!target) return std::unexpected(target.error());
  const auto removed = remove_victim(
      caller, *target, [&] { return volume_.backing.unlink(parent->fd->get(), name); });
  if (!removed) return removed;
  drop_lock(parent_id, name);
  if (target->unit_top) return volume_.units.remove(*target->unit);
  return {};
}

Status Filesystem::remove_directory(const Caller& caller, NodeId parent_id, const char* name) {
  auto parent = enter_parent(caller, parent_id, name);
  if (!parent) return std::unexpected(parent.error());
  auto target = victim(*parent, name);
  if (!target) return std::unexpected(target.error());
  const auto removed = remove_victim(
      caller, *target, [&] { return volume_.backing.remove_directory(parent->fd->get(), name); });
  if (!removed) return removed;
  drop_lock(parent_id, name);
  if (target->unit_top) return volume_.units.remove(*target->unit);
  return {};
}

Result<std::string> Filesystem::read_link(NodeId id) {
  const auto inode = find(id);
  if (!inode) return std::unexpected(inode.error());
  const auto fd = any_fd(**inode);
  if (!fd) return std::unexpected(fd.error());
  return volume_.backing.read_link((*fd)->get());
}

}  // namespace ebbfs
