// SPDX-License-Identifier: Apache-2.0
#include "fs/backing.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <thread>

namespace ebbfs {
namespace {

constexpr int kTriesForMemory = 20;

Status check(long result) {
  if (result < 0) return fail_errno();
  return {};
}

// The name of an open fd under /proc: the way to calls that refuse O_PATH descriptors.
struct ProcPath {
  explicit ProcPath(int fd) { std::snprintf(text, sizeof text, "/proc/self/fd/%d", fd); }
  char text[32];
};

Status set_access_times(int mount, const AccessTimes& access) {
  if (access == AccessTimes{}) return {};
  mount_attr change{};
  if (access.files != AccessTimes::Of::as_below) change.attr_clr = MOUNT_ATTR__ATIME;
  if (access.files == AccessTimes::Of::noatime) change.attr_set = MOUNT_ATTR_NOATIME;
  if (access.files == AccessTimes::Of::strictatime) change.attr_set = MOUNT_ATTR_STRICTATIME;
  if (access.nodiratime) change.attr_set |= MOUNT_ATTR_NODIRATIME;
  return check(::syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH, &change, sizeof change));
}

// EPERM where that may not be made.
Result<UniqueFd> open_private_copy(const std::string& directory, const AccessTimes& access) {
  const UniqueFd tree(static_cast<int>(
      ::syscall(SYS_open_tree, AT_FDCWD, directory.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)));
  if (!tree.valid()) return fail_errno();
  if (const auto set = set_access_times(tree.get(), access); !set) {
    return std::unexpected(set.error());
  }
  // open_tree gives an O_PATH descriptor; handles and readdir need a real one.
  UniqueFd top(::openat(tree.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!top.valid()) return fail_errno();
  return top;
}

Result<UniqueFd> open_state_directory(int dir, const char* name) {
  if (::mkdirat(dir, name, 0700) != 0 && errno != EEXIST) return fail_errno();
  UniqueFd fd(::openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return fail_errno();
  return fd;
}

}  // namespace

Result<std::unique_ptr<Backing>> Backing::open(const std::string& directory,
                                               const AccessTimes& access) {
  std::unique_ptr<Backing> backing(new Backing);
  if (const auto attached = backing->attach(directory, access); !attached) {
    return std::unexpected(attached.error());
  }
  return backing;
}

Status Backing::attach(const std::string& directory, const AccessTimes& access) {
  auto top = open_private_copy(directory, access);
  own_mount_ = top.has_value();
  strict_access_times_ = access.files == AccessTimes::Of::strictatime;
  if (own_mount_) {
    root_ = std::move(*top);
  } else if (access != AccessTimes{}) {
    return std::unexpected(top.error());
  } else {
    root_.reset(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root_.valid()) return fail_errno();
  }
  const auto attributes = stat(root(), "");
  if (!attributes) return std::unexpected(attributes.error());
  device_major_ = attributes->stx_dev_major;
  device_minor_ = attributes->stx_dev_minor;

  const auto own = handle(root(), "");
  if (!own) return std::unexpected(own.error());
  // Fails here rather than at the first request when handles cannot be opened.
  const auto reopened = open_handle(*own, O_RDONLY | O_DIRECTORY);
  if (!reopened) return std::unexpected(reopened.error());

  auto state = open_state_directory(root(), kStateDirName);
  if (!state) return std::unexpected(state.error());
  state_dir_ = std::move(*state);
  auto trash = open_state_directory(state_dir(), "trash");
  if (!trash) return std::unexpected(trash.error());
  trash_dir_ = std::move(*trash);
  return {};
}

dev_t Backing::device() const { return makedev(device_major_, device_minor_); }

bool Backing::on_volume(const Attributes& attributes) const {
  return attributes.stx_dev_major == device_major_ && attributes.stx_dev_minor == device_minor_;
}

Result<UniqueFd> Backing::open_handle(const FileHandle& handle, int flags) const {
  struct {
    struct file_handle head;
    unsigned char data[FileHandle::kMaxBytes];
  } buffer;
  buffer.head.handle_bytes = handle.size;
  buffer.head.handle_type = handle.type;
  std::memcpy(buffer.head.f_handle, handle.data.data(), handle.size);
  // ext4 says ENOMEM, too, where the number is just being given to a new file: soon it is ESTALE.
  int fd = -1;
  for (int tries = 0; tries < kTriesForMemory; ++tries) {
    fd = ::open_by_handle_at(root(), &buffer.head, flags | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0 || errno != ENOMEM) break;
    std::this_thread::yield();
  }
  if (fd < 0) return fail_errno();
  return UniqueFd(fd);
}

Result<FileHandle> Backing::handle(int fd, const char* name) const {
  return handle_at(fd, name, name[0] == '\0' ? AT_EMPTY_PATH : 0);
}

Result<FileHandle> handle_at(int dir, const char* path, int flags) {
  struct {
    struct file_handle head;
    unsigned char data[FileHandle::kMaxBytes];
  } buffer;
  buffer.head.handle_bytes = FileHandle::kMaxBytes;
  int mount_id = 0;
  if (::name_to_handle_at(dir, path, &buffer.head, &mount_id, flags) != 0) return fail_errno();
  FileHandle handle;
  handle.type = buffer.head.handle_type;
  handle.size = static_cast<std::uint8_t>(buffer.head.handle_bytes);
  std::memcpy(handle.data.data(), buffer.head.f_handle, handle.size);
  return handle;
}

Result<Attributes> Backing::stat(int fd, const char* name) const {
  Attributes attributes;
  const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (name[0] == '\0' ? AT_EMPTY_PATH : 0);
  if (::statx(fd, name, flags, STATX_BASIC_STATS | STATX_BTIME, &attributes) != 0) {
    return fail_errno();
  }
  return attributes;
}

Result<std::string> Backing::path_of(int fd) const {
  char text[PATH_MAX];
  const auto read_path = [&](int of) -> Result<std::string> {
    const ssize_t length = ::readlink(ProcPath(of).text, text, sizeof text);
    if (length < 0) return fail_errno();
    return std::string(text, static_cast<std::size_t>(length));
  };
  // What is above the root of a mount of our own has no names.
  auto prefix = own_mount_ ? Result<std::string>("/") : read_path(root());
  if (!prefix) return std::unexpected(prefix.error());
  const auto path = read_path(fd);
  if (!path) return std::unexpected(path.error());
  if (path->ends_with(" (deleted)")) return fail(ENOENT);
  if (*path == *prefix) return std::string();
  if (!prefix->ends_with('/')) prefix->push_back('/');
  if (!path->starts_with(*prefix)) return fail(ENOENT);
  return path->substr(prefix->size());
}

Result<UniqueFd> Backing::open_at(int dir, const char* name, int flags, mode_t mode) const {
  const int fd = ::openat(dir, name, flags | O_CLOEXEC | O_NOFOLLOW, mode);
  if (fd < 0) return fail_errno();
  return UniqueFd(fd);
}

Status Backing::make_directory(int dir, const char* name, mode_t mode) const {
  return check(::mkdirat(dir, name, mode));
}

Status Backing::make_node(int dir, const char* name, mode_t mode, dev_t device) const {
  return check(::mknodat(dir, name, mode, device));
}

Status Backing::make_symlink(const char* target, int dir, const char* name) const {
  return check(::symlinkat(target, dir, name));
}

Status Backing::link(int fd, int dir, const char* name) const {
  return check(::linkat(fd, "", dir, name, AT_EMPTY_PATH));
}

Status Backing::unlink(int dir, const char* name) const { return check(::unlinkat(dir, name, 0)); }

Status Backing::remove_directory(int dir, const char* name) const {
  return check(::unlinkat(dir, name, AT_REMOVEDIR));
}

Status Backing::rename(int dir, const char* name, int to_dir, const char* to_name,
                       unsigned flags) const {
  return check(::renameat2(dir, name, to_dir, to_name, flags));
}

Result<std::string> Backing::read_link(int fd) const {
  char text[PATH_MAX];
  const ssize_t length = ::readlinkat(fd, "", text, sizeof text);
  if (length < 0) return fail_errno();
  return std::string(text, static_cast<std::size_t>(length));
}

Result<std::size_t> Backing::read(int fd, std::span<std::byte> into, off_t offset) const {
  const ssize_t count = ::pread(fd, into.data(), into.size(), offset);
  if (count < 0) return fail_errno();
  return static_cast<std::size_t>(count);
}

Result<std::size_t> Backing::write(int fd, std::span<const std::byte> from, off_t offset) const {
  const ssize_t count = ::pwrite(fd, from.data(), from.size(), offset);
  if (count < 0) return fail_errno();
  return static_cast<std::size_t>(count);
}

Status Backing::truncate(int fd, off_t size) const { return check(::ftruncate(fd, size)); }

Status Backing::allocate(int fd, int mode, off_t offset, off_t length) const {
  return check(::fallocate(fd, mode, offset, length));
}

Result<std::size_t> Backing::copy(int from, off_t from_offset, int to, off_t to_offset,
                                  std::size_t length) const {
  const ssize_t count = ::copy_file_range(from, &from_offset, to, &to_offset, length, 0);
  if (count < 0) return fail_errno();
  return static_cast<std::size_t>(count);
}

Result<off_t> Backing::seek(int fd, off_t offset, int whence) const {
  const off_t found = ::lseek(fd, offset, whence);
  if (found < 0) return fail_errno();
  return found;
}

Status Backing::sync(int fd, bool data_only) const {
  return check(data_only ? ::fdatasync(fd) : ::fsync(fd));
}

Status Backing::change_mode(int fd, mode_t mode) const {
  return check(::chmod(ProcPath(fd).text, mode));
}

Status Backing::change_owner(int fd, uid_t uid, gid_t gid) const {
  return check(::fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW));
}

Status Backing::change_times(int fd, const timespec times[2]) const {
  // utimensat(2) with AT_EMPTY_PATH came with Linux 5.8; glibc passes the flag on.
  return check(::utimensat(fd, "", times, AT_EMPTY_PATH));
}

Result<std::size_t> Backing::get_xattr(int fd, const char* name, std::span<std::byte> into) const {
  const ssize_t size = ::getxattr(ProcPath(fd).text, name, into.data(), into.size());
  if (size < 0) return fail_errno();
  return static_cast<std::size_t>(size);
}

Result<std::size_t> Backing::list_xattr(int fd, std::span<std::byte> into) const {
  const ssize_t size =
      ::listxattr(ProcPath(fd).text, reinterpret_cast<char*>(into.data()), into.size());
  if (size < 0) return fail_errno();
  return static_cast<std::size_t>(size);
}

Status Backing::set_xattr(int fd, const char* name, std::span<const std::byte> value,
                          int flags) const {
  return check(::setxattr(ProcPath(fd).text, name, value.data(), value.size(), flags));
}

Status Backing::remove_xattr(int fd, const char* name) const {
  return check(::removexattr(ProcPath(fd).text, name));
}

Result<struct statvfs> Backing::filesystem_stat() const {
  struct statvfs result;
  if (::fstatvfs(root(), &result) != 0) return fail_errno();
  return result;
}

}  // namespace ebbfs
