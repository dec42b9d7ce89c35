// SPDX-License-Identifier: Apache-2.0
#include "fs/process_ends.h"

#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

namespace ebbfs {
namespace {

using Life = OwnerState::Life;

Life life_of(int wait_status) { return WIFSIGNALED(wait_status) ? Life::killed : Life::exited; }

Status add_to_epoll(int epoll, int fd, std::uint64_t token) {
  epoll_event event{.events = EPOLLIN, .data = {.u64 = token}};
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) return fail_errno();
  return {};
}

}  // namespace

std::optional<Life> EndReader::how(const ProcessHandle& process) const {
  if (options_.zombie_status) {
    const auto stat = proc_.stat(process.id.tgid);
    if (stat && stat->start_time == process.id.start_time &&
        (stat->state == 'Z' || stat->state == 'X')) {
      return life_of(stat->exit_code);
    }
  }
  const bool may_tell_later = options_.pidfd_info || options_.zombie_status;
  if (may_tell_later && !pidfd_reaped(process.pidfd.get())) return std::nullopt;
  if (!options_.pidfd_info) return Life::ended;
  const auto info = pidfd_info(process.pidfd.get());
  return info && info->wait_status ? life_of(*info->wait_status) : Life::ended;
}

Result<std::unique_ptr<ProcessEnds>> ProcessEnds::open(const EndReader& reader,
                                                       const Clock& clock) {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return fail_errno();
  UniqueFd timer(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!timer.valid()) return fail_errno();
  if (auto added = add_to_epoll(epoll.get(), timer.get(), 0); !added) {
    return std::unexpected(added.error());
  }
  return std::unique_ptr<ProcessEnds>(
      new ProcessEnds(reader, clock, std::move(epoll), std::move(timer)));
}

Status ProcessEnds::add_source(int source) { return add_to_epoll(epoll_.get(), source, 0); }

void ProcessEnds::wake() {
  const MutexLock lock(mu_);
  arm(MonoTime::min());
}

bool ProcessEnds::watch_again(const ProcessId& process) {
  const MutexLock lock(mu_);
  const auto it = watched_.find(process);
  if (it == watched_.end()) return false;
  ++it->second.count;
  if (it->second.stage == Watched::Stage::done) {
    to_report_.insert(process);
    arm(MonoTime::min());
  }
  return true;
}

Status ProcessEnds::watch(const ProcessId& process, ProcessRef handle) {
  if (watch_again(process)) return {};
  const MutexLock lock(mu_);
  const auto [it, is_new] = watched_.try_emplace(process);
  auto& watched = it->second;
  if (!is_new) {  // by another thread, just now
    ++watched.count;
    return {};
  }
  if (!handle) {
    watched.end.ended_at = clock_.wall_now();
    finish(process, watched, Life::ended);
    arm(MonoTime::min());
    return {};
  }
  watched.token = ++last_token_;
  if (auto added = add_to_epoll(epoll_.get(), handle->pidfd.get(), watched.token); !added) {
    watched_.erase(it);
    return added;
  }
  watched.handle = std::move(handle);
  by_token_.emplace(watched.token, process);
  return {};
}

void ProcessEnds::unwatch(const ProcessId& process) {
  const MutexLock lock(mu_);
  const auto it = watched_.find(process);
  if (it == watched_.end() || --it->second.count > 0) return;
  auto& watched = it->second;
  if (watched.stage == Watched::Stage::alive) {
    // The handle may live on elsewhere, and would keep its place in the epoll.
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, watched.handle->pidfd.get(), nullptr);
    by_token_.erase(watched.token);
  }
  asking_.erase(process);
  to_report_.erase(process);
  watched_.erase(it);
}

std::optional<OwnerState> ProcessEnds::state(const ProcessId& process) const {
  const MutexLock lock(mu_);
  const auto it = watched_.find(process);
  if (it == watched_.end()) return std::nullopt;
  const auto& watched = it->second;
  if (watched.stage == Watched::Stage::done) return watched.end;
  if (watched.stage == Watched::Stage::alive && !pidfd_ended(watched.handle->pidfd.get())) {
    return OwnerState{.life = Life::alive, .ended_at = {}};
  }
  return OwnerState{.life = Life::unknown, .ended_at = {}};
}

std::vector<EndedOwner> ProcessEnds::drain() {
  const MutexLock lock(mu_);
  take_events();
  const auto now = clock_.mono_now();
  for (const auto& process : std::vector<ProcessId>(asking_.begin(), asking_.end())) {
    if (auto& watched = watched_.at(process); watched.ask_next <= now) ask(process, watched);
  }
  std::vector<EndedOwner> ended;
  for (const auto& process : std::exchange(to_report_, {})) {
    ended.push_back({.process = process, .cgroup = {}, .state = watched_.at(process).end});
  }
  auto first = MonoTime::max();
  for (const auto& process : asking_) first = std::min(first, watched_.at(process).ask_next);
  arm(first);
  return ended;
}

void ProcessEnds::take_events() {
  std::array<epoll_event, 64> events{};
  int n = 0;
  do {
    n = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
    for (int i = 0; i < n; ++i) {
      const std::uint64_t token = events.at(static_cast<std::size_t>(i)).data.u64;  // packed
      const auto it = by_token_.find(token);
      if (it == by_token_.end()) continue;  // the timer, or a source: its owner drains it
      const auto process = it->second;
      on_end(process, watched_.at(process));
    }
    // A full batch held at least one process, which is out of the epoll now.
  } while (n == static_cast<int>(events.size()));
}

void ProcessEnds::on_end(const ProcessId& process, Watched& watched) {
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, watched.handle->pidfd.get(), nullptr);
  by_token_.erase(watched.token);
  watched.stage = Watched::Stage::asking;
  watched.end.ended_at = clock_.wall_now();
  watched.ended = clock_.mono_now();
  watched.ask_wait = kAskFirst;
  asking_.insert(process);
  ask(process, watched);
}

void ProcessEnds::ask(const ProcessId& process, Watched& watched) {
  if (const auto how = reader_.how(*watched.handle)) return finish(process, watched, *how);
  const auto now = clock_.mono_now();
  const auto give_up = watched.ended + kAskFor;
  if (now >= give_up) return finish(process, watched, Life::ended);
  watched.ask_next = std::min(now + watched.ask_wait, give_up);
  watched.ask_wait = std::min(watched.ask_wait * 2, kAskLast);
}

void ProcessEnds::finish(const ProcessId& process, Watched& watched, Life how) {
  watched.stage = Watched::Stage::done;
  watched.end.life = how;
  watched.handle.reset();
  asking_.erase(process);
  to_report_.insert(process);
}

// Fires at `at`: at once when that is past, never when it is the end of time.
void ProcessEnds::arm(MonoTime at) {
  itimerspec spec{};
  if (at != MonoTime::max()) {
    // 1 ns after boot is past, and 0 would disarm.
    const auto ns = std::max<std::int64_t>(at.time_since_epoch().count(), 1);
    spec.it_value.tv_sec = ns / 1'000'000'000;
    spec.it_value.tv_nsec = ns % 1'000'000'000;
  }
  ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
}

}  // namespace ebbfs
