// SPDX-License-Identifier: Apache-2.0
//
// The kernel's handle on a process: pidfd_open(2), and the ioctl PIDFD_GET_INFO of newer kernels.
// While a pidfd's process is not reaped, its pid number cannot belong to another process; that is
// what makes facts read from /proc/PID trustworthy. Free functions without state: any thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "fs/unique_fd.h"
#include "index/result.h"
#include "index/types.h"
#include "policy/decision.h"

namespace ebbfs {

// A process and the pidfd that was opened for it: as long as this exists, the two belong together.
struct ProcessHandle {
  ProcessId id;
  UniqueFd pidfd;
};
using ProcessRef = std::shared_ptr<const ProcessHandle>;

// Handle on the process `tgid`. Errors: ESRCH no such process or thread; ENOENT `tgid` is a thread
// that does not lead its group; EMFILE, ENFILE.
[[nodiscard]] Result<UniqueFd> open_pidfd(pid_t tgid);

// Handle on the thread `tid` (Linux 6.9). Errors: ESRCH; EINVAL on an older kernel; EMFILE, ENFILE.
[[nodiscard]] Result<UniqueFd> open_thread_pidfd(pid_t tid);

// All of the process has ended, reaped or not. For a handle on a thread: that thread has.
[[nodiscard]] bool pidfd_ended(int pidfd);

// The process has been reaped: its number is free for another.
[[nodiscard]] bool pidfd_reaped(int pidfd);

// What PIDFD_GET_INFO says.
struct PidfdInfo {
  pid_t tgid = 0;                  // 0 once reaped
  pid_t ppid = 0;                  // 0 once reaped, or when the parent is not visible
  std::uint64_t cgroup_id = 0;     // of the v2 hierarchy, 0 when there is none
  std::optional<int> wait_status;  // as of wait(2); only there once reaped (Linux 6.15)
};

// Errors: ESRCH reaped, and the kernel keeps no status; ENOTTY or EINVAL on an older kernel.
[[nodiscard]] Result<PidfdInfo> pidfd_info(int pidfd);

// Whether this kernel has both open_thread_pidfd and pidfd_info.
[[nodiscard]] bool pidfd_info_supported();

// Whether `tid` is a living thread of the process `tgid` at this moment; unknown when signalling it
// is not allowed.
[[nodiscard]] Answer is_thread_of(pid_t tgid, pid_t tid);

}  // namespace ebbfs
