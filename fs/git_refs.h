// SPDX-License-Identifier: Apache-2.0
//
// Where a git repository's names point to, read from its files (gitrepository-layout(5)): HEAD,
// loose and packed refs, and the logs. What points to what is known without reading objects; what
// is an ancestor of what is not. Stateless: any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "fs/git_reading.h"

namespace ebbfs {

// The directories that make a repository as one worktree sees it; the same twice unless linked.
struct GitDirs {
  int own = -1;     // HEAD, index, logs/HEAD
  int common = -1;  // refs, objects, info
};

// The name of an object in hexadecimal digits, 40 or 64 of them.
[[nodiscard]] bool is_object_name(std::string_view text);

struct GitHead {
  std::optional<std::string> branch;  // "refs/heads/x"; nothing when detached
  std::optional<std::string> commit;  // nothing: no commit has been made yet
};
[[nodiscard]] OrUnknown<GitHead> read_head(const Backing& backing, GitDirs dirs, GitBudget& budget);

// Full name ("refs/heads/x") to object name: heads, remotes, tags and the stash.
using GitRefs = std::map<std::string, std::string, std::less<>>;
[[nodiscard]] OrUnknown<GitRefs> read_refs(const Backing& backing, int common, GitBudget& budget);

// One move of HEAD.
struct GitMove {
  std::string from;  // all zeros: from nothing
  std::string to;
  std::int64_t seconds = 0;  // since the epoch
  std::string what;          // "commit: ...", "clone: from ...", "reset: moving to ..."
};
struct GitLog {
  std::optional<GitMove> first;
  std::optional<GitMove> last;
  std::optional<GitMove> before_last;
  // When the index was last made what HEAD is: at the last move that did so, among the last dozen
  // or so, else at the first. A new branch at the same commit leaves the index as it is.
  std::optional<WallTime> settled;
};
// logs/HEAD; empty when none is kept, or a line is not understood.
[[nodiscard]] OrUnknown<GitLog> read_head_log(const Backing& backing, int own);

}  // namespace ebbfs
