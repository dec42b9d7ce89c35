// SPDX-License-Identifier: Apache-2.0
#include "fs/workers.h"

#include <spdlog/spdlog.h>

#include <system_error>
#include <utility>

namespace ebbfs {

void Workers::finish() {
  std::thread last;
  {
    const MutexLock lock(mu_);
    stopping_ = true;
    wake_.notify_all();
    while (!threads_.empty()) ended_.wait(mu_);
    last = std::move(last_ended_);
  }
  if (last.joinable()) last.join();
}

void Workers::run(Job job) {
  {
    const MutexLock lock(mu_);
    if (queue(job)) return;
  }
  job();
}

bool Workers::queue(Job& job) {
  if (stopping_) return false;
  jobs_.push_back(std::move(job));
  // Each idle thread takes one job; those woken but not running yet still count as idle.
  if (jobs_.size() <= idle_) {
    wake_.notify_one();
    return true;
  }
  if (threads_.size() >= threads_max_ || start_thread() || !threads_.empty()) return true;
  job = std::move(jobs_.back());
  jobs_.pop_back();
  return false;
}

std::size_t Workers::queued() const {
  const MutexLock lock(mu_);
  return jobs_.size();
}

std::size_t Workers::threads() const {
  const MutexLock lock(mu_);
  return threads_.size();
}

std::size_t Workers::idle() const {
  const MutexLock lock(mu_);
  return idle_;
}

bool Workers::start_thread() {
  const auto number = ++last_number_;
  try {
    threads_.emplace(number, std::thread([this, number] { work(number); }));
    return true;
  } catch (const std::system_error& error) {
    spdlog::warn("what=no_worker_thread errno={} threads={}", error.code().value(),
                 threads_.size());
    return false;
  }
}

void Workers::work(std::uint64_t number) {
  for (;;) {
    Job job;
    std::thread joined;
    {
      const MutexLock lock(mu_);
      job = next();
      if (!job) {
        const auto self = threads_.find(number);
        joined = std::exchange(last_ended_, std::move(self->second));
        threads_.erase(self);
        ended_.notify_all();
      }
    }
    if (!job) {
      // It had nothing left to do when it gave up the lock.
      if (joined.joinable()) joined.join();
      return;
    }
    job();
  }
}

Workers::Job Workers::next() {
  ++idle_;
  while (jobs_.empty() && !stopping_) wake_.wait(mu_);
  --idle_;
  if (jobs_.empty()) return {};
  Job job = std::move(jobs_.front());
  jobs_.pop_front();
  return job;
}

}  // namespace ebbfs
