// SPDX-License-Identifier: Apache-2.0
//
// Git's index file taken apart (gitformat-index(5), versions 2 to 4): what git last knew of each
// tracked file. The checksum is not verified: what is damaged is either refused here or differs
// from the tree. Pure: bytes in, values out; any bytes are safe to give.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <vector>

namespace ebbfs {

// Seconds and nanoseconds as git keeps them: the low 32 bits.
struct GitStamp {
  std::uint32_t seconds = 0;
  std::uint32_t nanoseconds = 0;

  bool operator==(const GitStamp&) const = default;
};

struct GitIndexEntry {
  // Relative to the worktree. Names between slashes; none is empty, a dot, two dots or ".git".
  std::string path;
  GitStamp changed;  // ctime; all zero: not recorded
  GitStamp modified;
  std::uint32_t inode = 0;  // low 32 bits; 0: not recorded
  std::uint32_t mode = 0;   // type and permissions as git writes them
  std::uint32_t size = 0;   // low 32 bits
  std::array<std::uint8_t, 32> object{};
  // Git does not look at the file: assume-unchanged or skip-worktree.
  bool unwatched = false;
  bool unmerged = false;       // one side of a conflict
  bool intent_to_add = false;  // `git add -N`
};

struct GitIndex {
  // What the cache tree says of the whole: whether the index is a tree that has been written. That
  // is so after a commit or a checkout; `git add` and `git rm` undo it.
  enum class Tree : std::uint8_t { written, changed, unsaid };

  std::vector<GitIndexEntry> entries;  // by path, ascending bytes; twice only when unmerged
  Tree tree = Tree::unsaid;
};

// `object_bytes`: 20 or 32, the size of an object's name. The error says what was not understood,
// worded to follow "git's index ".
[[nodiscard]] std::expected<GitIndex, std::string> parse_git_index(
    std::span<const std::byte> content, std::size_t object_bytes, std::size_t entries_max);

}  // namespace ebbfs
