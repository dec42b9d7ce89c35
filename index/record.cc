// SPDX-License-Identifier: Apache-2.0
#include "index/record.h"

#include "index/byte_codec.h"
#include "index/record_fields.h"
#include "index/schema.h"

namespace ebbfs {

template <>
struct LastEnumerator<OwnerCertainty> {
  static constexpr auto kValue = OwnerCertainty::unknown;
};
template <>
struct LastEnumerator<TrashRecord::Stage> {
  static constexpr auto kValue = TrashRecord::Stage::stored;
};
template <>
struct LastEnumerator<BrakeRecord::Cause> {
  static constexpr auto kValue = BrakeRecord::Cause::clock;
};
template <>
struct LastEnumerator<EventRecord::Kind> {
  static constexpr auto kValue = EventRecord::Kind::hook;
};

// The order below is the order on disk: a change of it is a new kRecordVersion.

template <typename Io, Same<ProcessId> T>
void fields(Io& io, T& id) {
  io(id.tgid, id.start_time);
}

template <typename Io, Same<ProcessSeen> T>
void fields(Io& io, T& process) {
  io(process.id, process.ns_pid, process.comm);
}

template <typename Io, Same<Owner> T>
void fields(Io& io, T& owner) {
  io(owner.uid, owner.gid, owner.process, owner.boot.bytes, owner.pid_ns, owner.cgroup, owner.job);
}

template <typename Io, Same<UsageCell> T>
void fields(Io& io, T& cell) {
  io(cell.uid, cell.gid, cell.usage);
}

template <typename Io, Same<UnitRecord> T>
void fields(Io& io, T& unit) {
  io(unit.id, unit.path, unit.handle, unit.inode, unit.class_name, unit.owner, unit.created,
     unit.last_used, unit.pinned, unit.dirty, unit.usage);
}

template <typename Io, Same<LockRecord> T>
void fields(Io& io, T& lock) {
  io(lock.id, lock.path, lock.parent, lock.parent_inode, lock.name, lock.object, lock.object_inode,
     lock.is_directory, lock.unit, lock.class_name, lock.owner, lock.ancestors, lock.certainty,
     lock.made);
}

template <typename Io, Same<TrashRecord> T>
void fields(Io& io, T& trash) {
  io(trash.id, trash.stage, trash.reason, trash.unit, trash.lock, trash.parent, trash.removed,
     trash.purge_after, trash.git_admin_path);
}

template <typename Io, Same<EventRecord> T>
void fields(Io& io, T& event) {
  io(event.kind, event.sequence, event.time, event.path, event.class_name, event.rule, event.owner,
     event.age, event.usage, event.detail);
}

template <typename Io, Same<ScopeLimits> T>
void fields(Io& io, T& limits) {
  io(limits.bytes, limits.soft_bytes, limits.inodes, limits.soft_inodes, limits.grace);
}

template <typename Io, Same<QuotaRecord> T>
void fields(Io& io, T& quota) {
  io(quota.scope, quota.exception, quota.limits, quota.set_by, quota.set_at, quota.bytes_over_since,
     quota.inodes_over_since);
}

template <typename Io, Same<BrakeRecord> T>
void fields(Io& io, T& brake) {
  io(brake.cause, brake.since, brake.due, brake.all, brake.step, brake.resumed);
}

template <typename Io, Same<ClockRecord> T>
void fields(Io& io, T& clock) {
  io(clock.wall, clock.boottime, clock.boot.bytes);
}

std::string encode(const UnitRecord& record) { return encode_versioned(kRecordVersion, record); }
std::string encode(const LockRecord& record) { return encode_versioned(kRecordVersion, record); }
std::string encode(const TrashRecord& record) { return encode_versioned(kRecordVersion, record); }
std::string encode(const EventRecord& record) { return encode_versioned(kRecordVersion, record); }
std::string encode(const QuotaRecord& record) { return encode_versioned(kRecordVersion, record); }

Result<UnitRecord> decode_unit(std::string_view bytes) {
  return decode_versioned<UnitRecord>(kRecordVersion, bytes);
}
Result<LockRecord> decode_lock(std::string_view bytes) {
  return decode_versioned<LockRecord>(kRecordVersion, bytes);
}
Result<TrashRecord> decode_trash(std::string_view bytes) {
  return decode_versioned<TrashRecord>(kRecordVersion, bytes);
}
Result<EventRecord> decode_event(std::string_view bytes) {
  return decode_versioned<EventRecord>(kRecordVersion, bytes);
}
Result<QuotaRecord> decode_quota(std::string_view bytes) {
  return decode_versioned<QuotaRecord>(kRecordVersion, bytes);
}
std::string encode(const BrakeRecord& record) { return encode_versioned(kRecordVersion, record); }
std::string encode(const ClockRecord& record) { return encode_versioned(kRecordVersion, record); }
Result<BrakeRecord> decode_brake(std::string_view bytes) {
  return decode_versioned<BrakeRecord>(kRecordVersion, bytes);
}
Result<ClockRecord> decode_clock(std::string_view bytes) {
  return decode_versioned<ClockRecord>(kRecordVersion, bytes);
}

std::string_view to_string(EventRecord::Kind kind) {
  switch (kind) {
    case EventRecord::Kind::mounted:
      return "mounted";
    case EventRecord::Kind::unmounted:
      return "unmounted";
    case EventRecord::Kind::expired:
      return "expired";
    case EventRecord::Kind::evicted:
      return "evicted";
    case EventRecord::Kind::reclaimed:
      return "reclaimed";
    case EventRecord::Kind::requested:
      return "requested";
    case EventRecord::Kind::restored:
      return "restored";
    case EventRecord::Kind::purged:
      return "purged";
    case EventRecord::Kind::handed_over:
      return "handed_over";
    case EventRecord::Kind::pinned:
      return "pinned";
    case EventRecord::Kind::unpinned:
      return "unpinned";
    case EventRecord::Kind::policy_loaded:
      return "policy_loaded";
    case EventRecord::Kind::policy_rejected:
      return "policy_rejected";
    case EventRecord::Kind::adopted:
      return "adopted";
    case EventRecord::Kind::warning:
      return "warning";
    case EventRecord::Kind::would_remove:
      return "would_remove";
    case EventRecord::Kind::quota:
      return "quota";
    case EventRecord::Kind::braked:
      return "braked";
    case EventRecord::Kind::resumed:
      return "resumed";
    case EventRecord::Kind::no_space:
      return "no_space";
    case EventRecord::Kind::hook:
      return "hook";
  }
  return "unknown";
}

std::string_view to_string(RemovalReason reason) {
  switch (reason) {
    case RemovalReason::expire:
      return "expire";
    case RemovalReason::evict:
      return "evict";
    case RemovalReason::reclaim:
      return "reclaim";
    case RemovalReason::request:
      return "request";
  }
  return "unknown";
}

std::string_view to_string(OwnerCertainty certainty) {
  switch (certainty) {
    case OwnerCertainty::certain:
      return "certain";
    case OwnerCertainty::uncertain:
      return "uncertain";
    case OwnerCertainty::unknown:
      return "unknown";
  }
  return "unknown";
}

}  // namespace ebbfs
