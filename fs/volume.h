// SPDX-License-Identifier: Apache-2.0
//
// The parts of one mounted volume, built once in main and passed by reference to whoever works on
// it: the request path (fs/filesystem.h), the reaper, the census, the control file. Owns nothing
// and decides nothing.
//
// Lock order, outer to inner. Levels may be skipped, never climbed.
//   a frozen Unit (root unit first, then by rising UnitId; out of order only where it is tried for
//                  Unit::kPatience and given up: fs/unit_removal.cc)
//     Inode::size_mu
//       Lock::mu
//         Unit::mu_
//           LockTable::mu_, UnitTable::mu_, Inode::mu_, InodeTable and DirCache shards,
//           Accounting shards, ledger maps: map access and arithmetic only
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "fs/accounting.h"
#include "fs/agenda.h"
#include "fs/backing.h"
#include "fs/clock.h"
#include "fs/dir_cache.h"
#include "fs/health.h"
#include "fs/inode_table.h"
#include "fs/lock_table.h"
#include "fs/process_table.h"
#include "fs/quotas.h"
#include "fs/unit_table.h"
#include "index/unit_index.h"
#include "index/usage.h"
#include "policy/classifier.h"
#include "policy/limits.h"

namespace ebbfs {

class Exports;
class SpaceGate;

// The policy in force. Globs and classes are fixed while mounted (states of directories come from
// them); limits can be replaced by a reload.
class Rules {
 public:
  explicit Rules(std::shared_ptr<const Policy> policy)
      : classifier_(policy), limits_(std::move(policy)) {}
  Rules(const Rules&) = delete;
  Rules& operator=(const Rules&) = delete;

  [[nodiscard]] const Classifier& classifier() const { return classifier_; }
  [[nodiscard]] std::shared_ptr<const Policy> policy() const EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    return limits_;
  }
  // `policy` has the same classes with the same globs, in the same order.
  void replace(std::shared_ptr<const Policy> policy) EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    limits_ = std::move(policy);
  }

 private:
  const Classifier classifier_;
  mutable Mutex mu_;
  std::shared_ptr<const Policy> limits_ GUARDED_BY(mu_);
};

struct Volume {
  Backing& backing;
  Clock& clock;
  ProcessTable& processes;
  UnitIndex& index;
  UsageLedger& ledger;
  Accounting& accounting;
  Rules& rules;
  InodeTable& inodes;
  DirCache& directories;
  UnitTable& units;
  LockTable& locks;
  Quotas& quotas;
  // Two looks at the same unknown top must not record two units.
  Mutex recording_mu{};
  Health health{};
  // What outlives the index; null where nothing does (in tests). Set before requests are served, as
  // what follows.
  Exports* exports = nullptr;
  // Asked for room before anything grows; null: there always is.
  SpaceGate* space = nullptr;
  // A unit was found that nobody had recorded, and has to be counted.
  std::function<void()> found_unit{};
  // A request has changed the mode of an inode, and the kernel does not know: it may go on running
  // the file as setuid. Takes no lock that a request could hold.
  std::function<void(NodeId)> mode_changed{};
  // Called now and then by the reaper's thread.
  std::function<void()> look_after_index{};
};

// Why nothing is removed that is due; nothing when it is.
[[nodiscard]] std::optional<std::string> removal_held(const Volume& volume);

// Brings .ebbfs/pins up to date.
void export_pins(Volume& volume);

// A descriptor of the directory `inode`, from the cache or opened by handle. ESTALE when it is no
// more.
[[nodiscard]] Result<SharedFd> directory_fd(Volume& volume, Inode& inode);

// Opens by handle; makes room by closing cached directories when descriptors have run out.
[[nodiscard]] Result<UniqueFd> open_by_handle(Volume& volume, const FileHandle& handle, int flags);

// The place of the child `name` of `parent`, with its unit: found, or recorded now when the name is
// the top of a unit that the index does not know (`maker` empty: owner unknown, ages from
// `attributes`).
[[nodiscard]] Result<Inode::Place> place_child(Volume& volume, const Inode::Place& parent,
                                               std::string_view name, const Attributes& attributes,
                                               const FileHandle& handle, const Owner* maker);

// The same for `name` in the open directory `dir`, which has the place `at`: looks at it, finds or
// makes the inode object, binds it. `at` is another place afterwards where the directory was moved
// meanwhile.
struct Child {
  InodeRef inode;
  Attributes attributes;
};
[[nodiscard]] Result<Child> look_at_child(Volume& volume, Standpoint& at, int dir,
                                          const char* name);

// The path of a directory inode relative to the volume root, "" for the root.
[[nodiscard]] Result<std::string> path_of(Volume& volume, Inode& directory);
// For people: of an inode, or of `name` in it, now. Empty where that cannot be told.
[[nodiscard]] std::string shown_path(Volume& volume, NodeId id, const std::string& name);

// When `unit` should next be judged by age alone, kNever when its class has no limit.
[[nodiscard]] WallTime unit_deadline(const Volume& volume, const UnitRecord& unit);

}  // namespace ebbfs
