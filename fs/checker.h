// SPDX-License-Identifier: Apache-2.0
//
// `ebbctl check`: counts every unit again while requests go on, and says by how much the counters
// are off (expected: not at all). What differs was changed behind the mount's back, or is a bug.
//
// Unit by unit, as it was at one instant (the rule: fs/recount.h). All that a unit held then is
// found, because
//   - the walk reads every directory; one that moves meanwhile is handed to walk_again(), by the
//     request that moves it, while that is inside the unit;
//   - a file that gets another name, or another place, is counted by the request that does so;
//   - an open file without a name is in a list (fs/accounting.h), or loses its name later, and then
//     is counted by the request that takes it;
//   - what leaves the unit for another one, or for the trash, is counted as it goes;
// and nothing else is counted, because
//   - what was made or moved in is marked before the request leaves the unit, and what the walk has
//     seen counts only after the unit was frozen once more;
//   - a directory is looked at once more after it was read: where it has left the unit by then,
//     what was read in it does not count.
// A unit that is removed meanwhile is passed over: it is in the trash then, or gone. A unit made
// meanwhile needs no check. Whoever makes one, or takes the top out of one, is not inside that, so
// its charge may be on the way for as long as that request takes; but it is inside the root unit,
// which is therefore frozen for an instant before what differs is counted again. What lies in the
// trash does not change but by being put back or deleted, and is passed over when that has begun.
//
// Each scope's usage is the sum of its units' cells, and every change goes to a cell and its scopes
// alike (index/usage.h), so what differs in cells is what differs in scopes.
//
// A difference is believed when a second count of the unit finds it again. Repair adds it to the
// cell and its scopes, whatever they have become by then.
//
// Freezing a unit for an instant makes requests wait for those inside, microseconds mostly. A unit
// in which a request stays for long is tried again, then named as not checked.
//
// Threading: one thread of its own, throttled, at work only while a check runs; all methods from
// any thread, run() and walk_again() included. Lock order: mu_ is a leaf.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "fs/trash.h"
#include "fs/volume.h"

namespace ebbfs {

class Checker {
 public:
  // Both outlive the checker. `patience`: how long it tries to freeze a unit.
  Checker(Volume& volume, Trash& trash, Duration patience = std::chrono::seconds(15))
      : volume_(volume), trash_(trash), patience_(patience) {}
  ~Checker();  // stops
  Checker(const Checker&) = delete;
  Checker& operator=(const Checker&) = delete;

  // What a scope holds more than its counters say; less where negative. Named as accounts are.
  struct Difference {
    std::string scope;
    Usage usage;
    bool operator==(const Difference&) const = default;
  };
  struct Progress {
    std::uint64_t token = 0;  // of the check that is told of; 0: there was none yet
    bool running = false;
    bool repair = false;
    bool given_up = false;       // stopped, or nobody followed it: nothing is known
    std::uint64_t files = 0;     // inodes looked at, those of a second count again
    std::uint64_t expected = 0;  // about how many there are
    std::uint64_t units = 0;     // counted
    WallTime started{};
    Duration took{};
    // Of a check that has ended:
    std::vector<Difference> differences;  // by name
    std::vector<std::string> unchecked;   // paths of units; each with its reason
    [[nodiscard]] bool exact() const {
      return !running && !given_up && differences.empty() && unchecked.empty();
    }
  };
  // Starts one, or joins the one that runs. EBUSY when that one repairs and this is not to, or the
  // other way round; EAGAIN while usage is provisional.
  [[nodiscard]] Result<Progress> start(bool repair) EXCLUDES(mu_);
  // Of the check that runs, or the last one. `follow`: whoever asks wants it to go on; a check that
  // nobody has followed for kAbandonAfter ends.
  [[nodiscard]] Progress progress(bool follow) const EXCLUDES(mu_);
  void stop() EXCLUDES(mu_);

  // A directory was renamed while its unit was being counted.
  void walk_again(const FileHandle& directory) EXCLUDES(mu_);

  // A whole check on the calling thread, not throttled; for tests, with no other running.
  [[nodiscard]] Progress run(bool repair) EXCLUDES(mu_);

  static constexpr Duration kAbandonAfter = std::chrono::seconds(30);

