// SPDX-License-Identifier: Apache-2.0
//
// Deleting what is in the trash: slowly, off the request path, one entry after the other.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "fs/describe.h"
#include "fs/pace.h"
#include "fs/purge.h"
#include "fs/trash.h"
#include "fs/trash_names.h"
#include "policy/decision.h"

namespace ebbfs {
namespace {

// After a deletion that failed (say on an immutable file).
constexpr Duration kRetry = std::chrono::minutes(1);

}  // namespace

void Trash::start() {
  {
    const MutexLock lock(mu_);
    stopping_ = false;
  }
  thread_ = std::thread([this] { run(); });
}

void Trash::stop() {
  {
    const MutexLock lock(mu_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void Trash::run() {
  count_strays();
  for (;;) {
    TrashId id{};
    {
      const MutexLock lock(mu_);
      while (!stopping_ && queue_.empty()) changed_.wait(mu_);
      if (stopping_) return;
    }
    if (next_queued(id)) purge_one(id, [this] { return pace(); });
  }
}

bool Trash::pace() {
  const MutexLock lock(mu_);
  if (++deleted_ % kDeletionBatch != 0 || hurried_.load(std::memory_order_relaxed)) {
    return !stopping_;
  }
  const auto until = std::chrono::steady_clock::now() + kDeletionPause;
  while (!stopping_ && changed_.wait_until(mu_, until)) {
  }
  return !stopping_;
}

void Trash::purge(TrashId id) {
  const MutexLock lock(mu_);
  if (std::ranges::find(queue_, id) == queue_.end()) queue_.push_back(id);
  changed_.notify_all();
}

void Trash::purge_queued() {
  count_strays();
  TrashId id{};
  while (next_queued(id)) purge_one(id, [] { return true; });
}

std::optional<Trash::Oldest> Trash::oldest(const std::set<TrashId>& but) const {
  const MutexLock lock(mu_);
  const Entry* first = nullptr;
  for (const auto& [id, entry] : entries_) {
    if (entry.state != Entry::State::kept || but.contains(id)) continue;
    if (first == nullptr || entry.record.removed < first->record.removed) first = &entry;
  }
  if (first == nullptr) return std::nullopt;
  return Oldest{first->record.id, first->holder->accounts().total().usage()};
}

bool Trash::purge_now(TrashId id, const std::function<bool()>& proceed) {
  purge_one(id, proceed);
  const MutexLock lock(mu_);
  return !entries_.contains(id);
}

bool Trash::is_purging() const {
  const MutexLock lock(mu_);
  return std::ranges::any_of(
      entries_, [](const auto& one) { return one.second.state == Entry::State::purging; });
}

bool Trash::next_queued(TrashId& id) {
  const MutexLock lock(mu_);
  if (queue_.empty()) return false;
  id = queue_.front();
  queue_.pop_front();
  return true;
}

void Trash::purge_one(TrashId id, const std::function<bool()>& proceed) {
  Entry entry;
  {
    const MutexLock lock(mu_);
    const auto found = entries_.find(id);
    if (found == entries_.end()) return;
    if (found->second.state == Entry::State::restoring) {
      // It may not succeed.
      (void)volume_.index.reschedule(Deadline::Kind::trash, raw(id),
                                     later(volume_.clock.wall_now(), kRetry));
      return;
    }
    if (found->second.state != Entry::State::kept) return;
    found->second.state = Entry::State::purging;
    entry = found->second;
  }
  const Usage held = entry.holder->accounts().total().usage();
  const auto purged = purge_files(entry, proceed);
  if (!purged) {
    const MutexLock lock(mu_);
    Entry& kept = entries_.at(id);
    kept.state = Entry::State::kept;
    kept.begun = true;
    if (purged.error() == Errno{ECANCELED}) {
      queue_.push_front(id);
      return;
    }
    spdlog::warn("event=purge_failed trash={} path={:?} errno={}", raw(id), entry.record.unit.path,
                 code(purged.error()));
    (void)volume_.index.reschedule(Deadline::Kind::trash, raw(id),
                                   volume_.clock.wall_now() + kRetry);
    return;
  }
  // What is still charged was deleted before a crash.
  if (entry.overcharged) volume_.ledger.forget(entry.holder->accounts());
  EventRecord event;
  event.kind = EventRecord::Kind::purged;
  event.time = volume_.clock.wall_now();
  event.path = entry.record.unit.path;
  event.class_name = entry.record.unit.class_name;
  event.owner = owner_text(entry.record.unit.owner);
  event.usage = held;
  spdlog::info("event=purged path={:?} trash={} bytes={} inodes={}", event.path, raw(id),
               held.bytes.n, held.inodes);
  (void)volume_.index.append_event(std::move(event));
  if (const auto erased = volume_.index.erase_trash(id); !erased) {
    spdlog::error("op=erase_trash trash={} errno={}", raw(id), code(erased.error()));
  }
  const MutexLock lock(mu_);
  entries_.erase(id);
}

Status Trash::purge_files(const Entry& entry, const std::function<bool()>& proceed) {
  const Backing& backing = volume_.backing;
  const TrashId id = entry.record.id;
  const int trash = backing.trash_dir();
  UnitAccounts& accounts = entry.holder->accounts();
  const PurgeHooks hooks{[&](const Attributes& gone) {
                           if (entry.uncharged) return;
                           volume_.ledger.settle(
                               volume_.ledger.cell(accounts, gone.stx_uid, gone.stx_gid),
                               -charge_for(gone));
                         },
                         proceed};
  const std::string begun = purge_name(id);
  const auto renamed = backing.rename(trash, trash_name(id).c_str(), trash, begun.c_str(), 0);
  if (!renamed && renamed.error() != Errno{ENOENT}) return renamed;
  if (auto purged = purge_tree(backing, trash, begun.c_str(), hooks); !purged) return purged;
  return purge_tree(backing, trash, git_name(id).c_str(), hooks);
}

}  // namespace ebbfs
