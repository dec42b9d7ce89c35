// SPDX-License-Identifier: Apache-2.0
//
// Takes units away whose time is over (DESIGN 4.2): judged by their age, by what holds them, and by
// both once more while they are frozen, by a look at processes that began after that; then one
// rename into the trash. Those that are due together are frozen together, for the sake of that
// look.
//
// Threading: judge from the reaper's thread; report and expire from any, holding no lock and inside
// no unit. set_mounted before all of them.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "fs/brake.h"
#include "fs/busy.h"
#include "fs/describe.h"
#include "fs/frozen_units.h"
#include "fs/lock_reaper.h"
#include "fs/trash.h"
#include "fs/volume.h"

namespace ebbfs {

class UnitReaper {
 public:
  // All outlive the reaper.
  UnitReaper(Volume& volume, Trash& trash, LockReaper& locks, Invalidator& invalidator,
             Brake& brake)
      : volume_(volume), trash_(trash), locks_(locks), invalidator_(invalidator), brake_(brake) {}
  UnitReaper(const UnitReaper&) = delete;
  UnitReaper& operator=(const UnitReaper&) = delete;

  // Until then nothing goes: what holds a unit is not known.
  void set_mounted(MountedAt mounted);

  // Looks at units whose deadlines have come, or whose last open file was closed: removes each, or
  // says in the index when to look again. None twice. At most kBatch are frozen at a time.
  void judge(std::span<const UnitId> ids);
  static constexpr std::size_t kBatch = 32;

  // What is to become of the unit, with all that holds it.
  [[nodiscard]] Report report(const UnitRef& unit);
  // Removes the unit on request, whatever its age; never while pinned or busy, nor while that is
  // unknown. `dry_run` only says what would be. Removed when the verdict says so.
  struct Expired {
    Report report;
    std::optional<TrashRecord> trash;  // when it was removed
  };
  [[nodiscard]] Expired expire(const UnitRef& unit, bool dry_run);

  // Removes the unit for its space, when it is past its keep and nothing holds it. `why`: for the
  // journal. `tell` is told what the kernel has to know: by somebody else, where the caller may not
  // wait for requests that wait for it. `probe` serves the thread that calls.
  struct Evicted {
    Verdict verdict;
    std::optional<TrashRecord> trash;  // when it was removed
  };
  [[nodiscard]] Evicted evict(const UnitRef& unit, const std::string& why, BusyProbe& probe,
                              Invalidator& tell);
  // For `evict`, of one thread.
  [[nodiscard]] std::unique_ptr<BusyProbe> make_probe() {
    return std::make_unique<BusyProbe>(volume_, locks_, mounted_);
  }

  // When a unit was last removed; WallTime{} when none was since the start.
  [[nodiscard]] WallTime last_removal() const {
    return WallTime(Duration(last_removal_.load(std::memory_order_relaxed)));
  }
  // End of the adopt grace: nothing expires before.
  [[nodiscard]] WallTime not_before() const;

 private:
  // Where the unit's top is now.
  struct Place {
    enum class Top : std::uint8_t { there, gone, moved, unknown } top = Top::unknown;
    UniqueFd parent;
    FileHandle parent_handle;
    InodeId parent_inode{};
    std::string name;
    std::string path;
  };
  // What it is to go for: its age, an administrator, or its space.
  enum class Cause : std::uint8_t { age, request, space };
  struct Judged {
    UnitRecord record;
    ClassRule rule;
    Place place;
    BusyProbe::Found found;  // only when age does not keep it
    Verdict verdict;
  };
  enum class Outcome : std::uint8_t { removed, kept, busy };

  [[nodiscard]] WallTime now() const { return volume_.clock.wall_now(); }
  void judge_batch(std::span<const UnitId> ids);
  [[nodiscard]] Judged judge_now(const UnitRef& unit, Cause cause, BusyProbe& probe,
                                 BusyProbe::Listing listing = BusyProbe::Listing::fresh);
  void judge_busy(const UnitRef& unit, Judged& judged, BusyProbe& probe,
                  BusyProbe::Listing listing);
  [[nodiscard]] Place locate(const UnitRef& unit, const UnitRecord& record);
  [[nodiscard]] Place find_moved(const UnitRef& unit, const UnitRecord& record, Place place);

  void keep(const UnitRef& unit, const Judged& judged);
  void would_remove(const UnitRef& unit, const Judged& judged);
  void drop(const UnitRef& unit, const Judged& judged);
  void reschedule(const UnitRef& unit, WallTime due);
  [[nodiscard]] bool enforcing() const;
  [[nodiscard]] Report report_of(const UnitRef& unit, const Judged& judged) const;

  struct Removal {
    Cause cause;
    Invalidator& tell;
    std::string why{};                   // for the journal
    std::optional<TrashRecord> taken{};  // when it was removed
  };
  // A unit that may go by the first verdict; `judged` becomes the second one.
  struct Going {
    UnitRef unit;
    Judged judged;
    Removal removal;
    std::unique_ptr<FrozenUnits> frozen{};
    Outcome outcome = Outcome::busy;
  };
  // Removes what may go, and says of each what has become of it. No unit twice.
  void remove(std::span<Going> all, BusyProbe& probe);
  void freeze(std::span<Going> all, BusyProbe& probe);
  [[nodiscard]] Outcome remove_frozen(Going& going, BusyProbe& probe);
  [[nodiscard]] Outcome take_frozen(Going& going);
  [[nodiscard]] static std::pair<EventRecord::Kind, RemovalReason> in_words(Cause cause);
  [[nodiscard]] Result<TrashRecord> take(const UnitRef& unit, Judged& judged,
                                         const Removal& removal);
  void forget_contents(const UnitRef& unit, const TrashRecord& trash, const Judged& judged);
  [[nodiscard]] EventRecord event_of(const Judged& judged, EventRecord::Kind kind) const;

  Volume& volume_;
  Trash& trash_;
  LockReaper& locks_;
  Invalidator& invalidator_;
  Brake& brake_;
  std::optional<MountedAt> mounted_;  // constant once requests are served
  std::unique_ptr<BusyProbe> probe_;  // of the reaper's thread
  // Units that would have been removed, told once for each time they were last used. Of the
  // reaper's thread.
  std::unordered_map<UnitId, WallTime> told_;
  std::atomic<std::int64_t> last_removal_{0};  // one value, orders nothing
};

}  // namespace ebbfs
