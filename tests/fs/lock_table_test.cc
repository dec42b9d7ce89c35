// SPDX-License-Identifier: Apache-2.0
#include "fs/lock_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/fake_clock.h"
#include "tests/support/fake_process_table.h"
#include "tests/support/fault_store.h"
#include "tests/support/mem_store.h"

namespace ebbfs {
namespace {

using Life = OwnerState::Life;
using Locks = std::vector<LockRef>;

constexpr InodeId kDirectory{7};
constexpr UnitId kUnit{3};
constexpr WallTime kDue{std::chrono::hours(1000)};

class LockTableTest : public testing::Test {
 protected:
  LockRecord record_of(const ProcessId& process, std::string name = "a.lock") {
    LockRecord record;
    record.path = "locks/" + name;
    record.parent_inode = kDirectory;
    record.name = std::move(name);
    record.object_inode = InodeId{100};
    record.unit = kUnit;
    record.class_name = "lock";
    record.owner.process.id = process;
    record.owner.boot = processes_.boot_id();
    record.owner.cgroup = "/job-1";
    return record;
  }
  LockRef add(const ProcessId& process, std::string name = "a.lock") {
    return locks_.add(record_of(process, std::move(name)), false, kDue).value();
  }
  std::optional<LockRecord> stored(const LockRef& lock) {
    const auto records = index_->load_locks().value();
    const auto found = std::ranges::find(records, lock->id, &LockRecord::id);
    return found == records.end() ? std::nullopt : std::optional(*found);
  }
  static bool suspect(const LockRef& lock) {
    const MutexLock held(lock->mu);
    return lock->suspect;
  }
  static Life life(const LockRef& lock) {
    const MutexLock held(lock->mu);
    return lock->owner_state.life;
  }

