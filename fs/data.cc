// SPDX-License-Identifier: Apache-2.0
//
// Reading, writing, and every other way to change a file's size. Growth is charged before the
// backing call and settled after it, so that nothing lands past a limit.
#include <fcntl.h>
#include <linux/falloc.h>

#include <algorithm>

#include "fs/filesystem.h"

namespace ebbfs {
namespace {

// A copy of at most this much is done on the thread that asked.
constexpr std::size_t kQuickCopyBytes = 128 * 1024;

Result<std::int64_t> size_of(const Backing& backing, int fd) {
  const auto attributes = backing.stat(fd, "");
  if (!attributes) return std::unexpected(attributes.error());
  return static_cast<std::int64_t>(attributes->stx_size);
}

// The kernel leaves it to us, and says who may keep them with writes only.
bool may_keep_privileges(const Caller& caller) { return caller.uid == 0; }

}  // namespace

Status Filesystem::drop_privileges(NodeId node, int fd) {
  const auto attributes = volume_.backing.stat(fd, "");
  return attributes ? drop_privileges(node, fd, *attributes) : Status{};
}

Status Filesystem::drop_privileges(NodeId node, int fd, const Attributes& attributes) {
  if ((attributes.stx_mode & (S_ISUID | S_ISGID)) == 0) return {};
  const auto changed = volume_.backing.change_mode(fd, without_privileges(attributes.stx_mode));
  if (changed && volume_.mode_changed) volume_.mode_changed(node);
  return changed;
}

Status Filesystem::resize(Inode& inode, Unit& unit, int fd, std::int64_t size,
                          FunctionRef<Result<std::int64_t>()> act) {
  Inode::Extent& extent = inode.extent;
  const Payer payer{unit, extent.uid, extent.gid};
  const Bytes held = charge_for_size(extent.size);
  volume_.accounting.count(payer, inode.id, {held, 1});
  const Bytes growth{std::max<std::int64_t>(0, (charge_for_size(size) - held).n)};
  auto reservation = reserve(payer, {growth, 0});
  if (!reservation) return std::unexpected(reservation.error());
  const auto become = act();
  // A call that failed may have done a part all the same: ext4 keeps what fallocate got before the
  // filesystem was full.
  const auto now = become ? become : size_of(volume_.backing, fd);
  if (now) {
    reservation->keep_only({charge_for_size(*now) - held, 0});
    extent.size = *now;
  }
  if (!become) return std::unexpected(become.error());
  return {};
}

Status Filesystem::truncate_open(Inode& inode, int fd, std::int64_t size, Unit& unit) {
  return resize(inode, unit, fd, size, [&]() -> Result<std::int64_t> {
    const auto done = volume_.backing.truncate(fd, size);
    if (!done) return std::unexpected(done.error());
    return size;
  });
}

Result<std::size_t> Filesystem::read(OpenFile& file, std::span<std::byte> into, off_t offset) {
  return volume_.backing.read(file.fd(), into, offset);
}

Result<std::size_t> Filesystem::write(const Caller& caller, OpenFile& file,
                                      std::span<const std::byte> from, off_t offset,
                                      bool clear_privileges) {
  if (file.syncs && !caller.may_block) return std::unexpected(kDefer);
  Inode& inode = file.inode();
  const auto entered = use(caller, inode.unit());
  if (!entered) return std::unexpected(entered.error());
  const PatientLock size_lock(inode.size_mu, caller.may_block);
  if (!size_lock || !inode.is_in(entered->unit())) return std::unexpected(kDefer);
  const std::int64_t present = inode.extent.size;
  if (clear_privileges) {
    const auto dropped = drop_privileges(inode.node(), file.fd());
    if (!dropped) return std::unexpected(dropped.error());
  }
  const std::int64_t end = offset + static_cast<std::int64_t>(from.size());
  const auto room = room_for_data(inode, file.fd(), offset, static_cast<std::int64_t>(from.size()));
  if (!room) return std::unexpected(room.error());
  if (end <= present) return volume_.backing.write(file.fd(), from, offset);

  std::size_t written = 0;
  const auto grown = resize(inode, entered->unit(), file.fd(), end, [&]() -> Result<std::int64_t> {
    const auto count = volume_.backing.write(file.fd(), from, offset);
    if (!count) return std::unexpected(count.error());
    written = *count;
    return std::max(present, offset + static_cast<std::int64_t>(written));
  });
  if (!grown) return std::unexpected(grown.error());
  return written;
}

Status Filesystem::allocate(const Caller& caller, OpenFile& file, int mode, off_t offset,
                            off_t length) {
  constexpr int kKnown = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
  if ((mode & ~kKnown) != 0) return fail(EOPNOTSUPP);
  if (!caller.may_block) return std::unexpected(kDefer);
  Inode& inode = file.inode();
  const auto entered = use(caller, inode.unit());
  if (!entered) return std::unexpected(entered.error());
  const MutexLock size_lock(inode.size_mu);
  if (!inode.is_in(entered->unit())) return std::unexpected(kDefer);
  const std::int64_t present = inode.extent.size;
  const bool keeps_size = (mode & FALLOC_FL_KEEP_SIZE) != 0;
  // Blocks past the end are bytes that no size shows, so they could not be counted again.
  const bool frees = (mode & FALLOC_FL_PUNCH_HOLE) != 0;
  if (keeps_size && !frees && offset + length > present) return fail(EOPNOTSUPP);
  if (!may_keep_privileges(caller)) {
    const auto dropped = drop_privileges(inode.node(), file.fd());
    if (!dropped) return dropped;
  }
  if (!frees) {
    const auto room = room_for_data(inode, file.fd(), offset, length);
    if (!room) return room;
  }
  const std::int64_t become = keeps_size ? present : std::max(present, offset + length);
  return resize(inode, entered->unit(), file.fd(), become, [&]() -> Result<std::int64_t> {
    const auto done = volume_.backing.allocate(file.fd(), mode, offset, length);
    if (!done) return std::unexpected(done.error());
    return become;
  });
}

Result<std::size_t> Filesystem::copy(const Caller& caller, OpenFile& from, off_t from_offset,
                                     OpenFile& to, off_t to_offset, std::size_t length) {
  if (length > kQuickCopyBytes && !caller.may_block) return std::unexpected(kDefer);
  Inode& inode = to.inode();
  const auto entered = use(caller, inode.unit());
  if (!entered) return std::unexpected(entered.error());
  const PatientLock size_lock(inode.size_mu, caller.may_block);
  if (!size_lock || !inode.is_in(entered->unit())) return std::unexpected(kDefer);
  // Charge for what the source can give, not for what was asked: callers ask for "all".
  const auto source = volume_.backing.stat(from.fd(), "");
  if (!source) return std::unexpected(source.error());
  const std::int64_t there = static_cast<std::int64_t>(source->stx_size) - from_offset;
  if (there <= 0) return 0;
  if (!may_keep_privileges(caller)) {
    const auto dropped = drop_privileges(inode.node(), to.fd());
    if (!dropped) return std::unexpected(dropped.error());
  }
  const std::size_t count = std::min(length, static_cast<std::size_t>(there));
  const std::int64_t end = to_offset + static_cast<std::int64_t>(count);
  const std::int64_t present = inode.extent.size;
  const auto room = room_for_data(inode, to.fd(), to_offset, static_cast<std::int64_t>(count));
  if (!room) return std::unexpected(room.error());
  std::size_t copied = 0;
  const auto done = resize(
      inode, entered->unit(), to.fd(), std::max(present, end), [&]() -> Result<std::int64_t> {
        const auto moved = volume_.backing.copy(from.fd(), from_offset, to.fd(), to_offset, count);
        if (!moved) return std::unexpected(moved.error());
        copied = *moved;
        return std::max(present, to_offset + static_cast<std::int64_t>(copied));
      });
  if (!done) return std::unexpected(done.error());
  return copied;
}

Result<off_t> Filesystem::seek(OpenFile& file, off_t offset, int whence) {
  return volume_.backing.seek(file.fd(), offset, whence);
}

Status Filesystem::sync(const Caller& caller, OpenFile& file, bool data_only) {
  if (!caller.may_block) return std::unexpected(kDefer);
  return volume_.backing.sync(file.fd(), data_only);
}

Status Filesystem::sync_directory(const Caller& caller, NodeId directory, bool data_only) {
  if (!caller.may_block) return std::unexpected(kDefer);
  const auto inode = find(directory);
  if (!inode) return std::unexpected(inode.error());
  const auto fd = directory_fd(volume_, **inode);
  if (!fd) return std::unexpected(fd.error());
  return volume_.backing.sync((*fd)->get(), data_only);
}

}  // namespace ebbfs
