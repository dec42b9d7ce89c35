// SPDX-License-Identifier: Apache-2.0
#include "fs/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <unordered_map>

namespace ebbfs {
namespace {

class Gatherer {
 public:
  Gatherer(const Backing& backing, std::size_t max) : backing_(backing), max_(max) {}

  Status visit(int dir, const char* name, int depth) {
    const auto attributes = backing_.stat(dir, name);
    if (!attributes) return std::unexpected(attributes.error());
    const auto [place, first] = places_.try_emplace(attributes->stx_ino, inodes_.size());
    if (!first) {
      ++inodes_[place->second].names;
      return {};
    }
    if (inodes_.size() == max_ || depth > kSmallTreeDepth) return fail(E2BIG);
    inodes_.push_back({*attributes, 1});
    return is_directory(*attributes) ? descend(dir, name, depth) : Status{};
  }

  std::vector<TreeInode> take() { return std::move(inodes_); }

 private:
  Status descend(int dir, const char* name, int depth) {
    const auto fd = backing_.open_at(dir, name, O_RDONLY | O_DIRECTORY, 0);
    if (!fd) return std::unexpected(fd.error());
    for (;;) {
      const auto names = next_names(fd->get());
      if (!names) return std::unexpected(names.error());
      if (names->empty()) return {};
      for (const std::string& child : *names) {
        if (auto visited = visit(fd->get(), child.c_str(), depth + 1); !visited) return visited;
      }
    }
  }

  const Backing& backing_;
  const std::size_t max_;
  std::vector<TreeInode> inodes_;
  std::unordered_map<std::uint64_t, std::size_t> places_;  // by inode number
};

}  // namespace

SplitPath split_path(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return {{}, std::string(path)};
  return {std::string(path.substr(0, slash)), std::string(path.substr(slash + 1))};
}

std::vector<std::string_view> components_of(std::string_view path) {
  std::vector<std::string_view> components;
  while (!path.empty()) {
    const std::size_t end = std::min(path.find('/'), path.size());
    if (end != 0) components.push_back(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return components;
}

Result<UniqueFd> open_beneath(int dir, std::string_view path, int flags) {
  const std::string name(path.empty() ? "." : path);
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC | O_NOFOLLOW);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  // EAGAIN: something was renamed or mounted, wherever, while the kernel went through a "..".
  constexpr int kAttempts = 1000;
  long fd = -1;
  for (int i = 0; i < kAttempts; ++i) {
    fd = ::syscall(SYS_openat2, dir, name.c_str(), &how, sizeof how);
    if (fd >= 0 || errno != EAGAIN) break;
  }
  if (fd < 0) return fail_errno();
  return UniqueFd(static_cast<int>(fd));
}

bool is_absent(Errno error) {
  return error == Errno{ENOENT} || error == Errno{ENOTDIR} || error == Errno{ELOOP} ||
         error == Errno{ESTALE};
}

InodeId inode_id_of(const Backing& backing, const Attributes& attributes) {
  const auto root = backing.stat(backing.root(), "");
  if (root && root->stx_ino == attributes.stx_ino) return kRootInode;
  return InodeId{attributes.stx_ino};
}

Result<std::vector<std::string>> next_names(int fd) {
  std::vector<std::string> names;
  alignas(struct ::dirent64) std::array<char, 16 * 1024> buffer;
  while (names.empty()) {
    const long length = ::syscall(SYS_getdents64, fd, buffer.data(), buffer.size());
    if (length < 0) return fail_errno();
    if (length == 0) break;
    for (long at = 0; at < length;) {
      const auto* record = reinterpret_cast<const struct ::dirent64*>(buffer.data() + at);
      at += record->d_reclen;
      const std::string_view name(record->d_name);
      if (name != "." && name != "..") names.emplace_back(name);
    }
  }
  return names;
}

WallTime wall_of(const statx_timestamp& stamp) {
  return WallTime(std::chrono::seconds(stamp.tv_sec) + std::chrono::nanoseconds(stamp.tv_nsec));
}

WallTime modified(const Attributes& attributes) { return wall_of(attributes.stx_mtime); }

WallTime newest_change(const Attributes& attributes) {
  return std::max(wall_of(attributes.stx_ctime), wall_of(attributes.stx_mtime));
}

Result<std::vector<TreeInode>> gather_tree(const Backing& backing, int dir, const char* name,
                                           std::size_t max) {
  Gatherer gatherer(backing, max);
  if (const auto visited = gatherer.visit(dir, name, 0); !visited) {
    return std::unexpected(visited.error());
  }
  return gatherer.take();
}

UnitRef unit_of_path(Volume& volume, std::string_view path) {
  const Classifier& classifier = volume.rules.classifier();
  for (std::size_t end = 0; end < path.size();) {
    end = std::min(path.find('/', end + 1), path.size());
    const std::string_view upper = path.substr(0, end);
    // Only tops are looked for in the table, which compares all units.
    if (classifier.walk(upper).tree_class == kNoClass) continue;
    if (UnitRef unit = volume.units.find_by_path(upper)) return unit;
  }
  return volume.units.root();
}

Status remove_charged(Volume& volume, Unit& unit, int dir, const char* name,
                      const Attributes& attributes) {
  const InodeId id{attributes.stx_ino};
  const bool directory = is_directory(attributes);
  const auto remove = [&]() -> Status {
    auto removed =
        directory ? volume.backing.remove_directory(dir, name) : volume.backing.unlink(dir, name);
    if (!removed) return removed;
    if (!directory && attributes.stx_nlink > 1) return {};
    const Usage charge = charge_for(attributes);
    volume.accounting.release({unit, attributes.stx_uid, attributes.stx_gid}, id, charge, charge);
    return {};
  };
  if (directory) {
    // A descriptor of it would keep the inode.
    volume.directories.erase(id);
    return remove();
  }
  const InodeRef inode = volume.inodes.find(id);
  if (!inode) return remove();
  const MutexLock size_lock(inode->size_mu);
  if (inode->extent.opens != 0) return fail(EBUSY);
  return remove();
}

}  // namespace ebbfs
