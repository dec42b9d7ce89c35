// SPDX-License-Identifier: Apache-2.0
//
// A process table without processes: a test says who exists, who their parents are, and when and
// how they end, by the FakeClock. Behaves as ProcessTable promises: ends are reported once a watch
// and make event_fd() readable, orphans are reparented to pid 1, reused numbers have another start
// time. Any thread.
#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "fs/process_table.h"
#include "fs/unique_fd.h"
#include "index/mutex.h"
#include "tests/support/fake_clock.h"

namespace ebbfs {

class FakeProcessTable final : public ProcessTable {
 public:
  static constexpr BootId kFirstBoot{.bytes = {1}};
  static constexpr std::uint64_t kOwnPidNs = 4026531836;

  // `clock` outlives the table.
  explicit FakeProcessTable(FakeClock& clock);

  // ---- The script ----

  struct Start {
    pid_t pid = 0;     // 0: the next free one, from 1000 on
    pid_t parent = 1;  // 1 or 0: none that counts
    std::string comm = "worker";
    std::string cgroup = "/";
    std::int32_t ns_pid = 0;  // 0: the same as pid
    std::uint64_t pid_ns = kOwnPidNs;
    bool kernel_thread = false;
  };
  // A process starts now. A pid that has ended may be used again.
  ProcessId start(const Start& how) EXCLUDES(mu_);
  ProcessId start() EXCLUDES(mu_) { return start(Start{}); }
  void start_thread(pid_t tgid, pid_t tid) EXCLUDES(mu_);
  void end_thread(pid_t tid) EXCLUDES(mu_);

  // It ends now, or as soon as the clock reaches `at`: killed, exited, or `ended` for an end whose
  // how cannot be known.
  void end(const ProcessId& process, OwnerState::Life how) EXCLUDES(mu_);
  void end_at(const ProcessId& process, OwnerState::Life how, WallTime at) EXCLUDES(mu_);
  void kill(const ProcessId& process) { end(process, OwnerState::Life::killed); }
  void exit(const ProcessId& process) { end(process, OwnerState::Life::exited); }
  // From now on it cannot be found out whether it lives; it reports nothing.
  void hide(const ProcessId& process) EXCLUDES(mu_);
  // Another boot: everything has ended, unreported, and boot_id() is another.
  void reboot() EXCLUDES(mu_);

  // A cgroup that was never populated does not exist. Starting a process populates its own.
  void populate_cgroup(const std::string& cgroup) EXCLUDES(mu_);
  void empty_cgroup(const std::string& cgroup) EXCLUDES(mu_);

  void set_inodes_in_use(Result<std::unordered_set<std::uint64_t>> answer) EXCLUDES(mu_);
  void set_in_use(Result<ProcessUse> answer) EXCLUDES(mu_);
  // The answer to all but the next question.
  void set_inodes_in_use_later(std::unordered_set<std::uint64_t> answer) EXCLUDES(mu_);
  // What watch() and watch_cgroup() of something new answer.
  void set_watch_answer(Status answer) EXCLUDES(mu_);

  [[nodiscard]] std::size_t watches(const ProcessId& process) const EXCLUDES(mu_);
  [[nodiscard]] std::size_t watches(const std::string& cgroup) const EXCLUDES(mu_);
  // How often in_use() was asked: it is dear, so only for what is about to go.
  [[nodiscard]] std::size_t scans() const EXCLUDES(mu_);

  // ---- ProcessTable ----

  [[nodiscard]] BootId boot_id() const override EXCLUDES(mu_);
  [[nodiscard]] CallerIdentity identify(pid_t tid) override EXCLUDES(mu_);
  [[nodiscard]] Status watch(const ProcessId& process) override EXCLUDES(mu_);
  void unwatch(const ProcessId& process) override EXCLUDES(mu_);
  [[nodiscard]] Status watch_cgroup(const std::string& cgroup) override EXCLUDES(mu_);
  void unwatch_cgroup(const std::string& cgroup) override EXCLUDES(mu_);
  [[nodiscard]] OwnerState state(const ProcessId& process, const BootId& booted) override
      EXCLUDES(mu_);
  // As from within the namespace whose root is "/": another's begin with "/..".
  [[nodiscard]] bool sees_cgroup(const std::string& cgroup) const override {
    return cgroup.starts_with('/') && !cgroup.starts_with("/..");
  }
  [[nodiscard]] OwnerState cgroup_state(const std::string& cgroup) override EXCLUDES(mu_);
  [[nodiscard]] std::optional<Living> living(pid_t pid, std::uint64_t pid_ns) override
      EXCLUDES(mu_);
  [[nodiscard]] int event_fd() const override { return event_.get(); }
  [[nodiscard]] std::vector<EndedOwner> drain_ended() override EXCLUDES(mu_);
  [[nodiscard]] Result<ProcessUse> in_use(const Devices& devices, ProcessLook look) override
      EXCLUDES(mu_);

 private:
  struct Process {
    ProcessSeen seen;
    pid_t parent = 1;
    std::string cgroup;
    std::uint64_t pid_ns = 0;
    bool kernel_thread = false;
    Duration started{};
    OwnerState state{.life = OwnerState::Life::alive, .ended_at = {}};
  };
  struct Due {
    ProcessId process;
    OwnerState::Life how;
  };

  void end_now(const ProcessId& process, OwnerState::Life how) REQUIRES(mu_);
  void apply_due() EXCLUDES(mu_);
  // The process that has this number now; null when it has ended or never was.
  [[nodiscard]] const Process* find_living(pid_t pid) const REQUIRES(mu_);
  [[nodiscard]] const Process* find_in_namespace(pid_t pid, std::uint64_t pid_ns) const
      REQUIRES(mu_);
  [[nodiscard]] OwnerState state_of(const ProcessId& process) const REQUIRES(mu_);
  void report(EndedOwner ended) REQUIRES(mu_);

  FakeClock& clock_;
  const UniqueFd event_;
  mutable Mutex mu_;
  BootId boot_ GUARDED_BY(mu_) = kFirstBoot;
  pid_t next_pid_ GUARDED_BY(mu_) = 1000;
  std::uint64_t next_start_ GUARDED_BY(mu_) = 100;
  std::unordered_map<ProcessId, Process> processes_ GUARDED_BY(mu_);  // and those that have ended
  std::unordered_map<pid_t, ProcessId> by_pid_ GUARDED_BY(mu_);       // the latest with that number
  std::unordered_map<pid_t, pid_t> threads_ GUARDED_BY(mu_);          // tid to tgid
  std::multimap<WallTime, Due> due_ GUARDED_BY(mu_);
  std::unordered_map<std::string, bool> cgroups_ GUARDED_BY(mu_);  // populated?
  std::unordered_map<ProcessId, std::size_t> watches_ GUARDED_BY(mu_);
  std::unordered_map<std::string, std::size_t> cgroup_watches_ GUARDED_BY(mu_);
  std::vector<EndedOwner> ended_ GUARDED_BY(mu_);
  Result<ProcessUse> in_use_ GUARDED_BY(mu_){};
  std::optional<ProcessUse> in_use_later_ GUARDED_BY(mu_);
  Status watch_answer_ GUARDED_BY(mu_){};
  std::size_t scans_ GUARDED_BY(mu_) = 0;
};

}  // namespace ebbfs
