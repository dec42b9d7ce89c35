// SPDX-License-Identifier: Apache-2.0
#include "fs/lock_place.h"

#include <fcntl.h>

#include "fs/git_directory.h"
#include "fs/tree.h"

namespace ebbfs {
namespace {

// The unit whose top is at `path`, "" for the root unit.
Result<UnitId> unit_at(const Volume& volume, std::string_view path) {
  if (path.empty()) return kRootUnit;
  const auto fd = open_beneath(volume.backing.root(), path, O_PATH);
  if (!fd) return std::unexpected(fd.error());
  const auto attributes = volume.backing.stat(fd->get(), "");
  if (!attributes) return std::unexpected(attributes.error());
  const auto handle = volume.backing.handle(fd->get(), "");
  if (!handle) return std::unexpected(handle.error());
  const UnitRef unit = volume.units.find_by_top(InodeId{attributes->stx_ino}, *handle);
  if (unit == nullptr) return fail(ESTALE);
  return unit->id();
}

}  // namespace

Result<std::optional<LockPlace>> lock_place(const Volume& volume, int dir, std::string_view name) {
  auto directory = volume.backing.path_of(dir);
  if (!directory) return std::unexpected(directory.error());
  const auto above = components_of(*directory);
  if (!above.empty() && above.front() == kStateDirName) return std::nullopt;
  const Classifier& classifier = volume.rules.classifier();
  Match match{.state = classifier.root()};
  std::string_view top;
  for (const std::string_view component : above) {
    match = classifier.step(match.state, component);
    if (match.tree_class == kNoClass) continue;
    // Inside there are no others.
    match.state = classifier.inside_unit(match.state);
    top = {directory->data(), component.data() + component.size()};
  }
  match = classifier.step(match.state, name);
  std::uint16_t found = match.lock_class;
  if (found == kNoClass && match.git_lock_class != kNoClass &&
      is_own_git_lock(volume.backing, dir, name)) {
    found = match.git_lock_class;
  }
  if (found == kNoClass) return std::nullopt;
  const auto unit = unit_at(volume, top);
  if (!unit) return std::unexpected(unit.error());
  const auto policy = volume.rules.policy();
  const ClassRule& rule = policy->classes[found];
  if (!directory->empty()) directory->push_back('/');
  return LockPlace{directory->append(name), rule.name, rule.owner, *unit};
}

Result<SharedFd> open_lock_parent(Volume& volume, const LockRecord& record) {
  const InodeRef inode = volume.inodes.find(record.parent_inode);
  if (inode && inode->handle() == record.parent) return directory_fd(volume, *inode);
  auto opened = open_by_handle(volume, record.parent, O_RDONLY | O_DIRECTORY);
  if (!opened) return std::unexpected(opened.error());
  return std::make_shared<const UniqueFd>(std::move(*opened));
}

}  // namespace ebbfs
