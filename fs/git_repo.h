// SPDX-License-Identifier: Apache-2.0
//
// The repository that something on the volume belongs to, and what else does. Reads small files of
// git's; off the request path. Stateless: any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fs/unit_table.h"
#include "fs/volume.h"

namespace ebbfs {

struct GitRepo {
  std::string path;     // for git -C, relative to the volume root; "" is the root
  std::string git_dir;  // likewise
};

// What an administrative entry, "repo/.git/worktrees/id", or anything else in a git directory
// belongs to; by its name alone. Nothing when no git directory is in it.
[[nodiscard]] std::optional<GitRepo> repo_around(std::string_view path_in_git_dir);

// Of the unit whose top is at `path`: its main repository where it is a worktree, else itself where
// it has a git directory. Nothing when neither is so, or is not known.
[[nodiscard]] std::optional<GitRepo> repo_of_unit(const Volume& volume, std::string_view path);

// The units that are worktrees of it, as far as it knows them.
[[nodiscard]] std::vector<UnitRef> worktrees_of(const Volume& volume, const GitRepo& repo);

// When its git directory last got or lost a name, as it does by each change of its index or of a
// reference's lock. Nothing when that cannot be known.
[[nodiscard]] std::optional<WallTime> last_change_of(const Volume& volume, const GitRepo& repo);

}  // namespace ebbfs
