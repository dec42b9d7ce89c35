// SPDX-License-Identifier: Apache-2.0
#include "fs/purge.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "fs/tree.h"

namespace ebbfs {
namespace {

// Of directories below the top; each holds a descriptor and some names.
constexpr int kDescentMax = 24;

class Purger {
 public:
  Purger(const Backing& backing, const PurgeHooks& hooks) : backing_(backing), hooks_(hooks) {}

  Status remove(int dir, const char* name, int depth) {
    const auto attributes = backing_.stat(dir, name);
    if (!attributes) {
      if (attributes.error() == Errno{ENOENT}) return {};
      return std::unexpected(attributes.error());
    }
    if (is_directory(*attributes)) return remove_directory(dir, name, *attributes, depth);
    if (auto removed = backing_.unlink(dir, name); !removed) return removed;
    return count(*attributes, attributes->stx_nlink <= 1);
  }

 private:
  Status remove_directory(int dir, const char* name, const Attributes& attributes, int depth) {
    if (depth == kDescentMax) return move_to_top(dir, name);
    const auto fd = backing_.open_at(dir, name, O_RDONLY | O_DIRECTORY, 0);
    if (!fd) return std::unexpected(fd.error());
    if (depth == 0) top_ = fd->get();
    for (;;) {
      // From the start each time: what was read has been deleted since.
      if (const auto start = backing_.seek(fd->get(), 0, SEEK_SET); !start) {
        return std::unexpected(start.error());
      }
      const auto names = next_names(fd->get());
      if (!names) return std::unexpected(names.error());
      if (names->empty()) break;
      for (const std::string& child : *names) {
        if (auto removed = remove(fd->get(), child.c_str(), depth + 1); !removed) return removed;
      }
    }
    if (auto removed = backing_.remove_directory(dir, name); !removed) return removed;
    return count(attributes, true);
  }

  Status move_to_top(int dir, const char* name) {
    for (;;) {
      const std::string free_name = fmt::format("ebbfs-deep-{}", moved_++);
      auto moved = backing_.rename(dir, name, top_, free_name.c_str(), RENAME_NOREPLACE);
      if (moved || moved.error() != Errno{EEXIST}) return moved;
    }
  }

  Status count(const Attributes& attributes, bool last) {
    if (last) hooks_.gone(attributes);
    if (!hooks_.proceed()) return fail(ECANCELED);
    return {};
  }

  const Backing& backing_;
  const PurgeHooks& hooks_;
  int top_ = -1;
  std::uint64_t moved_ = 0;
};

}  // namespace

Status purge_tree(const Backing& backing, int dir, const char* name, const PurgeHooks& hooks) {
  return Purger(backing, hooks).remove(dir, name, 0);
}

}  // namespace ebbfs
