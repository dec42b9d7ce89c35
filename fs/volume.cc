// SPDX-License-Identifier: Apache-2.0
#include "fs/volume.h"

#include <fcntl.h>

#include <algorithm>
#include <cstring>

#include "fs/exports.h"
#include "fs/tree.h"

namespace ebbfs {
namespace {

// A unit that nobody recorded: made behind our back or before us. Its age is what its top shows;
// the census refines it.
UnitRecord found_unit(const Attributes& attributes) {
  UnitRecord record;
  record.owner.uid = attributes.stx_uid;
  record.owner.gid = attributes.stx_gid;
  record.last_used = newest_change(attributes);
  record.created =
      (attributes.stx_mask & STATX_BTIME) != 0 ? wall_of(attributes.stx_btime) : record.last_used;
  return record;
}

Result<std::string> child_path(Volume& volume, const FileHandle& directory, std::string_view name) {
  const auto fd = open_by_handle(volume, directory, O_RDONLY | O_DIRECTORY);
  if (!fd) return std::unexpected(fd.error());
  auto path = volume.backing.path_of(fd->get());
  if (!path) return path;
  if (!path->empty()) path->push_back('/');
  path->append(name);
  return path;
}

Result<UnitRef> record_unit(Volume& volume, const Inode::Place& parent, std::string_view name,
                            const Match& match, const Attributes& attributes,
                            const FileHandle& handle, const Owner* maker) {
  auto path = child_path(volume, parent.handle, name);
  if (!path) return std::unexpected(path.error());
  UnitRecord record = found_unit(attributes);
  if (maker != nullptr) {
    record.owner = *maker;
    record.created = record.last_used = volume.clock.wall_now();
  }
  record.path = std::move(*path);
  record.handle = handle;
  record.inode = InodeId{attributes.stx_ino};
  record.class_name = volume.rules.policy()->classes[match.tree_class].name;
  record.owner.job = volume.rules.classifier().job(match);
  const WallTime due = unit_deadline(volume, record);
  if (maker != nullptr) return volume.units.create(std::move(record), due);
  // What was there before us is still being counted, and this with it; what was put there behind
  // our back has to be.
  record.dirty = true;
  record.pinned = volume.exports != nullptr && volume.exports->take_pin(record.path);
  auto unit = volume.units.create(std::move(record), due);
  if (unit && volume.found_unit) volume.found_unit();
  return unit;
}

// What a name stands for.
struct Sight {
  Attributes attributes;
  FileHandle handle;
  UniqueFd held;  // of it, when looked at closely: while it is open, the number is of this file
};

// Whether a handle is of the file with this number: each filesystem that ebbfs is mounted over puts
// the number into it, in 32 or 64 bits. Where that is done otherwise, the answer is no.
bool names_number(const FileHandle& handle, std::uint64_t number) {
  for (std::size_t at = 0; at + sizeof(std::uint32_t) <= handle.size; at += sizeof(std::uint32_t)) {
    std::uint64_t there = 0;
    std::memcpy(&there, &handle.data[at], std::min<std::size_t>(sizeof there, handle.size - at));
    if (there == number || (there & 0xFFFF'FFFF) == number) return true;
  }
  return false;
}

// A name is followed twice, and may be renamed in between: the kernel sees to that, but not where
// it asks for a name that it knows. Then the handle is not the one of the attributes, by which the
// kernel says who may do what; so it is taken from a descriptor.
Result<Sight> look_at(const Backing& backing, int dir, const char* name, bool closely) {
  const auto look = [&backing](int at, const char* which) -> Result<Sight> {
    const auto attributes = backing.stat(at, which);
    if (!attributes) return std::unexpected(attributes.error());
    if (!backing.on_volume(*attributes)) return fail(EXDEV);
    const auto handle = backing.handle(at, which);
    if (!handle) return std::unexpected(handle.error());
    return Sight{*attributes, *handle, {}};
  };
  if (!closely) {
    auto sight = look(dir, name);
    if (!sight || names_number(sight->handle, sight->attributes.stx_ino)) return sight;
  }
  auto held = backing.open_at(dir, name, O_PATH | O_NOFOLLOW, 0);
  if (!held) return std::unexpected(held.error());
  auto sight = look(held->get(), "");
  if (sight) sight->held = std::move(*held);
  return sight;
}

}  // namespace

Result<UniqueFd> open_by_handle(Volume& volume, const FileHandle& handle, int flags) {
  auto fd = volume.backing.open_handle(handle, flags);
  if (!fd && (fd.error() == Errno{EMFILE} || fd.error() == Errno{ENFILE})) {
    volume.directories.shrink();
    fd = volume.backing.open_handle(handle, flags);
  }
  return fd;
}

Result<SharedFd> directory_fd(Volume& volume, Inode& inode) {
  if (auto fd = volume.directories.get(inode.id)) {
    // Then it is that of who has the number now.
    if (inode.retired()) return fail(ESTALE);
    return fd;
  }
  auto opened = open_by_handle(volume, inode.handle(), O_RDONLY | O_DIRECTORY);
  if (!opened) return std::unexpected(opened.error());
  return volume.directories.put(inode.id, std::move(*opened));
}

Result<Inode::Place> place_child(Volume& volume, const Inode::Place& parent, std::string_view name,
                                 const Attributes& attributes, const FileHandle& handle,
                                 const Owner* maker) {
  Inode::Place place;
  place.handle = handle;
  place.mode = attributes.stx_mode;
  place.gid = attributes.stx_gid;
  const Match match = volume.rules.classifier().step(parent.state, name);
  place.state = match.state;
  place.unit = parent.unit;
  if (match.tree_class == kNoClass || !parent.unit->is_root()) return place;

  place.unit_top = true;
  place.state = volume.rules.classifier().inside_unit(match.state);
  place.unit = volume.units.find_by_top(InodeId{attributes.stx_ino}, handle);
  if (place.unit == nullptr) {
    const MutexLock recording(volume.recording_mu);
    place.unit = volume.units.find_by_top(InodeId{attributes.stx_ino}, handle);
    if (place.unit != nullptr) return place;
    auto unit = record_unit(volume, parent, name, match, attributes, handle, maker);
    if (!unit) return std::unexpected(unit.error());
    place.unit = std::move(*unit);
  }
  return place;
}

Result<Child> look_at_child(Volume& volume, Standpoint& at, int dir, const char* name) {
  for (InodeRef other;; at.look_again()) {
    const auto sight = look_at(volume.backing, dir, name, static_cast<bool>(other));
    if (!sight) return std::unexpected(sight.error());
    const Attributes& attributes = sight->attributes;
    const InodeId number{attributes.stx_ino};
    if (!has_node(number)) return fail(EOVERFLOW);
    const auto place = place_child(volume, at.place(), name, attributes, sight->handle, nullptr);
    if (!place) return std::unexpected(place.error());
    InodeRef inode = volume.inodes.intern(number, *place, at, other);
    if (inode) return Child{std::move(inode), attributes};
  }
}

Result<std::string> path_of(Volume& volume, Inode& directory) {
  const auto fd = directory_fd(volume, directory);
  if (!fd) return std::unexpected(fd.error());
  return volume.backing.path_of((*fd)->get());
}

std::string shown_path(Volume& volume, NodeId id, const std::string& name) {
  const InodeRef inode = volume.inodes.find(id);
  if (!inode) return {};
  const auto fd = open_by_handle(volume, inode->handle(), O_PATH | O_NOFOLLOW);
  if (!fd) return {};
  auto path = volume.backing.path_of(fd->get());
  if (!path) return {};
  if (name.empty()) return *std::move(path);
  return path->empty() ? name : *path + "/" + name;
}

std::optional<std::string> removal_held(const Volume& volume) {
  if (volume.rules.policy()->mode != Mode::enforce) return "the policy only observes";
  if (volume.health.removal_paused()) return volume.health.why_paused();
  return {};
}

void export_pins(Volume& volume) {
  if (volume.exports == nullptr) return;
  std::vector<std::string> pinned;
  for (const UnitRef& unit : volume.units.all()) {
    if (unit->pinned()) pinned.push_back(unit->path());
  }
  (void)volume.exports->write_pins(pinned);
}

WallTime unit_deadline(const Volume& volume, const UnitRecord& unit) {
  const auto policy = volume.rules.policy();
  const ClassRule* rule = policy->find_class(unit.class_name);
  if (rule == nullptr) return kNever;
  const auto after = [](WallTime from, Duration limit) {
    return limit == kNoLimit ? kNever : from + limit;
  };
  return std::min(after(unit.last_used, rule->ttl), after(unit.created, rule->max_age));
}

}  // namespace ebbfs
