// SPDX-License-Identifier: Apache-2.0
//
// Who is behind a thread id, fast: the processes seen lately, each with a pidfd, the most recently
// used kept. A process's number, start time and namespace never change, and its parent changes only
// when that parent ends; so what is cached stays true until one of the pidfds says that its process
// has ended, and one look at an epoll over all of them validates everything. Command name and
// cgroup may change: they are read again when older than kNamesFresh (the cgroup as soon as
// PIDFD_GET_INFO says that it is another).
//
// Invariant: an entry's facts were read while its pidfd was held and not reaped, so they are about
// its process. Any thread; /proc is read without the lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>

#include "fs/clock.h"
#include "fs/pidfd.h"
#include "fs/process_reader.h"
#include "fs/process_table.h"
#include "fs/unique_fd.h"
#include "index/mutex.h"
#include "index/result.h"

namespace ebbfs {

class ProcessCache {
 public:
  static constexpr std::size_t kAncestorsMax = 16;
  static constexpr Duration kNamesFresh = std::chrono::milliseconds(100);
  // A caller that is gone is taken for the process that had its number this short a time ago.
  static constexpr Duration kNumberRests = std::chrono::seconds(1);

  // Borrows `reader` and `clock`. Errors: EMFILE, ENFILE.
  [[nodiscard]] static Result<std::unique_ptr<ProcessCache>> open(
      const ProcessReader& reader, const Clock& clock, const ProcessTableOptions& options);
  ProcessCache(const ProcessCache&) = delete;
  ProcessCache& operator=(const ProcessCache&) = delete;
  ~ProcessCache() = default;

  // ProcessTable::identify.
  [[nodiscard]] CallerIdentity identify(pid_t tid) EXCLUDES(mu_);
  // The living process whose leader is `tgid`. Zombies do not live, and threads of the kernel are
  // nobody.
  [[nodiscard]] std::optional<ProcessSeen> living(pid_t tgid) EXCLUDES(mu_);
  // The handle of exactly this process, living or ended: from the cache, else opened. Errors: ESRCH
  // or ENOENT it is gone and nothing of it is left; others: it cannot be found out.
  [[nodiscard]] Result<ProcessRef> handle(const ProcessId& process) EXCLUDES(mu_);

 private:
  struct Entry : ProcessReader::Facts {
    enum class Parent : std::uint8_t { unread, none, process } parent = Parent::unread;
    ProcessId parent_id;  // meaningful for Parent::process
    std::string cgroup;
    std::uint64_t cgroup_id = 0;  // when `cgroup` was read
    bool cgroup_read = false;
    MonoTime comm_read{};
    bool ended = false;
    MonoTime alive_at{};  // for one that has ended: when it was last seen not to have
  };
  using Entries = std::list<Entry>;

  // What has to be read from /proc before the cache can answer.
  struct WantProcess {
    pid_t tgid;
  };
  struct WantNames {
    ProcessRef process;
    bool comm;  // not only the cgroup
  };
  struct WantParent {
    ProcessRef process;
  };
  using Want = std::variant<WantProcess, WantNames, WantParent>;

  ProcessCache(const ProcessReader& reader, const Clock& clock, std::size_t entries_max,
               UniqueFd epoll)
      : reader_(reader), clock_(clock), entries_max_(entries_max), epoll_(std::move(epoll)) {}

  // The thread group of `tid`, when it is of a process known to live.
  [[nodiscard]] std::optional<pid_t> known_group(pid_t tid) EXCLUDES(mu_);

  // `tid` as a thread of `tgid`.
  [[nodiscard]] std::expected<CallerIdentity, Want> look_up(pid_t tid, pid_t tgid) EXCLUDES(mu_);
  [[nodiscard]] std::optional<WantNames> outdated_names(const Entry& entry) const REQUIRES(mu_);
  // What is known of a caller that cannot be seen any more; not known() if nothing is.
  [[nodiscard]] CallerIdentity last_known(pid_t tid) EXCLUDES(mu_);
  void remember_thread(pid_t tid, const ProcessId& process) REQUIRES(mu_);

  // Each reads what is wanted into the cache; false when the process cannot be seen.
  [[nodiscard]] bool obtain(const WantProcess& want) EXCLUDES(mu_);
  [[nodiscard]] bool obtain(const WantNames& want) EXCLUDES(mu_);
  [[nodiscard]] bool obtain(const WantParent& want) EXCLUDES(mu_);
  [[nodiscard]] Result<std::string> cgroup_path(const ProcessHandle& process, std::uint64_t id)
      EXCLUDES(mu_);
  void set_parent(const ProcessId& child, const ProcessId& parent) EXCLUDES(mu_);

  void drain() REQUIRES(mu_);
  [[nodiscard]] Entry* find_entry(pid_t tgid) REQUIRES(mu_);  // makes it the most recently used
  [[nodiscard]] Entry* find_entry(const ProcessId& process) REQUIRES(mu_);
  void insert(ProcessReader::Facts facts) REQUIRES(mu_);
  // Gives half of its descriptors back, when the process has run out of them.
  void shrink() EXCLUDES(mu_);
  void erase(Entries::iterator it) REQUIRES(mu_);

  const ProcessReader& reader_;
  const Clock& clock_;
  const std::size_t entries_max_;
  const UniqueFd epoll_;  // over the pidfds of all entries that live
  mutable Mutex mu_;
  MonoTime drained_ GUARDED_BY(mu_){};
  Entries entries_ GUARDED_BY(mu_);  // most recently used first
  std::unordered_map<pid_t, Entries::iterator> by_tgid_ GUARDED_BY(mu_);
  std::unordered_map<pid_t, ProcessId> threads_ GUARDED_BY(mu_);  // hints, checked at each use
  std::unordered_map<std::uint64_t, std::string> cgroups_ GUARDED_BY(mu_);  // paths by id
};

}  // namespace ebbfs
