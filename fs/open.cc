// SPDX-License-Identifier: Apache-2.0
//
// Opening and closing. The kernel holds an inode in one of three modes, and a wrong mix fails the
// open with EIO, so the mode of each open is decided here, under the inode's size_mu. Each write
// comes to us before it lands, in any mode, because it may be refused.
//   - Who only writes is direct. Such an open does not bind the inode to a mode.
//   - Who reads and writes is cached, as it can map the file: what is stored through a mapping and
//     what is written must meet in one place. (Beside a direct writer the kernel writes back whole
//     pages, and with them what a write has just replaced.) Not with O_DIRECT.
//   - A reader of a small file is cached, and the kernel keeps its pages after the close (unless
//     access times are strict).
//   - A reader of a larger file passes through to the backing file, but only when no other open
//     could be caching (none at all, or only passthrough ones), and when it has no holes: a mapping
//     made beside it would fill them without asking for room.
//   - While an inode is in cached mode who only writes is cached as well.
//   - While an inode is in passthrough mode every further open must carry passthrough too; a writer
//     then is direct and passthrough at once: writes come to us, mmap goes to the backing file.
//     Such a mapping outlives the close, of which the kernel tells at once, and all that lasts is
//     that it knows the inode: so from then on until FORGET each open passes through.
#include <fcntl.h>

#include "fs/credentials.h"
#include "fs/filesystem.h"

