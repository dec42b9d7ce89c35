// SPDX-License-Identifier: Apache-2.0
//
// One unit counted again: its directories read, what was seen counted.
#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "fs/checker.h"
#include "fs/tree.h"

namespace ebbfs {
namespace {

// How long requests in a unit are kept waiting at last, for those that are inside; and between two
// tries.
constexpr Duration kPatienceMax = std::chrono::milliseconds(640);
constexpr Duration kBetweenFreezes = std::chrono::milliseconds(20);
// Inodes seen before they are counted together.
constexpr std::size_t kSeenMax = 4096;
// Deeper trees cannot be named by a path at all.
constexpr int kAncestorsMax = 4096;

bool is_gone(Errno error) { return error == Errno{ENOENT} || error == Errno{ESTALE}; }

}  // namespace

Status Checker::freeze(Unit& unit) {
  Duration patience = Unit::kPatience;
  const auto until = std::chrono::steady_clock::now() + patience_;
  while (std::chrono::steady_clock::now() < until) {
    if (unit.freeze(patience)) return {};
    if (unit.gone()) return fail(ESTALE);
    patience = std::min(2 * patience, kPatienceMax);
    if (!pause(kBetweenFreezes)) return fail(ECANCELED);
  }
  return fail(ETIMEDOUT);
}

Status Checker::drain(Unit& unit) {
  auto frozen = freeze(unit);
  if (frozen) unit.thaw();
  return frozen;
}

Result<std::vector<UsageCell>> Checker::count_unit(const UnitRef& unit) {
  if (auto frozen = freeze(*unit); !frozen) return std::unexpected(frozen.error());
  {
    const MutexLock lock(mu_);
    waiting_.clear();
    walking_ = true;
  }
  const Accounting::Instant instant = volume_.accounting.begin_recount(*unit);
  unit->thaw();

  to_walk_.clear();
  seen_.clear();
  const Status walked = walk(unit, instant.nameless);
  {
    const MutexLock lock(mu_);
    walking_ = false;
  }
  volume_.accounting.end_recount();
  if (!walked) return std::unexpected(walked.error());
  // A request that has counted is still inside, or has left: either way it has counted.
  return difference(volume_.accounting.recount().cells(), instant.held);
}

// Until, with the unit frozen, no directory is left to be read.
Status Checker::walk(const UnitRef& unit, const std::vector<InodeId>& nameless) {
  count_nameless(unit, nameless);
  if (auto entered = enter_top(unit); !entered) return entered;
  for (;;) {
    while (!to_walk_.empty()) {
      const Directory directory = to_walk_.back();
      to_walk_.pop_back();
      if (auto visited = visit(unit, directory); !visited) return visited;
      if (seen_.size() < kSeenMax) continue;
      if (auto settled = settle_seen(unit); !settled) return settled;
    }
    if (auto settled = settle_seen(unit); !settled) return settled;
    if (unit->is_root()) {
      if (auto recorded = record_strangers(); !recorded) return recorded;
    }
    if (auto frozen = freeze(*unit); !frozen) return frozen;
    to_walk_ = take_waiting();
    unit->thaw();
    if (to_walk_.empty()) return {};
    for (Directory& again : to_walk_) {
      if (!unit->is_root()) continue;
      const auto fd = open_by_handle(volume_, again.handle, O_RDONLY | O_DIRECTORY);
      const auto path = fd ? volume_.backing.path_of(fd->get()) : std::unexpected(fd.error());
      if (path) again.state = volume_.rules.classifier().walk(*path).state;
    }
  }
}

std::vector<Checker::Directory> Checker::take_waiting() {
  const MutexLock lock(mu_);
  std::vector<Directory> taken;
  for (const FileHandle& handle : waiting_) taken.push_back({handle, kDeadState});
  waiting_.clear();
  return taken;
}

// Open files that had no name at the instant, or have lost it since.
void Checker::count_nameless(const UnitRef& unit, const std::vector<InodeId>& nameless) {
  for (const InodeId id : nameless) {
    const InodeRef inode = volume_.inodes.find(id);
    if (inode && inode->unit() == unit) count_if_nameless(*inode, unit->id());
  }
}

void Checker::count_if_nameless(Inode& inode, UnitId unit) {
  const MutexLock size_lock(inode.size_mu);
  if (inode.extent.opens == 0 || !inode.extent.unlinked) return;
  volume_.accounting.recount().count(unit, inode.id, inode.extent.uid, inode.extent.gid,
                                     {charge_for_size(inode.extent.size), 1});
}

Status Checker::enter_top(const UnitRef& unit) {
  if (unit->is_root()) {
    const auto handle = volume_.backing.handle(volume_.backing.root(), "");
    if (!handle) return std::unexpected(handle.error());
    to_walk_.push_back({*handle, volume_.rules.classifier().root()});
    return {};
  }
  const auto fd = open_by_handle(volume_, unit->handle(), O_PATH | O_NOFOLLOW);
  // Removed meanwhile, or behind the mount's back.
  if (!fd) return is_gone(fd.error()) ? Status{} : std::unexpected(fd.error());
  const auto attributes = volume_.backing.stat(fd->get(), "");
  if (!attributes) return std::unexpected(attributes.error());
  if (is_directory(*attributes)) {
    to_walk_.push_back({unit->handle(), kDeadState});
  } else if (attributes->stx_nlink > 0) {
    seen_.push_back(seen(*attributes));
  }
  return {};
}

Checker::Seen Checker::seen(const Attributes& attributes) const {
  return {InodeId{attributes.stx_ino}, attributes.stx_uid, attributes.stx_gid,
          charge_for(attributes)};
}

Status Checker::visit(const UnitRef& unit, const Directory& directory) {
  const auto fd = open_by_handle(volume_, directory.handle, O_RDONLY | O_DIRECTORY);
  if (!fd) return is_gone(fd.error()) ? Status{} : std::unexpected(fd.error());
  const auto own = volume_.backing.stat(fd->get(), "");
  if (!own) return std::unexpected(own.error());
  if (own->stx_nlink == 0) return {};
  const std::size_t seen_before = seen_.size();
  const std::size_t dirs_before = to_walk_.size();
  const std::size_t strangers_before = strangers_.size();
  if (inode_id_of(volume_.backing, *own) != kRootInode) seen_.push_back(seen(*own));
  for (;;) {
    const auto names = next_names(fd->get());
    if (!names) return is_gone(names.error()) ? Status{} : std::unexpected(names.error());
    if (names->empty()) break;
    for (const std::string& name : *names) {
      if (auto visited = visit_entry(unit, directory, fd->get(), name); !visited) return visited;
    }
    if (!throttle(names->size())) return fail(ECANCELED);
  }
  const auto inside = lies_in(unit, fd->get());
  if (!inside) return is_gone(inside.error()) ? Status{} : std::unexpected(inside.error());
  if (*inside) return {};
  // It has left the unit, and took what was in it along.
  seen_.resize(seen_before);
  to_walk_.resize(dirs_before);
  strangers_.resize(strangers_before);
  return {};
}

Status Checker::visit_entry(const UnitRef& unit, const Directory& directory, int fd,
                            const std::string& name) {
  const Backing& backing = volume_.backing;
  const Classifier& classifier = volume_.rules.classifier();
  Directory below;
  const bool in_root = unit->is_root();
  if (in_root) {
    const bool at_root = directory.state == classifier.root();
    if (name == kStateDirName && at_root) {
      const auto there = backing.stat(fd, name.c_str());
      const auto state = backing.stat(backing.state_dir(), "");
      if (there && state && there->stx_ino == state->stx_ino) return {};
    }
    const Match match = classifier.step(directory.state, name);
    below.state = match.state;
    if (match.tree_class != kNoClass) {
      const auto attributes = backing.stat(fd, name.c_str());
      const auto handle = backing.handle(fd, name.c_str());
      if (!attributes || !handle || !backing.on_volume(*attributes)) return {};
      const InodeId top{attributes->stx_ino};
      if (volume_.units.find_by_top(top, *handle) == nullptr) {
        strangers_.push_back({directory.handle, name, directory.state});
      }
      return {};
    }
  }
  const auto attributes = backing.stat(fd, name.c_str());
  if (!attributes)
    return is_gone(attributes.error()) ? Status{} : std::unexpected(attributes.error());
  if (!is_directory(*attributes)) {
    seen_.push_back(seen(*attributes));
    return {};
  }
  if (!backing.on_volume(*attributes)) return {};
  const auto handle = backing.handle(fd, name.c_str());
  if (!handle) return is_gone(handle.error()) ? Status{} : std::unexpected(handle.error());
  below.handle = *handle;
  to_walk_.push_back(below);
  return {};
}

// Upwards by what the directories are, not by their names, which may change meanwhile.
Result<bool> Checker::lies_in(const UnitRef& unit, int directory) const {
  const Backing& backing = volume_.backing;
  UniqueFd above;
  int at = directory;
  for (int depth = 0; depth < kAncestorsMax; ++depth) {
    const auto attributes = backing.stat(at, "");
    if (!attributes) return std::unexpected(attributes.error());
    if (inode_id_of(backing, *attributes) == kRootInode) return unit->is_root();
    const InodeId id{attributes->stx_ino};
    if (!unit->is_root()) {
      if (id == unit->top()) return true;
    } else {
      const auto handle = backing.handle(at, "");
      if (!handle) return std::unexpected(handle.error());
      if (volume_.units.find_by_top(id, *handle) != nullptr) return false;
    }
    auto next = backing.open_at(at, "..", O_PATH | O_DIRECTORY, 0);
    if (!next) return std::unexpected(next.error());
    above = std::move(*next);
    at = above.get();
  }
  return fail(ELOOP);
}

// By now every request that made something the walk has seen is past its mark.
Status Checker::settle_seen(const UnitRef& unit) {
  if (seen_.empty()) return {};
  if (auto drained = drain(*unit); !drained) return drained;
  for (const Seen& one : seen_) {
    volume_.accounting.recount().count(unit->id(), one.inode, one.uid, one.gid, one.usage);
  }
  looked_at(seen_.size());
  seen_.clear();
  return {};
}

// Made behind the mount's back, if they are still unknown: with the root unit frozen since, nobody
// is making them. Recorded as any look at them would do.
Status Checker::record_strangers() {
  if (strangers_.empty()) return {};
  if (auto drained = drain(*volume_.units.root()); !drained) return drained;
  for (const Stranger& stranger : strangers_) {
    const auto fd = open_by_handle(volume_, stranger.parent, O_RDONLY | O_DIRECTORY);
    if (!fd) continue;
    const char* const name = stranger.name.c_str();
    const auto attributes = volume_.backing.stat(fd->get(), name);
    const auto handle = volume_.backing.handle(fd->get(), name);
    if (!attributes || !handle) continue;
    Inode::Place parent;
    parent.handle = stranger.parent;
    parent.unit = volume_.units.root();
    parent.state = stranger.state;
    const auto place = place_child(volume_, parent, stranger.name, *attributes, *handle, nullptr);
    if (!place) return std::unexpected(place.error());
  }
  strangers_.clear();
  return {};
}

}  // namespace ebbfs
