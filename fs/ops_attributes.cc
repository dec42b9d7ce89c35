// SPDX-License-Identifier: Apache-2.0
//
// Handlers about attributes.
#include <fcntl.h>

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "fs/ops_run.h"

namespace ebbfs {
namespace {

void op_getattr(fuse_req_t request, fuse_ino_t inode, fuse_file_info* info) {
  if (VirtualFiles::owns(id_of(inode))) {
    return Reply(request).attributes(context_of(request).virtual_files.attributes(id_of(inode)));
  }
  OpenFile* file = info != nullptr && info->fh != 0 ? &file_of(info) : nullptr;
  run(
      request,
      [inode, file](Filesystem& fs, const Caller&) {
        return fs.get_attributes(id_of(inode), file);
      },
      answer_attributes);
}

void op_statx(fuse_req_t request, fuse_ino_t inode, int, int, fuse_file_info* info) {
  if (VirtualFiles::owns(id_of(inode))) {
    return Reply(request).extended_attributes(
        context_of(request).virtual_files.attributes(id_of(inode)));
  }
  OpenFile* file = info != nullptr && info->fh != 0 ? &file_of(info) : nullptr;
  run(
      request,
      [inode, file](Filesystem& fs, const Caller&) {
        return fs.get_attributes(id_of(inode), file);
      },
      [](Reply reply, Result<Attributes> attributes) { reply.extended_attributes(attributes); });
}

AttributeChange change_from(const struct stat& to, int what) {
  AttributeChange change;
  if ((what & FUSE_SET_ATTR_MODE) != 0) change.mode = to.st_mode;
  if ((what & FUSE_SET_ATTR_UID) != 0) change.uid = to.st_uid;
  if ((what & FUSE_SET_ATTR_GID) != 0) change.gid = to.st_gid;
  if ((what & FUSE_SET_ATTR_SIZE) != 0) change.size = to.st_size;
  const auto time = [&](int set, int now, const timespec& value, timespec& into) {
    if ((what & now) != 0)
      into = {0, UTIME_NOW};
    else if ((what & set) != 0)
      into = value;
    else
      return;
    change.times_set = true;
  };
  time(FUSE_SET_ATTR_ATIME, FUSE_SET_ATTR_ATIME_NOW, to.st_atim, change.times[0]);
  time(FUSE_SET_ATTR_MTIME, FUSE_SET_ATTR_MTIME_NOW, to.st_mtim, change.times[1]);
  change.clear_privileges = (what & (FUSE_SET_ATTR_KILL_SUID | FUSE_SET_ATTR_KILL_SGID)) != 0;
  return change;
}

void op_setattr(fuse_req_t request, fuse_ino_t inode, struct stat* to, int what,
                fuse_file_info* info) {
  if (VirtualFiles::owns(id_of(inode))) {
    constexpr int kAccess = FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID;
    if ((what & kAccess) != 0) return Reply(request).error(Errno{EPERM});
    // The shell's `>` truncates; there is nothing to change.
    return Reply(request).attributes(context_of(request).virtual_files.attributes(id_of(inode)));
  }
  OpenFile* file = info != nullptr && info->fh != 0 ? &file_of(info) : nullptr;
  run(
      request,
      [inode, file, change = change_from(*to, what)](Filesystem& fs, const Caller& caller) {
        return fs.set_attributes(caller, id_of(inode), file, change);
      },
      answer_attributes);
}

void op_statfs(fuse_req_t request, fuse_ino_t inode) {
  Reply(request).filesystem_stat(context_of(request).filesystem.filesystem_stat(id_of(inode)));
}

// getxattr(2) and listxattr(2): size 0 asks how much there is.
template <typename Get>
void answer_xattr(fuse_req_t request, std::size_t size, Get get) {
  std::vector<std::byte> into(size);
  const auto count = guarded([&] { return get(std::span(into)); });
  if (!count) return Reply(request).error(count.error());
  if (size == 0) return Reply(request).xattr_size(*count);
  Reply(request).data(std::span(into).first(*count));
}

void op_getxattr(fuse_req_t request, fuse_ino_t inode, const char* name, std::size_t size) {
  if (VirtualFiles::owns(id_of(inode))) return Reply(request).error(Errno{ENODATA});
  answer_xattr(request, size, [&](std::span<std::byte> into) {
    return context_of(request).filesystem.get_xattr(id_of(inode), name, into);
  });
}

void op_listxattr(fuse_req_t request, fuse_ino_t inode, std::size_t size) {
  if (VirtualFiles::owns(id_of(inode))) return Reply(request).xattr_size(0);
  answer_xattr(request, size, [&](std::span<std::byte> into) {
    return context_of(request).filesystem.list_xattr(id_of(inode), into);
  });
}

void op_setxattr(fuse_req_t request, fuse_ino_t inode, const char* name, const char* value,
                 std::size_t size, int flags) {
  const std::string owned(value, size);
  // The kernel offers to say this, but libfuse does not pass it on.
  std::optional<std::vector<gid_t>> groups;
  if (std::string_view(name) == "system.posix_acl_access" && caller_of(request).uid != 0) {
    groups = groups_of(request);
    groups->push_back(caller_of(request).gid);
  }
  run_named(
      request,
      [inode, owned, flags, groups](Filesystem& fs, const Caller& caller, const char* key) {
        return fs.set_xattr(caller, id_of(inode), key, std::as_bytes(std::span(owned)), flags,
                            groups ? &*groups : nullptr);
      },
      answer_status, name);
}

void op_removexattr(fuse_req_t request, fuse_ino_t inode, const char* name) {
  run_named(
      request,
      [inode](Filesystem& fs, const Caller& caller, const char* key) {
        return fs.remove_xattr(caller, id_of(inode), key);
      },
      answer_status, name);
}

}  // namespace

void add_attribute_operations(fuse_lowlevel_ops& table) {
  table.getattr = kCounted<RequestKind::getattr, op_getattr>;
  table.statx = kCounted<RequestKind::statx, op_statx>;
  table.setattr = kCounted<RequestKind::setattr, op_setattr>;
  table.statfs = kCounted<RequestKind::statfs, op_statfs>;
  table.getxattr = kCounted<RequestKind::getxattr, op_getxattr>;
  table.listxattr = kCounted<RequestKind::listxattr, op_listxattr>;
  table.setxattr = kCounted<RequestKind::setxattr, op_setxattr>;
  table.removexattr = kCounted<RequestKind::removexattr, op_removexattr>;
}

}  // namespace ebbfs
