// SPDX-License-Identifier: Apache-2.0
#include "fs/reaper.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

namespace ebbfs {
namespace {

// Deadlines handled before new ones are asked for, and before ends of owners are.
constexpr std::size_t kPass = 256;
constexpr std::size_t kBetweenEnds = 16;
// Deadlines that are due still after a pass wait this long: the index may be refusing changes.
constexpr Duration kBackOff = std::chrono::seconds(1);
// Shorter than kHelperWindow asks for, see fs/lock_reaper.h.
constexpr Duration kSettleEach = std::chrono::seconds(2);
constexpr Duration kTrashRetry = std::chrono::seconds(30);
constexpr Duration kFlushEach = std::chrono::seconds(30);
constexpr Duration kFlushIdle = std::chrono::seconds(30);

Status watch(const UniqueFd& epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) != 0) return fail_errno();
  return {};
}

// How many of one kind `due` begins with, as far as they are handled together.
std::size_t leading(std::span<const Deadline> due) {
  static_assert(UnitReaper::kBatch == LockReaper::kBatch);
  const auto other =
      std::ranges::find_if(due.first(std::min(due.size(), UnitReaper::kBatch)),
                           [&](const Deadline& one) { return one.kind != due.front().kind; });
  return static_cast<std::size_t>(other - due.begin());
}

void drain(int fd) {
  std::uint64_t count = 0;
  // ECANCELED: the wall clock was set; the timer is armed anew all the same.
  (void)!::read(fd, &count, sizeof count);
}

}  // namespace

Result<std::unique_ptr<Reaper>> Reaper::open(Volume& volume, Trash& trash,
                                             Invalidator& invalidator) {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  UniqueFd timer(::timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK));
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll.valid() || !timer.valid() || !wake.valid()) return fail_errno();
  for (const int fd : {timer.get(), wake.get(), volume.processes.event_fd()}) {
    if (const auto watched = watch(epoll, fd); !watched) return std::unexpected(watched.error());
  }
  return std::unique_ptr<Reaper>(
      new Reaper(volume, trash, invalidator, std::move(epoll), std::move(timer), std::move(wake)));
}

Reaper::Reaper(Volume& volume, Trash& trash, Invalidator& invalidator, UniqueFd epoll,
               UniqueFd timer, UniqueFd wake)
    : volume_(volume),
      trash_(trash),
      invalidator_(invalidator),
      brake_(volume),
      locks_(volume, trash, invalidator, brake_),
      units_(volume, trash, locks_, invalidator, brake_),
      epoll_(std::move(epoll)),
      timer_(std::move(timer)),
      wake_(std::move(wake)) {}

Reaper::~Reaper() { stop(); }

void Reaper::start() {
  stopping_ = false;
  running_ = true;
  thread_ = std::thread([this] { run(); });
}

void Reaper::stop() {
  stopping_ = true;
  wake();
  if (thread_.joinable()) {
    thread_.join();
    brake_.keep_clock();
  }
  running_ = false;
}

void Reaper::wake() const {
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
}

void Reaper::due_at(WallTime when) {
  if (when.time_since_epoch().count() < armed_for_.load()) wake();
}

void Reaper::unit_closed(UnitId unit) {
  {
    const MutexLock lock(mu_);
    closed_.push_back(unit);
  }
  wake();
}

bool Reaper::reclaim_if_due(const LockRef& lock) { return locks_.reclaim_if_due(lock); }

void Reaper::rules_changed() {
  {
    const MutexLock lock(mu_);
    new_rules_ = true;
  }
  wake();
}

void Reaper::run() {
  while (!stopping_) {
    handle_ends();
    handle_new_rules();
    handle_closed();
    const Pass pass = handle_due();
    const bool more_to_tell = locks_.tell_suspects();
    keep_house();
    if (pass != Pass::progress && !more_to_tell && !stopping_) wait(pass == Pass::stuck);
  }
}

void Reaper::run_once() {
  ends_seen_ = volume_.clock.wall_now();
  handle_ends();
  handle_new_rules();
  handle_closed();
  while (locks_.tell_suspects()) {
  }
  while (handle_due() == Pass::progress) {
  }
  keep_house();
}

void Reaper::wait(bool backing_off) {
  arm(backing_off);
  std::array<epoll_event, 4> events;
  const auto wait_for = [&](int milliseconds) {
    return ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), milliseconds);
  };
  // What is ready at once may have been so since ends were last asked for; what wakes us has just
  // come.
  if (wait_for(0) == 0) {
    (void)wait_for(-1);
    ends_seen_ = volume_.clock.wall_now();
  }
  drain(timer_.get());
  drain(wake_.get());
}

void Reaper::arm(bool backing_off) {
  const WallTime now = volume_.clock.wall_now();
  const auto next = volume_.index.next_due();
  WallTime at = std::min(next.value_or(now), now + kSettleEach);
  if (backing_off || !next) at = std::max(at, now + kBackOff);
  armed_for_ = at.time_since_epoch().count();
  // A request may have been told the old time just before; it is in the index by now.
  if (const auto again = volume_.index.next_due(); again && !backing_off) {
    at = std::min(at, *again);
  }
  const auto since = std::max(at.time_since_epoch(), Duration{1});
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
  itimerspec spec{};
  spec.it_value.tv_sec = seconds.count();
  spec.it_value.tv_nsec = (since - seconds).count();
  ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &spec, nullptr);
}

