// SPDX-License-Identifier: Apache-2.0
//
// What removing a unit would lose of work that git knows of, or should know of: asked before units
// are ordered for removal, never inside a request. Looks at git's files (index, refs, HEAD's log)
// and at attributes; runs no git, reads no object, follows no symbolic link, leaves the volume
// nowhere, and ends within its bounds. What is not found out is `unknown`, which is to be treated
// as work. Stateless: any thread.
//
// The first of these that is found is told:
//
// 1. dirty: a merge, rebase, cherry-pick, revert or bisection is in progress, or git's index is
//    locked.
// 2. unpushed: commits that nothing else names. A linked worktree's HEAD is safe where a remote, a
//    tag or another branch of the main repository stands, and where the worktree began. A whole
//    repository goes with its objects: each of its branches, and HEAD, must be where a remote
//    stands or where it was cloned at, and it must have no stash; its own tags save nothing. A
//    commit that a remote has in its history, but does not stand at, counts as unpushed: objects
//    would tell. So does a commit that the last step, a `git reset`, went back from.
// 3. dirty: something is staged. The cache tree in the index tells. A commit that a hook refused
//    repairs it: then a blob tells that became a loose object after the last commit, merge, reset
//    or move. So the new content is seen, unless git has packed it since; that a file was removed
//    is not. A mixed `git reset`, or `git stash pop` and then restoring the files, leaves the cache
//    tree broken until the next commit or checkout, and the clean worktree counts as dirty.
// 4. dirty: a tracked file differs in size, times, inode, type or x-bit from what git noted. The
//    content is not compared, so a touched file counts as dirty. Times that are too new to be
//    trusted
//    ("racily clean") are trusted.
// 5. dirty: a file that was never added, as `git status` would list it: not ignored by .gitignore
//    or info/exclude. The user's own core.excludesFile is not seen.
//
// Unknown are also: submodules, split and sparse indexes, reftable, a bare repository, a repository
// that other worktrees hang on. Repositories below the top are not looked into; an untracked one is
// dirty, and one inside of a plain directory is not seen at all.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fs/git_reading.h"

namespace ebbfs {

enum class GitWork : std::uint8_t {
  none,  // no git worktree, or all of it is committed and elsewhere
  dirty,
  unpushed,
  unknown,
};

struct GitState {
  GitWork work = GitWork::unknown;
  std::string why;  // for people; empty for none. Names in it are as they are on disk
};

// Looks at the unit whose top is `name` in the open directory `dir` and has `path` on the volume.
[[nodiscard]] GitState look_at_git_work(const Backing& backing, int dir, const char* name,
                                        std::string_view path, const GitBounds& bounds = {});

}  // namespace ebbfs
