// SPDX-License-Identifier: Apache-2.0
//
// Takes locks away whose owner is gone (DESIGN 4.3): hands them up from helper to parent, counts
// their grace, and removes them by compare-and-delete while the unit that they lie in is frozen.
//
// An owner that ended while nobody watched (the daemon was down) cannot be told from a helper by
// the time of its end. So a lock keeps its recorded ancestors only until its owner has outlived the
// helper window under our eyes (settle); one that still has them at the next start goes to the
// nearest of them that lives, marked uncertain.
//
// Threading: reclaim_if_due, report, holds and expire from any thread, holding no lock; the rest
// from the reaper's. Lock order: judging_mu_, then what fs/volume.h says.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "fs/brake.h"
#include "fs/describe.h"
#include "fs/lock_place.h"
#include "fs/occupants.h"
#include "fs/trash.h"
#include "fs/volume.h"

namespace ebbfs {

class LockReaper {
 public:
  // All outlive the reaper.
  LockReaper(Volume& volume, Trash& trash, Invalidator& invalidator, Brake& brake)
      : volume_(volume), trash_(trash), invalidator_(invalidator), brake_(brake) {}
  LockReaper(const LockReaper&) = delete;
  LockReaper& operator=(const LockReaper&) = delete;

  // Until then no lock goes that /proc is asked for. `device`: st_dev of files in the mount.
  void set_mounted(dev_t device) {
    mounted_ = device;
    mounted_at_ = volume_.clock.wall_now();
  }

  // At start, after the locks are loaded: drops those whose name is gone or stands for something
  // else, and looks at each owner again.
  void check_all() EXCLUDES(judging_mu_);
  // An owner has ended, not before `earliest`: when ends were last asked for.
  void owner_ended(const EndedOwner& ended, WallTime earliest) EXCLUDES(judging_mu_);
  // Tells the kernel to ask again for names of locks whose owner has ended, some hundreds at a
  // time. Whether there are more.
  bool tell_suspects();
  // The deadlines of these locks have come; at most kBatch of them. What is to go is removed
  // together: a unit is frozen once for all its locks, and they are told of in one change of the
  // index and erased in another. Returns the units that lost a lock by it, each once.
  static constexpr std::size_t kBatch = 32;
  std::vector<UnitId> due(std::span<const LockId> ids) EXCLUDES(judging_mu_);
  // Now and then, more often than kHelperWindow: see above.
  void settle() EXCLUDES(judging_mu_);

  // The rules have changed: each lock is due now.
  void judge_all_again();

  // As Agenda says. The caller must not be inside the lock's unit, or the answer is false.
  [[nodiscard]] bool reclaim_if_due(const LockRef& lock) EXCLUDES(judging_mu_);

  // What is to become of the lock, with all that holds it.
  [[nodiscard]] Report report(const LockRef& lock);
  // Whether the lock counts as live: unless it would go if it were due now.
  [[nodiscard]] bool holds(const LockRef& lock, OpenInodes& opens);
  // Removes the lock on request: whatever its grace or ttl, never from a live owner or while open.
  // `dry_run` only says what would be. Removed when the verdict says so and there are no blockers.
  [[nodiscard]] Report expire(const LockRef& lock, bool dry_run) EXCLUDES(judging_mu_);

  // When a lock was last removed; WallTime{} when none was since the start.
  [[nodiscard]] WallTime last_removal() const {
    return WallTime(Duration(last_removal_.load(std::memory_order_relaxed)));
  }

 private:
  [[nodiscard]] static bool has_ended(const OwnerState& owner) {
    return owner.life != OwnerState::Life::alive && owner.life != OwnerState::Life::unknown;
  }

  // What the lock's name stands for now.
  struct Sight {
    // `misplaced`: the same, but no lock of this class and unit where it is now.
    enum class Name : std::uint8_t { same, gone, misplaced, unknown } name = Name::unknown;
    SharedFd parent;
    Attributes attributes{};

    [[nodiscard]] int dir() const { return parent->get(); }
  };
  struct Judged {
    LockRecord record;
    OwnerState owner;
    std::shared_ptr<const Policy> policy;
    const ClassRule* rule = nullptr;  // of `policy`
    OwnerVerdict owner_verdict;
    Sight sight;
    LockSeen seen;
    Verdict verdict;
    std::optional<ProcessTable::Living> witness;  // named by the first line
    std::vector<TreeInode> inside;                // of a directory whose time is over
    bool place = false;  // a directory too large, or with units in it: no lock but a place
    std::optional<LockPlace> now_at;  // of one that is misplaced: what lock it is there

    // From `unit`, which is frozen.
    [[nodiscard]] bool goes(const Unit& unit) const {
      return verdict.action == Verdict::Action::remove && !place &&
             sight.name == Sight::Name::same && record.unit == unit.id();
    }
    // No directory, or one that is empty.
    [[nodiscard]] bool is_one_inode() const {
      return !is_directory(sight.attributes) || inside.size() == 1;
    }
  };
  struct Going {
    LockRef lock;
    Judged judged;
    EventRecord event;
  };
  enum class Clocks : std::uint8_t { apply, ignore };
  enum class Outcome : std::uint8_t { removed, kept, busy };

