// SPDX-License-Identifier: Apache-2.0
//
// Where removed units go: one rename into .ebbfs/trash, restorable until retention ends, then
// deleted slowly in the background.
//
// In the trash directory, N being the TrashId in decimal:
//   N        what was removed, as it was
//   N.git    the administrative entry of its git worktree, removed with it
//   N.purge  what is left of N once its deletion has begun
//   N.tmp    a file that is to replace one of git's in it
//
// Crash order. The intent is stored before the rename, so load() finds it and finishes (N is there)
// or takes back (it is not). `stored` follows the rename; a record whose N and N.purge are both
// missing was restored (the unit is back at its path) or is purged. Restoring renames first.
//
// Accounting. What is in the trash is charged to the volume alone, through the accounts of the unit
// that it was, detached; a lock directory and an administrative entry leave the unit they lie in
// for that. A purge gives back each inode as its last name goes. What is charged for a purge that a
// crash has interrupted is the whole of what it began with, until it ends: never too little.
//
// What lies there without a record (trash_strays.cc) gets one: nothing is deleted unseen.
//
// Threading: any thread; deletion has one of its own. Lock order: `mu_` is a leaf.
#pragma once

#include <atomic>
#include <deque>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "fs/git_worktree.h"
#include "fs/quota_fit.h"
#include "fs/tree.h"
#include "fs/volume.h"

namespace ebbfs {

class Trash {
 public:
  explicit Trash(Volume& volume) : volume_(volume) {}
  ~Trash();  // stops
  Trash(const Trash&) = delete;
  Trash& operator=(const Trash&) = delete;

  // Finishes or undoes what a crash left half done, and charges the volume with what is there.
  // Once, before the units and locks are loaded from the index: they may change by it.
  [[nodiscard]] Status load() EXCLUDES(mu_);
  // Starts and stops the deletion thread; what is left stays queued.
  void start() EXCLUDES(mu_);
  void stop() EXCLUDES(mu_);

  // Inodes that are charged to another unit than the one that goes, and go with it.
  struct Along {
    UnitRef from;
    std::vector<TreeInode> inodes;
  };
  struct Removal {
    TrashRecord record;  // all but id, stage, unit.usage and git_admin_path
    EventRecord event;   // its usage is filled in
    int dir = -1;        // where `name` is the thing to remove: handle record.unit.handle
    std::string name;
    UnitRef holder;  // whose accounts keep the charge: the unit itself, or make_holder()'s
    Along along;
    const GitAdmin* git_admin = nullptr;
  };
  // Moves the thing into the trash; the caller has frozen the units concerned and does the rest
  // (table, locks, kernel). Errors, nothing has changed then: ESTALE when the name stands for
  // something else; those of the index and of rename(2).
  [[nodiscard]] Result<TrashRecord> take(Removal removal) EXCLUDES(mu_);
  // Accounts for something that is no unit: charged to the volume alone from the start.
  [[nodiscard]] UnitRef make_holder(const UnitRecord& record);

  // What somebody wants back, and where.
  struct Wish {
    std::string to{};      // "": where it was
    bool dry_run = false;  // say what would be, change nothing
    std::string by{};      // for the journal: "uid=1000"; may be empty
  };
  // A name that the kernel has to be told of: it has appeared.
  struct Appeared {
    InodeId parent{};
    std::string name;
  };
  struct Restored {
    UnitRef unit;                    // null after a dry run
    std::string path;                // of the unit
    Usage usage;                     // of the unit
    std::string git_admin_path;      // its entry is back as well; "" when there was none
    std::string git_admin_lost;      // why it is not back though there was one; mostly ""
    std::vector<Appeared> appeared;  // outermost first
    WallTime locks_due = kNever;     // of the first of the locks in it that goes
  };
  struct NotRestored {
    Errno error;
    std::string why;  // one line for people, with a cure
  };
  // Puts a unit back, used just now, with the administrative entry of its git worktree. The caller
  // tells the kernel. Nothing has changed on an error: ENOENT when there is no such trash (any
  // more) or no directory to put it in; EEXIST when the name is taken; EINVAL when `to` is no place
  // of a unit; EDQUOT when it does not fit; EBUSY while it is being deleted.
  [[nodiscard]] std::expected<Restored, NotRestored> restore(TrashId id, const Wish& wish)
      EXCLUDES(mu_);

  // Queues the deletion of `id` (its deadline has come).
  void purge(TrashId id) EXCLUDES(mu_);
  // Counts what was found without a record, then deletes all that is queued, now and here; for
  // tests, and where space is needed at once.
  void purge_queued() EXCLUDES(mu_);

  // Where space is needed. What was removed first, of what is kept and not in `but`; nothing when
  // there is none.
  struct Oldest {
    TrashId id;
    Usage usage;
  };
  [[nodiscard]] std::optional<Oldest> oldest(const std::set<TrashId>& but) const EXCLUDES(mu_);
  // Deletes it here and now, for as long as `proceed` says so; false when it is not gone then.
  [[nodiscard]] bool purge_now(TrashId id, const std::function<bool()>& proceed) EXCLUDES(mu_);
  // Some of it is being deleted just now.
  [[nodiscard]] bool is_purging() const EXCLUDES(mu_);
  // Somebody waits for the space: the deletion thread makes no pauses for as long.
  void hurry(bool on) { hurried_.store(on, std::memory_order_relaxed); }

