// SPDX-License-Identifier: Apache-2.0
//
// Typed queries and batches over the store: every change of state of a unit, lock or piece of trash
// is one batch that keeps record, owner and deadline keys in step. Never reads the clock; times are
// arguments. What is in memory (the deadline queue, owners, counters) follows the store: it changes
// after a commit succeeded and not otherwise. Threading: all methods from any thread; changes of
// one and the same id must be serialised by the caller (the unit's or lock's own lock).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "index/deadline_queue.h"
#include "index/id_counter.h"
#include "index/journal.h"
#include "index/mutex.h"
#include "index/owner_table.h"
#include "index/record.h"
#include "index/store.h"
#include "index/volume_state.h"

namespace ebbfs {

class UnitIndex {
 public:
  // Reads the format version and id counters, writing them on a fresh store; an older format is
  // migrated. `store` must outlive the index. Errors: EPROTO when the format is newer than
  // kFormatVersion (see schema.h); EBADMSG
  // when what is stored is not an index; those of Store.
  [[nodiscard]] static Result<std::unique_ptr<UnitIndex>> open(
      Store& store, std::uint64_t journal_max = kJournalMax);

  // As open() found it, but for `first_mounted` and `adopted`, which follow the calls below.
  [[nodiscard]] VolumeState volume_state() const EXCLUDES(mu_);
  // Marks the volume mounted (not clean) under `boot`, synced; sets first_mounted when fresh.
  [[nodiscard]] Status mark_mounted(const BootId& boot, WallTime now) EXCLUDES(mu_);
  // Before mark_mounted, which stores it: this index takes the place of a lost one.
  void set_rebuilt(WallTime now, std::string why) EXCLUDES(mu_);
  // After mark_mounted.
  [[nodiscard]] Status mark_adopted() EXCLUDES(mu_);
  // Last call before closing: everything is flushed and exact. Synced.
  [[nodiscard]] Status mark_clean() EXCLUDES(mu_);

  // New identities; never repeated, also after a crash (reserved in blocks). From 1 upwards.
  [[nodiscard]] UnitId next_unit_id() { return UnitId{unit_ids_.next()}; }
  [[nodiscard]] LockId next_lock_id() { return LockId{lock_ids_.next()}; }
  [[nodiscard]] TrashId next_trash_id() { return TrashId{trash_ids_.next()}; }
  // `id` is in use though the index does not know it: no trash gets it or a lower one.
  [[nodiscard]] Status skip_trash_id(TrashId id) { return trash_ids_.skip(raw(id)); }

  // `due` is when the unit should next be judged; kNever keeps it out of the queue. The previous
  // record, owner and deadline of the same id are replaced.
  [[nodiscard]] Status put_unit(const UnitRecord& unit, WallTime due);
  [[nodiscard]] Status erase_unit(UnitId id);
  // By rising id. EBADMSG when any one does not decode. The first hands over one after the other,
  // as there may be many, and must not change the index.
  [[nodiscard]] Status load_units(const std::function<void(UnitRecord)>& visit);
  [[nodiscard]] Result<std::vector<UnitRecord>> load_units();
  // The one among them that is the root unit; nothing on a new volume.
  [[nodiscard]] Result<std::optional<UnitRecord>> load_root();

  // The deadline of a lock is not stored: at each start its owner is looked at again, and it is
  // rescheduled. `erase_locks` is one batch.
  [[nodiscard]] Status put_lock(const LockRecord& lock, WallTime due);
  [[nodiscard]] Status erase_lock(LockId id);
  [[nodiscard]] Status erase_locks(std::span<const LockId> ids);
  [[nodiscard]] Result<std::vector<LockRecord>> load_locks();

  // Trash. `intend` writes the intent and the event in one batch, before the rename. `store` turns
  // it into stored, erases the unit (or lock) and its deadlines, and queues the purge, in one
  // batch. `abandon` takes back an intent whose rename did not happen. `erase_trash` when purged or
  // restored.
  [[nodiscard]] Status intend_trash(const TrashRecord& trash, const EventRecord& event);
  [[nodiscard]] Status store_trash(const TrashRecord& trash);
  [[nodiscard]] Status abandon_trash(TrashId id);
  [[nodiscard]] Status erase_trash(TrashId id);
  [[nodiscard]] Result<std::vector<TrashRecord>> load_trash();

