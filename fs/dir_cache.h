// SPDX-License-Identifier: Apache-2.0
//
// Open descriptors of directories, bounded, least recently used first out. A descriptor that is
// handed out stays open until its last holder lets go, whatever is evicted meanwhile. At most
// `capacity` + kShards are kept. Only directories: an O_PATH descriptor of a file would keep its
// blocks after the last unlink.
//
// Threading: all from any thread; sharded.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>

#include "fs/unique_fd.h"
#include "index/mutex.h"
#include "index/types.h"

namespace ebbfs {

using SharedFd = std::shared_ptr<const UniqueFd>;

class DirCache {
 public:
  explicit DirCache(std::size_t capacity) : capacity_per_shard_(capacity / kShards + 1) {}
  DirCache(const DirCache&) = delete;
  DirCache& operator=(const DirCache&) = delete;

  // Null when absent.
  [[nodiscard]] SharedFd get(InodeId id);
  // Takes the place of what was there under `id`.
  SharedFd put(InodeId id, UniqueFd fd);
  void erase(InodeId id);
  void clear();
  // Closes the less recently used half of what is cached: descriptors ran out.
  void shrink();
  [[nodiscard]] std::size_t size();

 private:
  static constexpr std::size_t kShards = 16;
  struct Slot {
    InodeId id;
    SharedFd fd;
  };
  struct Shard {
    Mutex mu;
    std::list<Slot> order GUARDED_BY(mu);  // most recently used first
    std::unordered_map<std::uint64_t, std::list<Slot>::iterator> slots GUARDED_BY(mu);
  };
  // Moves all but the `left` most recently used into `out`.
  static void trim(Shard& in, std::size_t left, std::list<Slot>& out) REQUIRES(in.mu);
  Shard& shard(InodeId id) { return shards_[(raw(id) * 0x9E3779B97F4A7C15ULL) >> 60]; }

  const std::size_t capacity_per_shard_;
  std::array<Shard, kShards> shards_;
};

}  // namespace ebbfs
