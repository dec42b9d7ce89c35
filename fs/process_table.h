// SPDX-License-Identifier: Apache-2.0
//
// The door to the host's processes and cgroups: who is behind a request, does an owner still live,
// how did it end, and who sits inside the mount. Everything that cannot be found out is said to be
// unknown, never guessed.
//
// Threading: all methods from any thread. Ends are reported through event_fd() and drain_ended() to
// one reader, the reaper.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fs/process_use.h"
#include "index/record.h"
#include "index/result.h"
#include "index/types.h"
#include "policy/reclaim.h"

namespace ebbfs {

// The caller of a request, mapped from thread to process.
struct CallerIdentity {
  ProcessSeen process;                 // process.id.known() is false when it is not visible
  std::vector<ProcessSeen> ancestors;  // nearest first, up to and without pid 1; may be empty
  std::uint64_t pid_ns = 0;
  std::string cgroup;  // v2 path below the hierarchy's root; empty if not known
};

// An owner whose end has become known.
struct EndedOwner {
  ProcessId process;   // known() for a process
  std::string cgroup;  // set for a cgroup
  OwnerState state;
};

class ProcessTable {
 public:
  virtual ~ProcessTable() = default;
  ProcessTable(const ProcessTable&) = delete;
  ProcessTable& operator=(const ProcessTable&) = delete;

  [[nodiscard]] virtual BootId boot_id() const = 0;

  // Who `tid` is (fuse_ctx.pid: a *thread* id in our pid namespace; 0 when not visible). Uses
  // pidfd_open(PIDFD_THREAD) + PIDFD_GET_INFO where the kernel has them, else /proc/TID. A caller
  // that has ended meanwhile is not visible, unless it is still a zombie, or was identified before
  // and seen to live within the last second, so that its number has not been reused. Known living
  // processes are answered from a cache keyed by process with a pidfd behind it, so that a
  // long-lived worker costs no /proc access but for its command name, ten times a second at most.
  [[nodiscard]] virtual CallerIdentity identify(pid_t tid) = 0;

  // Watches until the matching unwatch; counted, one pidfd per process. Ends come out of
  // drain_ended() once per process, and once more for each watch that begins after that. Watching
  // a process that has already ended reports its end (how, where that can still be known).
  // Errors: EMFILE, ENFILE; EINVAL for one that is not known(); others: /proc hides it.
  [[nodiscard]] virtual Status watch(const ProcessId& process) = 0;
  virtual void unwatch(const ProcessId& process) = 0;
  // The same for a cgroup. Errors: EINVAL it is not to be seen from here; ENOSPC too many.
  [[nodiscard]] virtual Status watch_cgroup(const std::string& cgroup) = 0;
  virtual void unwatch_cgroup(const std::string& cgroup) = 0;

  // Now. `booted` is the boot in which the process was seen: another boot means ended. unknown as
  // well while the process is seen to have ended, is watched, and how is still being found out.
  [[nodiscard]] virtual OwnerState state(const ProcessId& process, const BootId& booted) = 0;
  // Whether the end of `cgroup` could ever be seen from here. Asks nobody.
  [[nodiscard]] virtual bool sees_cgroup(const std::string& cgroup) const = 0;
  // alive while the cgroup exists and is populated; `ended` when empty or removed.
  [[nodiscard]] virtual OwnerState cgroup_state(const std::string& cgroup) = 0;

  // The live process, no thread of the kernel, that the number `pid` stands for in the pid
  // namespace `pid_ns`, when there is one; and when it started, as Clock::boot_now(). A `pid_ns` of
  // 0 is not known: ours, where pid 1 is left out, as each namespace has one. In one that is not
  // ours it asks /proc for all processes, some microseconds each: not on a request's thread.
  struct Living {
    ProcessSeen process;
    Duration started{};
  };
  [[nodiscard]] virtual std::optional<Living> living(pid_t pid, std::uint64_t pid_ns) = 0;

  // Becomes readable (epoll) when drain_ended() has something to say, or should be called to find
  // out (a zombie whose exit status is not to be had yet is asked again by a timer inside).
  [[nodiscard]] virtual int event_fd() const = 0;
  [[nodiscard]] virtual std::vector<EndedOwner> drain_ended() = 0;

  // What any visible process but ourselves has as cwd, root or exe, open, or mapped. Asks /proc
  // with AT_STATX_DONT_SYNC, so that it never calls back into the filesystem; but see
  // fs/proc_scan.h for what it may wait for: not on a request's thread, and with no lock held that
  // a request could need. An error means unknown (say EACCES on a process that still lives). Costs
  // some 0.1 ms a process.
  [[nodiscard]] virtual Result<ProcessUse> in_use(const Devices& devices, ProcessLook look) = 0;

 protected:
  ProcessTable() = default;
};

// Which of the kernel's ways are used. For tests: each is used as far as the kernel has it.
struct ProcessTableOptions {
  bool pidfd_info = true;         // PIDFD_THREAD and PIDFD_GET_INFO; else /proc/TID
  bool zombie_status = true;      // exit codes of zombies, shown to holders of CAP_SYS_PTRACE
  std::size_t cached_max = 1024;  // identified processes, each with a pidfd; at least 32
};

// The real one, over /proc, pidfd_open(2) and cgroup v2. Errors: of open(2) on /proc; EXDEV when
// /proc shows another pid namespace; ENOSYS without pidfd_open (Linux 5.3).
[[nodiscard]] Result<std::unique_ptr<ProcessTable>> open_process_table(
    const ProcessTableOptions& options = {});

}  // namespace ebbfs