  FakeClock clock_;
  FakeProcessTable processes_{clock_};
  MemStore memory_;
  FaultStore store_{memory_};
  std::unique_ptr<UnitIndex> index_ = UnitIndex::open(store_).value();
  LockTable locks_{*index_, processes_};
};

TEST_F(LockTableTest, AddStoresTheLockAndWatchesItsOwner) {
  const ProcessId worker = processes_.start();
  const LockRef lock = add(worker);
  EXPECT_EQ(stored(lock)->path, "locks/a.lock");
  EXPECT_EQ(index_->next_due().value(), kDue);
  EXPECT_EQ(processes_.watches(worker), 1U);
  EXPECT_FALSE(suspect(lock));
  EXPECT_EQ(life(lock), Life::alive);
}

TEST_F(LockTableTest, FindsALockByAllThatItHas) {
  const ProcessId worker = processes_.start();
  const LockRef lock = add(worker);
  EXPECT_EQ(locks_.find(lock->id), lock);
  EXPECT_EQ(locks_.find(kDirectory, "a.lock"), lock);
  EXPECT_EQ(locks_.find(kDirectory, "b.lock"), nullptr);
  EXPECT_EQ(locks_.find(InodeId{8}, "a.lock"), nullptr);
  EXPECT_EQ(locks_.find_object(InodeId{100}), lock);
  EXPECT_EQ(locks_.find_object(InodeId{101}), nullptr);
  EXPECT_EQ(locks_.of_process(worker), Locks{lock});
  EXPECT_TRUE(locks_.of_cgroup("/job-1").empty()) << "its owner is the process";
  EXPECT_EQ(locks_.in_unit(kUnit), Locks{lock});
  EXPECT_EQ(locks_.in_directory(kDirectory), Locks{lock});
  EXPECT_EQ(locks_.all(), Locks{lock});
  EXPECT_EQ(locks_.size(), 1U);
}

TEST_F(LockTableTest, FindsTheDirectoryThatIsALock) {
  const ProcessId worker = processes_.start();
  LockRecord record = record_of(worker, "d.lock");
  record.is_directory = true;
  record.object_inode = InodeId{200};
  const LockRef directory = locks_.add(record, false, kNever).value();
  const LockRef file = add(worker);
  EXPECT_EQ(locks_.find_directory(InodeId{200}), directory);
  EXPECT_EQ(locks_.find_directory(file->object_inode), nullptr);
}

TEST_F(LockTableTest, FindsTheNewestOfHardLinksThatAreLocks) {
  const ProcessId worker = processes_.start();
  const LockRef first = add(worker, "a.lock");
  const LockRef second = add(worker, "b.lock");
  EXPECT_EQ(locks_.find_object(InodeId{100}), second);
  locks_.remove(second);
  EXPECT_EQ(locks_.find_object(InodeId{100}), first);
}

TEST_F(LockTableTest, AMovedLockIsFoundInItsNewUnitAndKeepsWhatIsKnownOfItsOwner) {
  const ProcessId worker = processes_.start();
  const LockRef lock = add(worker);
  processes_.kill(worker);
  {
    const MutexLock held(lock->mu);
    lock->owner_state.life = Life::killed;
    lock->suspect = true;
  }
  const LockPlace place{"units/b/a.lock", "other", OwnerMode::process, UnitId{4}};
  ASSERT_TRUE(locks_.move(lock, place, kDue));
  EXPECT_EQ(life(lock), Life::killed);
  EXPECT_TRUE(suspect(lock));
  EXPECT_EQ(stored(lock)->path, "units/b/a.lock");
  EXPECT_EQ(stored(lock)->class_name, "other");
  EXPECT_EQ(stored(lock)->unit, UnitId{4});
  EXPECT_EQ(locks_.in_unit(UnitId{4}), Locks{lock});
  EXPECT_TRUE(locks_.in_unit(kUnit).empty());
  EXPECT_EQ(locks_.of_process(worker), Locks{lock});
  locks_.remove(lock);
  EXPECT_TRUE(locks_.in_unit(UnitId{4}).empty());
  EXPECT_EQ(locks_.move(lock, place, kDue).error(), Errno{ESTALE});
}

TEST_F(LockTableTest, AMovedLockIsWatchedByWhatOwnsItInItsNewClass) {
  const ProcessId worker = processes_.start();
  const LockRef lock = add(worker);
  ASSERT_TRUE(locks_.move(lock, {"a.lock", "jobs", OwnerMode::cgroup, kUnit}, kDue));
  EXPECT_EQ(locks_.of_cgroup("/job-1"), Locks{lock});
  EXPECT_TRUE(locks_.of_process(worker).empty());
  EXPECT_EQ(processes_.watches(worker), 0U);
}

TEST_F(LockTableTest, RemoveLeavesNothingBehind) {
  const ProcessId worker = processes_.start();
  const LockRef lock = add(worker);
  locks_.remove(lock);
  EXPECT_FALSE(stored(lock));
  EXPECT_EQ(index_->next_due().value(), kNever);
  EXPECT_EQ(processes_.watches(worker), 0U);
  EXPECT_EQ(locks_.find(lock->id), nullptr);
  EXPECT_EQ(locks_.find(kDirectory, "a.lock"), nullptr);
  EXPECT_EQ(locks_.find_object(InodeId{100}), nullptr);
  EXPECT_TRUE(locks_.of_process(worker).empty());
  EXPECT_TRUE(locks_.in_unit(kUnit).empty());
  EXPECT_TRUE(locks_.in_directory(kDirectory).empty());
  EXPECT_TRUE(locks_.empty());
}

TEST_F(LockTableTest, RemovingTwiceIsRemovingOnce) {
  const ProcessId worker = processes_.start();
  const LockRef first = add(worker);
  locks_.remove(first);
  const LockRef second = add(worker);
  locks_.remove(first);
  EXPECT_EQ(locks_.find(kDirectory, "a.lock"), second);
  EXPECT_EQ(processes_.watches(worker), 1U);
}

TEST_F(LockTableTest, RemoveWorksWhenTheIndexDoesNot) {
  const ProcessId worker = processes_.start();
  const LockRef lock = add(worker);
  store_.fail_commits(1, EIO);
  locks_.remove(lock);
  EXPECT_TRUE(locks_.empty());
  EXPECT_EQ(processes_.watches(worker), 0U);
}

TEST_F(LockTableTest, AddDropsTheLockOfTheSameName) {
  const ProcessId one = processes_.start();
  const ProcessId other = processes_.start();
  const LockRef before = add(one);
  const LockRef after = add(other);
  EXPECT_NE(before->id, after->id);
  EXPECT_FALSE(stored(before));
  EXPECT_EQ(locks_.find(kDirectory, "a.lock"), after);
  EXPECT_EQ(locks_.all(), Locks{after});
  EXPECT_EQ(processes_.watches(one), 0U);
}

TEST_F(LockTableTest, ALockThatCannotBeStoredIsNotAdded) {
  const ProcessId worker = processes_.start();
  store_.fail_commits(1, ENOSPC, 10);
  EXPECT_EQ(locks_.add(record_of(worker), false, kDue).error(), Errno{ENOSPC});
  EXPECT_TRUE(locks_.empty());
  EXPECT_EQ(processes_.watches(worker), 0U);
}

TEST_F(LockTableTest, AnOwnerThatIsNotVisibleMakesTheLockSuspect) {
  const LockRef lock = add(ProcessId{});
  EXPECT_TRUE(suspect(lock));
  EXPECT_EQ(life(lock), Life::unknown);
  EXPECT_TRUE(locks_.of_process(ProcessId{}).empty());
  locks_.remove(lock);
  EXPECT_TRUE(locks_.empty());
}

TEST_F(LockTableTest, AnOwnerThatCannotBeWatchedMakesTheLockSuspect) {
  const ProcessId worker = processes_.start();
  processes_.set_watch_answer(fail(EMFILE));
  const LockRef lock = add(worker);
  EXPECT_TRUE(suspect(lock));
  EXPECT_EQ(life(lock), Life::unknown);
  EXPECT_EQ(locks_.of_process(worker), Locks{lock}) << "should its end become known all the same";
  processes_.set_watch_answer({});
  ASSERT_TRUE(processes_.watch(worker));
  locks_.remove(lock);
  EXPECT_EQ(processes_.watches(worker), 1U) << "a watch that was not set up is not ended";
}

TEST_F(LockTableTest, AnOwnerThatHasEndedMakesTheLockSuspect) {
  const ProcessId worker = processes_.start();
  processes_.kill(worker);
  const LockRef lock = add(worker);
  EXPECT_TRUE(suspect(lock));
  EXPECT_EQ(life(lock), Life::killed);
}

TEST_F(LockTableTest, AnOwnerFromBeforeARebootHasEnded) {
  const ProcessId worker = processes_.start();
  LockRecord by_process = record_of(worker, "a.lock");
  LockRecord by_cgroup = record_of(worker, "b.lock");
  by_process.id = index_->next_lock_id();
  by_cgroup.id = index_->next_lock_id();
  processes_.reboot();
  processes_.populate_cgroup("/job-1");
  EXPECT_EQ(life(locks_.restore(by_process, false)), Life::ended);
  EXPECT_EQ(life(locks_.restore(by_cgroup, true)), Life::ended) << "its namesake is not its owner";
}

TEST_F(LockTableTest, TheEndOfAnOwnerLeadsToItsLocks) {
  const ProcessId worker = processes_.start();
  const LockRef one = add(worker, "a.lock");
  const LockRef two = add(worker, "b.lock");
  processes_.kill(worker);
  const auto ended = processes_.drain_ended();
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_THAT(locks_.of_process(ended[0].process), testing::UnorderedElementsAre(one, two));
}

TEST_F(LockTableTest, ACgroupOwnsTheLockInCgroupMode) {
  const ProcessId worker = processes_.start({.cgroup = "/job-1"});
  const LockRef lock = locks_.add(record_of(worker), true, kDue).value();
  EXPECT_EQ(locks_.of_cgroup("/job-1"), Locks{lock});
  EXPECT_TRUE(locks_.of_process(worker).empty()) << "the end of its process says nothing";
  EXPECT_EQ(processes_.watches("/job-1"), 1U);
  EXPECT_EQ(processes_.watches(worker), 0U);
  locks_.remove(lock);
  EXPECT_EQ(processes_.watches("/job-1"), 0U);
  EXPECT_TRUE(locks_.of_cgroup("/job-1").empty());
}

TEST_F(LockTableTest, RestoreWatchesAndWritesNothing) {
  const ProcessId worker = processes_.start();
  LockRecord record = record_of(worker);
  record.id = index_->next_lock_id();
  const auto before = store_.commits();
  const LockRef lock = locks_.restore(record, false);
  EXPECT_EQ(store_.commits(), before);
  EXPECT_EQ(lock->id, record.id);
  EXPECT_EQ(locks_.find(kDirectory, "a.lock"), lock);
  EXPECT_EQ(processes_.watches(worker), 1U);
}

TEST_F(LockTableTest, OfTwoLocksOfOneNameTheLaterIsFound) {
  const ProcessId worker = processes_.start();
  LockRecord record = record_of(worker);
  record.id = index_->next_lock_id();
  LockRef earlier = locks_.restore(record, false);
  record.id = index_->next_lock_id();
  const LockRef later = locks_.restore(record, false);
  EXPECT_EQ(locks_.find(kDirectory, "a.lock"), later);
  locks_.remove(earlier);
  earlier.reset();
  EXPECT_EQ(locks_.find(kDirectory, "a.lock"), later);
  EXPECT_EQ(locks_.in_directory(kDirectory), Locks{later});
}

TEST_F(LockTableTest, UpdateMovesTheLockToItsNewOwner) {
  const ProcessId parent = processes_.start();
  const ProcessId helper = processes_.start({.parent = parent.tgid});
  const LockRef lock = add(helper);
  processes_.exit(helper);
  LockRecord changed = stored(lock).value();
  changed.owner.process.id = parent;
  ASSERT_TRUE(locks_.update(lock, changed, false, kNever));
  EXPECT_EQ(stored(lock), changed);
  EXPECT_EQ(index_->next_due().value(), kNever);
  EXPECT_TRUE(locks_.of_process(helper).empty());
  EXPECT_EQ(locks_.of_process(parent), Locks{lock});
  EXPECT_EQ(processes_.watches(helper), 0U);
  EXPECT_EQ(processes_.watches(parent), 1U);
  EXPECT_FALSE(suspect(lock));
}

TEST_F(LockTableTest, UpdateMovesTheLockBetweenProcessAndCgroup) {
  const ProcessId worker = processes_.start({.cgroup = "/job-1"});
  const LockRef lock = add(worker);
  const LockRecord record = stored(lock).value();
  ASSERT_TRUE(locks_.update(lock, record, true, kNever));
  EXPECT_EQ(locks_.of_cgroup("/job-1"), Locks{lock});
  EXPECT_TRUE(locks_.of_process(worker).empty());
  EXPECT_EQ(processes_.watches(worker), 0U);
  ASSERT_TRUE(locks_.update(lock, record, false, kNever));
  EXPECT_EQ(locks_.of_process(worker), Locks{lock});
  EXPECT_EQ(processes_.watches("/job-1"), 0U);
}

TEST_F(LockTableTest, UpdateToAnOwnerThatHasEndedMakesTheLockSuspect) {
  const ProcessId parent = processes_.start();
  const ProcessId helper = processes_.start({.parent = parent.tgid});
  const LockRef lock = add(helper);
  processes_.kill(parent);
  LockRecord changed = stored(lock).value();
  changed.owner.process.id = parent;
  ASSERT_TRUE(locks_.update(lock, changed, false, kNever));
  EXPECT_TRUE(suspect(lock));
  EXPECT_EQ(life(lock), Life::killed);
}

TEST_F(LockTableTest, UpdateByWhoDidNotSeeItMoveLeavesItWhereItIs) {
  const LockRef lock = add(processes_.start());
  const LockRecord seen = *stored(lock);
  ASSERT_TRUE(locks_.move(lock, {"b/a.lock", "other", OwnerMode::process, UnitId{4}}, kDue));
  ASSERT_TRUE(locks_.update(lock, seen, false, kDue));
  EXPECT_EQ(stored(lock)->path, "b/a.lock");
  EXPECT_EQ(stored(lock)->class_name, "other");
  EXPECT_EQ(stored(lock)->unit, UnitId{4});
}

TEST_F(LockTableTest, UpdateThatCannotBeStoredChangesNothing) {
  const ProcessId worker = processes_.start();
  const LockRef lock = add(worker);
  LockRecord changed = stored(lock).value();
  changed.owner.process.id = ProcessId{};
  store_.fail_commits(1, EIO);
  EXPECT_EQ(locks_.update(lock, changed, false, kNever).error(), Errno{EIO});
  EXPECT_EQ(locks_.of_process(worker), Locks{lock});
  EXPECT_EQ(processes_.watches(worker), 1U);
}

TEST_F(LockTableTest, UpdateOfARemovedLockDoesNotBringItBack) {
  const ProcessId worker = processes_.start();
  const LockRef lock = add(worker);
  const LockRecord record = stored(lock).value();
  locks_.remove(lock);
  EXPECT_EQ(locks_.update(lock, record, false, kNever).error(), Errno{ESTALE});
  EXPECT_FALSE(stored(lock));
  EXPECT_TRUE(locks_.of_process(worker).empty());
}

TEST_F(LockTableTest, ThreadsThatTakeAndDropTheSameNamesLeaveNothing) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  const ProcessId one = processes_.start();
  const ProcessId other = processes_.start();
  std::atomic<int> wrong{0};
  std::vector<std::jthread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::minstd_rand random(seed + t);
      for (int i = 0; i < 1500; ++i) {
        const std::string name = "lock-" + std::to_string(random() % 4);
        const LockRef lock = add(random() % 2 == 0 ? one : other, name);
        LockRecord changed = record_of(random() % 2 == 0 ? one : other, name);
        changed.id = lock->id;
        (void)locks_.update(lock, changed, random() % 2 == 0, kNever);
        if (const LockRef found = locks_.find(kDirectory, name); found && found->name != name) {
          wrong.fetch_add(1);
        }
        (void)locks_.of_process(one);
        locks_.remove(lock);
      }
    });
  }
  threads.clear();
  for (const LockRef& left : locks_.all()) locks_.remove(left);
  EXPECT_EQ(wrong, 0);
  EXPECT_TRUE(index_->load_locks().value().empty());
  EXPECT_TRUE(locks_.of_process(one).empty());
  EXPECT_TRUE(locks_.of_cgroup("/job-1").empty());
  EXPECT_TRUE(locks_.in_directory(kDirectory).empty());
  EXPECT_EQ(processes_.watches(one) + processes_.watches(other), 0U);
  EXPECT_EQ(processes_.watches("/job-1"), 0U);
}

}  // namespace
}  // namespace ebbfs
