// SPDX-License-Identifier: Apache-2.0
//
// How many requests the kernel has sent, by operation. A round trip is the unit of cost of this
// filesystem, so what a mount setting spares or wastes is seen here, and tests hold the counts.
// Requests about the virtual files are not counted: asking would change the answer.
//
// Threading: all from any thread. A thread adds to a shard that it mostly has to itself.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ebbfs {

enum class RequestKind : std::uint8_t {
  lookup,
  forget,
  getattr,
  statx,
  setattr,
  readlink,
  mknod,
  mkdir,
  symlink,
  link,
  unlink,
  rmdir,
  rename,
  readdir,
  readdirplus,
  fsyncdir,
  open,
  create,
  tmpfile,
  release,
  read,
  write,
  fsync,
  fallocate,
  copy_file_range,
  ioctl,
  lseek,
  statfs,
  getxattr,
  listxattr,
  setxattr,
  removexattr,
};
inline constexpr auto kRequestKinds = static_cast<std::size_t>(RequestKind::removexattr) + 1;

// As in fuse.h of the kernel, in lower case.
[[nodiscard]] constexpr std::string_view to_string(RequestKind kind) {
  constexpr std::array<std::string_view, kRequestKinds> kNames{
      "lookup",      "forget",    "getattr",   "statx",           "setattr", "readlink", "mknod",
      "mkdir",       "symlink",   "link",      "unlink",          "rmdir",   "rename",   "readdir",
      "readdirplus", "fsyncdir",  "open",      "create",          "tmpfile", "release",  "read",
      "write",       "fsync",     "fallocate", "copy_file_range", "ioctl",   "lseek",    "statfs",
      "getxattr",    "listxattr", "setxattr",  "removexattr"};
  return kNames[static_cast<std::size_t>(kind)];
}

class RequestCounts {
 public:
  RequestCounts() = default;
  RequestCounts(const RequestCounts&) = delete;
  RequestCounts& operator=(const RequestCounts&) = delete;

  void add(RequestKind kind) {
    // Relaxed: a count orders nothing. Which shard is a thread's is decided once.
    thread_local const std::size_t kOwn = next_.fetch_add(1, std::memory_order_relaxed) % kShards;
    shards_[kOwn].counts[static_cast<std::size_t>(kind)].fetch_add(1, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t of(RequestKind kind) const {
    std::uint64_t total = 0;
    for (const Shard& shard : shards_) {
      total += shard.counts[static_cast<std::size_t>(kind)].load(std::memory_order_relaxed);
    }
    return total;
  }

 private:
  static constexpr std::size_t kShards = 16;
  struct alignas(64) Shard {
    std::array<std::atomic<std::uint64_t>, kRequestKinds> counts{};
  };
  std::array<Shard, kShards> shards_;
  std::atomic<std::size_t> next_{0};
};

}  // namespace ebbfs
