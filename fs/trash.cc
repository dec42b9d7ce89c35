// SPDX-License-Identifier: Apache-2.0
//
// Moving things into the trash, and what a crash has left of that. Putting back is
// trash_restore.cc, deleting trash_purge.cc.
#include "fs/trash.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "fs/purge.h"
#include "fs/trash_names.h"
#include "fs/unit_recovery.h"

namespace ebbfs {
namespace {

// `cells` with the charge of `inode` added.
void add_charge(std::vector<UsageCell>& cells, const TreeInode& inode) {
  const Attributes& attributes = inode.attributes;
  const auto found = std::ranges::find_if(cells, [&](const UsageCell& cell) {
    return cell.uid == attributes.stx_uid && cell.gid == attributes.stx_gid;
  });
  const Usage charge = charge_for(attributes);
  if (found != cells.end()) {
    found->usage += charge;
  } else {
    cells.push_back({attributes.stx_uid, attributes.stx_gid, charge});
  }
}

Usage total(const std::vector<UsageCell>& cells) {
  Usage sum;
  for (const UsageCell& cell : cells) sum += cell.usage;
  return sum;
}

}  // namespace

Trash::~Trash() { stop(); }

bool Trash::present(const std::string& name) const {
  return volume_.backing.stat(volume_.backing.trash_dir(), name.c_str()).has_value();
}

Status Trash::load() {
  auto records = volume_.index.load_trash();
  if (!records) return std::unexpected(records.error());
  for (TrashRecord& record : *records) {
    (void)volume_.backing.unlink(volume_.backing.trash_dir(), scratch_name(record.id).c_str());
    auto settled =
        record.stage == TrashRecord::Stage::intent ? settle_intent(record) : settle_stored(record);
    if (!settled) return settled;
  }
  return find_strays(*records);
}

Status Trash::settle_intent(TrashRecord record) {
  const std::string name = trash_name(record.id);
  const Backing& backing = volume_.backing;
  const auto handle = backing.handle(backing.trash_dir(), name.c_str());
  if (!handle || *handle != record.unit.handle) {
    spdlog::warn("event=removal_undone path={:?} trash={}", record.unit.path, name);
    return volume_.index.abandon_trash(record.id);
  }
  if (!record.git_admin_path.empty() && !present(git_name(record.id))) {
    const auto admin = find_git_admin(backing, backing.trash_dir(), name.c_str(), record.unit.path);
    if (admin && *admin) {
      take_git_admin(**admin, record);
    } else {
      record.git_admin_path.clear();
    }
  }
  record.stage = TrashRecord::Stage::stored;
  if (auto stored = volume_.index.store_trash(record); !stored) return stored;
  spdlog::warn("event=removal_finished path={:?} trash={}", record.unit.path, name);
  adopt(record, false);
  return {};
}

Status Trash::settle_stored(TrashRecord record) {
  if (present(trash_name(record.id))) {
    adopt(record, false);
    return {};
  }
  const bool is_unit = raw(record.lock) == 0;
  const bool back = stands_at(volume_, record.unit.path, record.unit.handle).value_or(false);
  if (is_unit && back && !present(purge_name(record.id))) {
    record.unit.last_used = volume_.clock.wall_now();
    record.unit.dirty = true;  // counted anew: the administrative entry may be in or out
    const WallTime due = unit_deadline(volume_, record.unit);
    if (auto kept = volume_.index.put_unit(record.unit, due); !kept) return kept;
    if (present(git_name(record.id))) settle_git(record);
    return volume_.index.erase_trash(record.id);
  }
  adopt(record, true);
  return {};
}

// The entry of a unit that was put back just before a crash follows it. Charges are no matter: the
// unit around was marked in use, and is counted again.
void Trash::settle_git(const TrashRecord& record) {
  const Backing& backing = volume_.backing;
  const std::string name = git_name(record.id);
  const SplitPath place = split_path(record.git_admin_path);
  const auto parent = open_beneath(backing.root(), place.directory, O_PATH | O_DIRECTORY);
  if (parent && backing.rename(backing.trash_dir(), name.c_str(), parent->get(), place.name.c_str(),
                               RENAME_NOREPLACE)) {
    return;
  }
  spdlog::warn("event=git_entry_not_restored path={:?}", record.git_admin_path);
  const PurgeHooks hooks{[](const Attributes&) {}, [] { return true; }};
  (void)purge_tree(backing, backing.trash_dir(), name.c_str(), hooks);
}

void Trash::adopt(const TrashRecord& record, bool begun) {
  Entry entry{record, make_holder(record.unit), Entry::State::kept, begun, begun};
  for (const UsageCell& held : record.unit.usage) {
    UnitAccounts& accounts = entry.holder->accounts();
    volume_.ledger.settle(volume_.ledger.cell(accounts, held.uid, held.gid), held.usage);
  }
  {
    const MutexLock lock(mu_);
    entries_.emplace(record.id, std::move(entry));
  }
  if (begun || raw(record.lock) != 0) {
    purge(record.id);
  } else {
    // The queue may have had it taken out just before the end of the last run.
    (void)volume_.index.reschedule(Deadline::Kind::trash, raw(record.id), record.purge_after);
  }
}

UnitRef Trash::make_holder(const UnitRecord& record) {
  auto accounts = volume_.ledger.open_unit(record.id, record.class_name, record.owner.job);
  volume_.ledger.detach(*accounts);
  UnitRecord still = record;
  still.dirty = false;
  auto holder = std::make_shared<Unit>(std::move(still), std::move(accounts), std::nullopt);
  holder->kill();
  return holder;
}

Result<TrashRecord> Trash::take(Removal removal) {
  TrashRecord& record = removal.record;
  record.id = volume_.index.next_trash_id();
  record.stage = TrashRecord::Stage::intent;
  record.unit.dirty = false;
  record.unit.usage = removal.holder->accounts().cells();
  for (const TreeInode& inode : removal.along.inodes) {
    if (inode.whole()) add_charge(record.unit.usage, inode);
  }
  removal.event.usage = total(record.unit.usage);
  if (removal.git_admin != nullptr) record.git_admin_path = removal.git_admin->path;
  if (const auto intended = volume_.index.intend_trash(record, removal.event); !intended) {
    return std::unexpected(intended.error());
  }
  if (const auto moved = move_in(removal, record); !moved) {
    if (const auto undone = volume_.index.abandon_trash(record.id); !undone) {
      spdlog::error("op=abandon_trash trash={} errno={}", raw(record.id), code(undone.error()));
    }
    return std::unexpected(moved.error());
  }
  if (removal.git_admin != nullptr) {
    take_git_admin(*removal.git_admin, record);
    if (record.git_admin_path.empty()) {
      removal.along.inodes.clear();
      record.unit.usage = removal.holder->accounts().cells();
    }
  }
  record.stage = TrashRecord::Stage::stored;
  if (const auto stored = volume_.index.store_trash(record); !stored) {
    // The intent stands: the next start finishes it.
    spdlog::error("op=store_trash trash={} errno={}", raw(record.id), code(stored.error()));
  }
  volume_.ledger.detach(removal.holder->accounts());
  move_charges(removal.along, removal.holder);
  const MutexLock lock(mu_);
  entries_.emplace(record.id, Entry{record, removal.holder});
  return record;
}

Status Trash::move_in(const Removal& removal, const TrashRecord& record) {
  const Backing& backing = volume_.backing;
  const int trash = backing.trash_dir();
  const std::string number = trash_name(record.id);
  const char* const name = removal.name.c_str();
  const auto before = backing.handle(removal.dir, name);
  if (!before) return std::unexpected(before.error());
  if (*before != record.unit.handle) return fail(ESTALE);
  if (auto moved = backing.rename(removal.dir, name, trash, number.c_str(), RENAME_NOREPLACE);
      !moved) {
    return moved;
  }
  // The names around a unit are not frozen with it: an empty top may have been replaced meanwhile.
  const auto after = backing.handle(trash, number.c_str());
  if (after && *after == record.unit.handle) return {};
  const auto back = backing.rename(trash, number.c_str(), removal.dir, name, RENAME_NOREPLACE);
  spdlog::warn("event=removal_lost_race path={:?} put_back={}", record.unit.path, back.has_value());
  return fail(ESTALE);
}

// Leaves `record.git_admin_path` empty where the entry stays.
void Trash::take_git_admin(const GitAdmin& admin, TrashRecord& record) {
  const Backing& backing = volume_.backing;
  const std::string name = git_name(record.id);
  const auto moved = backing.rename(admin.parent.get(), admin.id.c_str(), backing.trash_dir(),
                                    name.c_str(), RENAME_NOREPLACE);
  if (moved) return;
  spdlog::warn("event=git_entry_stays path={:?} errno={}", admin.path, code(moved.error()));
  record.git_admin_path.clear();
}

void Trash::move_charges(const Along& along, const UnitRef& holder) {
  for (const TreeInode& inode : along.inodes) {
    if (!inode.whole()) continue;
    const Attributes& was = inode.attributes;
    const Usage charge = charge_for(was);
    const Payer from{*along.from, was.stx_uid, was.stx_gid};
    const Payer to{*holder, was.stx_uid, was.stx_gid};
    if (!volume_.accounting.move(from, to, inode.id(), charge)) {
      // A limit of the unit's own stands in the way: what is gone from the tree is moved even so.
      UsageLedger& ledger = volume_.ledger;
      ledger.settle(ledger.cell(to.unit.accounts(), to.uid, to.gid), charge);
      ledger.settle(ledger.cell(from.unit.accounts(), from.uid, from.gid), -charge);
    }
    // Whoever still holds on to it finds it gone.
    if (const InodeRef known = volume_.inodes.find(inode.id())) {
      known->move_to(holder, kDeadState, false);
    }
  }
}

Trash::Held Trash::held() const {
  const MutexLock lock(mu_);
  Held sum;
  for (const auto& [id, entry] : entries_) sum.usage += entry.holder->accounts().total().usage();
  sum.units = entries_.size();
  return sum;
}

std::vector<TrashRecord> Trash::list() const {
  const MutexLock lock(mu_);
  std::vector<TrashRecord> records;
  records.reserve(entries_.size());
  for (const auto& [id, entry] : entries_) records.push_back(entry.record);
  return records;
}

std::vector<Trash::Whole> Trash::whole() const {
  const MutexLock lock(mu_);
  std::vector<Whole> all;
  for (const auto& [id, entry] : entries_) {
    if (entry.state == Entry::State::kept && !entry.begun) all.push_back({id, entry.holder});
  }
  return all;
}

bool Trash::still_whole(TrashId id) const {
  const MutexLock lock(mu_);
  const auto found = entries_.find(id);
  return found != entries_.end() && found->second.state == Entry::State::kept &&
         !found->second.begun;
}

void Trash::correct(const Whole& trashed, const std::vector<UsageCell>& cells) {
  UnitAccounts& accounts = trashed.holder->accounts();
  for (const UsageCell& cell : cells) {
    volume_.ledger.settle(volume_.ledger.cell(accounts, cell.uid, cell.gid), cell.usage);
  }
  TrashRecord record;
  {
    const MutexLock lock(mu_);
    const auto found = entries_.find(trashed.id);
    if (found == entries_.end()) return;
    found->second.record.unit.usage = accounts.cells();
    record = found->second.record;
  }
  if (const auto stored = volume_.index.store_trash(record); !stored) {
    spdlog::error("op=store_trash trash={} errno={}", raw(trashed.id), code(stored.error()));
  }
}

std::vector<Trash::Item> Trash::items() const {
  const MutexLock lock(mu_);
  std::vector<Item> items;
  for (const auto& [id, entry] : entries_) {
    if (raw(entry.record.lock) != 0) continue;
    const bool purging = entry.begun || entry.state == Entry::State::purging ||
                         std::ranges::find(queue_, id) != queue_.end();
    items.push_back({entry.record, entry.holder->accounts().total().usage(), purging});
  }
  return items;
}

}  // namespace ebbfs
