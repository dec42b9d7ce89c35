// SPDX-License-Identifier: Apache-2.0
//
// Which files git ignores: the patterns of .gitignore files and of info/exclude (gitignore(5)).
// The user's own file (core.excludesFile) is not on the volume and plays no part. Pure: text in,
// verdict out. The cost of one verdict is bounded by the patterns' length times the path's.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace ebbfs {

class GitIgnore {
 public:
  // Together, of all levels in force. Real ones hold a few thousand bytes.
  static constexpr std::size_t kTextMax = 64UL * 1024;

  // Adds the patterns of a file in the directory `base`: "" for the top, else with a slash at the
  // end. They come before those added earlier. False, and nothing added, when it is too much.
  [[nodiscard]] bool push(std::string_view base, std::string_view text);
  void pop();

  // Whether `path`, relative to the top and below the base of every level, is ignored by a pattern
  // for itself. Whoever walks knows whether a directory above it is.
  [[nodiscard]] bool ignores(std::string_view path, bool is_directory) const;

 private:
  struct Pattern {
    bool again = false;  // "!": not to be ignored after all
    bool directories_only = false;
    bool name_only = false;          // at any depth; else `parts` is the path from the base
    std::vector<std::string> parts;  // between slashes
  };
  struct Level {
    std::string base;
    std::size_t text_size = 0;
    std::vector<Pattern> patterns;
  };

  static bool matches(const Pattern& pattern, std::string_view path);

  std::vector<Level> levels_;
  std::size_t text_size_ = 0;
};

// Whether the pattern `glob` (*, ?, [...], \) matches the whole of `name`; neither has a slash.
[[nodiscard]] bool matches_name(std::string_view glob, std::string_view name);

}  // namespace ebbfs
