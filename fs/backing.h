// SPDX-License-Identifier: Apache-2.0
//
// The door to the backing tree: every system call on it is made here, on (directory fd, name) or an
// fd, never on a path. Methods are thin: one call each, errno as it came. Virtual, so that a test
// can fail, shorten or slow down single operations, or die between two of them.
//
// Threading: immutable once open; all methods from any thread. Credentials are the calling thread's
// (fs/credentials.h).
#pragma once

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "fs/unique_fd.h"
#include "index/result.h"
#include "index/types.h"

namespace ebbfs {

// Attributes as the backing filesystem gives them: the basic fields and birth time.
using Attributes = struct ::statx;

// Name of the directory that ebbfs adds to a volume.
inline constexpr const char* kStateDirName = ".ebbfs";

// What counts as an access, as the options of mount(8) of these names say it.
struct AccessTimes {
  enum class Of : std::uint8_t { as_below, relatime, noatime, strictatime };
  Of files = Of::as_below;  // as where the backing filesystem is mounted
  bool nodiratime = false;

  friend bool operator==(const AccessTimes&, const AccessTimes&) = default;
};

class Backing {
 public:
  // Opens `directory` through a private copy of its mount (open_tree), so that what is mounted
  // over it or below it later is never seen; without CAP_SYS_ADMIN through a plain open. Makes
  // .ebbfs/ (0700) and .ebbfs/trash where absent. Errors: ENOTDIR, EOPNOTSUPP when the filesystem
  // has no file handles, EPERM without CAP_DAC_READ_SEARCH, or for `access` other than as below
  // without CAP_SYS_ADMIN; EROFS.
  [[nodiscard]] static Result<std::unique_ptr<Backing>> open(const std::string& directory,
                                                             const AccessTimes& access = {});
  virtual ~Backing() = default;
  Backing(const Backing&) = delete;
  Backing& operator=(const Backing&) = delete;

  [[nodiscard]] int root() const { return root_.get(); }
  [[nodiscard]] int state_dir() const { return state_dir_.get(); }
  [[nodiscard]] int trash_dir() const { return trash_dir_.get(); }
  // Each reading of a file counts as an access.
  [[nodiscard]] bool strict_access_times() const { return strict_access_times_; }
  // Of the volume's own filesystem, as stat(2) shows it.
  [[nodiscard]] dev_t device() const;
  // Whether `attributes` lie on the volume's own filesystem.
  [[nodiscard]] bool on_volume(const Attributes& attributes) const;

  // Finding. `name` may be "" for `fd` itself. A handle is opened without waiting for the other end
  // of a FIFO.
  [[nodiscard]] virtual Result<UniqueFd> open_handle(const FileHandle& handle, int flags) const;
  [[nodiscard]] virtual Result<FileHandle> handle(int fd, const char* name) const;
  [[nodiscard]] virtual Result<Attributes> stat(int fd, const char* name) const;
  // The path of an open directory relative to the volume root, "" for the root. ENOENT when it is
  // no longer in the tree.
  [[nodiscard]] virtual Result<std::string> path_of(int fd) const;

  // Names.
  [[nodiscard]] virtual Result<UniqueFd> open_at(int dir, const char* name, int flags,
                                                 mode_t mode) const;
  [[nodiscard]] virtual Status make_directory(int dir, const char* name, mode_t mode) const;
  [[nodiscard]] virtual Status make_node(int dir, const char* name, mode_t mode,
                                         dev_t device) const;
  [[nodiscard]] virtual Status make_symlink(const char* target, int dir, const char* name) const;
  [[nodiscard]] virtual Status link(int fd, int dir, const char* name) const;  // fd: O_PATH will do
  [[nodiscard]] virtual Status unlink(int dir, const char* name) const;
  [[nodiscard]] virtual Status remove_directory(int dir, const char* name) const;
  [[nodiscard]] virtual Status rename(int dir, const char* name, int to_dir, const char* to_name,
                                      unsigned flags) const;
  [[nodiscard]] virtual Result<std::string> read_link(int fd) const;  // fd: O_PATH of the symlink

  // Data. Counts of bytes may be short, as the system call's.
  [[nodiscard]] virtual Result<std::size_t> read(int fd, std::span<std::byte> into,
                                                 off_t offset) const;
  [[nodiscard]] virtual Result<std::size_t> write(int fd, std::span<const std::byte> from,
                                                  off_t offset) const;
  [[nodiscard]] virtual Status truncate(int fd, off_t size) const;
  [[nodiscard]] virtual Status allocate(int fd, int mode, off_t offset, off_t length) const;
  [[nodiscard]] virtual Result<std::size_t> copy(int from, off_t from_offset, int to,
                                                 off_t to_offset, std::size_t length) const;
  [[nodiscard]] virtual Result<off_t> seek(int fd, off_t offset, int whence) const;
  [[nodiscard]] virtual Status sync(int fd, bool data_only) const;

  // Attributes; `fd` may be O_PATH.
  [[nodiscard]] virtual Status change_mode(int fd, mode_t mode) const;
  [[nodiscard]] virtual Status change_owner(int fd, uid_t uid, gid_t gid) const;  // -1: as it is
  [[nodiscard]] virtual Status change_times(int fd, const timespec times[2]) const;
  // Sizes as getxattr(2): a span of size 0 asks for the size.
  [[nodiscard]] virtual Result<std::size_t> get_xattr(int fd, const char* name,
                                                      std::span<std::byte> into) const;
  [[nodiscard]] virtual Result<std::size_t> list_xattr(int fd, std::span<std::byte> into) const;
  [[nodiscard]] virtual Status set_xattr(int fd, const char* name, std::span<const std::byte> value,
                                         int flags) const;
  [[nodiscard]] virtual Status remove_xattr(int fd, const char* name) const;
  [[nodiscard]] virtual Result<struct statvfs> filesystem_stat() const;

 protected:
  Backing() = default;
  // What open() does, for one that derives.
  [[nodiscard]] Status attach(const std::string& directory, const AccessTimes& access);

 private:
  UniqueFd root_;
  bool strict_access_times_ = false;
  bool own_mount_ = false;  // root_ is the root of a private copy of the mount
  UniqueFd state_dir_;
  UniqueFd trash_dir_;
  std::uint32_t device_major_ = 0;
  std::uint32_t device_minor_ = 0;
};

// name_to_handle_at(2) with `flags`; also for what is not on a volume.
[[nodiscard]] Result<FileHandle> handle_at(int dir, const char* path, int flags);

// Whether `attributes` describe a directory, a regular file.
[[nodiscard]] inline bool is_directory(const Attributes& a) { return S_ISDIR(a.stx_mode); }
[[nodiscard]] inline bool is_regular(const Attributes& a) { return S_ISREG(a.stx_mode); }
// `mode` after a change by somebody without CAP_FSETID: setuid goes, setgid only where the group
// may execute (elsewhere it means mandatory locking).
[[nodiscard]] constexpr mode_t without_privileges(mode_t mode) {
  const mode_t setgid = (mode & S_IXGRP) != 0 ? S_ISGID : 0U;
  return mode & 07777U & ~(S_ISUID | setgid);
}
// What an inode with these attributes is charged (DESIGN 4.4).
[[nodiscard]] inline Usage charge_for(const Attributes& a) {
  const auto size = static_cast<std::int64_t>(a.stx_size);
  return {is_regular(a) ? charge_for_size(size) : Bytes{0}, 1};
}

}  // namespace ebbfs
