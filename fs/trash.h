// SPDX-License-Identifier: Apache-2.0
//
// Where removed units go: one rename into .ebbfs/trash, restorable until retention ends, then
// deleted slowly in the background.
//
// In the trash directory, N being the TrashId in decimal:
//   N        what was removed, as it was
//   N.git    the administrative entry of its git worktree, removed with it
//   N.purge  what is left of N once its deletion has begun
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
// Threading: any thread; deletion has one of its own. Lock order: `mu_` is a leaf.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "fs/git_worktree.h"
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

  struct Restored {
    UnitRef unit;
    InodeId parent{};
    std::string name;
    bool git_admin = false;  // its entry is back as well:
    InodeId git_parent{};
    std::string git_name;
  };
  // Puts a unit back where it was, used just now. The caller tells the kernel. Errors: ENOENT when
  // there is no such trash (any more) or no directory to put it in; EEXIST when the name is taken;
  // EDQUOT when it does not fit; EBUSY while it is being deleted.
  [[nodiscard]] Result<Restored> restore(TrashId id) EXCLUDES(mu_);

  // Queues the deletion of `id` (its deadline has come).
  void purge(TrashId id) EXCLUDES(mu_);
  // Deletes all that is queued, now and here; for tests, and where space is needed at once.
  void purge_queued() EXCLUDES(mu_);

  struct Held {
    Usage usage;
    std::size_t units = 0;
  };
  [[nodiscard]] Held held() const EXCLUDES(mu_);
  [[nodiscard]] std::vector<TrashRecord> list() const EXCLUDES(mu_);

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
    enum class State : std::uint8_t { kept, restoring, purging } state = State::kept;
    bool begun = false;        // some of it is deleted: no way back
    bool overcharged = false;  // and was so by an earlier run, which is charged still
  };

  // trash.cc: load() and take().
  [[nodiscard]] Status settle_intent(TrashRecord record);
  [[nodiscard]] Status settle_stored(TrashRecord record);
  void adopt(const TrashRecord& record, bool begun) EXCLUDES(mu_);
  [[nodiscard]] bool present(const std::string& name) const;
  [[nodiscard]] Status move_in(const Removal& removal, const TrashRecord& record);
  void take_git_admin(const GitAdmin& admin, TrashRecord& record);
  void move_charges(const Along& along, const UnitRef& holder);

  // trash_restore.cc.
  [[nodiscard]] Result<Restored> put_back(const Entry& entry);
  // The restored unit, recorded and in the table; `entry` has been renamed back.
  [[nodiscard]] UnitRef revive(const Entry& entry);
  [[nodiscard]] bool put_back_git_admin(const Entry& entry, Restored& restored);
  [[nodiscard]] Status return_charges(const Entry& entry, Unit& to,
                                      const std::vector<TreeInode>& inodes);

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
  std::thread thread_;
};

}  // namespace ebbfs
