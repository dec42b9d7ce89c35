// SPDX-License-Identifier: Apache-2.0
//
// Runs the commands of the policy's [[hook]] tables. What was removed is read from the journal, and
// what is idle from the units in memory, by one thread that also looks after the processes: nothing
// that removes, and no request, knows or waits for it. At most once: what happened while the daemon
// was not there, or while a policy without the hook was in force, is passed over.
//
// A hook uses the volume like anybody else, and that counts as use: once. As long as a command runs
// for a unit, and a little longer, what uses that unit is taken for the hook's own, and a hook is
// not run again for it before something else has used it. So each hook can put off a unit's expiry
// once after each use by others, and none can keep it.
//
// Threading: start and stop from one thread, policy_changed from any; all else is of the object's
// own, which sleeps while the policy has no hook.
#pragma once

#include <atomic>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "fs/git_repo.h"
#include "fs/hook_process.h"
#include "fs/trash.h"
#include "fs/volume.h"
#include "policy/hook.h"

namespace ebbfs {

class Hooks {
 public:
  // Of all hooks together; beyond, the newest are dropped, and that is told.
  static constexpr std::size_t kWaitingMax = 1000;
  static constexpr std::size_t kRunningMax = kHooksAtOnceMax;
  // How soon something is noticed.
  static constexpr Duration kLook = std::chrono::milliseconds(500);
  // After a command's end, use by it may still be told of (the release of its last file).
  static constexpr Duration kSettle = std::chrono::seconds(2);

  // Both outlive the object.
  Hooks(Volume& volume, const Trash& trash);
  ~Hooks();  // stops
  Hooks(const Hooks&) = delete;
  Hooks& operator=(const Hooks&) = delete;

  // Once requests are served. `mount`: where commands run, and what paths begin with.
  void start(std::string mount);
  // Kills what runs; what waits is forgotten.
  void stop();
  // The policy was replaced. Beside start() and stop().
  void policy_changed();

 private:
  using HookId = std::size_t;  // of what a rule says, so that a reload keeps it
  // One thing that a hook is to be run for.
  struct Task {
    std::shared_ptr<const Policy> policy;  // holds `rule`
    const HookRule* rule = nullptr;
    HookId hook = 0;
    HookParts parts;
    std::string path;  // on the volume
    std::vector<UnitId> units{};
  };
  struct Running {
    Task task;
    HookProcess process;
    MonoTime began{};
    bool timed_out = false;
  };
  // What is known of a unit that hooks were run for.
  struct Handled {
    WallTime excused{};       // use up to then starts nothing
    std::set<HookId> done{};  // hooks that have had their turn since others used it
    std::size_t tasks = 0;    // that wait or run
    MonoTime retry{};         // its repository was in use
  };

  void run();
  void look();
  void take_policy();
  void note_removals();
  void note_removal(const EventRecord& event, HookRule::On on);
  void note_idle();
  void note_idle_unit(const UnitRef& unit, const HookRule& rule, HookId hook);
  // All units that are to be left alone with it; none where it is not its turn yet.
  [[nodiscard]] std::vector<UnitRef> ready(const UnitRef& unit, const HookRule& rule,
                                           HookParts& parts, MonoTime& retry) const;
  void add(Task task);
  void launch();
  void launch(Task task);
  void look_after_running();
  void end(const Task& task, Duration took, const std::string& how);
  void journal(const Task& task, Duration took, const std::string& how);
  // Until something can be done, or for kLook where there are hooks; false when it is to stop.
  [[nodiscard]] bool wait() const;
  void wake() const;
  [[nodiscard]] std::optional<GitRepo> repo_of_removed(const EventRecord& event) const;
  [[nodiscard]] std::string below_mount(std::string_view path) const;

  Volume& volume_;
  const Trash& trash_;
  std::string mount_;
  UniqueFd wake_;                      // an eventfd, as long as the object lives
  std::atomic<bool> stopping_{false};  // written before wake_
  std::thread thread_;

  // Of the thread.
  std::shared_ptr<const Policy> policy_;
  std::map<HookId, WallTime> known_since_;
  std::uint64_t event_ = 0;  // the newest looked at
  MonoTime idle_look_{};
  std::unordered_map<UnitId, Handled> handled_;
  std::deque<Task> waiting_;
  std::list<Running> running_;
  std::size_t dropped_ = 0;
};

}  // namespace ebbfs
