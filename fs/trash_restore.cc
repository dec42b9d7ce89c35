// SPDX-License-Identifier: Apache-2.0
//
// Putting a unit back. The order: charges, rename, record, administrative entry, and the trash
// record goes last; load() finishes from any point on.
#include <fcntl.h>
#include <spdlog/spdlog.h>

#include "fs/describe.h"
#include "fs/purge.h"
#include "fs/trash.h"
#include "fs/trash_names.h"

namespace ebbfs {
namespace {

// An administrative entry has some ten files; one with more is left to git.
constexpr std::size_t kAdminInodesMax = 4096;

}  // namespace

Result<Trash::Restored> Trash::restore(TrashId id) {
  Entry entry;
  {
    const MutexLock lock(mu_);
    const auto found = entries_.find(id);
    if (found == entries_.end() || raw(found->second.record.lock) != 0) return fail(ENOENT);
    if (found->second.state != Entry::State::kept || found->second.begun) return fail(EBUSY);
    found->second.state = Entry::State::restoring;
    entry = found->second;
  }
  auto restored = put_back(entry);
  const MutexLock lock(mu_);
  if (restored) {
    entries_.erase(id);
  } else {
    entries_.at(id).state = Entry::State::kept;
  }
  return restored;
}

Result<Trash::Restored> Trash::put_back(const Entry& entry) {
  const TrashRecord& record = entry.record;
  const Backing& backing = volume_.backing;
  SplitPath place = split_path(record.unit.path);
  const auto parent = open_beneath(backing.root(), place.directory, O_RDONLY | O_DIRECTORY);
  if (!parent) return std::unexpected(parent.error());
  const auto above = backing.stat(parent->get(), "");
  if (!above) return std::unexpected(above.error());
  if (const auto fits = volume_.ledger.attach(entry.holder->accounts(), volume_.clock.wall_now());
      !fits) {
    return std::unexpected(fits.error());
  }
  Restored restored;
  {
    // Whoever looks at the name before the unit is in the table would take it for a new one.
    const MutexLock recording(volume_.recording_mu);
    const auto moved = backing.rename(backing.trash_dir(), trash_name(record.id).c_str(),
                                      parent->get(), place.name.c_str(), RENAME_NOREPLACE);
    if (!moved) {
      volume_.ledger.detach(entry.holder->accounts());
      return std::unexpected(moved.error());
    }
    restored.git_admin = put_back_git_admin(entry, restored);
    restored.unit = revive(entry);
  }
  restored.parent = inode_id_of(backing, *above);
  restored.name = std::move(place.name);
  EventRecord event;
  event.kind = EventRecord::Kind::restored;
  event.time = volume_.clock.wall_now();
  event.path = record.unit.path;
  event.class_name = record.unit.class_name;
  event.owner = owner_text(record.unit.owner);
  event.usage = restored.unit->accounts().total().usage();
  if (!record.git_admin_path.empty() && !restored.git_admin) {
    event.detail = "without its git entry " + record.git_admin_path;
  }
  spdlog::info("event=restored path={:?} class={} trash={} bytes={}", event.path, event.class_name,
               raw(record.id), event.usage.bytes.n);
  if (const auto told = volume_.index.append_event(std::move(event)); !told) {
    spdlog::error("op=append_event errno={}", code(told.error()));
  }
  if (const auto erased = volume_.index.erase_trash(record.id); !erased) {
    spdlog::error("op=erase_trash trash={} errno={}", raw(record.id), code(erased.error()));
  }
  return restored;
}

UnitRef Trash::revive(const Entry& entry) {
  UnitRecord record = entry.record.unit;
  record.last_used = volume_.clock.wall_now();
  record.dirty = false;
  record.usage = entry.holder->accounts().cells();
  const WallTime due = unit_deadline(volume_, record);
  if (const auto kept = volume_.index.put_unit(record, due); !kept) {
    spdlog::error("op=put_unit path={:?} errno={}", record.path, code(kept.error()));
  }
  // Charged twice for a moment, rather than not at all.
  UnitRef unit = volume_.units.restore(std::move(record), due);
  volume_.ledger.forget(entry.holder->accounts());
  return unit;
}

bool Trash::put_back_git_admin(const Entry& entry, Restored& restored) {
  const std::string& path = entry.record.git_admin_path;
  if (path.empty()) return false;
  const Backing& backing = volume_.backing;
  const std::string name = git_name(entry.record.id);
  const UnitRef unit = unit_of_path(volume_, path);
  SplitPath place = split_path(path);

  const auto back = [&]() -> Status {
    // Inside, so that its stored usage does not count as exact meanwhile.
    const auto inside = volume_.units.use(unit, unit->last_used(), true);
    if (!inside) return std::unexpected(inside.error());
    const auto parent = open_beneath(backing.root(), place.directory, O_RDONLY | O_DIRECTORY);
    if (!parent) return std::unexpected(parent.error());
    const auto above = backing.stat(parent->get(), "");
    if (!above) return std::unexpected(above.error());
    const auto inodes = gather_tree(backing, backing.trash_dir(), name.c_str(), kAdminInodesMax);
    if (!inodes) return std::unexpected(inodes.error());
    if (auto moved = backing.rename(backing.trash_dir(), name.c_str(), parent->get(),
                                    place.name.c_str(), RENAME_NOREPLACE);
        !moved) {
      return moved;
    }
    restored.git_parent = inode_id_of(backing, *above);
    return return_charges(entry, *unit, *inodes);
  }();
  if (back) {
    restored.git_name = std::move(place.name);
    return true;
  }
  spdlog::warn("event=git_entry_not_restored path={:?} errno={}", path, code(back.error()));
  UnitAccounts& accounts = entry.holder->accounts();
  const PurgeHooks hooks{[&](const Attributes& gone) {
                           volume_.ledger.settle(
                               volume_.ledger.cell(accounts, gone.stx_uid, gone.stx_gid),
                               -charge_for(gone));
                         },
                         [] { return true; }};
  (void)purge_tree(backing, backing.trash_dir(), name.c_str(), hooks);
  return false;
}

Status Trash::return_charges(const Entry& entry, Unit& to, const std::vector<TreeInode>& inodes) {
  for (const TreeInode& inode : inodes) {
    if (!inode.whole()) continue;
    const Attributes& is = inode.attributes;
    const Usage charge = charge_for(is);
    UsageLedger& ledger = volume_.ledger;
    volume_.accounting.born(to, inode.id());
    // In the tree already, so it is charged whatever the limits say.
    ledger.settle(ledger.cell(to.accounts(), is.stx_uid, is.stx_gid), charge);
    ledger.settle(ledger.cell(entry.holder->accounts(), is.stx_uid, is.stx_gid), -charge);
  }
  return {};
}

}  // namespace ebbfs
