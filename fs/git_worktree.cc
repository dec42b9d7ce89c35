// SPDX-License-Identifier: Apache-2.0
#include "fs/git_worktree.h"

#include <fcntl.h>

#include <array>
#include <vector>

#include "fs/directory_reader.h"
#include "fs/tree.h"

namespace ebbfs {
namespace {

// Longer is not a path.
constexpr std::size_t kContentMax = PATH_MAX + 16;

// For a path that somebody has written into a file of git: it may be no path at all, or lead out of
// the volume.
bool leads_nowhere(Errno error) {
  return is_absent(error) || error == Errno{EXDEV} || error == Errno{ENAMETOOLONG} ||
         error == Errno{EINVAL};
}

// `path` as seen from the directory `from`, without "." and "..": empty when it leaves the top, or
// is absolute and has no components.
std::string normalized(std::string_view from, std::string_view path) {
  std::vector<std::string_view> kept;
  if (!path.starts_with('/')) kept = components_of(from);
  for (const std::string_view component : components_of(path)) {
    if (component == ".") continue;
    if (component != "..") {
      kept.push_back(component);
      continue;
    }
    if (kept.empty()) return {};
    kept.pop_back();
  }
  std::string joined;
  for (const std::string_view component : kept) {
    if (!joined.empty()) joined += '/';
    joined += component;
  }
  return joined;
}

// Where the entry that `gitdir` names may be on the volume, likeliest first.
std::vector<std::string> candidates(std::string_view gitdir, std::string_view worktree) {
  const std::string path = normalized(worktree, gitdir);
  std::vector<std::string> found;
  if (path.empty()) return found;
  found.push_back(path);
  if (!gitdir.starts_with('/')) return found;
  for (std::size_t at = path.find('/'); at != std::string::npos; at = path.find('/', at + 1)) {
    found.push_back(path.substr(at + 1));
  }
  return found;
}

Result<bool> has_file(const Backing& backing, int dir, const char* name) {
  const auto there = backing.stat(dir, name);
  if (!there && !leads_nowhere(there.error())) return std::unexpected(there.error());
  return there.has_value();
}

Result<std::optional<GitAdmin>> open_entry(const Backing& backing, const std::string& path,
                                           std::string_view worktree) {
  SplitPath split = split_path(path);
  if (split_path(split.directory).name != "worktrees") return std::nullopt;
  auto parent = open_beneath(backing.root(), split.directory, O_RDONLY | O_DIRECTORY);
  if (!parent) {
    if (leads_nowhere(parent.error())) return std::nullopt;
    return std::unexpected(parent.error());
  }
  const auto entry = open_beneath(parent->get(), split.name, O_RDONLY | O_DIRECTORY);
  if (!entry) {
    if (leads_nowhere(entry.error())) return std::nullopt;
    return std::unexpected(entry.error());
  }
  const auto belongs = belongs_to_worktree(backing, entry->get(), path, worktree);
  if (!belongs) return std::unexpected(belongs.error());
  if (!*belongs) return std::nullopt;

  const auto above = backing.stat(parent->get(), "");
  const auto attributes = backing.stat(entry->get(), "");
  const auto handle = backing.handle(entry->get(), "");
  if (!above) return std::unexpected(above.error());
  if (!attributes) return std::unexpected(attributes.error());
  if (!handle) return std::unexpected(handle.error());
  GitAdmin admin;
  admin.path = path;
  admin.id = std::move(split.name);
  admin.parent_inode = inode_id_of(backing, *above);
  admin.handle = *handle;
  admin.inode = InodeId{attributes->stx_ino};
  const auto locked = has_file(backing, entry->get(), "locked");
  if (!locked) return std::unexpected(locked.error());
  admin.locked = *locked;
  if (const auto why = read_line_file(backing, entry->get(), "locked"); why && *why) {
    admin.locked_why = (*why)->substr(0, (*why)->find('\n'));
  }
  admin.parent = std::move(*parent);
  return admin;
}

// Anything may be called worktrees, but git's entries name their repository.
Result<bool> is_locked_entry(const Backing& backing, int entries, const std::string& id) {
  const auto entry = open_beneath(entries, id, O_PATH | O_DIRECTORY);
  if (!entry && leads_nowhere(entry.error())) return false;
  if (!entry) return std::unexpected(entry.error());
  const auto is_entry = has_file(backing, entry->get(), "commondir");
  return is_entry && *is_entry ? has_file(backing, entry->get(), "locked") : is_entry;
}

}  // namespace

Result<std::optional<std::string>> read_line_file(const Backing& backing, int dir,
                                                  const char* name) {
  // Not to wait for the writer of a FIFO.
  const auto fd = backing.open_at(dir, name, O_RDONLY | O_NONBLOCK, 0);
  if (!fd) {
    // ENXIO: a socket.
    if (leads_nowhere(fd.error()) || fd.error() == Errno{ENXIO}) return std::nullopt;
    return std::unexpected(fd.error());
  }
  const auto attributes = backing.stat(fd->get(), "");
  if (!attributes) return std::unexpected(attributes.error());
  if (!is_regular(*attributes)) return std::nullopt;
  std::array<char, kContentMax> buffer;
  const auto length = backing.read(fd->get(), std::as_writable_bytes(std::span(buffer)), 0);
  if (!length) return std::unexpected(length.error());
  std::string content(buffer.data(), *length);
  while (content.ends_with('\n') || content.ends_with('\r')) content.pop_back();
  if (*length == kContentMax || content.find('\0') != std::string::npos) return std::nullopt;
  return content;
}

Result<bool> belongs_to_worktree(const Backing& backing, int entry, std::string_view entry_path,
                                 std::string_view path) {
  const auto common = backing.stat(entry, "commondir");
  if (!common) {
    if (leads_nowhere(common.error())) return false;
    return std::unexpected(common.error());
  }
  const auto back = read_line_file(backing, entry, "gitdir");
  if (!back) return std::unexpected(back.error());
  if (!*back || (*back)->empty()) return false;
  const std::string points_to = normalized(entry_path, **back);
  const std::string wanted = std::string(path) + "/.git";
  return points_to == wanted || ((*back)->starts_with('/') && points_to.ends_with("/" + wanted));
}

Result<std::optional<GitAdmin>> find_git_admin(const Backing& backing, int dir, const char* name,
                                               std::string_view path) {
  const auto top = backing.open_at(dir, name, O_RDONLY | O_DIRECTORY, 0);
  if (!top) {
    if (leads_nowhere(top.error())) return std::nullopt;
    return std::unexpected(top.error());
  }
  const auto link = read_line_file(backing, top->get(), ".git");
  if (!link) return std::unexpected(link.error());
  constexpr std::string_view kPrefix = "gitdir: ";
  if (!*link || !(*link)->starts_with(kPrefix)) return std::nullopt;
  const std::string_view gitdir = std::string_view(**link).substr(kPrefix.size());
  for (const std::string& candidate : candidates(gitdir, path)) {
    auto found = open_entry(backing, candidate, path);
    if (!found || *found) return found;
  }
  return std::nullopt;
}

Result<std::optional<std::string>> find_locked_worktree(const Backing& backing, int dir,
                                                        const char* name) {
  for (const char* const entries : {"/.git/worktrees", "/worktrees"}) {
    const auto fd = open_beneath(dir, std::string(name) + entries, O_RDONLY | O_DIRECTORY);
    if (!fd) {
      if (leads_nowhere(fd.error())) continue;
      return std::unexpected(fd.error());
    }
    const auto ids = names_in(fd->get());
    if (!ids) return std::unexpected(ids.error());
    for (const std::string& id : *ids) {
      const auto locked = is_locked_entry(backing, fd->get(), id);
      if (!locked) return std::unexpected(locked.error());
      if (*locked) return id;
    }
  }
  return std::nullopt;
}

}  // namespace ebbfs
