// SPDX-License-Identifier: Apache-2.0
//
// Directories that were removed while the kernel knows them: somebody may have one open, and
// fstat(2) of it is to answer as on a local filesystem, with no links. Nothing else opens them any
// more: not their handle, and a descriptor would keep the inode on the disk and cost one for each.
// So what was seen of it last is kept, until the kernel forgets the node: as a rule at once.
//
// Threading: any thread; one short lock a call, none while there are none.
#pragma once

#include <atomic>
#include <optional>
#include <unordered_map>

#include "fs/backing.h"
#include "fs/node_id.h"
#include "index/mutex.h"

namespace ebbfs {

class RemovedDirectories {
 public:
  // `attributes`: just before it was removed.
  void add(NodeId node, const FileHandle& handle, Attributes attributes, WallTime now)
      EXCLUDES(mu_);
  // Nothing when the node stands for another inode by now.
  [[nodiscard]] std::optional<Attributes> find(NodeId node, const FileHandle& handle) const
      EXCLUDES(mu_);
  void erase(NodeId node) EXCLUDES(mu_);
  [[nodiscard]] bool empty() const { return size_.load(std::memory_order_relaxed) == 0; }

 private:
  struct Last {
    FileHandle handle;
    Attributes attributes;
  };
  mutable Mutex mu_;
  std::unordered_map<std::uint64_t, Last> last_ GUARDED_BY(mu_);  // by raw NodeId
  std::atomic<std::size_t> size_{0};  // asked at each FORGET; changed under `mu_`
};

}  // namespace ebbfs
