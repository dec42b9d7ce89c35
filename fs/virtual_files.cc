// SPDX-License-Identifier: Apache-2.0
#include "fs/virtual_files.h"

#include <cstring>
#include <ctime>

namespace ebbfs {

VirtualFiles::VirtualFiles(Answer answer)
    : answer_(std::move(answer)), started_(static_cast<std::int64_t>(std::time(nullptr))) {}

bool VirtualFiles::owns(NodeId parent, const char* name) {
  return parent == kVirtualDirectory ||
         (parent == kRootNode && std::strcmp(name, kStateDirName) == 0);
}

Result<Entry> VirtualFiles::lookup(NodeId parent, const char* name) const {
  Entry entry;
  if (parent == kRootNode) {
    entry.id = kVirtualDirectory;
  } else if (name == kControlName) {
    entry.id = kVirtualControl;
  } else {
    return entry;
  }
  entry.generation = 1;
  entry.attributes = *attributes(entry.id);
  return entry;
}

Result<Attributes> VirtualFiles::attributes(NodeId inode) const {
  if (inode != kVirtualDirectory && inode != kVirtualControl) return fail(ENOENT);
  Attributes a{};
  a.stx_mask = STATX_BASIC_STATS;
  a.stx_ino = raw(inode);
  a.stx_mode = inode == kVirtualDirectory ? (S_IFDIR | 0555) : (S_IFREG | 0666);
  a.stx_nlink = inode == kVirtualDirectory ? 2 : 1;
  a.stx_blksize = 4096;
  a.stx_atime.tv_sec = a.stx_mtime.tv_sec = a.stx_ctime.tv_sec = started_;
  return a;
}

Status VirtualFiles::Exchange::ask(const Answer& answer, const Caller& caller,
                                   std::string_view text, Access access) {
  if (text.size() > kRequestMax) return fail(EMSGSIZE);
  {
    const MutexLock lock(mu_);
    if (asked_) return fail(EBUSY);
    asked_ = true;
  }
  std::string reply = answer(caller, text, access);
  const MutexLock lock(mu_);
  reply_ = std::move(reply);
  return {};
}

Result<std::string> VirtualFiles::Exchange::read(std::size_t size, off_t offset) const {
  const MutexLock lock(mu_);
  if (!asked_) return fail(EINVAL);
  const auto from = static_cast<std::size_t>(offset);
  if (from >= reply_.size()) return std::string();
  return reply_.substr(from, size);
}

}  // namespace ebbfs
