// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fake_process_table.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

namespace ebbfs {
namespace {

using Life = OwnerState::Life;

bool has_ended(const OwnerState& state) {
  return state.life == Life::killed || state.life == Life::exited || state.life == Life::ended;
}

}  // namespace

FakeProcessTable::FakeProcessTable(FakeClock& clock)
    : clock_(clock), event_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  clock.on_move([this] { apply_due(); });
}

ProcessId FakeProcessTable::start(const Start& how) {
  const MutexLock lock(mu_);
  const ProcessId id{.tgid = how.pid != 0 ? how.pid : next_pid_++, .start_time = next_start_++};
  Process process{.seen = {.id = id, .ns_pid = how.ns_pid, .comm = how.comm},
                  .parent = how.parent,
                  .cgroup = how.cgroup,
                  .pid_ns = how.pid_ns,
                  .kernel_thread = how.kernel_thread,
                  .started = clock_.boot_now()};
  if (how.ns_pid == 0) process.seen.ns_pid = id.tgid;
  processes_.emplace(id, std::move(process));
  by_pid_.insert_or_assign(id.tgid, id);
  cgroups_.insert_or_assign(how.cgroup, true);
  return id;
}

void FakeProcessTable::start_thread(pid_t tgid, pid_t tid) {
  const MutexLock lock(mu_);
  threads_.insert_or_assign(tid, tgid);
}

void FakeProcessTable::end_thread(pid_t tid) {
  const MutexLock lock(mu_);
  threads_.erase(tid);
}

void FakeProcessTable::end(const ProcessId& process, Life how) {
  const MutexLock lock(mu_);
  end_now(process, how);
}

void FakeProcessTable::end_at(const ProcessId& process, Life how, WallTime at) {
  const MutexLock lock(mu_);
  due_.emplace(at, Due{.process = process, .how = how});
}

void FakeProcessTable::end_now(const ProcessId& process, Life how) {
  const auto it = processes_.find(process);
  if (it == processes_.end() || has_ended(it->second.state)) return;
  it->second.state = {.life = how, .ended_at = clock_.wall_now()};
  for (auto& [id, child] : processes_) {
    if (child.parent == process.tgid && !has_ended(child.state)) child.parent = 1;
  }
  std::erase_if(threads_, [&](const auto& thread) { return thread.second == process.tgid; });
  if (watches_.contains(process)) {
    report({.process = process, .cgroup = {}, .state = it->second.state});
  }
}

void FakeProcessTable::apply_due() {
  const MutexLock lock(mu_);
  const auto now = clock_.wall_now();
  while (!due_.empty() && due_.begin()->first <= now) {
    const auto due = due_.extract(due_.begin()).mapped();
    end_now(due.process, due.how);
  }
}

void FakeProcessTable::hide(const ProcessId& process) {
  const MutexLock lock(mu_);
  processes_.at(process).state = {.life = Life::unknown, .ended_at = {}};
}

void FakeProcessTable::reboot() {
  const MutexLock lock(mu_);
  ++boot_.bytes[0];
  processes_.clear();
  by_pid_.clear();
  threads_.clear();
  cgroups_.clear();
  due_.clear();
  ended_.clear();
  watches_.clear();
  cgroup_watches_.clear();
}

void FakeProcessTable::populate_cgroup(const std::string& cgroup) {
  const MutexLock lock(mu_);
  cgroups_.insert_or_assign(cgroup, true);
}

void FakeProcessTable::empty_cgroup(const std::string& cgroup) {
  const MutexLock lock(mu_);
  const bool was_populated = std::exchange(cgroups_[cgroup], false);
  if (!was_populated || !cgroup_watches_.contains(cgroup)) return;
  report({.process = {},
          .cgroup = cgroup,
          .state = {.life = Life::ended, .ended_at = clock_.wall_now()}});
}

void FakeProcessTable::set_inodes_in_use(Result<std::unordered_set<std::uint64_t>> answer) {
  if (!answer) return set_in_use(std::unexpected(answer.error()));
  set_in_use(ProcessUse{.inodes = *std::move(answer)});
}

void FakeProcessTable::set_in_use(Result<ProcessUse> answer) {
  const MutexLock lock(mu_);
  in_use_ = std::move(answer);
}

void FakeProcessTable::set_inodes_in_use_later(std::unordered_set<std::uint64_t> answer) {
  const MutexLock lock(mu_);
  in_use_later_ = ProcessUse{.inodes = std::move(answer)};
}

void FakeProcessTable::set_watch_answer(Status answer) {
  const MutexLock lock(mu_);
  watch_answer_ = answer;
}

std::size_t FakeProcessTable::watches(const ProcessId& process) const {
  const MutexLock lock(mu_);
  const auto it = watches_.find(process);
  return it == watches_.end() ? 0 : it->second;
}

std::size_t FakeProcessTable::watches(const std::string& cgroup) const {
  const MutexLock lock(mu_);
  const auto it = cgroup_watches_.find(cgroup);
  return it == cgroup_watches_.end() ? 0 : it->second;
}

std::size_t FakeProcessTable::scans() const {
  const MutexLock lock(mu_);
  return scans_;
}

BootId FakeProcessTable::boot_id() const {
  const MutexLock lock(mu_);
  return boot_;
}

