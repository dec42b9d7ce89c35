// SPDX-License-Identifier: Apache-2.0
#include "index/unit_index.h"

#include <string>
#include <string_view>
#include <utility>

#include "index/schema.h"

namespace ebbfs {
namespace {

OwnerTag tag_of(const Owner& owner) {
  if (!owner.process.id.known()) return {.uid = owner.uid};
  return {owner.uid, owner.process.id, owner.boot};
}

template <typename Record>
std::string key_of(const Record& record) {
  return number_key(raw(record.id));
}
std::string key_of(const QuotaRecord& quota) { return quota.scope; }

// All records of one table, decoded; what a record says of itself agrees with its key, or EBADMSG.
template <typename Record, typename Visit>
Status visit_table(Store& store, Table table, Result<Record> (*decode)(std::string_view),
                   const Visit& visit) {
  Status decoded;
  const Status scanned = store.scan(table, {}, [&](std::string_view key, std::string_view value) {
    auto record = decode(value);
    if (!record || key_of(*record) != key) {
      decoded = fail(EBADMSG);
      return false;
    }
    visit(*std::move(record));
    return true;
  });
  return scanned ? decoded : scanned;
}

template <typename Record>
Result<std::vector<Record>> load_table(Store& store, Table table,
                                       Result<Record> (*decode)(std::string_view)) {
  std::vector<Record> records;
  const auto keep = [&records](Record record) { records.push_back(std::move(record)); };
  if (const Status read = visit_table(store, table, decode, keep); !read) {
    return std::unexpected(read.error());
  }
  return records;
}

template <typename Record>
Result<std::optional<Record>> load_one(Store& store, Table table, std::string_view key,
                                       Result<Record> (*decode)(std::string_view)) {
  const auto row = store.get(table, key);
  if (!row) return std::unexpected(row.error());
  if (!*row) return std::nullopt;
  auto record = decode(**row);
  if (!record) return std::unexpected(record.error());
  return *std::move(record);
}

Thing thing_of(UnitId id) { return {Deadline::Kind::unit, raw(id)}; }
Thing thing_of(LockId id) { return {Deadline::Kind::lock, raw(id)}; }
Thing thing_of(TrashId id) { return {Deadline::Kind::trash, raw(id)}; }

// That of a lock is kept in memory only. It follows from its owner, of whom a start knows nothing
// before it has looked; and a process that dies with 100,000 locks would write as many rows.
bool stores_deadline(const Thing& thing) { return thing.kind != Deadline::Kind::lock; }

}  // namespace

void UnitIndex::stage(const Placement& to, Batch& batch) const {
  const WallTime due = deadlines_.find(to.thing);
  if (due != to.due && stores_deadline(to.thing)) {
    if (due != kNever) batch.erase(Table::deadlines, deadline_key(to.thing, due));
    if (to.due != kNever) batch.put(Table::deadlines, deadline_key(to.thing, to.due), {});
  }
  if (const auto owner = owners_.find(to.thing); owner != to.owner) {
    if (owner) batch.erase(Table::owners, owner_key(to.thing, *owner));
    if (to.owner) batch.put(Table::owners, owner_key(to.thing, *to.owner), {});
  }
}

void UnitIndex::settle(const Placement& to) {
  deadlines_.set(to.thing, to.due);
  owners_.set(to.thing, to.owner);
}

Status UnitIndex::commit(const Placement& to, Batch batch) {
  stage(to, batch);
  const Status done = store_.commit(batch, Durability::process_crash);
  if (done) settle(to);
  return done;
}

Status UnitIndex::put_unit(const UnitRecord& unit, WallTime due) {
  if (const Status covered = unit_ids_.cover(raw(unit.id)); !covered) return covered;
  Batch batch;
  batch.put(Table::units, number_key(raw(unit.id)), encode(unit));
  return commit({thing_of(unit.id), tag_of(unit.owner), due}, std::move(batch));
}

Status UnitIndex::erase_unit(UnitId id) {
  Batch batch;
  batch.erase(Table::units, number_key(raw(id)));
  return commit({.thing = thing_of(id)}, std::move(batch));
}

Status UnitIndex::load_units(const std::function<void(UnitRecord)>& visit) {
  return visit_table(store_, Table::units, decode_unit, visit);
}

Result<std::vector<UnitRecord>> UnitIndex::load_units() {
  return load_table(store_, Table::units, decode_unit);
}

Result<std::optional<UnitRecord>> UnitIndex::load_root() {
  return load_one(store_, Table::units, number_key(raw(kRootUnit)), decode_unit);
}

Status UnitIndex::put_lock(const LockRecord& lock, WallTime due) {
  if (const Status covered = lock_ids_.cover(raw(lock.id)); !covered) return covered;
  Batch batch;
  batch.put(Table::locks, number_key(raw(lock.id)), encode(lock));
  return commit({thing_of(lock.id), tag_of(lock.owner), due}, std::move(batch));
}

Status UnitIndex::erase_lock(LockId id) { return erase_locks({&id, 1}); }

Status UnitIndex::erase_locks(std::span<const LockId> ids) {
  Batch batch;
  for (const LockId id : ids) {
    batch.erase(Table::locks, number_key(raw(id)));
    stage({.thing = thing_of(id)}, batch);
  }
  if (batch.empty()) return {};
  const Status done = store_.commit(batch, Durability::process_crash);
  if (!done) return done;
  for (const LockId id : ids) settle({.thing = thing_of(id)});
  return {};
}

Result<std::vector<LockRecord>> UnitIndex::load_locks() {
  return load_table(store_, Table::locks, decode_lock);
}

Status UnitIndex::put_quota(const QuotaRecord& quota) {
  Batch batch;
  batch.put(Table::quotas, key_of(quota), encode(quota));
  return store_.commit(batch, Durability::process_crash);
}

Status UnitIndex::erase_quota(std::string_view scope) {
  Batch batch;
  batch.erase(Table::quotas, std::string(scope));
  return store_.commit(batch, Durability::process_crash);
}

Result<std::vector<QuotaRecord>> UnitIndex::load_quotas() {
  return load_table(store_, Table::quotas, decode_quota);
}

Status UnitIndex::put_brake(const BrakeRecord& brake, const ClockRecord& clock,
                            const ClockRecord& lowest) {
  Batch batch;
  batch.put(Table::meta, std::string(kBrakeKey), encode(brake));
  batch.put(Table::meta, std::string(kClockKey), encode(clock));
  batch.put(Table::meta, std::string(kClockLowKey), encode(lowest));
  return store_.commit(batch, Durability::process_crash);
}

Result<std::optional<BrakeRecord>> UnitIndex::load_brake() {
  return load_one(store_, Table::meta, kBrakeKey, decode_brake);
}

Result<std::optional<ClockRecord>> UnitIndex::load_clock() {
  return load_one(store_, Table::meta, kClockKey, decode_clock);
}

Result<std::optional<ClockRecord>> UnitIndex::load_lowest_clock() {
  return load_one(store_, Table::meta, kClockLowKey, decode_clock);
}

Status UnitIndex::intend_trash(const TrashRecord& trash, const EventRecord& event) {
  if (const Status covered = trash_ids_.cover(raw(trash.id)); !covered) return covered;
  Batch batch;
  batch.put(Table::trash, number_key(raw(trash.id)), encode(trash));
  const auto sequence = journal_.append(event, std::move(batch));
  if (!sequence) return std::unexpected(sequence.error());
  return {};
}

Status UnitIndex::store_trash(const TrashRecord& trash) {
  const bool is_lock = raw(trash.lock) != 0;
  const Placement gone = {.thing = is_lock ? thing_of(trash.lock) : thing_of(trash.unit.id)};
  const Placement kept = {.thing = thing_of(trash.id), .due = trash.purge_after};
  // The root unit is never removed: a record with its number names neither unit nor lock.
  const bool indexed = gone.thing != thing_of(kRootUnit);
  Batch batch;
  batch.put(Table::trash, number_key(raw(trash.id)), encode(trash));
  stage(kept, batch);
  if (indexed) {
    batch.erase(is_lock ? Table::locks : Table::units, number_key(gone.thing.id));
    stage(gone, batch);
  }
  const Status done = store_.commit(batch, Durability::process_crash);
  if (!done) return done;
  settle(kept);
  if (indexed) settle(gone);
  return {};
}

Status UnitIndex::abandon_trash(TrashId id) { return erase_trash(id); }

Status UnitIndex::erase_trash(TrashId id) {
  Batch batch;
  batch.erase(Table::trash, number_key(raw(id)));
  return commit({.thing = thing_of(id)}, std::move(batch));
}

Result<std::vector<TrashRecord>> UnitIndex::load_trash() {
  return load_table(store_, Table::trash, decode_trash);
}

Result<std::vector<Thing>> UnitIndex::owned_by(const ProcessId& process, const BootId& boot) {
  return owned_under(owner_process_prefix(process, boot), std::nullopt);
}

Result<std::vector<Thing>> UnitIndex::owned_by(uid_t uid) { return owned_under({}, uid); }

Result<std::vector<Thing>> UnitIndex::owned_under(std::string_view prefix,
                                                  std::optional<uid_t> uid) {
  std::vector<Thing> things;
  Status parsed;
  const Status scanned = store_.scan(Table::owners, prefix, [&](std::string_view key, auto) {
    if (!key.starts_with(prefix)) return false;
    const auto row = parse_owner_key(key);
    if (!row) {
      parsed = fail(EBADMSG);
      return false;
    }
    if (!uid || row->owner.uid == *uid) things.push_back(row->thing);
    return true;
  });
  if (!scanned) return std::unexpected(scanned.error());
  if (!parsed) return std::unexpected(parsed.error());
  return things;
}

Result<std::vector<Deadline>> UnitIndex::due(WallTime now, std::size_t max) {
  return deadlines_.due(now, max);
}

std::vector<Deadline> UnitIndex::due_units(WallTime now, std::size_t max) const {
  return deadlines_.due(Deadline::Kind::unit, now, max);
}

Result<WallTime> UnitIndex::next_due() { return deadlines_.first(); }

Status UnitIndex::reschedule(Deadline::Kind kind, std::uint64_t id, WallTime due) {
  const Placement to = {{kind, id}, owners_.find({kind, id}), due};
  if (deadlines_.find(to.thing) == due) return {};
  if (stores_deadline(to.thing)) return commit(to, {});
  settle(to);
  return {};
}

Result<std::uint64_t> UnitIndex::append_event(EventRecord event) {
  return journal_.append(std::move(event), {});
}

Status UnitIndex::append_events(std::vector<EventRecord> events) {
  return journal_.append(std::move(events));
}

Result<std::vector<EventRecord>> UnitIndex::events_after(std::uint64_t after, std::size_t max) {
  return journal_.after(after, max);
}

Result<std::vector<EventRecord>> UnitIndex::newest_events(std::size_t max) {
  return journal_.newest(max);
}

}  // namespace ebbfs
