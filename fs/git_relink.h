// SPDX-License-Identifier: Apache-2.0
//
// Makes a worktree and its administrative entry name each other at the places where they are about
// to be (`git worktree repair` does the same afterwards). Git wrote absolute paths below whatever
// mount point it saw, or relative ones; each stays what it was. Stateless: any thread; both are in
// the trash, so nobody else looks.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "fs/backing.h"

namespace ebbfs {

struct GitRelink {
  int dir = -1;          // where both are now
  std::string worktree;  // their names there
  std::string entry;
  // Paths relative to the volume root: where they were, and where they will be.
  std::string worktree_was;
  std::string worktree_path;
  std::string entry_was;
  std::string entry_path;
};

// Replaces `.git` in the worktree and `gitdir` in the entry where they differ, each in one step.
// `scratch` is a free name in `dir`. Charges do not change. Errors: EBADMSG when what is there does
// not name the old places; ENAMETOOLONG when it would take more than 4 KiB; those of the calls.
[[nodiscard]] Status relink_git(const Backing& backing, const GitRelink& link,
                                const std::string& scratch);

// `text`, a path that names `was`, naming `target` instead: behind the same prefix when it is
// absolute, as seen from the directory `from` when it is relative. Nothing when it is absolute and
// names neither of the two.
[[nodiscard]] std::optional<std::string> renamed_path(std::string_view text, std::string_view was,
                                                      std::string_view target,
                                                      std::string_view from);

}  // namespace ebbfs
