// SPDX-License-Identifier: Apache-2.0
#include "tests/support/process_tables.h"

#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "fs/pidfd.h"
#include "tests/support/child.h"

namespace ebbfs {

std::unique_ptr<ProcessTable> open_table(const ProcessTableOptions& options) {
  auto table = open_process_table(options);
  EXPECT_TRUE(table.has_value());
  return table ? *std::move(table) : nullptr;
}

bool keeps_exit_status() {
  if (!pidfd_info_supported()) return false;
  ChildProcess child;
  const auto pidfd = open_pidfd(child.pid());
  child.kill();
  child.reap();
  const auto info = pidfd ? pidfd_info(pidfd->get()) : fail(ESRCH);
  return info && info->wait_status;
}

ProcessId id_from_proc(pid_t pid) {
  const auto proc = ProcFiles::open();
  if (!proc) return {};
  const auto stat = proc->stat(pid);
  if (!stat) return {};
  return {.tgid = pid, .start_time = stat->start_time};
}

std::vector<EndedOwner> next_ends(ProcessTable& table) {
  std::vector<EndedOwner> ended;
  // A wake-up may be for asking again only.
  while (ended.empty() && becomes_readable(table.event_fd())) ended = table.drain_ended();
  return ended;
}

OwnerState::Life next_life(ProcessTable& table, const ProcessId& process) {
  const auto ended = next_ends(table);
  EXPECT_EQ(ended.size(), 1U);
  if (ended.size() != 1) return OwnerState::Life::unknown;
  EXPECT_EQ(ended.front().process, process);
  EXPECT_TRUE(ended.front().cgroup.empty());
  return ended.front().state.life;
}

NoMoreDescriptors::NoMoreDescriptors() {
  EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
  const int lowest_free = ::dup(STDERR_FILENO);
  ::close(lowest_free);
  auto full = before_;
  full.rlim_cur = static_cast<rlim_t>(lowest_free);
  EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &full), 0);
}

NoMoreDescriptors::~NoMoreDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

TestCgroup::TestCgroup() {
  static int made = 0;
  const auto proc = ProcFiles::open();
  const auto mount = proc ? proc->cgroup_mount() : std::nullopt;
  if (!mount || mount->root != "/") return;
  const auto path = fmt::format("/ebbfs-test-{}-{}", ::getpid(), ++made);
  directory_ = mount->path + path;
  if (make()) path_ = path;
}

TestCgroup::~TestCgroup() {
  if (!directory_.empty()) ::rmdir(directory_.c_str());
}

bool TestCgroup::make() const { return ::mkdir(directory_.c_str(), 0755) == 0; }

bool TestCgroup::remove() const {
  // The last process leaves its cgroup a little after its parent hears of its end.
  while (::rmdir(directory_.c_str()) != 0) {
    if (errno != EBUSY) return false;
  }
  return true;
}

bool TestCgroup::add(pid_t pid) const {
  std::ofstream procs(directory_ + "/cgroup.procs");
  procs << pid << std::flush;
  return procs.good();
}

}  // namespace ebbfs