void Reaper::handle_ends() {
  for (const EndedOwner& ended : volume_.processes.drain_ended()) {
    locks_.owner_ended(ended, ends_seen_);
  }
  ends_seen_ = volume_.clock.wall_now();
}

void Reaper::handle_closed() {
  std::vector<UnitId> closed;
  {
    const MutexLock lock(mu_);
    closed.swap(closed_);
  }
  std::ranges::sort(closed);
  const auto repeated = std::ranges::unique(closed);
  closed.erase(repeated.begin(), repeated.end());
  units_.judge(closed);
}

Reaper::Pass Reaper::handle_due() {
  const WallTime now = volume_.clock.wall_now();
  const auto due = volume_.index.due(now, kPass);
  if (!due) {
    spdlog::error("op=due errno={}", code(due.error()));
    return Pass::stuck;
  }
  brake_.look_at_due(units_.not_before());
  if (due->empty()) return Pass::idle;
  std::size_t handled = 0;
  for (std::span<const Deadline> left = *due; !left.empty();) {
    if (stopping_) return Pass::idle;
    const std::size_t together = leading(left);
    handle(left.first(together));
    left = left.subspan(together);
    handled += together;
    // How soon an owner has ended tells a helper from a worker.
    if (handled >= kBetweenEnds) {
      handled = 0;
      handle_ends();
    }
  }
  // Each is gone now, or due later; unless the index refuses changes.
  const auto left = volume_.index.due(now, 1);
  const bool stuck = left && !left->empty() && left->front() == due->front();
  return stuck ? Pass::stuck : Pass::progress;
}

void Reaper::handle(std::span<const Deadline> alike) {
  switch (alike.front().kind) {
    case Deadline::Kind::unit: {
      std::vector<UnitId> units;
      units.reserve(alike.size());
      for (const Deadline& deadline : alike) units.push_back(UnitId{deadline.id});
      units_.judge(units);
      return;
    }
    case Deadline::Kind::lock:
      handle_locks(alike);
      return;
    case Deadline::Kind::trash:
      for (const Deadline& deadline : alike) handle_trash(TrashId{deadline.id});
      return;
  }
}

void Reaper::handle_locks(std::span<const Deadline> deadlines) {
  std::vector<LockId> ids;
  ids.reserve(deadlines.size());
  for (const Deadline& deadline : deadlines) ids.push_back(LockId{deadline.id});
  auto units = locks_.due(ids);
  std::erase(units, kRootUnit);
  // What a lock has held may be due.
  units_.judge(units);
}

// What is deleted does not come back: not by a clock that was set, nor while only observing.
void Reaper::handle_trash(TrashId id) {
  const bool stays = volume_.rules.policy()->mode == Mode::observe || brake_.holds_ages();
  const WallTime next = stays ? later(volume_.clock.wall_now(), kTrashRetry) : kNever;
  (void)volume_.index.reschedule(Deadline::Kind::trash, raw(id), next);
  if (!stays) trash_.purge(id);
}

void Reaper::handle_new_rules() {
  {
    const MutexLock lock(mu_);
    if (!std::exchange(new_rules_, false)) return;
  }
  for (const UnitRef& unit : volume_.units.all()) {
    (void)volume_.units.reschedule(*unit, unit_deadline(volume_, unit->record()));
  }
  locks_.judge_all_again();
}

void Reaper::keep_house() {
  const MonoTime now = volume_.clock.mono_now();
  if (now - settled_ >= kSettleEach) {
    settled_ = now;
    locks_.settle();
    volume_.quotas.watch();
    if (volume_.look_after_index) volume_.look_after_index();
  }
  const bool flushes = now - flushed_ >= kFlushEach;
  if (volume_.units.take_pins_moved() || flushes) export_pins(volume_);
  if (flushes) {
    flushed_ = now;
    volume_.units.flush(volume_.clock.wall_now(), kFlushIdle, false);
    brake_.keep_clock();
  }
  remind();
}

ReaperState Reaper::state() {
  ReaperState state;
  const WallTime now = volume_.clock.wall_now();
  state.running = running_;
  state.brake = brake_.state();
  state.enforcing =
      running_ && !removal_held(volume_) && state.brake.cause == BrakeRecord::Cause::none;
  count_due(state);
  const WallTime last = std::max(units_.last_removal(), locks_.last_removal());
  if (last != WallTime{}) state.last_removal = last;
  if (const auto next = volume_.index.next_due(); next && *next < now) state.overdue = now - *next;
  if (const WallTime grace = units_.not_before(); now < grace) state.adopt_grace_until = grace;
  return state;
}

void Reaper::count_due(ReaperState& state) {
  const WallTime now = volume_.clock.wall_now();
  const WallTime not_before = units_.not_before();
  for (const UnitRef& unit : volume_.units.all()) {
    if (unit->pinned()) continue;
    const UnitRecord record = unit->record();
    const WallTime deadline = unit_deadline(volume_, record);
    if (deadline == kNever) continue;
    if (deadline <= now) {
      ++state.due_units;
      state.due_usage += unit->accounts().total().usage();
    }
    const WallTime goes = std::max(deadline, not_before);
    if (goes <= now || (state.next_deadline && *state.next_deadline <= goes)) continue;
    state.next_deadline = goes;
    state.next_path = record.path;
    state.next_owner = record.owner.uid;
    state.next_class = record.class_name;
  }
}

}  // namespace ebbfs
