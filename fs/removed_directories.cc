// SPDX-License-Identifier: Apache-2.0
#include "fs/removed_directories.h"

#include <chrono>

namespace ebbfs {

void RemovedDirectories::add(NodeId node, const FileHandle& handle, Attributes attributes,
                             WallTime now) {
  const auto since = now.time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
  attributes.stx_nlink = 0;
  attributes.stx_ctime.tv_sec = seconds.count();
  attributes.stx_ctime.tv_nsec = static_cast<std::uint32_t>((since - seconds).count());
  const MutexLock lock(mu_);
  last_.insert_or_assign(raw(node), Last{handle, attributes});
  size_.store(last_.size(), std::memory_order_relaxed);
}

std::optional<Attributes> RemovedDirectories::find(NodeId node, const FileHandle& handle) const {
  if (empty()) return std::nullopt;
  const MutexLock lock(mu_);
  const auto found = last_.find(raw(node));
  if (found == last_.end() || found->second.handle != handle) return std::nullopt;
  return found->second.attributes;
}

void RemovedDirectories::erase(NodeId node) {
  const MutexLock lock(mu_);
  last_.erase(raw(node));
  size_.store(last_.size(), std::memory_order_relaxed);
}

}  // namespace ebbfs
