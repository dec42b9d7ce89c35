// SPDX-License-Identifier: Apache-2.0
#include "fs/pidfd.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace ebbfs {
namespace {

// struct pidfd_info of linux/pidfd.h, first published size. Written out because the headers of
// Debian 12 and 13 do not have it, or have it without the exit code.
struct KernelPidfdInfo {
  std::uint64_t mask;
  std::uint64_t cgroupid;
  std::uint32_t pid;
  std::uint32_t tgid;
  std::uint32_t ppid;
  std::uint32_t ruid;
  std::uint32_t rgid;
  std::uint32_t euid;
  std::uint32_t egid;
  std::uint32_t suid;
  std::uint32_t sgid;
  std::uint32_t fsuid;
  std::uint32_t fsgid;
  std::int32_t exit_code;
};
static_assert(sizeof(KernelPidfdInfo) == 64);

constexpr unsigned long kGetInfo = _IOWR(0xFF, 11, KernelPidfdInfo);  // PIDFD_GET_INFO
constexpr std::uint64_t kInfoPid = 1U << 0U;
constexpr std::uint64_t kInfoCgroupId = 1U << 2U;
constexpr std::uint64_t kInfoExit = 1U << 3U;
constexpr unsigned kThread = O_EXCL;  // PIDFD_THREAD

Result<UniqueFd> open_with_flags(pid_t pid, unsigned flags) {
  const long fd = ::syscall(SYS_pidfd_open, pid, flags);
  if (fd < 0) return fail_errno();
  return UniqueFd(static_cast<int>(fd));
}

}  // namespace

Result<UniqueFd> open_pidfd(pid_t tgid) {
  if (tgid <= 0) return fail(ESRCH);
  auto fd = open_with_flags(tgid, 0);
  // Kernels before 6.9 say EINVAL of a thread that does not lead its group.
  if (!fd && code(fd.error()) == EINVAL) return fail(ENOENT);
  return fd;
}

Result<UniqueFd> open_thread_pidfd(pid_t tid) {
  if (tid <= 0) return fail(ESRCH);
  return open_with_flags(tid, kThread);
}

bool pidfd_ended(int pidfd) {
  pollfd poll_fd{.fd = pidfd, .events = POLLIN, .revents = 0};
  return ::poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & (POLLIN | POLLHUP)) != 0;
}

bool pidfd_reaped(int pidfd) {
  // Signal 0 only asks. A zombie still answers; not being allowed to signal is an answer as well.
  return ::syscall(SYS_pidfd_send_signal, pidfd, 0, nullptr, 0) != 0 && errno == ESRCH;
}

Result<PidfdInfo> pidfd_info(int pidfd) {
  KernelPidfdInfo raw{};
  raw.mask = kInfoPid | kInfoCgroupId | kInfoExit;
  if (::ioctl(pidfd, kGetInfo, &raw) != 0) return fail_errno();
  PidfdInfo info;
  if ((raw.mask & kInfoPid) != 0) {
    info.tgid = static_cast<pid_t>(raw.tgid);
    info.ppid = static_cast<pid_t>(raw.ppid);
  }
  if ((raw.mask & kInfoCgroupId) != 0) info.cgroup_id = raw.cgroupid;
  if ((raw.mask & kInfoExit) != 0) info.wait_status = raw.exit_code;
  return info;
}

bool pidfd_info_supported() {
  const auto self = open_thread_pidfd(::gettid());
  if (!self) return false;
  const auto info = pidfd_info(self->get());
  return info.has_value() && info->tgid == ::getpid();
}

Answer is_thread_of(pid_t tgid, pid_t tid) {
  if (tgid <= 0 || tid <= 0) return Answer::no;
  if (::syscall(SYS_tgkill, tgid, tid, 0) == 0) return Answer::yes;
  return errno == ESRCH ? Answer::no : Answer::unknown;
}

}  // namespace ebbfs
