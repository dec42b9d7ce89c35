// SPDX-License-Identifier: Apache-2.0
#include "fs/process_reader.h"

#include <unistd.h>

#include <utility>

namespace ebbfs {
namespace {

// Why /proc/PID could not be read: a process that is hidden though it exists (hidepid) is another
// thing than one that is gone.
Errno why_unreadable(int pidfd, Errno error) {
  if (pidfd_reaped(pidfd)) return Errno{ESRCH};
  return code(error) == ESRCH ? Errno{EACCES} : error;
}

}  // namespace

ProcessReader::ProcessReader(const ProcFiles& proc, bool use_pidfd_info)
    : proc_(proc),
      use_pidfd_info_(use_pidfd_info),
      own_ns_(proc.pid_namespace(::getpid()).value_or(0)) {}

Result<ProcessReader::Facts> ProcessReader::read(pid_t tgid) const {
  auto pidfd = open_pidfd(tgid);
  if (!pidfd) return std::unexpected(pidfd.error());
  auto stat = proc_.stat(tgid);
  if (!stat) return std::unexpected(why_unreadable(pidfd->get(), stat.error()));
  Facts facts;
  facts.seen.id = {.tgid = tgid, .start_time = stat->start_time};
  facts.seen.comm = std::move(stat->comm);
  facts.seen.ns_pid = tgid;
  facts.kernel_thread = stat->kernel_thread;
  facts.pid_ns = proc_.pid_namespace(tgid).value_or(0);
  if (facts.pid_ns != own_ns_) {
    const auto status = proc_.status(tgid);
    facts.seen.ns_pid = status ? status->ns_pid() : 0;
  }
  if (pidfd_reaped(pidfd->get())) return fail(ESRCH);
  facts.handle = std::make_shared<ProcessHandle>(facts.seen.id, *std::move(pidfd));
  return facts;
}

Result<ProcessRef> ProcessReader::open(const ProcessId& process) const {
  auto pidfd = open_pidfd(process.tgid);
  if (!pidfd) return std::unexpected(pidfd.error());
  const auto stat = proc_.stat(process.tgid);
  if (!stat) return std::unexpected(why_unreadable(pidfd->get(), stat.error()));
  if (pidfd_reaped(pidfd->get())) return fail(ESRCH);
  if (stat->start_time != process.start_time) return fail(ESRCH);
  return std::make_shared<ProcessHandle>(process, *std::move(pidfd));
}

Result<pid_t> ProcessReader::group(pid_t tid) const {
  if (use_pidfd_info_) {
    const auto thread = open_thread_pidfd(tid);
    if (!thread) return std::unexpected(thread.error());
    const auto info = pidfd_info(thread->get());
    if (!info) return std::unexpected(info.error());
    if (info->tgid <= 0) return fail(ESRCH);
    return info->tgid;
  }
  const auto status = proc_.status(tid);
  if (!status) return std::unexpected(status.error());
  return status->tgid;
}

Result<pid_t> ProcessReader::parent(const ProcessHandle& process) const {
  if (use_pidfd_info_) {
    const auto info = pidfd_info(process.pidfd.get());
    if (!info) return std::unexpected(info.error());
    if (info->tgid <= 0) return fail(ESRCH);
    return info->ppid;
  }
  const auto stat = proc_.stat(process.id.tgid);
  if (!stat) return std::unexpected(stat.error());
  if (stat->start_time != process.id.start_time) return fail(ESRCH);
  return stat->ppid;
}

std::uint64_t ProcessReader::cgroup_id(const ProcessHandle& process) const {
  if (!use_pidfd_info_) return 0;
  const auto info = pidfd_info(process.pidfd.get());
  return info ? info->cgroup_id : 0;
}

Result<std::string> ProcessReader::cgroup(const ProcessHandle& process) const {
  auto path = proc_.cgroup(process.id.tgid);
  if (pidfd_reaped(process.pidfd.get())) return fail(ESRCH);
  return path;
}

Result<std::string> ProcessReader::comm(const ProcessHandle& process) const {
  auto name = proc_.comm(process.id.tgid);
  if (pidfd_reaped(process.pidfd.get())) return fail(ESRCH);
  return name;
}

}  // namespace ebbfs
