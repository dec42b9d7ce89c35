// SPDX-License-Identifier: Apache-2.0
//
// Frees space when usage passes the high mark, or when requests wait for it (DESIGN 4.5): first the
// trash, what was removed longest ago first; then units past their keep, unused longest first,
// those that hold work last; until usage is at the low mark. What it evicts goes by one rename, as
// everything does, and is deleted at once.
//
// A request that met ENOSPC is parked here, off the request threads: it is made again as soon as
// there is room, in the order in which requests came, and at the latest after kPatience, or when
// nothing more can be freed; then its answer is final.
//
// Never asks the brake: a full volume stops every job. Held by whatever holds removal altogether
// (mode "observe", an index that cannot be relied on).
//
// Threading: one thread of its own; everything public from any thread, but for round() (not beside
// the thread). The kernel is told by the Notifier, never from here. Lock order: `mu_` is a leaf.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "fs/reaper.h"
#include "fs/space_gate.h"
#include "fs/trash.h"
#include "fs/volume.h"
#include "policy/eviction.h"

namespace ebbfs {

class Evictor {
 public:
  // Called once, with whether the answer is to be final; returns at once.
  using Job = std::move_only_function<void(bool last_try)>;
  // Whether removing a unit would lose work that is nowhere else, or that is not known.
  using HoldsWork = std::function<bool(const UnitRef&)>;

  // All outlive the evictor.
  Evictor(Volume& volume, Trash& trash, Reaper& reaper, SpaceGate& gate, Invalidator& tell,
          HoldsWork holds_work);
  ~Evictor();  // stops
  Evictor(const Evictor&) = delete;
  Evictor& operator=(const Evictor&) = delete;

  void start() EXCLUDES(mu_);
  // Who waits is answered. Before the workers go that jobs need.
  void stop() EXCLUDES(mu_);

  // Usage has passed the high mark: looks soon.
  void press() EXCLUDES(mu_);
  // False just after everything that may go has gone: waiting would not help.
  [[nodiscard]] bool may_help() const;
  // `since`: when the request first met ENOSPC.
  void wait_for_space(MonoTime since, Job job) EXCLUDES(mu_);

  // A request was refused for want of space, for good.
  void count_refused() { refused_.fetch_add(1, std::memory_order_relaxed); }

  // Looks, and frees what has to be freed. Of the thread, and of tests without one.
  void round() EXCLUDES(mu_);

  struct State {
    bool evicting = false;
    std::size_t waiting = 0;              // requests
    std::uint64_t evicted = 0;            // units, since the start
    Usage evicted_usage;                  // what they held
    std::uint64_t refused = 0;            // requests, for want of space
    std::optional<WallTime> last;         // eviction
    std::optional<SpaceGate::Look> look;  // now
    std::string stuck;  // why the last round did not reach the low mark; "" when it did
  };
  [[nodiscard]] State state() const EXCLUDES(mu_);

  static constexpr Duration kPatience = std::chrono::seconds(2);

 private:
  struct Waiting {
    MonoTime since{};
    Job job;
  };
  struct Kept {
    std::size_t units = 0;
    Bytes bytes;
  };
  // What one round has found out.
  struct Round {
    SpaceGate::Look look;
    Usage wanted;  // zero: nobody waits
    std::set<TrashId> stuck_trash;
    bool listed = false;
    std::vector<EvictionCandidate> candidates;  // a heap, the next to go on top
    std::vector<EvictionCandidate> last;        // hold work; in the order of going
    std::size_t evicted = 0;
    Usage freed;
    std::map<Reason, Kept> kept;
  };

  void run() EXCLUDES(mu_);
  [[nodiscard]] bool stopping() const { return stopping_.load(std::memory_order_relaxed); }
  [[nodiscard]] bool has_waiting() const EXCLUDES(mu_);
  void pause(Duration time) EXCLUDES(mu_);
  // Has requests made again; with `only_overdue` those that have waited for kPatience.
  void serve(bool last_try, bool only_overdue = false) EXCLUDES(mu_);

  [[nodiscard]] bool look(Round& round);
  // The two ways to free something; false when there is nothing more of the kind.
  [[nodiscard]] bool free_trash(Round& round);
  [[nodiscard]] bool evict_next(Round& round);
  void list(Round& round);
  [[nodiscard]] bool holds_work(const UnitRef& unit, WallTime last_used);
  [[nodiscard]] std::optional<EvictionCandidate> next(Round& round);
  [[nodiscard]] bool proceed(std::size_t& deleted);
  void delete_now(Round& round, TrashId id, const Usage& held);
  void await_freed(const SpaceReading& before, const Usage& freed);
  void give_up(Round& round, std::string why) EXCLUDES(mu_);
  void keep(Round& round, const UnitRef& unit, Reason reason);

  Volume& volume_;
  Trash& trash_;
  Reaper& reaper_;
  SpaceGate& gate_;
  Invalidator& tell_;
  const HoldsWork holds_work_;
  // Of whoever runs round().
  std::unique_ptr<BusyProbe> probe_;
  struct Looked {
    WallTime last_used;
    bool holds_work;
  };
  std::unordered_map<UnitId, Looked> looked_;  // nothing in a unit changes without a use
  std::thread thread_ GUARDED_BY(mu_);
  // Atomic: asked between deletions, and on the path of requests; one value each.
  std::atomic<bool> stopping_{false};
  std::atomic<std::int64_t> gave_up_{0};  // MonoTime; 0: there may be something to free
  std::atomic<std::uint64_t> refused_{0};

  mutable Mutex mu_;
  CondVar wake_;
  bool pressed_ GUARDED_BY(mu_) = false;
  std::deque<Waiting> waiting_ GUARDED_BY(mu_);  // by `since`
  State state_ GUARDED_BY(mu_);
  MonoTime told_ GUARDED_BY(mu_){};  // of being stuck
};

// "92.1 % of bytes and 3.0 % of inodes used, 1.2 GiB free; marks 85% and 75%, reserve 1%".
[[nodiscard]] std::string space_text(const SpaceReading& reading, const VolumeRule& rule);

}  // namespace ebbfs
