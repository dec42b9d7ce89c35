// SPDX-License-Identifier: Apache-2.0
//
// Attributes, extended attributes, statfs.
#include <fcntl.h>

#include <algorithm>

#include "fs/filesystem.h"
#include "fs/space_gate.h"
#include "fs/virtual_files.h"

namespace ebbfs {
namespace {

// What df shows where `account` has hard limits: these, never more room than there is.
void narrow(struct statvfs& space, const Account& account) {
  const ScopeLimits limits = account.limits();
  const Usage usage = account.usage();
  const auto room = [](std::int64_t limit, std::int64_t held) {
    return static_cast<std::uint64_t>(
        std::max<std::int64_t>(limit - std::max<std::int64_t>(held, 0), 0));
  };
  if (limits.bytes != kUnlimited) {
    const std::uint64_t free = room(limits.bytes, usage.bytes.n) / space.f_frsize;
    space.f_bavail = std::min<std::uint64_t>(space.f_bavail, free);
    space.f_bfree = space.f_bavail;
    space.f_blocks =
        space.f_bfree +
        static_cast<std::uint64_t>(std::max<std::int64_t>(usage.bytes.n, 0)) / space.f_frsize;
  }
  if (limits.inodes != kUnlimited) {
    const std::uint64_t free = room(limits.inodes, usage.inodes);
    space.f_favail = space.f_files == 0 ? free : std::min<std::uint64_t>(space.f_favail, free);
    space.f_ffree = space.f_favail;
    space.f_files =
        space.f_ffree + static_cast<std::uint64_t>(std::max<std::int64_t>(usage.inodes, 0));
  }
}

// The reserve is not there for those who ask df.
void keep_reserve(struct statvfs& space, const Threshold& reserve) {
  const SpaceReading reading = read_space(space, Account());
  const Usage kept = reserve_of(reading, reserve);
  const auto less = [](auto& amount, std::uint64_t by) {
    amount -= std::min<std::uint64_t>(amount, by);
  };
  const auto blocks = static_cast<std::uint64_t>(kept.bytes.n) / space.f_frsize;
  less(space.f_blocks, blocks);
  less(space.f_bfree, blocks);
  less(space.f_bavail, blocks);
  const auto inodes = static_cast<std::uint64_t>(kept.inodes);
  less(space.f_files, inodes);
  less(space.f_ffree, inodes);
  less(space.f_favail, inodes);
}

// Bits of a mode that chmod sets.
constexpr mode_t kModeBits = 07777;

}  // namespace

Result<Attributes> Filesystem::get_attributes(NodeId id, OpenFile* file) {
  if (file != nullptr) return volume_.backing.stat(file->fd(), "");
  const auto inode = find(id);
  if (!inode) return std::unexpected(inode.error());
  const auto fd = any_fd(**inode);
  if (fd) return volume_.backing.stat((*fd)->get(), "");
  if (const auto last = removed_.find(id, (*inode)->handle())) return *last;
  return std::unexpected(fd.error());
}

void Filesystem::forget(NodeId node, std::uint64_t lookups) {
  volume_.inodes.forget(node, lookups);
  if (!removed_.empty() && !volume_.inodes.find(node)) removed_.erase(node);
}

Status Filesystem::change_size(const Caller& caller, Inode& inode, Unit& unit, OpenFile* file,
                               std::int64_t size) {
  UniqueFd own;
  int fd = file != nullptr && file->writable ? file->fd() : -1;
  if (fd < 0) {
    auto opened = open_by_handle(volume_, inode.handle(), O_WRONLY);
    if (!opened) return std::unexpected(opened.error());
    own = std::move(*opened);
    fd = own.get();
  }
  const PatientLock size_lock(inode.size_mu, caller.may_block);
  if (!size_lock || !inode.is_in(unit)) return std::unexpected(kDefer);
  if (const auto known = ensure_known(inode, fd); !known) return known;
  const auto done = truncate_open(inode, fd, size, unit);
  if (inode.extent.opens == 0) inode.extent.known = false;
  return done;
}

Status Filesystem::change_owner(const Caller& caller, Inode& inode, Unit& unit, int fd,
                                const AttributeChange& change) {
  const PatientLock size_lock(inode.size_mu, caller.may_block);
  if (!size_lock || !inode.is_in(unit)) return std::unexpected(kDefer);
  const auto present = volume_.backing.stat(fd, "");
  if (!present) return std::unexpected(present.error());
  if (lost_to_unlink(inode, *present)) return fail(ESTALE);
  const Payer from{unit, present->stx_uid, present->stx_gid};
  const Payer to{unit, change.uid.value_or(from.uid), change.gid.value_or(from.gid)};
  auto moved = volume_.accounting.begin_move(from, to, inode.id, charge_for(*present));
  if (!moved) return std::unexpected(moved.error());
  const auto changed = volume_.backing.change_owner(fd, change.uid.value_or(static_cast<uid_t>(-1)),
                                                    change.gid.value_or(static_cast<gid_t>(-1)));
  if (!changed) return changed;
  moved->keep();
  inode.extent.uid = to.uid;
  inode.extent.gid = to.gid;
  return {};
}

Result<Attributes> Filesystem::set_attributes(const Caller& caller, NodeId id, OpenFile* file,
                                              const AttributeChange& change) {
  auto inode = find(id);
  if (!inode) return std::unexpected(inode.error());
  const auto entered = use(caller, (*inode)->unit());
  if (!entered) return std::unexpected(entered.error());
  const auto shared = file != nullptr ? Result<AnyFd>() : any_fd(**inode);
  if (!shared) return std::unexpected(shared.error());
  const int fd = file != nullptr ? file->fd() : (*shared)->get();

  // Size first: it is the one that may have to be made again from a worker.
  if (change.size) {
    const auto done = change_size(caller, **inode, entered->unit(), file, *change.size);
    if (!done) return std::unexpected(done.error());
  }
  if (change.uid || change.gid) {
    const auto done = change_owner(caller, **inode, entered->unit(), fd, change);
    if (!done) return std::unexpected(done.error());
  }
  if (change.mode) {
    const auto done = volume_.backing.change_mode(fd, *change.mode & kModeBits);
    if (!done) return std::unexpected(done.error());
  }
  if (change.times_set) {
    const auto done = volume_.backing.change_times(fd, change.times);
    if (!done) return std::unexpected(done.error());
  }
  auto attributes = volume_.backing.stat(fd, "");
  if (!attributes) return attributes;
  if (change.clear_privileges && !change.mode && is_regular(*attributes)) {
    const mode_t had = attributes->stx_mode & kModeBits;
    const mode_t mode = without_privileges(had);
    if (mode != had) {
      const auto done = volume_.backing.change_mode(fd, mode);
      if (!done) return std::unexpected(done.error());
      attributes = volume_.backing.stat(fd, "");
      if (!attributes) return attributes;
    }
  }
  (*inode)->set_mode_and_gid(attributes->stx_mode, attributes->stx_gid);
  return attributes;
}

Result<std::size_t> Filesystem::get_xattr(NodeId id, const char* name, std::span<std::byte> into) {
  const auto inode = find(id);
  if (!inode) return std::unexpected(inode.error());
  const auto fd = any_fd(**inode);
  if (!fd) return std::unexpected(fd.error());
  return volume_.backing.get_xattr((*fd)->get(), name, into);
}

Result<std::size_t> Filesystem::list_xattr(NodeId id, std::span<std::byte> into) {
  const auto inode = find(id);
  if (!inode) return std::unexpected(inode.error());
  const auto fd = any_fd(**inode);
  if (!fd) return std::unexpected(fd.error());
  return volume_.backing.list_xattr((*fd)->get(), into);
}

Status Filesystem::set_xattr(const Caller& caller, NodeId id, const char* name,
                             std::span<const std::byte> value, int flags,
                             const std::vector<gid_t>* groups) {
  const auto inode = find(id);
  if (!inode) return std::unexpected(inode.error());
  const auto entered = use(caller, (*inode)->unit());
  if (!entered) return std::unexpected(entered.error());
  const auto fd = any_fd(**inode);
  if (!fd) return std::unexpected(fd.error());
  const auto set = volume_.backing.set_xattr((*fd)->get(), name, value, flags);
  if (!set || groups == nullptr) return set;
  const auto attributes = volume_.backing.stat((*fd)->get(), "");
  if (!attributes) return std::unexpected(attributes.error());
  const bool member = std::ranges::find(*groups, attributes->stx_gid) != groups->end();
  if (member || (attributes->stx_mode & S_ISGID) == 0) return set;
  return volume_.backing.change_mode((*fd)->get(),
                                     attributes->stx_mode & kModeBits & ~mode_t{S_ISGID});
}

Status Filesystem::remove_xattr(const Caller& caller, NodeId id, const char* name) {
  const auto inode = find(id);
  if (!inode) return std::unexpected(inode.error());
  const auto entered = use(caller, (*inode)->unit());
  if (!entered) return std::unexpected(entered.error());
  const auto fd = any_fd(**inode);
  if (!fd) return std::unexpected(fd.error());
  return volume_.backing.remove_xattr((*fd)->get(), name);
}

Result<struct statvfs> Filesystem::filesystem_stat(NodeId id) {
  auto space = volume_.backing.filesystem_stat();
  if (!space) return space;
  if (volume_.space != nullptr) keep_reserve(*space, volume_.rules.policy()->volume.reserve);
  narrow(*space, volume_.ledger.volume());
  const InodeRef inode = VirtualFiles::owns(id) ? InodeRef() : volume_.inodes.find(id);
  if (!inode) return space;
  const UnitRef unit = inode->unit();
  if (unit && !unit->is_root()) narrow(*space, unit->accounts().total());
  return space;
}

}  // namespace ebbfs
