// SPDX-License-Identifier: Apache-2.0
//
// Reads facts about one process so that they are sure to be about that one: under its pidfd, which
// is asked afterwards whether the number is still its own. Uses PIDFD_GET_INFO where it may, else
// /proc. Nothing is remembered; immutable, any thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "fs/pidfd.h"
#include "fs/proc_files.h"
#include "index/record.h"
#include "index/result.h"
#include "index/types.h"

namespace ebbfs {

class ProcessReader {
 public:
  // What never changes about a process, but for the command name.
  struct Facts {
    ProcessRef handle;
    ProcessSeen seen;
    std::uint64_t pid_ns = 0;  // 0 when not known
    bool kernel_thread = false;
  };

  // Borrows `proc`.
  ProcessReader(const ProcFiles& proc, bool use_pidfd_info);

  // The process `tgid`, living or zombie. Errors: ESRCH there is none (any more); ENOENT it is a
  // thread that does not lead its group; EMFILE, ENFILE; others: it is there, but not readable.
  [[nodiscard]] Result<Facts> read(pid_t tgid) const;
  // The handle of exactly this process. Errors: as above, and ESRCH when the number is another's.
  [[nodiscard]] Result<ProcessRef> open(const ProcessId& process) const;

  // The process that the thread `tid`, not a leader, belongs to. Errors: ESRCH no such thread;
  // others: not to be found out.
  [[nodiscard]] Result<pid_t> group(pid_t tid) const;

  // Parent's pid, 0 when it is not visible. Errors: ESRCH reaped; others: not to be found out.
  [[nodiscard]] Result<pid_t> parent(const ProcessHandle& process) const;
  // Of its v2 cgroup; 0 when it is not to be had.
  [[nodiscard]] std::uint64_t cgroup_id(const ProcessHandle& process) const;
  // Path of its v2 cgroup, command name. Errors: ESRCH reaped; others: not readable.
  [[nodiscard]] Result<std::string> cgroup(const ProcessHandle& process) const;
  [[nodiscard]] Result<std::string> comm(const ProcessHandle& process) const;

 private:
  const ProcFiles& proc_;
  const bool use_pidfd_info_;
  const std::uint64_t own_ns_;
};

}  // namespace ebbfs
