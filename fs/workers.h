// SPDX-License-Identifier: Apache-2.0
//
// A bounded pool for requests that may take long: fsync, large copies, renames between units,
// whatever meets a lock held by such. A job replies by itself. Threads start on demand up to
// `threads_max`; jobs beyond that queue in order.
//
// A thread that has started stays until finish(), however idle it is. Over io_uring a reply is also
// the wait for the next request in that place of the ring, and the kernel ends both with the thread
// that made them: whoever sends a request into that place then gets ECANCELED, and the place is
// gone for good.
//
// Invariant: while a job is queued, a thread runs that will come to it. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <thread>
#include <unordered_map>

#include "index/mutex.h"

namespace ebbfs {

class Workers {
 public:
  using Job = std::move_only_function<void()>;

  // `threads_max` > 0.
  explicit Workers(std::size_t threads_max) : threads_max_(threads_max) {}
  ~Workers() { finish(); }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // Never drops, and never blocks but in two cases: when the system refuses a thread and none runs,
  // and after finish(), the job runs here. Jobs must not throw.
  void run(Job job) EXCLUDES(mu_);
  // Runs what is queued and ends all threads. A job that comes later runs in who brings it.
  void finish() EXCLUDES(mu_);
  [[nodiscard]] std::size_t queued() const EXCLUDES(mu_);   // not started yet
  [[nodiscard]] std::size_t threads() const EXCLUDES(mu_);  // busy or idle
  [[nodiscard]] std::size_t idle() const EXCLUDES(mu_);     // of these, without a job

 private:
  // False, and `job` untouched, where no thread would come to it.
  [[nodiscard]] bool queue(Job& job) REQUIRES(mu_);
  void work(std::uint64_t number) EXCLUDES(mu_);
  // The next job; none when the thread is to end, as all are.
  [[nodiscard]] Job next() REQUIRES(mu_);
  bool start_thread() REQUIRES(mu_);

  const std::size_t threads_max_;
  mutable Mutex mu_;
  CondVar wake_;   // a job, or stopping
  CondVar ended_;  // a thread has left `threads_`
  std::deque<Job> jobs_ GUARDED_BY(mu_);
  std::unordered_map<std::uint64_t, std::thread> threads_ GUARDED_BY(mu_);
  // The thread that ended last; the next to end joins it, so there is never more than one.
  std::thread last_ended_ GUARDED_BY(mu_);
  std::uint64_t last_number_ GUARDED_BY(mu_) = 0;
  std::size_t idle_ GUARDED_BY(mu_) = 0;
  bool stopping_ GUARDED_BY(mu_) = false;
};

}  // namespace ebbfs
