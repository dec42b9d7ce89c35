// SPDX-License-Identifier: Apache-2.0
#include "tools/control_client.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <vector>

#include "fs/unique_fd.h"

namespace ebbfs {
namespace {

constexpr std::size_t kReadSize = 128 * 1024;  // one FUSE request of common size
constexpr const char* kIndexName = "index";

// `directory`/.ebbfs as an O_PATH descriptor.
Result<UniqueFd> open_control_directory(const std::string& directory) {
  const UniqueFd top(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!top.valid()) return fail_errno();
  const std::string name(kControlDirectory);
  UniqueFd inner(::openat(top.get(), name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!inner.valid()) return fail_errno();
  return inner;
}

Result<bool> on_fuse(int fd) {
  struct statfs info{};
  if (::fstatfs(fd, &info) != 0) return fail_errno();
  return info.f_type == FUSE_SUPER_MAGIC;
}

Result<mode_t> mode_below(int directory, const char* name) {
  struct stat info{};
  if (::fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW) != 0) return fail_errno();
  return info.st_mode;
}

Probe probe_of(Errno error) {
  if (code(error) == ENOTCONN) return Probe::dead;
  return code(error) == EACCES ? Probe::denied : Probe::none;
}

std::string working_directory() {
  std::error_code error;
  std::string path = std::filesystem::current_path(error).string();
  // The kernel gives "(unreachable)..." for one outside of our root.
  if (!error && path.starts_with('/')) return path;
  const char* shell = ::getenv("PWD");
  return shell != nullptr && *shell == '/' ? shell : "";
}

Result<UniqueFd> open_control(const std::string& mount, int mode) {
  const auto directory = open_control_directory(mount);
  if (!directory) return std::unexpected(directory.error());
  const auto fuse = on_fuse(directory->get());
  if (!fuse) return std::unexpected(fuse.error());
  if (!*fuse) return fail(ENOENT);
  const std::string name(kControlName);
  UniqueFd fd(::openat(directory->get(), name.c_str(), mode | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return fail_errno();
  return fd;
}

// By a mount, or a part of one, that is read-only.
Result<std::string> exchange_read_only(const std::string& mount, const std::string& request) {
  if (request.size() > kIoctlRequestMax) return fail(EMSGSIZE);
  const auto fd = open_control(mount, O_RDONLY);
  if (!fd) return std::unexpected(fd.error());
  if (::ioctl(fd->get(), control_ioctl(request.size()), request.data()) != 0) return fail_errno();
  return read_whole(fd->get());
}

Result<std::string> exchange(const std::string& mount, const std::string& request) {
  const auto fd = open_control(mount, O_RDWR);
  if (!fd && fd.error() == Errno{EROFS}) return exchange_read_only(mount, request);
  if (!fd) return std::unexpected(fd.error());
  ssize_t written = 0;
  do {
    written = ::write(fd->get(), request.data(), request.size());
  } while (written < 0 && errno == EINTR);
  if (written < 0) return fail_errno();
  if (static_cast<std::size_t>(written) != request.size()) return fail(EIO);
  return read_whole(fd->get());
}

ControlReply explain(const std::string& mount, Errno error) {
  switch (code(error)) {
    case ENOTCONN:
    case ECONNABORTED:
      return dead_mount(mount);
    case ENOENT: {
      ControlReply reply = refused(fmt::format("{} is not the root of an ebbfs mount", mount));
      reply.exit_code = kExitNoMount;
      return reply;
    }
    case EACCES:
    case EPERM:
      return refused(fmt::format("{}/{}: no permission to ask: run as root", mount, kControlPath));
    case EMSGSIZE:
      return misused("PATH is too long");
    case ENOTTY:
      return refused(fmt::format(
          "{} is read-only, and its daemon of an older version: run ebbctl where it is mounted "
          "read-write",
          mount));
    default:
      return refused(fmt::format("{}/{}: {}", mount, kControlPath, std::strerror(code(error))));
  }
}

// What `read_more` gives until it gives nothing.
template <typename Read>
Result<std::string> collect(Read read_more) {
  std::string text;
  std::vector<char> buffer(kReadSize);
  for (;;) {
    const ssize_t n = read_more(buffer.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno();
    if (n == 0) return text;
    if (text.size() + static_cast<std::size_t>(n) > kReplyMax) return fail(EFBIG);
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
}

}  // namespace

Probe probe_directory(const std::string& directory) {
  const auto fd = open_control_directory(directory);
  if (!fd) return probe_of(fd.error());
  const auto fuse = on_fuse(fd->get());
  if (!fuse) return probe_of(fuse.error());
  if (*fuse) {
    const auto mode = mode_below(fd->get(), std::string(kControlName).c_str());
    if (mode && S_ISREG(*mode)) return Probe::control;
    if (!mode && code(mode.error()) != ENOENT) return probe_of(mode.error());
  }
  const auto index = mode_below(fd->get(), kIndexName);
  return index && S_ISDIR(*index) ? Probe::not_mounted : Probe::none;
}

Host this_host() {
  return {.working_directory = working_directory(),
          .mountinfo = read_file("/proc/self/mountinfo").value_or(""),
          .probe = probe_directory};
}

Result<std::string> read_whole(int fd) {
  return collect([&](char* buffer, std::size_t offset) {
    return ::pread(fd, buffer, kReadSize, static_cast<off_t>(offset));
  });
}

Result<std::string> read_file(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return fail_errno();
  return collect(
      [&](char* buffer, std::size_t /*offset*/) { return ::read(fd.get(), buffer, kReadSize); });
}

ControlReply ask(const std::string& mount, const ControlRequest& request) {
  const std::string message = encode(request);
  if (message.size() > kRequestMax) return misused("PATH is too long");
  const auto text = exchange(mount, message);
  if (!text) return explain(mount, text.error());
  auto reply = decode_reply(*text);
  if (!reply) {
    return refused(
        fmt::format("{}/{}: the answer is not one of an ebbfs daemon", mount, kControlPath));
  }
  return *std::move(reply);
}

}  // namespace ebbfs
