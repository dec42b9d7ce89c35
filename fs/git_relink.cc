// SPDX-License-Identifier: Apache-2.0
#include "fs/git_relink.h"

#include <fcntl.h>

#include <algorithm>

#include "fs/git_worktree.h"
#include "fs/tree.h"

namespace ebbfs {
namespace {

constexpr std::string_view kGitdir = "gitdir: ";

std::string relative_path(std::string_view from, std::string_view to) {
  const auto above = components_of(from);
  const auto below = components_of(to);
  const auto [up, down] = std::ranges::mismatch(above, below);
  std::string path;
  for (auto at = up; at != above.end(); ++at) path += "../";
  for (auto at = down; at != below.end(); ++at) {
    path += *at;
    if (std::next(at) != below.end()) path += '/';
  }
  return path;
}

// Puts `content` in the place of the small file `name`, with its owner and mode.
Status replace_file(const Backing& backing, int dir, const char* name, const std::string& content,
                    int scratch_dir, const std::string& scratch) {
  const auto was = backing.stat(dir, name);
  if (!was) return std::unexpected(was.error());
  if (!is_regular(*was) || was->stx_nlink != 1) return fail(EBADMSG);
  if (charge_for_size(static_cast<std::int64_t>(content.size())) != charge_for(*was).bytes) {
    return fail(ENAMETOOLONG);
  }
  (void)backing.unlink(scratch_dir, scratch.c_str());
  const auto fd =
      backing.open_at(scratch_dir, scratch.c_str(), O_CREAT | O_EXCL | O_WRONLY, was->stx_mode);
  if (!fd) return std::unexpected(fd.error());
  const auto done = [&]() -> Status {
    const auto written = backing.write(fd->get(), std::as_bytes(std::span(content)), 0);
    if (!written) return std::unexpected(written.error());
    if (*written != content.size()) return fail(EIO);
    if (auto owned = backing.change_owner(fd->get(), was->stx_uid, was->stx_gid); !owned) {
      return owned;
    }
    if (auto moded = backing.change_mode(fd->get(), was->stx_mode & 07777U); !moded) return moded;
    return backing.rename(scratch_dir, scratch.c_str(), dir, name, 0);
  }();
  if (!done) (void)backing.unlink(scratch_dir, scratch.c_str());
  return done;
}

Result<std::string> line_of(const Backing& backing, int dir, const char* name) {
  const auto line = read_line_file(backing, dir, name);
  if (!line) return std::unexpected(line.error());
  if (!*line) return fail(EBADMSG);
  return **line;
}

}  // namespace

std::optional<std::string> renamed_path(std::string_view text, std::string_view was,
                                        std::string_view target, std::string_view from) {
  if (!text.starts_with('/')) return relative_path(from, target);
  for (const std::string_view known : {was, target}) {
    const std::string tail = "/" + std::string(known);
    if (!text.ends_with(tail)) continue;
    return std::string(text.substr(0, text.size() - known.size())) + std::string(target);
  }
  return std::nullopt;
}

Status relink_git(const Backing& backing, const GitRelink& link, const std::string& scratch) {
  const auto worktree =
      backing.open_at(link.dir, link.worktree.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
  if (!worktree) return std::unexpected(worktree.error());
  const auto entry =
      backing.open_at(link.dir, link.entry.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
  if (!entry) return std::unexpected(entry.error());
  const auto forth = line_of(backing, worktree->get(), ".git");
  if (!forth) return std::unexpected(forth.error());
  const auto back = line_of(backing, entry->get(), "gitdir");
  if (!back) return std::unexpected(back.error());
  if (!forth->starts_with(kGitdir)) return fail(EBADMSG);

  const std::string_view to_entry = std::string_view(*forth).substr(kGitdir.size());
  const auto new_entry =
      renamed_path(to_entry, link.entry_was, link.entry_path, link.worktree_path);
  const auto new_back = renamed_path(*back, link.worktree_was + "/.git",
                                     link.worktree_path + "/.git", link.entry_path);
  if (!new_entry || !new_back) return fail(EBADMSG);
  if (*new_back != *back) {
    if (auto put =
            replace_file(backing, entry->get(), "gitdir", *new_back + "\n", link.dir, scratch);
        !put) {
      return put;
    }
  }
  if (*new_entry == to_entry) return {};
  return replace_file(backing, worktree->get(), ".git", std::string(kGitdir) + *new_entry + "\n",
                      link.dir, scratch);
}

}  // namespace ebbfs