  // Judging (lock_judging.cc). Nothing when the lock is removed, or its class is no more.
  [[nodiscard]] std::optional<Judged> judge(const LockRef& lock, Clocks clocks, OpenInodes& opens);
  // By the record and the owner alone: nothing on the volume is looked at.
  [[nodiscard]] std::optional<Judged> judge_record(const LockRef& lock);
  [[nodiscard]] bool goes_by_record(const LockRef& lock);
  [[nodiscard]] Verdict verdict_on(const Judged& judged, Clocks clocks) const;
  void look_closer(Judged& judged, OpenInodes& opens);
  [[nodiscard]] Sight look(const LockRecord& record);
  // One that is to go: whether it still is a lock, of this class and unit, where it is now.
  void look_where(Judged& judged);
  [[nodiscard]] OwnerState owner_now(const LockRecord& record, const OwnerState& known,
                                     const ClassRule& rule);
  // Somebody may have it open from before the mount, or without being visible to us.
  [[nodiscard]] bool may_be_held_beneath(const LockRecord& record) const {
    return record.made < mounted_at_ || !record.owner.process.id.known();
  }
  // Has to be looked for in /proc.
  [[nodiscard]] bool opens_unseen(const LockRecord& record) const {
    return record.is_directory || may_be_held_beneath(record);
  }
  [[nodiscard]] Answer is_open(InodeId inode);
  [[nodiscard]] Answer is_open(const LockRecord& lock, const Attributes& attributes,
                               OpenInodes& opens);
  [[nodiscard]] Answer directory_in_use(Judged& judged, OpenInodes& opens);
  [[nodiscard]] bool contains_unit(const LockRecord& record) const;
  [[nodiscard]] std::optional<ProcessTable::Living> find_witness(const LockRecord& record,
                                                                 const Sight& sight);
  [[nodiscard]] WallTime not_before(const LockRecord& record) const;
  [[nodiscard]] Report report_of(const Judged& judged) const;

  // Owners (lock_owners.cc).
  void advance(const LockRef& lock, OwnerState state, WallTime grace_from) REQUIRES(judging_mu_);
  [[nodiscard]] bool give_to(const LockRef& lock, const LockRecord& changed, WallTime due,
                             const std::string& why) REQUIRES(judging_mu_);
  void hold_by_touch(const LockRef& lock, LockRecord record, const ClassRule& rule,
                     OwnerCertainty certainty) REQUIRES(judging_mu_);
  void suspect(const LockRef& lock, const OwnerState& state, WallTime due);
  void check(const LockRef& stored) REQUIRES(judging_mu_);
  [[nodiscard]] LockRef finish_intent(const LockRef& lock, LockRecord record) REQUIRES(judging_mu_);
  [[nodiscard]] bool is_where_recorded(const LockRef& lock, const LockRecord& record,
                                       const Sight& sight) REQUIRES(judging_mu_);
  [[nodiscard]] bool was_checked(const LockRef& lock, const EndedOwner& ended)
      REQUIRES(judging_mu_);
  [[nodiscard]] bool give_to_living_ancestor(const LockRef& lock, LockRecord record)
      REQUIRES(judging_mu_);

  // Removing many (lock_batch.cc). Adds those removed to `removed`, those that have to be looked at
  // by themselves to `alone`.
  void remove_together(UnitId id, std::span<const LockRef> locks, std::vector<LockRef>& removed,
                       std::vector<LockRef>& alone) REQUIRES(judging_mu_);
  [[nodiscard]] std::vector<Going> judge_together(const Unit& unit, std::span<const LockRef> locks,
                                                  OpenInodes& opens, std::vector<LockRef>& alone)
      REQUIRES(judging_mu_);

  // Removing (lock_removal.cc).
  [[nodiscard]] Outcome settle_due(const LockRef& lock) REQUIRES(judging_mu_);
  [[nodiscard]] Outcome remove(const LockRef& lock, RemovalReason reason, Duration patience,
                               OpenInodes& opens) REQUIRES(judging_mu_);
  [[nodiscard]] Status remove_object(const LockRef& lock, const UnitRef& unit, Judged& judged,
                                     RemovalReason reason) REQUIRES(judging_mu_);
  [[nodiscard]] Status remove_directory(const LockRef& lock, const UnitRef& unit, Judged& judged,
                                        EventRecord event) REQUIRES(judging_mu_);
  void keep(const LockRef& lock, const Judged& judged) REQUIRES(judging_mu_);
  void drop(const LockRef& lock);
  void follow(const LockRef& lock, const Judged& judged);
  void would_remove(const LockRef& lock, const Judged& judged) REQUIRES(judging_mu_);
  // Before its object is removed, and after all is done.
  void note_node(Lock& lock);
  void tell_removed(const Lock& lock);
  static void log_removal(const EventRecord& event);
  [[nodiscard]] EventRecord event_of(const Judged& judged, EventRecord::Kind kind) const;
  [[nodiscard]] bool enforcing() const;
  [[nodiscard]] WallTime now() const { return volume_.clock.wall_now(); }
  void reschedule(const LockRef& lock, WallTime due);
  void journal(EventRecord event);

  Volume& volume_;
  Trash& trash_;
  Invalidator& invalidator_;
  Brake& brake_;
  std::optional<dev_t> mounted_;  // constant once requests are served, as is the next
  WallTime mounted_at_{};
  // Requests, the reaper and administrators judge one lock at a time.
  Mutex judging_mu_;
  std::unordered_set<std::uint64_t> told_ GUARDED_BY(judging_mu_);  // would_remove, by raw LockId
  // Owners found ended by check_all, by raw LockId: their end may be reported once more.
  std::unordered_map<std::uint64_t, Owner> checked_ GUARDED_BY(judging_mu_);
  std::deque<LockRef> untold_;                 // of the reaper's thread
  std::atomic<std::int64_t> last_removal_{0};  // one value, orders nothing
};

}  // namespace ebbfs
