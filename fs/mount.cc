// SPDX-License-Identifier: Apache-2.0
#include "fs/mount.h"

#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <expected>
#include <fstream>

#include "fs/holders.h"
#include "fs/not_cancelled.h"

namespace ebbfs {
namespace {

// linux/fuse.h of 6.9 and later; older headers lack it.
struct BackingMap {
  std::int32_t fd;
  std::uint32_t flags;
  std::uint64_t padding;
};
constexpr unsigned long kBackingOpen = _IOW(229, 1, BackingMap);
constexpr unsigned long kBackingClose = _IOW(229, 2, std::uint32_t);

constexpr unsigned kThreadsMax = 10;
constexpr std::size_t kHoldersShown = 20;

bool has(const std::vector<std::string>& options, std::string_view wanted) {
  return std::ranges::find(options, wanted) != options.end();
}

// Commas separate options, so one inside a value is escaped.
std::string option_value(std::string_view value) {
  std::string text;
  for (const char c : value) {
    if (c == ',' || c == '\\') text.push_back('\\');
    text.push_back(c);
  }
  return text;
}

std::string option_string(const MountOptions& options) {
  std::string text = "allow_other,default_permissions,subtype=ebbfs,fsname=";
  text += option_value(options.source);
  // libfuse adds nosuid and nodev for everybody; a filesystem in place of a disk is as the disk was
  // unless told otherwise.
  if (!has(options.options, "nosuid")) text += ",suid";
  if (!has(options.options, "nodev")) text += ",dev";
  if (options.io_uring && kernel_offers_io_uring()) text += ",io_uring";
  for (const std::string& option : options.options) text += "," + option;
  return text;
}

// Asks the kernel's cache only (DONT_SYNC), never the daemon.
Result<dev_t> device_at(const std::string& path) {
  Attributes attributes;
  if (::statx(AT_FDCWD, path.c_str(), AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &attributes) != 0) {
    return fail_errno();
  }
  return makedev(attributes.stx_dev_major, attributes.stx_dev_minor);
}

void log_from_libfuse(enum fuse_log_level level, const char* format, va_list arguments) {
  const NotCancelled to_its_end;
  std::array<char, 512> text;
  std::vsnprintf(text.data(), text.size(), format, arguments);
  std::string_view line(text.data());
  while (line.ends_with('\n')) line.remove_suffix(1);
  const auto severity = level <= FUSE_LOG_ERR       ? spdlog::level::err
                        : level <= FUSE_LOG_WARNING ? spdlog::level::warn
                                                    : spdlog::level::debug;
  spdlog::log(severity, "event=libfuse what=\"{}\"", line);
}

}  // namespace

void KernelChannel::removed(InodeId parent, NodeId child, const std::string& name) {
  fuse_session* session = session_.load();
  const NodeId at = inodes_.node_for(parent);
  if (session == nullptr || at == kNoNode) return;
  const int told =
      fuse_lowlevel_notify_delete(session, raw(at), raw(child), name.c_str(), name.size());
  // The kernel refuses to drop a directory that it still holds children of; a plain invalidation
  // hides the name all the same.
  if (told != 0 && told != -ENOENT) changed(parent, name);
}

void KernelChannel::changed(InodeId parent, const std::string& name) {
  fuse_session* session = session_.load();
  const NodeId at = inodes_.node_for(parent);
  if (session == nullptr || at == kNoNode) return;
  (void)fuse_lowlevel_notify_inval_entry(session, raw(at), name.c_str(), name.size());
}

// The kernel takes a directory for changed only where it has a dentry of that name.
void KernelChannel::appeared(InodeId parent, const std::string& name) {
  changed(parent, name);
  fuse_session* session = session_.load();
  const NodeId at = inodes_.node_for(parent);
  if (session == nullptr || at == kNoNode) return;
  (void)fuse_lowlevel_notify_inval_inode(session, raw(at), 0, 0);
}

void KernelChannel::attributes_changed(NodeId node) {
  fuse_session* session = session_.load();
  if (session == nullptr) return;
  (void)fuse_lowlevel_notify_inval_inode(session, raw(node), -1, 0);
}

std::int32_t KernelChannel::open(int fd) {
  fuse_session* session = session_.load();
  if (session == nullptr) return 0;
  BackingMap map{.fd = fd, .flags = 0, .padding = 0};
  const int id = ::ioctl(fuse_session_fd(session), kBackingOpen, &map);
  return std::max(id, 0);
}

void KernelChannel::close(std::int32_t id) {
  fuse_session* session = session_.load();
  if (session == nullptr) return;
  auto number = static_cast<std::uint32_t>(id);
  (void)::ioctl(fuse_session_fd(session), kBackingClose, &number);
}

bool kernel_offers_io_uring() {
  std::ifstream parameter("/sys/module/fuse/parameters/enable_uring");
  char value = 'N';
  return static_cast<bool>(parameter >> value) && (value == 'Y' || value == '1');
}

int clear_dead_mounts(const std::string& path) {
  int cleared = 0;
  // Not stat(2), which the kernel may answer from its cache long after the daemon has gone. What
  // was on its way when the last of the daemon went ends in ECONNABORTED, or ECANCELED on a ring.
  struct statfs ignored;
  while (::statfs(path.c_str(), &ignored) != 0 &&
         (errno == ENOTCONN || errno == ECONNABORTED || errno == ECANCELED)) {
    if (::umount2(path.c_str(), MNT_DETACH) != 0) break;
    ++cleared;
  }
  return cleared;
}

Mount::Mount(fuse_session* session, KernelChannel& channel, std::string mountpoint, dev_t device)
    : session_(session), channel_(channel), mountpoint_(std::move(mountpoint)), device_(device) {}

std::expected<std::unique_ptr<Mount>, MountError> Mount::open(const MountOptions& options,
                                                              OpsContext& context,
                                                              KernelChannel& channel) {
  const auto cannot = [&options](int why, const char* hint) {
    return std::unexpected(
        MountError{"cannot mount " + options.mountpoint + ": " + std::strerror(why) + hint});
  };
  struct stat place{};
  if (::stat(options.mountpoint.c_str(), &place) != 0) return cannot(errno, "");
  if (!S_ISDIR(place.st_mode)) return cannot(ENOTDIR, "");
  fuse_set_log_func(log_from_libfuse);
  std::string program = "ebbfs";
  std::string flag = "-o";
  std::string values = option_string(options);
  std::array<char*, 4> argv{program.data(), flag.data(), values.data(), nullptr};
  fuse_args arguments = FUSE_ARGS_INIT(3, argv.data());
  fuse_session* session =
      fuse_session_new(&arguments, &operations(), sizeof(fuse_lowlevel_ops), &context);
  fuse_opt_free_args(&arguments);
  if (session == nullptr) {
    return std::unexpected(MountError{"mount options not understood: " + values});
  }
  if (fuse_session_mount(session, options.mountpoint.c_str()) != 0) {
    const int why = errno;
    fuse_session_destroy(session);
    return cannot(why, " (needs root, /dev/fuse and CAP_SYS_ADMIN)");
  }
  channel.attach(session);
  const auto device = device_at(options.mountpoint);
  return std::unique_ptr<Mount>(
      new Mount(session, channel, options.mountpoint, device.value_or(dev_t{0})));
}

Mount::~Mount() {
  unmount();
  end();
  channel_.attach(nullptr);
  fuse_session_destroy(session_);
}

int Mount::serve() {
  fuse_loop_config* config = fuse_loop_cfg_create();
  fuse_loop_cfg_set_clone_fd(config, 1);
  fuse_loop_cfg_set_max_threads(config, kThreadsMax);
  fuse_loop_cfg_set_idle_threads(config, kThreadsMax);
  const int result = fuse_session_loop_mt(session_, config);
  fuse_loop_cfg_destroy(config);
  return result < 0 ? -result : 0;
}

void Mount::unmount() {
  if (unmounted_.exchange(true)) return;
  // Somebody may have unmounted already: what is there now is then the volume itself.
  const auto there = device_at(mountpoint_);
  if (there && *there == device_ && ::umount2(mountpoint_.c_str(), 0) != 0) {
    const int why = errno;
    // Asked before it is detached, while whoever holds it can still be seen to.
    const auto holders = holders_of(device_, kHoldersShown);
    spdlog::warn("event=unmount_busy mount={} errno={} action=lazy holders={}{}", mountpoint_, why,
                 holders.size(), holders.size() == kHoldersShown ? " or more" : "");
    for (const std::string& holder : holders) {
      spdlog::warn("event=unmount_busy mount={} held_by={:?}", mountpoint_, holder);
    }
    (void)::umount2(mountpoint_.c_str(), MNT_DETACH);
  }
}

void Mount::end() { fuse_session_exit(session_); }

}  // namespace ebbfs
