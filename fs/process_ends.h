// SPDX-License-Identifier: Apache-2.0
//
// Tells when watched processes end, and how. The kernel gives the wait status of a process to
// others than its parent in two ways: PIDFD_GET_INFO once it has been reaped (Linux 6.15), and
// proc(5) PID/stat while it is a zombie. Where neither helps yet it is asked again by a timer, for
// a bounded time.
//
// Invariant: an entry holds the handle of exactly the process it is named after, or none when that
// process was gone before the watch began. Any thread; one reader drains.
#pragma once

#include <sys/epoll.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "fs/clock.h"
#include "fs/pidfd.h"
#include "fs/proc_files.h"
#include "fs/process_table.h"
#include "fs/unique_fd.h"
#include "index/mutex.h"
#include "index/result.h"

namespace ebbfs {

// Finds out how a process has ended. Stateless: any thread.
class EndReader {
 public:
  EndReader(const ProcFiles& proc, const ProcessTableOptions& options)
      : proc_(proc), options_(options) {}

  // Of a process that has ended (pidfd_ended): killed, exited, or `ended` when that is not to be
  // had any more. Nothing: not to be had yet.
  [[nodiscard]] std::optional<OwnerState::Life> how(const ProcessHandle& process) const;

 private:
  const ProcFiles& proc_;
  const ProcessTableOptions options_;
};

class ProcessEnds {
 public:
  // How long a status is asked for before the end is reported as `ended`. Grace counts from the
  // end itself, so this only has to be shorter than an orphan grace (5 s).
  static constexpr Duration kAskFor = std::chrono::milliseconds(1500);
  static constexpr Duration kAskFirst = std::chrono::milliseconds(10);  // doubles, up to kAskLast
  static constexpr Duration kAskLast = std::chrono::seconds(1);

  // Borrows all three. Errors: EMFILE, ENFILE.
  [[nodiscard]] static Result<std::unique_ptr<ProcessEnds>> open(const EndReader& reader,
                                                                 const Clock& clock);
  ProcessEnds(const ProcessEnds&) = delete;
  ProcessEnds& operator=(const ProcessEnds&) = delete;
  ~ProcessEnds() = default;

  // One more watch of a process that is watched already; false when it is not. If its end was
  // reported before, it is reported again.
  [[nodiscard]] bool watch_again(const ProcessId& process) EXCLUDES(mu_);
  // Watches `process` by its `handle`; without one it ended before, how is not known.
  // Errors: ENOSPC, ENOMEM of epoll_ctl(2).
  [[nodiscard]] Status watch(const ProcessId& process, ProcessRef handle) EXCLUDES(mu_);
  void unwatch(const ProcessId& process) EXCLUDES(mu_);

  // Of a watched process; nothing when it is not watched. `unknown` while its end is seen and how
  // it ended is still being asked.
  [[nodiscard]] std::optional<OwnerState> state(const ProcessId& process) const EXCLUDES(mu_);

  // One epoll descriptor over all that can end, readable when drain() should be called. `source`:
  // another descriptor whose readiness makes it so. Errors: of epoll_ctl(2).
  [[nodiscard]] int fd() const { return epoll_.get(); }
  [[nodiscard]] Status add_source(int source);
  // Makes fd() readable until the next drain().
  void wake() EXCLUDES(mu_);

  [[nodiscard]] std::vector<EndedOwner> drain() EXCLUDES(mu_);

 private:
  struct Watched {
    ProcessRef handle;
    std::size_t count = 1;
    std::uint64_t token = 0;  // names the entry in epoll events; never reused
    enum class Stage : std::uint8_t { alive, asking, done } stage = Stage::alive;
    OwnerState end;    // ended_at from `asking` on, life from `done` on
    MonoTime ended{};  // the same instant, for the bound
    MonoTime ask_next{};
    Duration ask_wait{};
  };

  ProcessEnds(const EndReader& reader, const Clock& clock, UniqueFd epoll, UniqueFd timer)
      : reader_(reader), clock_(clock), epoll_(std::move(epoll)), timer_(std::move(timer)) {}
  void take_events() REQUIRES(mu_);
  void on_end(const ProcessId& process, Watched& watched) REQUIRES(mu_);
  void ask(const ProcessId& process, Watched& watched) REQUIRES(mu_);
  void finish(const ProcessId& process, Watched& watched, OwnerState::Life how) REQUIRES(mu_);
  void arm(MonoTime at) REQUIRES(mu_);

  const EndReader& reader_;
  const Clock& clock_;
  const UniqueFd epoll_;
  const UniqueFd timer_;
  mutable Mutex mu_;
  std::unordered_map<ProcessId, Watched> watched_ GUARDED_BY(mu_);
  std::unordered_map<std::uint64_t, ProcessId> by_token_ GUARDED_BY(mu_);
  std::unordered_set<ProcessId> asking_ GUARDED_BY(mu_);
  std::unordered_set<ProcessId> to_report_ GUARDED_BY(mu_);
  std::uint64_t last_token_ GUARDED_BY(mu_) = 0;  // 0 is the timer's and the sources' own
};

}  // namespace ebbfs
