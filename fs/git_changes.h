// SPDX-License-Identifier: Apache-2.0
//
// What in a worktree differs from git's index, by attributes alone, as git looks first. One walk of
// the directories that the index knows, which ends at the first difference; ignored directories are
// not entered. Follows no symbolic link and no mount. Stateless: any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "fs/git_index.h"
#include "fs/git_reading.h"

namespace ebbfs {

// The first difference found, for people; nothing when there is none.
//   top      the worktree's top, open for reading
//   index    without unmerged entries
//   exclude  the content of the repository's info/exclude
[[nodiscard]] OrUnknown<std::optional<std::string>> find_git_change(const Backing& backing, int top,
                                                                    const GitIndex& index,
                                                                    std::string_view exclude,
                                                                    GitBudget& budget);

// Whether the attributes of a tracked file are still those that git noted.
[[nodiscard]] bool is_as_indexed(const GitIndexEntry& entry, const Attributes& attributes);

}  // namespace ebbfs
