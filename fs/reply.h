// SPDX-License-Identifier: Apache-2.0
//
// Answers a request exactly once. Move-only; every method that answers consumes the object, and an
// object that dies unanswered answers EIO and says so in the log, as the caller would wait for
// ever. Threading: one request, one thread at a time; any thread may answer.
#pragma once

#include <fuse_lowlevel.h>
#include <spdlog/spdlog.h>
#include <sys/sysmacros.h>

#include <cstddef>
#include <span>
#include <string>
#include <utility>

#include "fs/filesystem.h"
#include "fs/kernel_order.h"
#include "index/result.h"

namespace ebbfs {

[[nodiscard]] inline struct stat to_stat(const Attributes& a) {
  struct stat s{};
  s.st_dev = makedev(a.stx_dev_major, a.stx_dev_minor);
  s.st_ino = a.stx_ino;
  s.st_mode = a.stx_mode;
  s.st_nlink = a.stx_nlink;
  s.st_uid = a.stx_uid;
  s.st_gid = a.stx_gid;
  s.st_rdev = makedev(a.stx_rdev_major, a.stx_rdev_minor);
  s.st_size = static_cast<off_t>(a.stx_size);
  s.st_blksize = static_cast<blksize_t>(a.stx_blksize);
  s.st_blocks = static_cast<blkcnt_t>(a.stx_blocks);
  s.st_atim = {a.stx_atime.tv_sec, a.stx_atime.tv_nsec};
  s.st_mtim = {a.stx_mtime.tv_sec, a.stx_mtime.tv_nsec};
  s.st_ctim = {a.stx_ctime.tv_sec, a.stx_ctime.tv_nsec};
  return s;
}

[[nodiscard]] inline fuse_entry_param to_entry_param(const Entry& entry) {
  fuse_entry_param param{};
  param.ino = raw(entry.id);
  param.generation = entry.generation;
  param.attr = to_stat(entry.attributes);
  param.attr_timeout = kForeverSeconds;
  param.entry_timeout = entry.entry_seconds;
  return param;
}

class Reply {
 public:
  explicit Reply(fuse_req_t request) : request_(request) {}
  Reply(Reply&& other) noexcept : request_(std::exchange(other.request_, nullptr)) {}
  Reply& operator=(Reply&&) = delete;
  Reply(const Reply&) = delete;
  Reply& operator=(const Reply&) = delete;
  ~Reply() {
    if (request_ == nullptr) return;
    spdlog::error("event=request_unanswered");
    error(Errno{EIO});
  }

  [[nodiscard]] fuse_req_t request() const { return request_; }

  // The errno that this thread answered with; it stays until it is set to 0.
  [[nodiscard]] static int& last_error() {
    thread_local int error = 0;
    return error;
  }

  void error(Errno e) {
    last_error() = code(e);
    fuse_reply_err(take(), code(e));
  }
  void done(const Status& status) {
    if (!status) return error(status.error());
    fuse_reply_err(take(), 0);
  }

  // The lookup is counted before the kernel can know the number, so that no FORGET overtakes it.
  void entry(Result<Entry> entry) {
    if (!entry) return error(entry.error());
    if (entry->inode) entry->inode.add_lookup();
    const fuse_entry_param param = to_entry_param(*entry);
    fuse_reply_entry(take(), &param);
  }
  void created(Result<Created> created, fuse_file_info& info) {
    if (!created) return error(created.error());
    created->entry.inode.add_lookup();
    const fuse_entry_param param = to_entry_param(created->entry);
    fill(info, created->opened);
    fuse_reply_create(take(), &param, &info);
  }
  void opened(Result<Opened> opened, fuse_file_info& info) {
    if (!opened) return error(opened.error());
    fill(info, *opened);
    fuse_reply_open(take(), &info);
  }
  void attributes(const Result<Attributes>& attributes) {
    if (!attributes) return error(attributes.error());
    const struct stat s = to_stat(*attributes);
    fuse_reply_attr(take(), &s, kForeverSeconds);
  }
  void data(std::span<const std::byte> bytes) {
    fuse_reply_buf(take(), reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  void written(const Result<std::size_t>& count) {
    if (!count) return error(count.error());
    fuse_reply_write(take(), *count);
  }
  void controlled() { fuse_reply_ioctl(take(), 0, nullptr, 0); }
  void xattr_size(std::size_t size) { fuse_reply_xattr(take(), size); }
  void link_target(const Result<std::string>& target) {
    if (!target) return error(target.error());
    fuse_reply_readlink(take(), target->c_str());
  }
  void filesystem_stat(const Result<struct statvfs>& result) {
    if (!result) return error(result.error());
    fuse_reply_statfs(take(), &*result);
  }
  void position(const Result<off_t>& offset) {
    if (!offset) return error(offset.error());
    fuse_reply_lseek(take(), *offset);
  }
  void extended_attributes(const Result<Attributes>& attributes) {
    if (!attributes) return error(attributes.error());
    Attributes copy = *attributes;
    fuse_reply_statx(take(), 0, &copy, kForeverSeconds);
  }

 private:
  fuse_req_t take() {
    tells_kernel();
    return std::exchange(request_, nullptr);
  }

  static void fill(fuse_file_info& info, Opened& opened) {
    info.direct_io = opened.direct_io ? 1 : 0;
    info.keep_cache = opened.keep_cache ? 1 : 0;
    info.noflush = 1;
    info.backing_id = opened.backing_id;
    info.fh = reinterpret_cast<std::uint64_t>(opened.file.release());
  }

  fuse_req_t request_;
};

}  // namespace ebbfs
