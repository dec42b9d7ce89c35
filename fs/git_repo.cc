// SPDX-License-Identifier: Apache-2.0
#include "fs/git_repo.h"

#include <fcntl.h>

#include <algorithm>

#include "fs/directory_reader.h"
#include "fs/git_worktree.h"
#include "fs/tree.h"

namespace ebbfs {
namespace {

constexpr std::string_view kGitDir = ".git";
constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY;

std::string joined(std::string_view directory, std::string_view name) {
  std::string path(directory);
  if (!path.empty()) path += '/';
  return path.append(name);
}

// The unit that git's absolute path of a worktree means: each tail of it may be below the volume's
// root, the longest first.
UnitRef unit_by_tail(const Volume& volume, std::string_view path) {
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    if (slash != 0) {
      if (UnitRef unit = volume.units.find_by_path(path)) return unit;
    }
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return nullptr;
}

}  // namespace

std::optional<GitRepo> repo_around(std::string_view path) {
  std::string at;
  for (const std::string_view component : components_of(path)) {
    std::string git_dir = joined(at, component);
    if (component == kGitDir) return GitRepo{at, std::move(git_dir)};
    // A bare one.
    if (component.ends_with(kGitDir)) return GitRepo{git_dir, git_dir};
    at = std::move(git_dir);
  }
  return std::nullopt;
}

std::optional<GitRepo> repo_of_unit(const Volume& volume, std::string_view path) {
  const SplitPath place = split_path(path);
  const auto parent = open_beneath(volume.backing.root(), place.directory, kDirectoryFlags);
  if (!parent) return std::nullopt;
  const auto admin = find_git_admin(volume.backing, parent->get(), place.name.c_str(), path);
  if (admin && *admin) {
    // "worktrees/id" below the git directory, whatever that is called.
    const std::string git_dir = split_path(split_path((*admin)->path).directory).directory;
    const SplitPath split = split_path(git_dir);
    return GitRepo{split.name == kGitDir ? split.directory : git_dir, git_dir};
  }
  const std::string own = joined(path, kGitDir);
  if (!open_beneath(volume.backing.root(), own, kDirectoryFlags)) return std::nullopt;
  return GitRepo{std::string(path), own};
}

std::vector<UnitRef> worktrees_of(const Volume& volume, const GitRepo& repo) {
  std::vector<UnitRef> units;
  const auto entries =
      open_beneath(volume.backing.root(), joined(repo.git_dir, "worktrees"), kDirectoryFlags);
  if (!entries) return units;
  const auto names = names_in(entries->get());
  if (!names) return units;
  for (const std::string& name : *names) {
    const auto entry = open_beneath(entries->get(), name, kDirectoryFlags);
    if (!entry) continue;
    const auto line = read_line_file(volume.backing, entry->get(), "gitdir");
    if (!line || !*line) continue;
    if (UnitRef unit = unit_by_tail(volume, split_path(**line).directory)) {
      units.push_back(std::move(unit));
    }
  }
  return units;
}

std::optional<WallTime> last_change_of(const Volume& volume, const GitRepo& repo) {
  const auto fd = open_beneath(volume.backing.root(), repo.git_dir, kDirectoryFlags);
  if (!fd) return std::nullopt;
  const auto attributes = volume.backing.stat(fd->get(), "");
  if (!attributes) return std::nullopt;
  return modified(*attributes);
}

}  // namespace ebbfs