  // Limits set at run time, and how long soft ones have been passed.
  [[nodiscard]] Status put_quota(const QuotaRecord& quota);
  [[nodiscard]] Status erase_quota(std::string_view scope);
  [[nodiscard]] Result<std::vector<QuotaRecord>> load_quotas();

  // Why removing waits, and the clocks as last seen and where the wall clock stood lowest; nothing
  // where none was stored. In one batch, so that a step of the clock that the brake counts is not
  // seen once more.
  [[nodiscard]] Status put_brake(const BrakeRecord& brake, const ClockRecord& clock,
                                 const ClockRecord& lowest);
  [[nodiscard]] Result<std::optional<BrakeRecord>> load_brake();
  [[nodiscard]] Result<std::optional<ClockRecord>> load_clock();
  [[nodiscard]] Result<std::optional<ClockRecord>> load_lowest_clock();

  // Units and locks whose owner is one process (the boot it ran in tells it from a later one of
  // the same pid), or one user. The first costs what it returns, the second a pass over all owners.
  [[nodiscard]] Result<std::vector<Thing>> owned_by(const ProcessId& process, const BootId& boot);
  [[nodiscard]] Result<std::vector<Thing>> owned_by(uid_t uid);

  // The deadline queue: entries with due <= now, earliest first, at most `max`; and the first due
  // time of all, kNever when the queue is empty. Cost: the entries returned, whatever is stored.
  [[nodiscard]] Result<std::vector<Deadline>> due(WallTime now, std::size_t max);
  [[nodiscard]] Result<WallTime> next_due();
  // The same of units only, so at no cost for locks that are due.
  [[nodiscard]] std::vector<Deadline> due_units(WallTime now, std::size_t max) const;
  // Moves or (kNever) removes the deadline of one thing without touching its record.
  [[nodiscard]] Status reschedule(Deadline::Kind kind, std::uint64_t id, WallTime due);

  // Journal: bounded to the newest `journal_max` events. Returns the sequence given.
  [[nodiscard]] Result<std::uint64_t> append_event(EventRecord event);
  // All or none, in this order, in one batch.
  [[nodiscard]] Status append_events(std::vector<EventRecord> events);
  // Events with sequence > `after`, oldest first, at most `max`.
  [[nodiscard]] Result<std::vector<EventRecord>> events_after(std::uint64_t after, std::size_t max);
  // The newest `max` events, oldest first.
  [[nodiscard]] Result<std::vector<EventRecord>> newest_events(std::size_t max);

  static constexpr std::uint64_t kJournalMax = 100'000;

  UnitIndex(const UnitIndex&) = delete;
  UnitIndex& operator=(const UnitIndex&) = delete;

 private:
  // Where a thing is to stand in the tables beside its own; what is not named is taken away.
  struct Placement {
    Thing thing;
    std::optional<OwnerTag> owner = std::nullopt;
    WallTime due = kNever;
  };

  UnitIndex(Store& store, std::uint64_t journal_max);

  Status load();
  Status load_volume() EXCLUDES(mu_);
  Status load_deadlines();
  Status load_owners();
  Status save_volume(const VolumeState& next, Batch batch, Durability durability) REQUIRES(mu_);

  // stage() adds to `batch` the rows that change; settle() follows in memory once it is committed.
  void stage(const Placement& to, Batch& batch) const;
  void settle(const Placement& to);
  Status commit(const Placement& to, Batch batch);
  Result<std::vector<Thing>> owned_under(std::string_view prefix, std::optional<uid_t> uid);

  Store& store_;

  // Each synchronises itself.
  IdCounter unit_ids_;
  IdCounter lock_ids_;
  IdCounter trash_ids_;
  Journal journal_;
  DeadlineQueue deadlines_;
  OwnerTable owners_;

  mutable Mutex mu_;  // held across the commits of mark_*, which are rare
  VolumeState found_ GUARDED_BY(mu_);
  VolumeState stored_ GUARDED_BY(mu_);
};

}  // namespace ebbfs
