// SPDX-License-Identifier: Apache-2.0
//
// Reading what git keeps in files, without git and within bounds: what a look at a worktree may
// cost, and whole files. A budget belongs to one thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "fs/backing.h"

namespace ebbfs {

// What one look may cost. `entries_max` counts entries of git's index, names of directories, refs:
// each at most once or twice, so it bounds the work, and `time_max` the wait.
struct GitBounds {
  std::size_t entries_max = 50'000;
  std::chrono::steady_clock::duration time_max = std::chrono::milliseconds(200);
};

class GitBudget {
 public:
  explicit GitBudget(const GitBounds& bounds)
      : left_(bounds.entries_max), until_(std::chrono::steady_clock::now() + bounds.time_max) {}

  // Whether one more step may be taken; once false, always false.
  [[nodiscard]] bool spend() {
    if (left_ == 0 || std::chrono::steady_clock::now() >= until_) {
      left_ = 0;
      return false;
    }
    --left_;
    return true;
  }
  [[nodiscard]] std::size_t left() const { return left_; }

 private:
  std::size_t left_;
  std::chrono::steady_clock::time_point until_;
};

// Or what could not be found out, for people.
template <typename T>
using OrUnknown = std::expected<T, std::string>;

inline constexpr std::string_view kOverBounds = "it is too large to look at";

// Whether the backing call failed because there is no such thing.
[[nodiscard]] constexpr bool is_missing(Errno error) {
  return error == Errno{ENOENT} || error == Errno{ENOTDIR};
}

// The content of the regular file at `path` below the open directory `dir`, from `offset` on;
// nothing when there is no such thing. Errors: EFBIG when more than `bytes_max` would come, ELOOP
// for a symbolic link, EINVAL when it is no regular file, those of the backing calls.
[[nodiscard]] Result<std::optional<std::string>> read_git_file(const Backing& backing, int dir,
                                                               std::string_view path,
                                                               std::size_t bytes_max,
                                                               std::uint64_t offset = 0);

// Whether the directory `path` below `dir` has anything in it; false when there is none.
[[nodiscard]] Result<bool> holds_anything(int dir, std::string_view path);

}  // namespace ebbfs