const FakeProcessTable::Process* FakeProcessTable::find_living(pid_t pid) const {
  const auto it = by_pid_.find(pid);
  if (it == by_pid_.end()) return nullptr;
  const auto& process = processes_.at(it->second);
  return has_ended(process.state) ? nullptr : &process;
}

CallerIdentity FakeProcessTable::identify(pid_t tid) {
  const MutexLock lock(mu_);
  const auto thread = threads_.find(tid);
  const auto* process = find_living(thread == threads_.end() ? tid : thread->second);
  if (process == nullptr) return {};
  CallerIdentity caller{.process = process->seen,
                        .ancestors = {},
                        .pid_ns = process->pid_ns,
                        .cgroup = process->cgroup};
  while (process->parent > 1) {
    process = find_living(process->parent);
    if (process == nullptr) break;
    caller.ancestors.push_back(process->seen);
  }
  return caller;
}

Status FakeProcessTable::watch(const ProcessId& process) {
  const MutexLock lock(mu_);
  if (!watches_.contains(process) && !watch_answer_) return watch_answer_;
  ++watches_[process];
  const auto state = state_of(process);
  if (has_ended(state)) report({.process = process, .cgroup = {}, .state = state});
  return {};
}

void FakeProcessTable::unwatch(const ProcessId& process) {
  const MutexLock lock(mu_);
  const auto it = watches_.find(process);
  if (it == watches_.end() || --it->second > 0) return;
  watches_.erase(it);
  std::erase_if(ended_, [&](const auto& ended) { return ended.process == process; });
}

Status FakeProcessTable::watch_cgroup(const std::string& cgroup) {
  if (!cgroup.starts_with('/')) return fail(EINVAL);
  const MutexLock lock(mu_);
  if (!cgroup_watches_.contains(cgroup) && !watch_answer_) return watch_answer_;
  ++cgroup_watches_[cgroup];
  if (const auto it = cgroups_.find(cgroup); it != cgroups_.end() && it->second) return {};
  report({.process = {},
          .cgroup = cgroup,
          .state = {.life = Life::ended, .ended_at = clock_.wall_now()}});
  return {};
}

void FakeProcessTable::unwatch_cgroup(const std::string& cgroup) {
  const MutexLock lock(mu_);
  const auto it = cgroup_watches_.find(cgroup);
  if (it == cgroup_watches_.end() || --it->second > 0) return;
  cgroup_watches_.erase(it);
  std::erase_if(ended_, [&](const auto& ended) { return ended.cgroup == cgroup; });
}

OwnerState FakeProcessTable::state_of(const ProcessId& process) const {
  const auto it = processes_.find(process);
  if (it == processes_.end()) return {.life = Life::ended, .ended_at = clock_.wall_now()};
  return it->second.state;
}

OwnerState FakeProcessTable::state(const ProcessId& process, const BootId& booted) {
  const MutexLock lock(mu_);
  if (!process.known()) return {.life = Life::unknown, .ended_at = {}};
  if (booted != boot_) return {.life = Life::ended, .ended_at = clock_.wall_now()};
  return state_of(process);
}

OwnerState FakeProcessTable::cgroup_state(const std::string& cgroup) {
  if (!cgroup.starts_with('/')) return {.life = Life::unknown, .ended_at = {}};
  const MutexLock lock(mu_);
  const auto it = cgroups_.find(cgroup);
  const bool populated = it != cgroups_.end() && it->second;
  return {.life = populated ? Life::alive : Life::ended, .ended_at = clock_.wall_now()};
}

const FakeProcessTable::Process* FakeProcessTable::find_in_namespace(pid_t pid,
                                                                     std::uint64_t pid_ns) const {
  for (const auto& [id, process] : processes_) {
    if (process.pid_ns != pid_ns || process.seen.ns_pid != pid) continue;
    if (!has_ended(process.state)) return &process;
  }
  return nullptr;
}

std::optional<ProcessTable::Living> FakeProcessTable::living(pid_t pid, std::uint64_t pid_ns) {
  const MutexLock lock(mu_);
  if (pid_ns == 0 && pid == 1) return std::nullopt;
  const bool ours = pid_ns == 0 || pid_ns == kOwnPidNs;
  const auto* process = ours ? find_living(pid) : find_in_namespace(pid, pid_ns);
  if (process == nullptr || process->kernel_thread) return std::nullopt;
  return Living{.process = process->seen, .started = process->started};
}

void FakeProcessTable::report(EndedOwner ended) {
  ended_.push_back(std::move(ended));
  ::eventfd_write(event_.get(), 1);
}

std::vector<EndedOwner> FakeProcessTable::drain_ended() {
  const MutexLock lock(mu_);
  eventfd_t count = 0;
  ::eventfd_read(event_.get(), &count);
  return std::exchange(ended_, {});
}

Result<ProcessUse> FakeProcessTable::in_use(const Devices& /*devices*/, ProcessLook /*look*/) {
  const MutexLock lock(mu_);
  ++scans_;
  auto answer = in_use_;
  if (in_use_later_) in_use_ = *std::exchange(in_use_later_, std::nullopt);
  return answer;
}

}  // namespace ebbfs
