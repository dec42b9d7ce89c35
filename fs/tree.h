// SPDX-License-Identifier: Apache-2.0
//
// Steps on the backing tree that take more than one system call, for those who work off the request
// path: opening by path, listing, gathering a small tree, finding the unit that a path lies in.
// No path is ever followed through a link or out of the volume. Stateless: any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "fs/volume.h"

namespace ebbfs {

// "a/b/c" is {"a/b", "c"}; "c" is {"", "c"}.
struct SplitPath {
  std::string directory;
  std::string name;
};
[[nodiscard]] SplitPath split_path(std::string_view path);

// The components of `path`; empty ones are left out.
[[nodiscard]] std::vector<std::string_view> components_of(std::string_view path);

// Opens `path` relative to the open directory `dir` ("" is `dir` itself) with `flags` of open(2).
// Errors: those of openat2(2); ELOOP where a component is a link, EXDEV where it leaves `dir`.
[[nodiscard]] Result<UniqueFd> open_beneath(int dir, std::string_view path, int flags);

// Whether a failed look at a path or handle says that nothing is there (any more), rather than that
// this cannot be known.
[[nodiscard]] bool is_absent(Errno error);

// The kernel's number for the inode that has `attributes`.
[[nodiscard]] InodeId inode_id_of(const Backing& backing, const Attributes& attributes);

// The next names in the directory `fd` but the dots: some hundreds at a time, none when all have
// been given. Errors: those of getdents64(2).
[[nodiscard]] Result<std::vector<std::string>> next_names(int fd);

[[nodiscard]] WallTime wall_of(const statx_timestamp& stamp);
// The newer of content and attribute change.
[[nodiscard]] WallTime newest_change(const Attributes& attributes);
[[nodiscard]] WallTime modified(const Attributes& attributes);

// An inode of a small tree; `names` of its links are inside.
struct TreeInode {
  Attributes attributes;
  std::uint32_t names = 1;

  [[nodiscard]] InodeId id() const { return InodeId{attributes.stx_ino}; }
  // No name of it is elsewhere, so that it goes where the tree goes.
  [[nodiscard]] bool whole() const {
    return is_directory(attributes) || names >= attributes.stx_nlink;
  }
};

// All inodes of the tree at `name` in the directory `dir`, its top first, each once. Whoever needs
// the answer to stay true has frozen the unit. Errors: E2BIG when there are more than `max`, or
// when it is more than kSmallTreeDepth deep; those of the backing calls.
inline constexpr int kSmallTreeDepth = 32;
// Some 300 bytes of memory for each: what is larger in the trash is not counted, and cannot be
// restored.
inline constexpr std::size_t kTrashTreeMax = 500'000;
[[nodiscard]] Result<std::vector<TreeInode>> gather_tree(const Backing& backing, int dir,
                                                         const char* name, std::size_t max);

// The unit that the thing at `path` is, or lies in.
[[nodiscard]] UnitRef unit_of_path(Volume& volume, std::string_view path);

// Removes the name (`dir`, `name`), which stands for what has `attributes`: a regular file,
// symlink, special file, or an empty directory. Its charge is taken from `unit` when this was the
// last name. The caller has frozen `unit`. Locks the inode's size_mu; EBUSY, and nothing removed,
// when the file is open; ENOTEMPTY.
[[nodiscard]] Status remove_charged(Volume& volume, Unit& unit, int dir, const char* name,
                                    const Attributes& attributes);

}  // namespace ebbfs