  struct Held {
    Usage usage;
    std::size_t units = 0;
  };
  [[nodiscard]] Held held() const EXCLUDES(mu_);
  [[nodiscard]] std::vector<TrashRecord> list() const EXCLUDES(mu_);
  // The units among it, by rising id.
  struct Item {
    TrashRecord record;
    Usage usage;
    bool purging = false;  // being deleted, or about to be: no way back
  };
  [[nodiscard]] std::vector<Item> items() const EXCLUDES(mu_);

  // What is kept whole: nothing in it changes for as long as still_whole() says so.
  struct Whole {
    TrashId id;
    UnitRef holder;
  };
  [[nodiscard]] std::vector<Whole> whole() const EXCLUDES(mu_);
  [[nodiscard]] bool still_whole(TrashId id) const EXCLUDES(mu_);
  // Its charge was corrected by `cells`: in the accounts and in what is stored.
  void correct(const Whole& trashed, const std::vector<UsageCell>& cells) EXCLUDES(mu_);

 private:
  struct Entry {
    TrashRecord record;
    UnitRef holder;
    enum class State : std::uint8_t { kept, restoring, purging, uncounted } state = State::kept;
    bool begun = false;        // some of it is deleted: no way back
    bool overcharged = false;  // and was so by an earlier run, which is charged still
    bool uncharged = false;    // nothing is charged for it
  };

  // trash.cc: load() and take().
  [[nodiscard]] Status settle_intent(TrashRecord record);
  [[nodiscard]] Status settle_stored(TrashRecord record);
  void settle_git(const TrashRecord& record);
  void adopt(const TrashRecord& record, bool begun) EXCLUDES(mu_);
  [[nodiscard]] bool present(const std::string& name) const;
  [[nodiscard]] Status move_in(const Removal& removal, const TrashRecord& record);
  void take_git_admin(const GitAdmin& admin, TrashRecord& record);
  void move_charges(const Along& along, const UnitRef& holder);

  // trash_strays.cc. `known`: what has a record.
  [[nodiscard]] Status find_strays(const std::vector<TrashRecord>& known) EXCLUDES(mu_);
  [[nodiscard]] TrashRecord describe_stray(TrashId id, const std::vector<UnitRecord>& units,
                                           const std::vector<LockRecord>& locks);
  void adopt_stray(const TrashRecord& record) EXCLUDES(mu_);
  void count_strays() EXCLUDES(mu_);

  // trash_restore.cc.
  struct Plan;  // of one restore: where to, what it will be charged, what becomes of git's entry
  using Refusal = std::optional<NotRestored>;
  [[nodiscard]] Refusal plan(const Entry& entry, const Wish& wish, Plan& plan);
  [[nodiscard]] Refusal place(const Entry& entry, const Wish& wish, Plan& plan);
  void plan_git(const Entry& entry, const Wish& wish, Plan& plan);
  [[nodiscard]] Refusal charge(const Entry& entry, Plan& plan);
  void give_back(const Entry& entry, Plan& plan);
  void give_back_git(const Entry& entry, Plan& plan);
  [[nodiscard]] Refusal put_back(const Entry& entry, Plan& plan, Restored& restored);
  [[nodiscard]] static NotRestored too_much(const Shortage& shortage);
  [[nodiscard]] Status prepare(const Entry& entry, Plan& plan);
  void unprepare(const Entry& entry, Plan& plan);
  void relink(const Entry& entry, Plan& plan, bool forth);
  void put_back_git(const Entry& entry, Plan& plan, Restored& restored);
  void record_locks(Plan& plan, Restored& restored);
  void tell_restored(const Entry& entry, const Wish& wish, const Restored& restored);

  // trash_purge.cc.
  void run() EXCLUDES(mu_);
  // Takes the next one out of the queue; false when there is none.
  [[nodiscard]] bool next_queued(TrashId& id) EXCLUDES(mu_);
  void purge_one(TrashId id, const std::function<bool()>& proceed) EXCLUDES(mu_);
  [[nodiscard]] Status purge_files(const Entry& entry, const std::function<bool()>& proceed);
  // Waits a little between two batches of deletions; false when it is time to stop.
  [[nodiscard]] bool pace() EXCLUDES(mu_);

  Volume& volume_;

  mutable Mutex mu_;
  CondVar changed_;
  std::map<TrashId, Entry> entries_ GUARDED_BY(mu_);
  std::deque<TrashId> queue_ GUARDED_BY(mu_);
  bool stopping_ GUARDED_BY(mu_) = false;
  std::size_t deleted_ GUARDED_BY(mu_) = 0;  // by the deletion thread
  std::atomic<bool> hurried_{false};         // one value, orders nothing
  std::thread thread_;
};

}  // namespace ebbfs