namespace ebbfs {
namespace {

// What the backing file is opened with. Not O_APPEND and O_DIRECT: offsets and alignment are the
// kernel's business, and mmap writeback comes unaligned.
int backing_flags(int flags) {
  const bool cuts_only = (flags & O_TRUNC) != 0 && (flags & O_ACCMODE) == O_RDONLY;
  const int access = cuts_only ? O_RDWR : flags & O_ACCMODE;
  return access | (flags & (O_SYNC | O_DSYNC)) | O_NOFOLLOW;
}

// Or cuts.
bool writes(int flags) { return (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0; }

bool has_holes(const Attributes& attributes) {
  constexpr std::uint64_t kBlock = 512;
  return attributes.stx_blocks * kBlock < attributes.stx_size;
}

}  // namespace

bool Filesystem::lost_to_unlink(const Inode& inode, const Attributes& attributes) {
  return attributes.stx_nlink == 0 && !inode.extent.unlinked;
}

Status Filesystem::ensure_known(Inode& inode, int fd) {
  if (inode.extent.known) return {};
  const auto attributes = volume_.backing.stat(fd, "");
  if (!attributes) return std::unexpected(attributes.error());
  if (lost_to_unlink(inode, *attributes)) return fail(ESTALE);
  inode.extent.size = static_cast<std::int64_t>(attributes->stx_size);
  inode.extent.uid = attributes->stx_uid;
  inode.extent.gid = attributes->stx_gid;
  inode.extent.known = true;
  return {};
}

Result<Opened> Filesystem::register_open(Inode& inode, std::unique_ptr<OpenFile> file,
                                         const Attributes& attributes, int flags) {
  Inode::Extent& extent = inode.extent;
  const bool writable = writes(flags);
  // Who asks for no cache wants none, and what is cached of the file must not outlive its writes.
  const bool direct =
      (flags & O_DIRECT) != 0 || ((flags & O_ACCMODE) != O_RDWR && extent.mode != OpenMode::cached);
  Opened opened;
  file->writable = writable;
  const bool large =
      passthrough_from_ >= 0 && static_cast<std::int64_t>(attributes.stx_size) >= passthrough_from_;
  const bool may_pass = large && !writable && !has_holes(attributes);
  if (extent.opens == 0 && (may_pass || extent.mapped_below)) {
    extent.backing_id = backing_ids_.open(file->fd());
    if (extent.backing_id > 0) extent.mode = OpenMode::passthrough;
  }
  if (extent.mode == OpenMode::passthrough) {
    opened.backing_id = extent.backing_id;
    opened.direct_io = writable;
  } else if (writable && direct) {
    opened.direct_io = true;
  } else {
    extent.mode = OpenMode::cached;
    // What is read from the kernel's pages is no access on the backing file.
    opened.keep_cache = !extent.page_cache_stale && !volume_.backing.strict_access_times();
    extent.page_cache_stale = false;
  }
  file->mode = opened.backing_id > 0 ? OpenMode::passthrough
               : opened.direct_io    ? OpenMode::none
                                     : OpenMode::cached;
  // Mapped writes of a passthrough file never meet the kernel's cache of this inode.
  if (writable && opened.backing_id > 0) {
    extent.page_cache_stale = true;
    extent.mapped_below |= (flags & O_ACCMODE) == O_RDWR;
  }
  if (file->mode != OpenMode::none) ++extent.moded_opens;
  ++extent.opens;
  file->enter(extent.first_open);
  if (!extent.known) {
    extent.size = static_cast<std::int64_t>(attributes.stx_size);
    extent.uid = attributes.stx_uid;
    extent.gid = attributes.stx_gid;
    extent.known = true;
  }
  inode.unit()->opened();
  open_files_.fetch_add(1, std::memory_order_relaxed);
  opened.file = std::move(file);
  return opened;
}

Result<Opened> Filesystem::open(const Caller& caller, NodeId id, int flags, bool clear_privileges) {
  auto inode = find(id);
  if (!inode) return std::unexpected(inode.error());
  if (!may_open(false) && !(may_open(true) && volume_.locks.find_object((*inode)->id) != nullptr)) {
    return fail(ENFILE);
  }
  const auto entered = use(caller, (*inode)->unit());
  if (!entered) return std::unexpected(entered.error());
  const bool truncates = (flags & O_TRUNC) != 0;
  const bool writable = writes(flags);
  auto fd = open_by_handle(volume_, (*inode)->handle(), backing_flags(flags));
  if (!fd) return std::unexpected(fd.error() == Errno{ENXIO} ? Errno{ESTALE} : fd.error());

  Inode& object = **inode;
  const PatientLock size_lock(object.size_mu, caller.may_block);
  if (!size_lock || !object.is_in(entered->unit())) return std::unexpected(kDefer);
  if (truncates) {
    if (const auto known = ensure_known(object, fd->get()); !known) {
      return std::unexpected(known.error());
    }
    const auto cut = truncate_open(object, fd->get(), 0, entered->unit());
    if (!cut) return std::unexpected(cut.error());
  }
  const auto attributes = volume_.backing.stat(fd->get(), "");
  if (!attributes) return std::unexpected(attributes.error());
  if (lost_to_unlink(object, *attributes)) return fail(ESTALE);
  // What the kernel looked at is gone, and its number is another's: no other kind is opened here.
  if (!is_regular(*attributes)) return fail(ESTALE);
  if (truncates && clear_privileges) (void)drop_privileges(id, fd->get(), *attributes);
  auto file = std::make_unique<OpenFile>(std::move(*fd), std::move(*inode));
  file->syncs = (flags & (O_SYNC | O_DSYNC)) != 0;
  auto opened = register_open(object, std::move(file), *attributes, flags);
  if (writable) retake_lock(caller, id);
  return opened;
}

Result<Created> Filesystem::create(const Caller& caller, NodeId parent_id, const char* name,
                                   mode_t mode, int flags) {
  if (const auto clear = clear_way(caller, parent_id, name); !clear) {
    return std::unexpected(clear.error());
  }
  auto parent = enter_parent(caller, parent_id, name);
  if (!parent) return std::unexpected(parent.error());
  const Match& match = parent->match;
  if (!may_open(match.lock_class != kNoClass || match.git_lock_class != kNoClass)) {
    return fail(ENFILE);
  }
  if (const auto room = room_for_name(*parent, name); !room) return std::unexpected(room.error());
  const Payer payer{parent->use.unit(), caller.uid, new_gid(caller, *parent)};
  auto reservation = reserve(payer, kOneInode);
  if (!reservation) return std::unexpected(reservation.error());

  const int dir = parent->fd->get();
  const auto made = [&]() -> Result<UniqueFd> {
    const auto credentials = CredentialScope::enter(caller.uid, caller.gid, caller.umask);
    if (!credentials) return std::unexpected(credentials.error());
    return volume_.backing.open_at(dir, name, backing_flags(flags) | O_CREAT | O_EXCL, mode);
  };
  auto fd = made();
  if (!fd && (fd.error() == Errno{EMFILE} || fd.error() == Errno{ENFILE})) {
    volume_.directories.shrink();
    fd = made();
  }
  if (!fd && fd.error() == Errno{EEXIST} && (flags & O_EXCL) == 0) {
    // It appeared behind the kernel's back: an ordinary open of what is there.
    Standpoint at(*parent->inode);
    auto child = look_at_child(volume_, at, dir, name);
    if (!child) return std::unexpected(child.error());
    auto opened = open(caller, child->inode->node(), flags, false);
    if (!opened) return std::unexpected(opened.error());
    return Created{entry_of(std::move(*child)), std::move(*opened)};
  }
  if (!fd) return std::unexpected(fd.error());

  auto child = settle_new(caller, *parent, name, std::move(*reservation));
  if (!child) return std::unexpected(child.error());
  Inode& object = *child->inode;
  auto file = std::make_unique<OpenFile>(std::move(*fd), volume_.inodes.find(object.node()));
  file->syncs = (flags & (O_SYNC | O_DSYNC)) != 0;
  // Nobody else can know the inode yet, so the lock is free.
  const MutexLock size_lock(object.size_mu);
  auto opened = register_open(object, std::move(file), child->attributes, flags);
  if (!opened) return std::unexpected(opened.error());
  return Created{entry_of(std::move(*child)), std::move(*opened)};
}

Result<Created> Filesystem::make_temporary(const Caller& caller, NodeId parent_id, mode_t mode,
                                           int flags) {
  if (!may_open(false)) return fail(ENFILE);
  auto parent = enter_parent(caller, parent_id, "");
  if (!parent) return std::unexpected(parent.error());
  if (const auto room = room_for_name(*parent, ""); !room) return std::unexpected(room.error());
  const Payer payer{parent->use.unit(), caller.uid, new_gid(caller, *parent)};
  auto reservation = reserve(payer, kOneInode);
  if (!reservation) return std::unexpected(reservation.error());
  auto fd = [&]() -> Result<UniqueFd> {
    const auto credentials = CredentialScope::enter(caller.uid, caller.gid, caller.umask);
    if (!credentials) return std::unexpected(credentials.error());
    const int how = (flags & (O_ACCMODE | O_SYNC | O_DSYNC | O_EXCL)) | O_TMPFILE;
    return volume_.backing.open_at(parent->fd->get(), ".", how, mode);
  }();
  if (!fd) return std::unexpected(fd.error());
  const auto attributes = volume_.backing.stat(fd->get(), "");
  if (!attributes) return std::unexpected(attributes.error());
  if (!has_node(InodeId{attributes->stx_ino})) return fail(EOVERFLOW);
  const auto handle = volume_.backing.handle(fd->get(), "");
  if (!handle) return std::unexpected(handle.error());

  Inode::Place place;
  place.handle = *handle;
  place.unit = parent->place.unit;
  place.mode = attributes->stx_mode;
  place.gid = attributes->stx_gid;
  Child child{volume_.inodes.intern(InodeId{attributes->stx_ino}, place), *attributes};
  const auto charged = charge_new(caller, *parent, child, std::move(*reservation));
  if (!charged) return std::unexpected(charged.error());
  Inode& object = *child.inode;
  auto file = std::make_unique<OpenFile>(std::move(*fd), volume_.inodes.find(object.node()));
  const MutexLock size_lock(object.size_mu);
  auto opened = register_open(object, std::move(file), *attributes, flags);
  if (!opened) return std::unexpected(opened.error());
  object.extent.unlinked = true;
  volume_.accounting.lost_name(object.id);
  return Created{entry_of(std::move(child)), std::move(*opened)};
}

Status Filesystem::release(const Caller& caller, OpenFile* file) {
  Inode& inode = file->inode();
  UnitRef unit;
  {
    const PatientLock size_lock(inode.size_mu, caller.may_block);
    if (!size_lock) return std::unexpected(kDefer);
    Inode::Extent& extent = inode.extent;
    unit = inode.unit();
    file->leave();
    if (file->mode != OpenMode::none && --extent.moded_opens == 0) {
      if (extent.mode == OpenMode::passthrough) backing_ids_.close(extent.backing_id);
      extent.mode = OpenMode::none;
      extent.backing_id = 0;
    }
    if (--extent.opens == 0) {
      if (extent.unlinked) {
        const Usage charge{charge_for_size(extent.size), 1};
        const Payer payer{*unit, extent.uid, extent.gid};
        volume_.accounting.release_nameless(payer, inode.id, charge);
      }
      extent.known = false;
      extent.unlinked = false;
    }
  }
  // Whoever had it open was using the unit until now.
  unit->touch(volume_.clock.wall_now());
  if (unit->closed()) agenda_.unit_closed(unit->id());
  open_files_.fetch_sub(1, std::memory_order_relaxed);
  delete file;
  return {};
}

void Filesystem::release_all() {
  if (open_files() == 0) return;
  constexpr Caller kNobody{.may_block = true};
  for (const InodeRef& inode : volume_.inodes.all()) {
    const auto first = [&] {
      const MutexLock lock(inode->size_mu);
      return inode->extent.first_open;
    };
    while (OpenFile* const file = first()) (void)release(kNobody, file);
  }
}

}  // namespace ebbfs
