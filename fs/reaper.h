// SPDX-License-Identifier: Apache-2.0
//
// What removes things when their time has come: sleeps until the first deadline, the end of an
// owner, or a word from a request; then has units and locks judged. Never walks the tree.
//
// Start: prepare() once the units and locks are loaded; set_mounted() and start() once mounted.
// stop() before the mount's parts go. Without start() nothing happens by itself, and run_once()
// does what is due.
//
// Threading: one thread of its own; everything public from any thread, but for run_once (not beside
// the thread) and the calls above. Lock order: `mu_` is a leaf.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "fs/agenda.h"
#include "fs/brake.h"
#include "fs/lock_reaper.h"
#include "fs/trash.h"
#include "fs/unique_fd.h"
#include "fs/unit_reaper.h"
#include "fs/volume.h"

namespace ebbfs {

struct ReaperState {
  bool running = false;
  bool enforcing = false;  // running, the policy says so, and nothing brakes
  BrakeRecord brake;
  // The unit that is due next, should nobody use it.
  std::optional<WallTime> next_deadline;
  std::string next_path;
  uid_t next_owner = 0;
  std::string next_class;
  // Units past their deadline now: what would go were nothing in its way.
  std::size_t due_units = 0;
  Usage due_usage;
  std::optional<WallTime> last_removal;       // of a unit or lock, since the start
  Duration overdue{};                         // of the oldest removal that nothing holds back
  std::optional<WallTime> adopt_grace_until;  // none once over
};

class Reaper final : public Agenda {
 public:
  // All outlive the reaper. Errors: EMFILE, ENFILE.
  [[nodiscard]] static Result<std::unique_ptr<Reaper>> open(Volume& volume, Trash& trash,
                                                            Invalidator& invalidator);
  ~Reaper() override;  // stops

  void prepare() {
    brake_.load();
    locks_.check_all();
  }
  void set_mounted(MountedAt mounted) {
    locks_.set_mounted(mounted.device);
    units_.set_mounted(std::move(mounted));
  }
  void start() EXCLUDES(mu_);
  void stop() EXCLUDES(mu_);
  // Does all that is due now.
  void run_once() EXCLUDES(mu_);

  // Agenda.
  void due_at(WallTime when) override;
  void unit_closed(UnitId unit) override EXCLUDES(mu_);
  [[nodiscard]] bool reclaim_if_due(const LockRef& lock) override;

  // For administrators; see the two reapers. Holding no lock, inside no unit.
  [[nodiscard]] Report verdict(const UnitRef& unit) { return units_.report(unit); }
  [[nodiscard]] Report verdict(const LockRef& lock) { return locks_.report(lock); }
  [[nodiscard]] UnitReaper::Expired expire(const UnitRef& unit, bool dry_run) {
    return units_.expire(unit, dry_run);
  }
  [[nodiscard]] UnitReaper::Evicted evict(const UnitRef& unit, const std::string& why,
                                          BusyProbe& probe, Invalidator& tell) {
    return units_.evict(unit, why, probe, tell);
  }
  [[nodiscard]] std::unique_ptr<BusyProbe> make_probe() { return units_.make_probe(); }
  [[nodiscard]] BrakeRecord brake() const { return brake_.state(); }
  [[nodiscard]] WallTime eviction_now() { return brake_.eviction_now(); }
  [[nodiscard]] WallTime not_before() const { return units_.not_before(); }
  [[nodiscard]] Report expire(const LockRef& lock, bool dry_run) {
    return locks_.expire(lock, dry_run);
  }
  // reaper_requests.cc. Puts a unit back and tells the kernel; see Trash::restore.
  [[nodiscard]] std::expected<Trash::Restored, Trash::NotRestored> restore(TrashId id,
                                                                           const Trash::Wish& wish);
  // Lets go what the brake has held; see Brake::resume.
  [[nodiscard]] Result<bool> resume(const std::string& by) EXCLUDES(mu_);
  // The limits of the policy were replaced: all deadlines are worked out anew.
  void rules_changed() EXCLUDES(mu_);
  [[nodiscard]] ReaperState state();

 private:
  Reaper(Volume& volume, Trash& trash, Invalidator& invalidator, UniqueFd epoll, UniqueFd timer,
         UniqueFd wake);

  void run() EXCLUDES(mu_);
  void wait(bool backing_off);
  void arm(bool backing_off);
  void wake() const;

  void handle_ends();
  void handle_closed() EXCLUDES(mu_);
  enum class Pass : std::uint8_t { idle, progress, stuck };
  [[nodiscard]] Pass handle_due();
  // Of one kind, one at least.
  void handle(std::span<const Deadline> alike);
  void handle_locks(std::span<const Deadline> deadlines);
  void handle_new_rules();
  void handle_trash(TrashId id);
  void keep_house();
  void remind();
  void count_due(ReaperState& state);

  Volume& volume_;
  Trash& trash_;
  Invalidator& invalidator_;
  Brake brake_;
  LockReaper locks_;
  UnitReaper units_;

  const UniqueFd epoll_;
  const UniqueFd timer_;
  const UniqueFd wake_;
  std::thread thread_;
  // Atomic: read on the path of requests, and one value each.
  std::atomic<bool> stopping_{false};
  std::atomic<bool> running_{false};
  std::atomic<std::int64_t> armed_for_{0};  // WallTime

  // Of the thread that runs.
  WallTime ends_seen_{};  // an end that is reported now did not come before
  MonoTime settled_{};
  MonoTime flushed_{};
  std::optional<MonoTime> reminded_;  // of nothing being removed

  Mutex mu_;
  std::vector<UnitId> closed_ GUARDED_BY(mu_);
  bool new_rules_ GUARDED_BY(mu_) = false;
};

}  // namespace ebbfs
