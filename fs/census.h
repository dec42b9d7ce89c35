// SPDX-License-Identifier: Apache-2.0
//
// Walks the tree in the background to find out what is in it: all of it when the volume was never
// mounted before (adoption) or came back from a power loss, else only the units that a crash has
// met in use. Everything works meanwhile; usage is provisional.
//
// Counting is exact whatever requests do at the same time (fs/accounting.h): each inode is charged
// once, by whoever comes first, the walk or a request that changes it or its names. What the walk
// has seen may be a name so young that its request has charged it but not marked it yet: so it is
// charged later, with the unit frozen for a moment. A directory that is renamed while its unit is
// counting is handed to walk_again. A unit is done when all its directories were walked and, with
// the unit frozen for that moment, none is waiting to be.
//
// The root directory of the volume itself is not charged: nobody made it, nobody can remove it.
//
// Threading: one thread of its own; walk_again and progress from any; step not beside the thread.
// Lock order: mu_ is a leaf.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "fs/agenda.h"
#include "fs/lock_adoption.h"
#include "fs/unit_recovery.h"
#include "fs/volume.h"

namespace ebbfs {

class Census {
 public:
  // Both outlive the census.
  Census(Volume& volume, Agenda& agenda) : volume_(volume), agenda_(agenda) {}
  ~Census();  // stops
  Census(const Census&) = delete;
  Census& operator=(const Census&) = delete;

  // Decides what has to be counted and marks it so, with nothing charged. Once, after units and
  // locks are loaded and before requests are served. `loaded`: of all units but the root.
  // `recount`: the index is not to be believed. Forgets units that the tree has no more; when that
  // shows that somebody else changed the tree, everything is counted.
  void prepare(TopSurvey& loaded, bool recount = false) EXCLUDES(mu_);
  void start() EXCLUDES(mu_);
  void stop() EXCLUDES(mu_);

  // A directory was renamed while its unit was counting.
  void walk_again(const FileHandle& directory) EXCLUDES(mu_);

  // A unit was found that is counting: it is walked too, later if need be. Holding no lock that
  // is taken inside of a unit.
  void look_again() EXCLUDES(mu_);

  struct Progress {
    bool running = false;   // usage is provisional
    bool adopting = false;  // and this is the volume's first walk
    std::uint64_t entries = 0;
    std::optional<WallTime> started;  // none when there was nothing to count
    std::optional<WallTime> finished;
  };
  [[nodiscard]] Progress progress() const EXCLUDES(mu_);

  // Walks one directory, or ends one unit.
  enum class Step : std::uint8_t { more, blocked, done };
  [[nodiscard]] Step step() EXCLUDES(mu_);

 private:
  [[nodiscard]] bool count_from_nothing(const UnitRef& unit, bool all);
  void run() EXCLUDES(mu_);
  [[nodiscard]] bool pause(Duration wait) EXCLUDES(mu_);  // false when it is time to stop
  [[nodiscard]] bool wait_for_more() EXCLUDES(mu_);       // the same

  void enqueue(const UnitRef& unit);
  [[nodiscard]] std::optional<Inode::Place> top_of(const UnitRef& unit);
  void take_waiting() EXCLUDES(mu_);
  [[nodiscard]] std::optional<Inode::Place> place_of(const FileHandle& directory);
  void begin(const UnitRef& unit);
  [[nodiscard]] bool finish(const UnitRef& unit) EXCLUDES(mu_);
  // Charges what was seen, each unit frozen for it. False when one could not be.
  [[nodiscard]] bool charge_all_seen();
  // Everything has been walked: looks for units still counting. False when there are none.
  [[nodiscard]] bool find_more();
  // False when a unit was found meanwhile.
  [[nodiscard]] bool conclude() EXCLUDES(mu_);

  // What one directory is walked with.
  struct Visit : WalkedDirectory {
    std::vector<std::string> locks;  // names that may be locks nobody has recorded
  };
  // False when it has to be walked again, because the unit could not be frozen.
  [[nodiscard]] bool visit(const Inode::Place& place);
  void visit_entry(Visit& visit, const std::string& name);
  void visit_branch(const Visit& visit, const std::string& name);
  void saw(const UnitRef& unit, const Attributes& attributes);
  void correct_path(const Visit& visit, Unit& unit, const std::string& name);
  [[nodiscard]] bool adopt_locks(const Visit& visit);

  Volume& volume_;
  Agenda& agenda_;

  // Of the thread that walks.
  bool adopting_ = false;
  std::deque<UnitRef> queue_;
  UnitRef current_;
  std::vector<Inode::Place> to_walk_;  // directories; a stack
  std::unordered_set<UnitId> seen_;    // queued, or done
  // Seen and not yet charged.
  struct Sight {
    InodeId inode;
    uid_t uid;
    gid_t gid;
    Usage charge;
  };
  std::map<UnitRef, std::vector<Sight>> sights_;
  std::size_t sights_count_ = 0;
  std::uint64_t units_found_ = 0;
  std::uint64_t locks_found_ = 0;

  std::atomic<std::uint64_t> entries_{0};  // shown only
  mutable Mutex mu_;
  CondVar changed_;
  std::vector<FileHandle> waiting_ GUARDED_BY(mu_);
  Progress progress_ GUARDED_BY(mu_);
  bool stopping_ GUARDED_BY(mu_) = false;
  bool more_ GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace ebbfs
