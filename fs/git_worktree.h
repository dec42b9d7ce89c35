// SPDX-License-Identifier: Apache-2.0
//
// The administrative entry that git keeps for a worktree in its main repository,
// `<git dir>/worktrees/<id>` (gitrepository-layout(5)): found from the worktree, and believed only
// when it points back. The paths that git wrote are those of whoever ran it: absolute below some
// other mount point, inside a container, or relative; so every tail of an absolute path is tried
// below the volume root, the longest first.
//
// Only entries on this volume are found. A worktree inside a unit, below its top, is not looked
// for. Stateless: any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "fs/backing.h"

namespace ebbfs {

struct GitAdmin {
  std::string path;  // of the entry, relative to the volume root
  std::string id;    // its last component
  UniqueFd parent;   // the open directory `worktrees`
  InodeId parent_inode{};
  FileHandle handle;  // of the entry
  InodeId inode{};
  bool locked = false;     // by `git worktree lock`
  std::string locked_why;  // the first line of what was said then
};

// Such an entry has some ten files; one with more is left to git.
inline constexpr std::size_t kAdminInodesMax = 4096;

// The entry of the worktree whose top is `name` in the directory `dir` and has `path` on the
// volume. Nothing when the top is no worktree, or its entry is not on the volume, or there is any
// doubt that the entry is its own. An error means that it could not be found out.
[[nodiscard]] Result<std::optional<GitAdmin>> find_git_admin(const Backing& backing, int dir,
                                                             const char* name,
                                                             std::string_view path);

// Of the repository, bare or not, whose top is `name` in the directory `dir`: the id of a worktree
// that is under `git worktree lock`, wherever it is. Nothing when none is. An error means that it
// could not be found out.
[[nodiscard]] Result<std::optional<std::string>> find_locked_worktree(const Backing& backing,
                                                                      int dir, const char* name);

// Whether `entry`, an open directory at `entry_path`, is the entry of the worktree at `path`.
[[nodiscard]] Result<bool> belongs_to_worktree(const Backing& backing, int entry,
                                               std::string_view entry_path, std::string_view path);

// The content of the small regular file `name` without the line end; nothing when there is none
// such.
[[nodiscard]] Result<std::optional<std::string>> read_line_file(const Backing& backing, int dir,
                                                                const char* name);

}  // namespace ebbfs
