// SPDX-License-Identifier: Apache-2.0
//
// The life of an index: opening it, and the marks that tell the next run how this one ended.
#include <string>
#include <string_view>
#include <utility>

#include "index/byte_codec.h"
#include "index/migration.h"
#include "index/schema.h"
#include "index/unit_index.h"

namespace ebbfs {

namespace {

Result<bool> is_empty(Store& store, Table table) {
  bool empty = true;
  const Status scanned = store.scan(table, {}, [&](auto, auto) {
    empty = false;
    return false;
  });
  if (!scanned) return std::unexpected(scanned.error());
  return empty;
}

// A store without a format version has to be wholly empty, else it is something else or damaged.
Status create_format(Store& store) {
  for (std::size_t i = 0; i < kTables; ++i) {
    const auto empty = is_empty(store, static_cast<Table>(i));
    if (!empty) return std::unexpected(empty.error());
    if (!*empty) return fail(EBADMSG);
  }
  Batch batch;
  std::string version;
  append_big_endian(version, kFormatVersion);
  batch.put(Table::meta, std::string(kFormatKey), std::move(version));
  return store.commit(batch, Durability::process_crash);
}

Status check_format(Store& store) {
  const auto stored = store.get(Table::meta, kFormatKey);
  if (!stored) return std::unexpected(stored.error());
  if (!*stored) return create_format(store);
  if ((*stored)->size() != sizeof kFormatVersion) return fail(EBADMSG);
  const auto version = big_endian<std::uint32_t>(**stored);
  if (version > kFormatVersion) return fail(EPROTO);
  if (version == 0) return fail(EBADMSG);
  return migrate(store, version);
}

}  // namespace

UnitIndex::UnitIndex(Store& store, std::uint64_t journal_max)
    : store_(store),
      unit_ids_(store, kNextUnitKey),
      lock_ids_(store, kNextLockKey),
      trash_ids_(store, kNextTrashKey),
      journal_(store, journal_max) {}

Result<std::unique_ptr<UnitIndex>> UnitIndex::open(Store& store, std::uint64_t journal_max) {
  if (const Status format = check_format(store); !format) return std::unexpected(format.error());
  std::unique_ptr<UnitIndex> index(new UnitIndex(store, journal_max));
  if (const Status loaded = index->load(); !loaded) return std::unexpected(loaded.error());
  return index;
}

Status UnitIndex::load() {
  Status loaded = load_volume();
  for (IdCounter* ids : {&unit_ids_, &lock_ids_, &trash_ids_}) {
    if (loaded) loaded = ids->open();
  }
  if (loaded) loaded = journal_.open();
  if (loaded) loaded = load_deadlines();
  if (loaded) loaded = load_owners();
  return loaded;
}

Status UnitIndex::load_volume() {
  const auto row = store_.get(Table::meta, kVolumeKey);
  if (!row) return std::unexpected(row.error());
  if (!*row) return {};
  auto state = decode_versioned<VolumeState>(kVolumeStateVersion, **row);
  if (!state) return std::unexpected(state.error());
  state->fresh = false;
  const MutexLock lock(mu_);
  found_ = *state;
  stored_ = *state;
  return {};
}

// A second row of the same thing is only a hint too many, but one that no change would ever erase:
// the earlier stays. So is a row of a lock, as earlier versions stored them.
Status UnitIndex::load_deadlines() {
  Status parsed;
  Batch strays;
  const Status scanned = store_.scan(Table::deadlines, {}, [&](std::string_view key, auto) {
    const auto entry = parse_deadline_key(key);
    if (!entry) {
      parsed = fail(EBADMSG);
      return false;
    }
    const Thing thing = {entry->kind, entry->id};
    if (entry->kind == Deadline::Kind::lock || deadlines_.find(thing) != kNever) {
      strays.erase(Table::deadlines, std::string(key));
    } else {
      deadlines_.set(thing, entry->due);
    }
    return true;
  });
  if (!scanned) return scanned;
  if (!parsed || strays.empty()) return parsed;
  return store_.commit(strays, Durability::process_crash);
}

Status UnitIndex::load_owners() {
  Status parsed;
  const Status scanned = store_.scan(Table::owners, {}, [&](std::string_view key, auto) {
    const auto row = parse_owner_key(key);
    if (!row) {
      parsed = fail(EBADMSG);
      return false;
    }
    owners_.set(row->thing, row->owner);
    return true;
  });
  return scanned ? parsed : scanned;
}

VolumeState UnitIndex::volume_state() const {
  const MutexLock lock(mu_);
  return found_;
}

Status UnitIndex::mark_mounted(const BootId& boot, WallTime now) {
  const MutexLock lock(mu_);
  VolumeState next = stored_;
  if (next.fresh) next.first_mounted = now;
  next.fresh = false;
  next.clean = false;
  next.boot = boot;
  return save_volume(next, {}, Durability::power_loss);
}

void UnitIndex::set_rebuilt(WallTime now, std::string why) {
  const MutexLock lock(mu_);
  found_.rebuilt_at = stored_.rebuilt_at = now;
  found_.rebuilt_why = stored_.rebuilt_why = std::move(why);
}

Status UnitIndex::mark_adopted() {
  const MutexLock lock(mu_);
  VolumeState next = stored_;
  next.adopted = true;
  return save_volume(next, {}, Durability::process_crash);
}

Status UnitIndex::mark_clean() {
  const MutexLock lock(mu_);
  VolumeState next = stored_;
  next.clean = true;
  Batch batch;
  unit_ids_.close_into(batch);
  lock_ids_.close_into(batch);
  trash_ids_.close_into(batch);
  return save_volume(next, std::move(batch), Durability::power_loss);
}

Status UnitIndex::save_volume(const VolumeState& next, Batch batch, Durability durability) {
  batch.put(Table::meta, std::string(kVolumeKey), encode_versioned(kVolumeStateVersion, next));
  const Status done = store_.commit(batch, durability);
  if (!done) return done;
  stored_ = next;
  found_.first_mounted = next.first_mounted;
  found_.adopted = next.adopted;
  return {};
}

}  // namespace ebbfs
