// SPDX-License-Identifier: Apache-2.0
//
// Telling git's own lock files from everybody else's *.lock. Looks at the backing tree; the rule
// itself is policy/classifier.h is_git_lock.
#pragma once

#include <string>
#include <string_view>

#include "fs/backing.h"

namespace ebbfs {

// Whether the directory `fd` is a git directory: HEAD, objects and refs are there.
[[nodiscard]] bool is_git_directory(const Backing& backing, int fd);

// Whether `name` in the open directory `directory` is a lock file of git's own: the nearest git
// directory at or above it is looked for, no higher than the volume root. False on any doubt.
[[nodiscard]] bool is_own_git_lock(const Backing& backing, int directory, std::string_view name);

}  // namespace ebbfs
