// SPDX-License-Identifier: Apache-2.0
#include "fs/occupants.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "fs/tree.h"

namespace ebbfs {
namespace {

// The unit that the thing beneath the mount lies in; null when it lies in none, or is no longer in
// the tree. Its holder keeps a name for it in the kernel, so its path can be told.
Result<UnitRef> unit_beneath(Volume& volume, const FileHandle& handle) {
  const auto gone = [](Errno error) -> Result<UnitRef> {
    if (is_absent(error)) return nullptr;
    return std::unexpected(error);
  };
  const auto fd = open_by_handle(volume, handle, O_PATH);
  if (!fd) return gone(fd.error());
  const auto path = volume.backing.path_of(fd->get());
  if (!path) return gone(path.error());
  return unit_of_path(volume, *path);
}

}  // namespace

std::optional<Occupants> look_for_occupants(Volume& volume, dev_t mount) {
  auto in_use = volume.processes.in_use({mount, volume.backing.device()}, ProcessLook::all);
  if (!in_use) {
    spdlog::warn("op=in_use errno={}", code(in_use.error()));
    return std::nullopt;
  }
  Occupants found;
  const auto add = [&](const UnitRef& unit) {
    if (unit != nullptr && !unit->is_root()) found.units.insert(unit->id());
  };
  for (const std::uint64_t number : in_use->inodes) {
    // A process inside holds the inode in the kernel, so it is known here, or has just let go.
    if (const InodeRef inode = volume.inodes.find(InodeId{number})) add(inode->unit());
  }
  for (const FileHandle& handle : in_use->beneath) {
    const auto unit = unit_beneath(volume, handle);
    if (!unit) {
      spdlog::warn("op=unit_beneath errno={}", code(unit.error()));
      return std::nullopt;
    }
    add(*unit);
  }
  found.inodes = std::move(in_use->inodes);
  found.mounted_upon = std::move(in_use->mounted_upon);
  return found;
}

void OpenInodes::look() {
  seen_ = mount_ ? volume_.processes.in_use({*mount_, volume_.backing.device()}, ProcessLook::opens)
                 : fail(ENODEV);
  if (!*seen_ && mount_) spdlog::warn("op=in_use errno={}", code(seen_->error()));
}

Answer OpenInodes::has(InodeId inode) {
  if (!seen_) look();
  if (!*seen_) return Answer::unknown;
  return (*seen_)->inodes.contains(raw(inode)) ? Answer::yes : Answer::no;
}

}  // namespace ebbfs
