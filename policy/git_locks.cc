// SPDX-License-Identifier: Apache-2.0
//
// Which names in a git directory are git's own lock files. Git makes NAME.lock beside the file NAME
// that it is about to replace (lockfile.h in its sources), and NAME~pid.lock to say who does.
#include <algorithm>
#include <array>

#include "policy/classifier.h"

namespace ebbfs {
namespace {

using Path = std::span<const std::string_view>;

// Pseudo refs and notes to itself: HEAD, MERGE_RR, FETCH_HEAD, BISECT_EXPECTED_REV...
bool is_pseudo_ref(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
  });
}

// `base`: what is locked, by a lock file directly in the git directory.
bool is_top_level_file(std::string_view base) {
  constexpr std::array<std::string_view, 7> kFiles{
      "config", "config.worktree", "gc.log", "gc.pid", "index", "packed-refs", "shallow",
  };
  if (std::ranges::find(kFiles, base) != kFiles.end()) return true;
  // Indexes that commit and stash build beside the real one, named after their process.
  if (base.starts_with("next-index-") || base.starts_with("index.stash.")) return true;
  return is_pseudo_ref(base);
}

// Directories that hold nothing but git's own files, at any depth.
bool is_own_directory(std::string_view name) {
  constexpr std::array<std::string_view, 8> kDirectories{
      "info", "logs", "objects", "rebase-apply", "rebase-merge", "refs", "reftable", "sequencer",
  };
  return std::ranges::find(kDirectories, name) != kDirectories.end();
}

// Whether `path`, seen from a directory laid out like a git directory, is one of its own files.
bool is_own_file(Path path, std::string_view base) {
  return path.size() == 1 ? is_top_level_file(base) : is_own_directory(path.front());
}

}  // namespace

bool is_git_lock(Path below) {
  constexpr std::string_view kSuffix = ".lock";
  constexpr std::string_view kPidMark = "~pid";
  if (below.empty() || !below.back().ends_with(kSuffix)) return false;
  std::string_view base = below.back();
  base.remove_suffix(kSuffix.size());
  if (base.ends_with(kPidMark)) base.remove_suffix(kPidMark.size());
  if (base.empty()) return false;

  while (below.size() > 2 && below.front() == "worktrees") below = below.subspan(2);  // .../ID
  if (is_own_file(below, base)) return true;
  if (below.front() != "modules") return false;
  // The name of a submodule may hold slashes, so its git directory may begin at any depth.
  for (std::size_t name_end = 2; name_end < below.size(); ++name_end) {
    if (is_own_file(below.subspan(name_end), base)) return true;
  }
  return false;
}

}  // namespace ebbfs
