// SPDX-License-Identifier: Apache-2.0
//
// Git's own files, which any job may have written: the index, ignore patterns, and the paths by
// which a worktree and its entry name each other. The first byte picks which.
#include <cstring>
#include <span>

#include "fs/git_ignore.h"
#include "fs/git_index.h"
#include "fs/git_relink.h"
#include "fs/proc_files.h"
#include "tests/fuzz/fuzz.h"

using namespace ebbfs;
using ebbfs::test::promised;

namespace {

void read_index(std::span<const std::byte> content, std::size_t object_bytes) {
  constexpr std::size_t kEntriesMax = 1000;
  const auto index = parse_git_index(content, object_bytes, kEntriesMax);
  if (!index) {
    promised(!index.error().empty(), "a refusal says why");
    return;
  }
  promised(index->entries.size() <= kEntriesMax, "no more entries than were asked for");
}

void ignore(std::string_view text) {
  const std::size_t end = text.find('\0');
  const std::string_view path = end == std::string_view::npos ? "a/b.o" : text.substr(end + 1);
  GitIgnore patterns;
  if (!patterns.push("", text.substr(0, end))) return;
  (void)patterns.ignores(path, false);
  (void)patterns.ignores(path, true);
}

void rename(std::string_view text) {
  const auto renamed = renamed_path(text, "worktrees/a", "worktrees/b/c", "repo/.git/worktrees/a");
  if (!renamed || !text.starts_with('/')) return;
  promised(renamed->ends_with("worktrees/b/c") || renamed->find("worktrees/b/c/") != renamed->npos,
           "an absolute path names its target");
}

void read_process(std::string_view text) {
  (void)parse_stat(text);
  (void)parse_status(text);
  (void)parse_cgroup_v2(text);
  (void)parse_cgroup_mount(text);
  (void)parse_boot_id(text);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto text = test::text_of(data + 1, size - 1);
  const auto content = std::as_bytes(std::span(data + 1, size - 1));
  switch (data[0] % 5) {
    case 0:
      read_index(content, 20);
      break;
    case 1:
      read_index(content, 32);
      break;
    case 2:
      ignore(text);
      break;
    case 3:
      rename(text);
      break;
    default:
      read_process(text);
  }
  return 0;
}
