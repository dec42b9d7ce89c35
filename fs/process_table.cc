// SPDX-License-Identifier: Apache-2.0
//
// Puts the real table together: process_cache says who, process_ends says when and how they end,
// cgroup_watch the same of cgroups, proc_scan who sits inside.
#include "fs/process_table.h"

#include <unistd.h>

#include <utility>

#include "fs/cgroup_watch.h"
#include "fs/clock.h"
#include "fs/pidfd.h"
#include "fs/proc_files.h"
#include "fs/proc_scan.h"
#include "fs/process_cache.h"
#include "fs/process_ends.h"
#include "fs/process_reader.h"

namespace ebbfs {
namespace {

using Life = OwnerState::Life;

Duration since_boot(std::uint64_t ticks) {
  const auto tick = std::chrono::nanoseconds(1'000'000'000 / ::sysconf(_SC_CLK_TCK));
  return tick * static_cast<std::int64_t>(ticks);
}

class SystemProcessTable final : public ProcessTable {
 public:
  SystemProcessTable(ProcFiles proc, const ProcessTableOptions& options)
      : proc_(std::move(proc)),
        boot_id_(proc_.boot_id()),
        pid_ns_(proc_.pid_namespace(::getpid()).value_or(0)),
        reader_(proc_, options.pidfd_info),
        end_reader_(proc_, options) {}
  Status open(const ProcessTableOptions& options);

  [[nodiscard]] BootId boot_id() const override { return boot_id_; }
  [[nodiscard]] CallerIdentity identify(pid_t tid) override { return cache_->identify(tid); }
  [[nodiscard]] Status watch(const ProcessId& process) override;
  void unwatch(const ProcessId& process) override { ends_->unwatch(process); }
  [[nodiscard]] Status watch_cgroup(const std::string& cgroup) override;
  void unwatch_cgroup(const std::string& cgroup) override { cgroups_->unwatch(cgroup); }
  [[nodiscard]] OwnerState state(const ProcessId& process, const BootId& booted) override;
  [[nodiscard]] bool sees_cgroup(const std::string& cgroup) const override {
    return cgroups_->sees(cgroup);
  }
  [[nodiscard]] OwnerState cgroup_state(const std::string& cgroup) override;
  [[nodiscard]] std::optional<Living> living(pid_t pid, std::uint64_t pid_ns) override;
  [[nodiscard]] int event_fd() const override { return ends_->fd(); }
  [[nodiscard]] std::vector<EndedOwner> drain_ended() override;
  [[nodiscard]] Result<ProcessUse> in_use(const Devices& devices, ProcessLook look) override {
    return scan_in_use(proc_, devices, look, own_pid(proc_));
  }

 private:
  [[nodiscard]] Result<ProcessRef> handle_of(const ProcessId& process);
  [[nodiscard]] OwnerState now(Life life) const {
    return {.life = life, .ended_at = clock_.wall_now()};
  }

  const SystemClock clock_;
  const ProcFiles proc_;
  const BootId boot_id_;
  const std::uint64_t pid_ns_;
  const ProcessReader reader_;
  const EndReader end_reader_;
  // Set once by open().
  std::unique_ptr<ProcessCache> cache_;
  std::unique_ptr<ProcessEnds> ends_;
  std::unique_ptr<CgroupWatch> cgroups_;
};

Status SystemProcessTable::open(const ProcessTableOptions& options) {
  auto cache = ProcessCache::open(reader_, clock_, options);
  if (!cache) return std::unexpected(cache.error());
  auto ends = ProcessEnds::open(end_reader_, clock_);
  if (!ends) return std::unexpected(ends.error());
  auto cgroups = CgroupWatch::open(proc_.cgroup_mount());
  if (!cgroups) return std::unexpected(cgroups.error());
  cache_ = *std::move(cache);
  ends_ = *std::move(ends);
  cgroups_ = *std::move(cgroups);
  return ends_->add_source(cgroups_->fd());
}

// The handle of exactly this process; null when it has ended and nothing of it is left. Errors: it
// cannot be found out.
Result<ProcessRef> SystemProcessTable::handle_of(const ProcessId& process) {
  if (!process.known()) return fail(EINVAL);
  auto handle = cache_->handle(process);
  // ENOENT: the number stands for a mere thread of another process.
  const int error = handle ? 0 : code(handle.error());
  if (error == ESRCH || error == ENOENT) return nullptr;
  return handle;
}

Status SystemProcessTable::watch(const ProcessId& process) {
  if (ends_->watch_again(process)) return {};
  auto handle = handle_of(process);
  if (!handle) return std::unexpected(handle.error());
  return ends_->watch(process, *std::move(handle));
}

Status SystemProcessTable::watch_cgroup(const std::string& cgroup) {
  const auto life = cgroups_->watch(cgroup);
  if (!life) return std::unexpected(life.error());
  if (*life == CgroupLife::gone) ends_->wake();
  return {};
}

OwnerState SystemProcessTable::state(const ProcessId& process, const BootId& booted) {
  if (!process.known()) return now(Life::unknown);
  // An id that could not be read equals none: nothing can be said then.
  if (booted == BootId{} || boot_id_ == BootId{}) return now(Life::unknown);
  if (booted != boot_id_) return now(Life::ended);
  if (const auto watched = ends_->state(process)) return *watched;
  const auto handle = handle_of(process);
  if (!handle) return now(Life::unknown);
  if (!*handle) return now(Life::ended);
  if (!pidfd_ended((*handle)->pidfd.get())) return now(Life::alive);
  return now(end_reader_.how(**handle).value_or(Life::ended));
}

OwnerState SystemProcessTable::cgroup_state(const std::string& cgroup) {
  switch (cgroups_->life(cgroup)) {
    case CgroupLife::populated:
      return now(Life::alive);
    case CgroupLife::gone:
      return now(Life::ended);
    case CgroupLife::unknown:
      break;
  }
  return now(Life::unknown);
}

std::optional<ProcessTable::Living> SystemProcessTable::living(pid_t pid, std::uint64_t pid_ns) {
  constexpr pid_t kInit = 1;
  if (pid_ns == 0 && pid == kInit) return std::nullopt;
  if (pid_ns != 0 && pid_ns != pid_ns_) {
    const auto ours = find_in_pid_namespace(proc_, pid, pid_ns);
    if (!ours) return std::nullopt;
    pid = *ours;
  }
  auto process = cache_->living(pid);
  if (!process) return std::nullopt;
  const Duration started = since_boot(process->id.start_time);
  return Living{.process = *std::move(process), .started = started};
}

std::vector<EndedOwner> SystemProcessTable::drain_ended() {
  auto ended = ends_->drain();
  for (auto& cgroup : cgroups_->drain()) {
    ended.push_back({.process = {}, .cgroup = std::move(cgroup), .state = now(Life::ended)});
  }
  return ended;
}

}  // namespace

Result<std::unique_ptr<ProcessTable>> open_process_table(const ProcessTableOptions& options) {
  auto proc = ProcFiles::open();
  if (!proc) return std::unexpected(proc.error());
  if (const auto self = open_pidfd(::getpid()); !self) return std::unexpected(self.error());
  auto used = options;
  used.pidfd_info = used.pidfd_info && pidfd_info_supported();
  used.zombie_status = used.zombie_status && has_ptrace_capability();
  auto table = std::make_unique<SystemProcessTable>(*std::move(proc), used);
  if (auto opened = table->open(used); !opened) return std::unexpected(opened.error());
  return std::unique_ptr<ProcessTable>(std::move(table));
}

}  // namespace ebbfs
