// SPDX-License-Identifier: Apache-2.0
#include "tests/index/sample_records.h"

#include <limits>

namespace ebbfs {

std::uint64_t RecordMaker::number() {
  switch (random_() % 4) {
    case 0:
      return random_() % 3;
    case 1:
      return std::numeric_limits<std::uint64_t>::max() - random_() % 3;
    case 2:
      return (std::uint64_t{1} << 63) - random_() % 3;
    default:
      return random_();
  }
}

std::string RecordMaker::text() {
  std::string text(random_() % 5 == 0 ? 0 : random_() % 40, '\0');
  for (char& byte : text) byte = static_cast<char>(random_());
  return text;
}

FileHandle RecordMaker::handle() {
  FileHandle handle;
  handle.type = static_cast<std::int32_t>(number());
  handle.size = static_cast<std::uint8_t>(random_() % (FileHandle::kMaxBytes + 1));
  for (std::size_t i = 0; i < handle.size; ++i) {
    handle.data[i] = static_cast<std::uint8_t>(random_());
  }
  return handle;
}

ProcessSeen RecordMaker::process() {
  return {{static_cast<pid_t>(number()), number()}, static_cast<std::int32_t>(number()), text()};
}

Owner RecordMaker::owner() {
  Owner owner;
  owner.uid = static_cast<uid_t>(number());
  owner.gid = static_cast<gid_t>(number());
  owner.process = process();
  for (auto& byte : owner.boot.bytes) byte = static_cast<std::uint8_t>(random_());
  owner.pid_ns = number();
  owner.cgroup = text();
  owner.job = text();
  return owner;
}

UnitRecord RecordMaker::unit() {
  UnitRecord unit;
  unit.id = UnitId{number()};
  unit.path = text();
  unit.handle = handle();
  unit.inode = InodeId{number()};
  unit.class_name = text();
  unit.owner = owner();
  unit.created = time();
  unit.last_used = time();
  unit.pinned = coin();
  unit.dirty = coin();
  for (std::uint64_t i = random_() % 4; i > 0; --i) {
    unit.usage.push_back({static_cast<uid_t>(number()), static_cast<gid_t>(number()), usage()});
  }
  return unit;
}

LockRecord RecordMaker::lock() {
  LockRecord lock;
  lock.id = LockId{number()};
  lock.path = text();
  lock.parent = handle();
  lock.parent_inode = InodeId{number()};
  lock.name = text();
  lock.object = handle();
  lock.object_inode = InodeId{number()};
  lock.is_directory = coin();
  lock.unit = UnitId{number()};
  lock.class_name = text();
  lock.owner = owner();
  for (std::uint64_t i = random_() % 4; i > 0; --i) lock.ancestors.push_back(process());
  lock.certainty = static_cast<OwnerCertainty>(random_() % 3);
  lock.made = time();
  return lock;
}

TrashRecord RecordMaker::trash() {
  TrashRecord trash;
  trash.id = TrashId{number()};
  trash.stage = coin() ? TrashRecord::Stage::intent : TrashRecord::Stage::stored;
  trash.reason = static_cast<RemovalReason>(random_() % 4);
  trash.unit = unit();
  trash.lock = LockId{number()};
  trash.parent = handle();
  trash.removed = time();
  trash.purge_after = time();
  trash.git_admin_path = text();
  return trash;
}

EventRecord RecordMaker::event() {
  EventRecord event;
  event.kind = static_cast<EventRecord::Kind>(random_() % 17);
  event.sequence = number();
  event.time = time();
  event.path = text();
  event.class_name = text();
  event.rule = text();
  event.owner = text();
  event.age = Duration{signed_number()};
  event.usage = usage();
  event.detail = text();
  return event;
}

QuotaRecord RecordMaker::quota() {
  QuotaRecord quota;
  quota.scope = text();
  quota.exception = coin();
  quota.limits = {signed_number(), signed_number(), signed_number(), signed_number(),
                  Duration{signed_number()}};
  quota.set_by = static_cast<uid_t>(number());
  quota.set_at = time();
  quota.bytes_over_since = time();
  quota.inodes_over_since = time();
  return quota;
}

HistorySample RecordMaker::sample() {
  HistorySample sample;
  sample.time = time();
  sample.event = number();
  sample.cleanup = static_cast<HistorySample::Cleanup>(number() % 5);
  sample.space = {
      {signed_number()}, {signed_number()}, {signed_number()}, signed_number(), signed_number()};
  sample.charged = usage();
  sample.outside = usage();
  sample.trash = usage();
  for (std::uint64_t i = number() % 3; i > 0; --i) {
    sample.classes.push_back({text(), number(), usage()});
    sample.users.push_back({static_cast<uid_t>(number()), usage()});
    sample.jobs.push_back({text(), usage()});
    sample.units.push_back({UnitId{number()}, usage()});
    sample.removals.push_back(
        {text(), static_cast<RemovalReason>(number() % 4), number(), usage()});
  }
  return sample;
}

BootId sample_boot() {
  BootId boot;
  boot.bytes.fill(0xff);
  return boot;
}

UnitRecord sample_unit(UnitId id, pid_t pid, uid_t uid) {
  UnitRecord unit;
  unit.id = id;
  unit.path = "worktrees/" + std::to_string(raw(id));
  unit.class_name = "worktree";
  unit.owner.uid = uid;
  unit.owner.process.id = {pid, 100};
  unit.owner.boot = sample_boot();
  return unit;
}

LockRecord sample_lock(LockId id, pid_t pid, uid_t uid) {
  LockRecord lock;
  lock.id = id;
  lock.path = "locks/" + std::to_string(raw(id));
  lock.name = std::to_string(raw(id));
  lock.class_name = "lock";
  lock.owner.uid = uid;
  lock.owner.process.id = {pid, 100};
  lock.owner.boot = sample_boot();
  return lock;
}

TrashRecord sample_trash(TrashId id, UnitId unit, WallTime purge_after) {
  TrashRecord trash;
  trash.id = id;
  trash.unit = sample_unit(unit);
  trash.purge_after = purge_after;
  return trash;
}

}  // namespace ebbfs
