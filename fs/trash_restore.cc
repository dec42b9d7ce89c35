// SPDX-License-Identifier: Apache-2.0
//
// Putting a unit back. The order: charges, the trash record with the new place where that differs,
// git's files rewritten for it while both are still in the trash, rename, unit record, git's entry,
// records of the locks in both, and the trash record goes last; load() finishes from any point on.
// What git's entry takes is in trash_restore_git.cc.
#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "fs/describe.h"
#include "fs/lock_adoption.h"
#include "fs/purge.h"
#include "fs/trash_names.h"
#include "fs/trash_plan.h"

namespace ebbfs {
namespace {

std::string globs_of(const Policy& policy) {
  std::string text;
  for (const ClassRule& rule : policy.classes) {
    if (rule.kind != ClassKind::tree) continue;
    for (const std::string& glob : rule.match) text += (text.empty() ? "" : ", ") + glob;
  }
  return text;
}

// What is left of `cells` without `less`.
std::vector<UsageCell> without(std::vector<UsageCell> cells, const std::vector<UsageCell>& less) {
  for (const UsageCell& gone : less) {
    for (UsageCell& cell : cells) {
      if (cell.uid == gone.uid && cell.gid == gone.gid) cell.usage += -gone.usage;
    }
  }
  std::erase_if(cells, [](const UsageCell& cell) { return cell.usage == Usage{}; });
  return cells;
}

// The unit that `path` would lie in: one that is there, or as the policy would have it by now.
// Empty when there is none.
std::string unit_around(const Volume& volume, std::string_view path) {
  for (std::size_t end = path.find('/'); end < path.size(); end = path.find('/', end + 1)) {
    const std::string_view upper = path.substr(0, end);
    if (volume.rules.classifier().walk(upper).tree_class != kNoClass ||
        volume.units.find_by_path(upper) != nullptr) {
      return std::string(upper);
    }
  }
  return {};
}

std::string suggestion(const std::string& path) {
  return "put it beside with --to " + path + "-restored";
}

}  // namespace

std::expected<Trash::Restored, Trash::NotRestored> Trash::restore(TrashId id, const Wish& wish) {
  const auto refuse = [](int error, std::string why) {
    return std::unexpected(NotRestored{Errno{error}, std::move(why)});
  };
  Entry entry;
  {
    const MutexLock lock(mu_);
    const auto found = entries_.find(id);
    if (found == entries_.end() || raw(found->second.record.lock) != 0) {
      return refuse(ENOENT, "it is not in the trash (any more); see: ebbctl trash list");
    }
    if (found->second.state != Entry::State::kept || found->second.begun) {
      return refuse(EBUSY, "it is being deleted: some of it is gone already");
    }
    found->second.state = Entry::State::restoring;
    entry = found->second;
  }
  Plan plan;
  Restored restored;
  Refusal refused = this->plan(entry, wish, plan);
  restored.path = plan.record.path;
  restored.usage = plan.usage();
  restored.git_admin_path = plan.git.path;
  restored.git_admin_lost = plan.git.lost;
  const bool carried_out = !refused && !wish.dry_run;
  if (carried_out) refused = put_back(entry, plan, restored);
  if (carried_out && !refused) {
    tell_restored(entry, wish, restored);
    const MutexLock lock(mu_);
    entries_.erase(id);
    return restored;
  }
  const MutexLock lock(mu_);
  entries_.at(id).state = Entry::State::kept;
  if (refused) return std::unexpected(std::move(*refused));
  return restored;
}

Trash::Refusal Trash::plan(const Entry& entry, const Wish& wish, Plan& plan) {
  if (auto refused = place(entry, wish, plan)) return refused;
  plan_git(entry, wish, plan);
  plan.cells = without(entry.holder->accounts().cells(), plan.git.cells);
  const UnitCharge charge{plan.record.path, plan.record.class_name, plan.record.owner.job,
                          plan.cells};
  if (const auto shortage = find_shortage(volume_, charge)) return too_much(*shortage);
  return {};
}

// Where to, and as a unit of which class.
Trash::Refusal Trash::place(const Entry& entry, const Wish& wish, Plan& plan) {
  plan.record = entry.record.unit;
  const bool elsewhere = !wish.to.empty() && wish.to != entry.record.unit.path;
  if (elsewhere) plan.record.path = wish.to;
  const std::string& path = plan.record.path;
  const Classifier& classifier = volume_.rules.classifier();
  const Match match = classifier.walk(path);
  const std::string around = unit_around(volume_, path);
  // Of a class that no policy file names any more nothing will happen to it, there or anywhere.
  const bool of_no_class =
      !elsewhere && classifier.policy().find_class(plan.record.class_name) == nullptr;
  if (!around.empty() || (match.tree_class == kNoClass && !of_no_class)) {
    const std::string cure = elsewhere ? "" : "; name another place with --to";
    return NotRestored{Errno{EINVAL}, path + " is no place of a unit" +
                                          (around.empty() ? "" : ", but inside of " + around) +
                                          cure +
                                          "; a unit goes where a class of the policy matches: " +
                                          globs_of(*volume_.rules.policy())};
  }
  if (match.tree_class != kNoClass) {
    const std::string class_name = classifier.policy().classes[match.tree_class].name;
    const auto job = std::string(classifier.job(match));
    if (!job.empty() || class_name != plan.record.class_name) plan.record.owner.job = job;
    plan.record.class_name = class_name;
  }
  const Backing& backing = volume_.backing;
  plan.place = split_path(plan.record.path);
  auto parent = open_beneath(backing.root(), plan.place.directory, O_RDONLY | O_DIRECTORY);
  const auto above = parent ? backing.stat(parent->get(), "")
                            : Result<Attributes>(std::unexpected(parent.error()));
  if (!above) {
    return NotRestored{above.error(), "there is no directory " + plan.place.directory +
                                          " to put it in; make it, or name another place with "
                                          "--to"};
  }
  if (backing.stat(parent->get(), plan.place.name.c_str())) {
    return NotRestored{Errno{EEXIST}, "the name " + plan.record.path + " is taken by now; " +
                                          suggestion(plan.record.path)};
  }
  plan.parent = std::move(*parent);
  plan.parent_inode = inode_id_of(backing, *above);
  return {};
}

Trash::NotRestored Trash::too_much(const Shortage& shortage) {
  return {Errno{EDQUOT}, "it does not fit: " + shortage_text(shortage) +
                             "; make room, or raise the limit with: ebbctl quota set " +
                             shortage.scope};
}

// Charges before anything moves, in all scopes at once or not at all.
Trash::Refusal Trash::charge(const Entry& entry, Plan& plan) {
  UsageLedger& ledger = volume_.ledger;
  UnitAccounts& from = entry.holder->accounts();
  const WallTime now = volume_.clock.wall_now();
  plan.accounts = ledger.open_unit(plan.record.id, plan.record.class_name, plan.record.owner.job);
  ledger.limit_unit(*plan.accounts, plan.record.path);
  const auto move = [&](const std::vector<UsageCell>& cells, UnitAccounts& to,
                        std::vector<UsageCell>& moved) {
    for (const UsageCell& cell : cells) {
      Cell& source = ledger.cell(from, cell.uid, cell.gid);
      if (!ledger.move(source, ledger.cell(to, cell.uid, cell.gid), cell.usage, now)) return false;
      moved.push_back(cell);
    }
    return true;
  };
  bool fits = move(plan.cells, *plan.accounts, plan.moved);
  if (fits && plan.git.unit != nullptr) {
    fits = move(plan.git.cells, plan.git.unit->accounts(), plan.git.moved);
    if (fits && plan.git.made) {
      auto room = volume_.accounting.reserve(
          {*plan.git.unit, plan.git.made->uid, plan.git.made->gid}, plan.git.made->usage);
      fits = room.has_value();
      if (fits) {
        room->keep();
        plan.git.charged_made = true;
      }
    }
  }
  if (fits) return {};
  give_back(entry, plan);
  const UnitCharge wanted{plan.record.path, plan.record.class_name, plan.record.owner.job,
                          plan.cells};
  if (const auto shortage = find_shortage(volume_, wanted)) return too_much(*shortage);
  return NotRestored{Errno{EDQUOT}, "it does not fit just now: others took the room; try again"};
}

void Trash::give_back(const Entry& entry, Plan& plan) {
  return_cells(volume_.ledger, *plan.accounts, entry.holder->accounts(), plan.moved);
  give_back_git(entry, plan);
}

Trash::Refusal Trash::put_back(const Entry& entry, Plan& plan, Restored& restored) {
  if (auto refused = charge(entry, plan)) return refused;
  const TrashRecord& was = entry.record;
  const Backing& backing = volume_.backing;
  const auto undo = [&](Errno error, std::string why) -> Refusal {
    unprepare(entry, plan);
    give_back(entry, plan);
    return NotRestored{error, std::move(why)};
  };
  if (const auto prepared = prepare(entry, plan); !prepared) {
    return undo(prepared.error(), "the index does not take it; see the daemon's log");
  }
  {
    // Whoever looks at the name before the unit is in the table would take it for a new one.
    const MutexLock recording(volume_.recording_mu);
    const auto moved = backing.rename(backing.trash_dir(), trash_name(was.id).c_str(),
                                      plan.parent.get(), plan.place.name.c_str(), RENAME_NOREPLACE);
    if (!moved) {
      const bool taken = moved.error() == Errno{EEXIST};
      return undo(moved.error(), taken ? "the name " + plan.record.path + " is taken by now; " +
                                             suggestion(plan.record.path)
                                       : "the backing filesystem refuses the rename");
    }
    plan.record.last_used = volume_.clock.wall_now();
    plan.record.dirty = false;
    plan.record.usage = plan.accounts->cells();
    const WallTime due = unit_deadline(volume_, plan.record);
    if (const auto kept = volume_.index.put_unit(plan.record, due); !kept) {
      spdlog::error("op=put_unit path={:?} errno={}", plan.record.path, code(kept.error()));
    }
    restored.unit = volume_.units.restore(plan.record, due, plan.accounts);
  }
  restored.appeared.push_back({plan.parent_inode, plan.place.name});
  put_back_git(entry, plan, restored);
  record_locks(plan, restored);
  return {};
}

// The record of the trash is still there: after a crash the census counts both and finds them.
void Trash::record_locks(Plan& plan, Restored& restored) {
  const Classifier& classifier = volume_.rules.classifier();
  const auto record_below = [&](const FileHandle& directory, const UnitRef& unit,
                                MatchState state) {
    Inode::Place place;
    place.handle = directory;
    place.unit = unit;
    place.state = unit->is_root() ? state : classifier.inside_unit(state);
    restored.locks_due = std::min(restored.locks_due, adopt_locks_below(volume_, place));
  };
  record_below(plan.record.handle, restored.unit, classifier.walk(plan.record.path).state);
  if (restored.git_admin_path.empty()) return;
  const Plan::Git& git = plan.git;
  const auto entry = volume_.backing.handle(git.parent.get(), git.place.name.c_str());
  plan.git.use = {};  // who is inside keeps it from being frozen
  if (entry) record_below(*entry, git.unit, classifier.walk(restored.git_admin_path).state);
}

// The record tells load() where the unit is from the rename on.
Status Trash::prepare(const Entry& entry, Plan& plan) {
  TrashRecord moved = entry.record;
  moved.unit = plan.record;
  moved.unit.usage = entry.holder->accounts().cells();
  for (const UsageCell& cell : plan.moved) add_usage(moved.unit.usage, cell);
  for (const UsageCell& cell : plan.git.moved) add_usage(moved.unit.usage, cell);
  if (!plan.git.path.empty()) moved.git_admin_path = plan.git.path;
  const bool same = moved.unit.path == entry.record.unit.path &&
                    moved.unit.class_name == entry.record.unit.class_name &&
                    moved.git_admin_path == entry.record.git_admin_path;
  if (!same) {
    if (auto stored = volume_.index.store_trash(moved); !stored) return stored;
  }
  relink(entry, plan, true);
  return {};
}

void Trash::unprepare(const Entry& entry, Plan& plan) {
  relink(entry, plan, false);
  if (const auto stored = volume_.index.store_trash(entry.record); !stored) {
    spdlog::error("op=store_trash trash={} errno={}", raw(entry.record.id), code(stored.error()));
  }
}

void Trash::tell_restored(const Entry& entry, const Wish& wish, const Restored& restored) {
  const TrashRecord& record = entry.record;
  EventRecord event;
  event.kind = EventRecord::Kind::restored;
  event.time = volume_.clock.wall_now();
  event.path = restored.path;
  event.class_name = restored.unit->class_name();
  event.owner = owner_text(record.unit.owner);
  event.usage = restored.usage;
  const auto add = [&event](const std::string& text) {
    event.detail += (event.detail.empty() ? "" : "; ") + text;
  };
  if (restored.path != record.unit.path) add("was " + record.unit.path);
  if (!restored.git_admin_lost.empty()) add("without its git entry: " + restored.git_admin_lost);
  if (!wish.by.empty()) add("by " + wish.by);
  spdlog::info("event=restored path={:?} was={:?} class={} trash={} bytes={} by={:?}", event.path,
               record.unit.path, event.class_name, raw(record.id), event.usage.bytes.n, wish.by);
  if (const auto told = volume_.index.append_event(std::move(event)); !told) {
    spdlog::error("op=append_event errno={}", code(told.error()));
  }
  if (const auto erased = volume_.index.erase_trash(record.id); !erased) {
    spdlog::error("op=erase_trash trash={} errno={}", raw(record.id), code(erased.error()));
  }
}

}  // namespace ebbfs
