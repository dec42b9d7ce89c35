// SPDX-License-Identifier: Apache-2.0
//
// Directories for threads that do everything at once: two plain ones, and four in two units.
#pragma once

#include <array>
#include <string>

namespace ebbfs {

inline constexpr int kDirectories = 6;

// `number` is 0 to 5.
[[nodiscard]] inline std::string directory(int number) {
  constexpr std::array<const char*, kDirectories> kNames = {
      "plain", "plain/sub", "worktrees/a", "worktrees/b", "worktrees/a/sub", "worktrees/b/sub"};
  return kNames.at(static_cast<std::size_t>(number));
}

}  // namespace ebbfs