 private:
  // checker.cc: which units, what is told.
  void begin(bool repair, bool throttled) REQUIRES(mu_);
  [[nodiscard]] bool provisional() const;
  [[nodiscard]] Progress now_locked() const REQUIRES(mu_);
  void work() EXCLUDES(mu_);
  void check_units();
  void check_unit(const UnitRef& unit);
  void check_trash();
  [[nodiscard]] Status check_trashed(const Trash::Whole& trashed);
  [[nodiscard]] Status count_trashed(const std::string& name, Recount& into);
  void found(const UnitRecord& record, bool in_trash, const std::vector<UsageCell>& cells);
  void repair(const UnitRef& unit, const std::vector<UsageCell>& cells);
  void finish() EXCLUDES(mu_);
  [[nodiscard]] bool in_table(const UnitRef& unit) const;
  void not_checked(const std::string& path, Errno why) EXCLUDES(mu_);
  void looked_at(std::uint64_t files) EXCLUDES(mu_);
  // Waits a little after so many entries; false when it is time to stop.
  [[nodiscard]] bool throttle(std::uint64_t entries) EXCLUDES(mu_);
  [[nodiscard]] bool pause(Duration wait) EXCLUDES(mu_);  // false when it is time to stop
  [[nodiscard]] bool stopping() const EXCLUDES(mu_);
  [[nodiscard]] bool stopping_locked() const REQUIRES(mu_);

  // checker_walk.cc: one unit.
  struct Seen {
    InodeId inode;
    uid_t uid;
    gid_t gid;
    Usage usage;
  };
  struct Directory {
    FileHandle handle;
    MatchState state = kDeadState;  // in the root unit, where unit tops are to be told
  };
  // What differs, nothing when the unit is gone; the error is that of a backing call, ETIMEDOUT
  // when the unit could not be frozen, ECANCELED when it is time to stop.
  [[nodiscard]] Result<std::vector<UsageCell>> count_unit(const UnitRef& unit);
  [[nodiscard]] Status walk(const UnitRef& unit, const std::vector<InodeId>& nameless);
  [[nodiscard]] Status enter_top(const UnitRef& unit);
  [[nodiscard]] Status visit(const UnitRef& unit, const Directory& directory);
  [[nodiscard]] Status visit_entry(const UnitRef& unit, const Directory& directory, int fd,
                                   const std::string& name);
  [[nodiscard]] Result<bool> lies_in(const UnitRef& unit, int directory) const;
  [[nodiscard]] Status settle_seen(const UnitRef& unit);
  [[nodiscard]] Status record_strangers();
  void count_nameless(const UnitRef& unit, const std::vector<InodeId>& nameless);
  void count_if_nameless(Inode& inode, UnitId unit);
  [[nodiscard]] std::vector<Directory> take_waiting() EXCLUDES(mu_);
  [[nodiscard]] Status freeze(Unit& unit);  // then to be thawed
  [[nodiscard]] Status drain(Unit& unit);   // every request that was inside has left
  [[nodiscard]] Seen seen(const Attributes& attributes) const;

  Volume& volume_;
  Trash& trash_;
  const Duration patience_;

  // Of the thread that checks.
  bool repairs_ = false;
  bool throttled_ = true;
  std::uint64_t since_pause_ = 0;
  std::vector<Directory> to_walk_;  // a stack
  std::vector<Seen> seen_;          // read, not counted yet
  struct Stranger {
    FileHandle parent;
    std::string name;
    MatchState state;  // of the parent
  };
  std::vector<Stranger> strangers_;  // tops of units that the index does not know
  std::map<std::string, Usage> found_;

  mutable Mutex mu_;
  CondVar changed_;
  Progress progress_ GUARDED_BY(mu_);
  std::vector<FileHandle> waiting_ GUARDED_BY(mu_);
  bool walking_ GUARDED_BY(mu_) = false;
  bool stopping_ GUARDED_BY(mu_) = false;
  mutable std::chrono::steady_clock::time_point followed_ GUARDED_BY(mu_);
  std::chrono::steady_clock::time_point began_ GUARDED_BY(mu_);
  std::thread thread_ GUARDED_BY(mu_);
};

}  // namespace ebbfs
