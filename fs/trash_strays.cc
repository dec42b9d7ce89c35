// SPDX-License-Identifier: Apache-2.0
//
// Things in the trash directory that the index does not know: the index was lost, or is older than
// they are. Nothing of them is taken for deletable by itself. What a unit's or lock's record still
// names was on its way here, and that is finished; the rest is shown under a path of its own and
// kept as long as an administrator needs to find it. Only where deletion had begun it goes on.
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "fs/directory_reader.h"
#include "fs/trash.h"
#include "fs/trash_names.h"

namespace ebbfs {
namespace {

constexpr Duration kKeptAtLeast = std::chrono::hours(24);

// The number that `name` begins with, if it is a name of the trash.
std::optional<TrashId> number_of(std::string_view name) {
  std::uint64_t number = 0;
  const auto [at, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || number == 0) return {};
  const TrashId id{number};
  if (name != trash_name(id) && name != git_name(id) && name != purge_name(id)) return {};
  return id;
}

}  // namespace

Status Trash::find_strays(const std::vector<TrashRecord>& known) {
  const Backing& backing = volume_.backing;
  const auto directory = backing.open_at(backing.trash_dir(), ".", O_RDONLY | O_DIRECTORY, 0);
  if (!directory) return std::unexpected(directory.error());
  const auto names = names_in(directory->get());
  if (!names) return std::unexpected(names.error());
  std::set<TrashId> strays;
  for (const std::string& name : *names) {
    if (const auto id = number_of(name)) strays.insert(*id);
  }
  if (strays.empty()) return {};
  if (auto skipped = volume_.index.skip_trash_id(*strays.rbegin()); !skipped) return skipped;
  for (const TrashRecord& record : known) strays.erase(record.id);
  if (strays.empty()) return {};

  const auto units = volume_.index.load_units();
  if (!units) return std::unexpected(units.error());
  const auto locks = volume_.index.load_locks();
  if (!locks) return std::unexpected(locks.error());
  for (const TrashId id : strays) {
    TrashRecord record = describe_stray(id, *units, *locks);
    spdlog::warn("event=trash_without_record trash={} path={:?}", raw(id), record.unit.path);
    if (auto stored = volume_.index.store_trash(record); !stored) return stored;
    adopt_stray(record);
  }
  return {};
}

TrashRecord Trash::describe_stray(TrashId id, const std::vector<UnitRecord>& units,
                                  const std::vector<LockRecord>& locks) {
  const Backing& backing = volume_.backing;
  const WallTime now = volume_.clock.wall_now();
  const std::string name = trash_name(id);
  TrashRecord record;
  const auto handle = backing.handle(backing.trash_dir(), name.c_str());
  const auto attributes = backing.stat(backing.trash_dir(), name.c_str());
  record.unit.path = "lost-path/" + name;
  if (attributes) {
    record.unit.inode = InodeId{attributes->stx_ino};
    record.unit.owner.uid = attributes->stx_uid;
    record.unit.owner.gid = attributes->stx_gid;
    record.unit.last_used = newest_change(*attributes);
    record.unit.created = record.unit.last_used;
  }
  if (handle) {
    record.unit.handle = *handle;
    const auto unit = std::ranges::find(units, *handle, &UnitRecord::handle);
    if (unit != units.end() && unit->id != kRootUnit) record.unit = *unit;
    const auto lock = std::ranges::find(locks, *handle, &LockRecord::object);
    if (lock != locks.end()) {
      record.lock = lock->id;
      record.reason = RemovalReason::reclaim;
      record.unit.path = lock->path;
    }
  }
  record.id = id;
  record.stage = TrashRecord::Stage::stored;
  record.unit.dirty = false;
  record.unit.usage.clear();  // counted in the background
  record.removed = now;
  record.purge_after =
      later(now, std::max(kKeptAtLeast, volume_.rules.policy()->volume.trash_retention));
  return record;
}

// Nothing is charged for it yet. What is left of a deletion never will be.
void Trash::adopt_stray(const TrashRecord& record) {
  const bool whole = present(trash_name(record.id));
  Entry entry{record, make_holder(record.unit)};
  entry.state = whole ? Entry::State::uncounted : Entry::State::kept;
  entry.begun = !whole;
  entry.uncharged = true;
  {
    const MutexLock lock(mu_);
    entries_.emplace(record.id, std::move(entry));
  }
  if (!whole) purge(record.id);
}

void Trash::count_strays() {
  for (;;) {
    Entry entry;
    {
      const MutexLock lock(mu_);
      if (stopping_) return;
      const auto found = std::ranges::find_if(
          entries_, [](const auto& each) { return each.second.state == Entry::State::uncounted; });
      if (found == entries_.end()) return;
      entry = found->second;
    }
    const TrashId id = entry.record.id;
    const Backing& backing = volume_.backing;
    const auto inside =
        gather_tree(backing, backing.trash_dir(), trash_name(id).c_str(), kTrashTreeMax);
    if (inside) {
      UnitAccounts& accounts = entry.holder->accounts();
      for (const TreeInode& inode : *inside) {
        const Attributes& of = inode.attributes;
        volume_.ledger.settle(volume_.ledger.cell(accounts, of.stx_uid, of.stx_gid),
                              charge_for(of));
      }
      entry.record.unit.usage = accounts.cells();
      (void)volume_.index.store_trash(entry.record);
    } else {
      spdlog::warn("event=trash_not_counted trash={} errno={}", raw(id), code(inside.error()));
    }
    const MutexLock lock(mu_);
    Entry& counted = entries_.at(id);
    counted.record = std::move(entry.record);
    counted.state = Entry::State::kept;
    counted.uncharged = counted.begun = !inside;
  }
}

}  // namespace ebbfs
