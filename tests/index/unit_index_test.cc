// SPDX-License-Identifier: Apache-2.0
#include "index/unit_index.h"

#include <gtest/gtest.h>

#include <array>

#include "index/schema.h"
#include "tests/index/outcome.h"
#include "tests/index/sample_records.h"
#include "tests/index/unit_index_fixture.h"

namespace ebbfs {
namespace {

using Kind = Deadline::Kind;

TEST_F(UnitIndexTest, IsEmptyOnAFreshStore) {
  EXPECT_TRUE(index_->load_units()->empty());
  EXPECT_TRUE(index_->load_locks()->empty());
  EXPECT_TRUE(index_->load_trash()->empty());
  EXPECT_TRUE(queue().empty());
  EXPECT_EQ(index_->next_due(), kNever);
}

TEST_F(UnitIndexTest, GivesBackUnitsByRisingId) {
  const UnitRecord second = sample_unit(UnitId{2});
  const UnitRecord first = sample_unit(UnitId{1});
  EXPECT_EQ(error_of(index_->put_unit(second, at(5))), 0);
  EXPECT_EQ(error_of(index_->put_unit(first, at(9))), 0);
  EXPECT_EQ(index_->load_units(), (std::vector{first, second}));
}

TEST_F(UnitIndexTest, HoldsNoRootUnitAtFirst) {
  EXPECT_EQ(error_of(index_->put_unit(sample_unit(UnitId{1}), at(5))), 0);
  EXPECT_EQ(index_->load_root(), std::nullopt);
}

TEST_F(UnitIndexTest, HoldsTheRootUnit) {
  const UnitRecord root = sample_unit(kRootUnit);
  EXPECT_EQ(error_of(index_->put_unit(root, kNever)), 0);
  EXPECT_EQ(index_->load_units(), std::vector{root});
  EXPECT_EQ(index_->load_root(), root);
}

TEST_F(UnitIndexTest, ReplacesAUnitAndItsDeadline) {
  UnitRecord unit = sample_unit(UnitId{1});
  EXPECT_EQ(error_of(index_->put_unit(unit, at(5))), 0);
  unit.pinned = true;
  EXPECT_EQ(error_of(index_->put_unit(unit, at(9))), 0);
  EXPECT_EQ(index_->load_units(), std::vector{unit});
  EXPECT_EQ(queue(), (std::vector<Deadline>{{at(9), Kind::unit, 1}}));
  EXPECT_EQ(row_count(Table::deadlines), 1U);
}

TEST_F(UnitIndexTest, LeavesNothingOfAnErasedUnit) {
  EXPECT_EQ(error_of(index_->put_unit(sample_unit(UnitId{1}), at(5))), 0);
  EXPECT_EQ(error_of(index_->erase_unit(UnitId{1})), 0);
  EXPECT_EQ(row_count(Table::units), 0U);
  EXPECT_EQ(row_count(Table::deadlines), 0U);
  EXPECT_EQ(row_count(Table::owners), 0U);
  EXPECT_TRUE(queue().empty());
}

TEST_F(UnitIndexTest, LeavesNothingOfAnErasedLock) {
  const LockRecord lock = sample_lock(LockId{1});
  EXPECT_EQ(error_of(index_->put_lock(lock, at(5))), 0);
  EXPECT_EQ(index_->load_locks(), std::vector{lock});
  EXPECT_EQ(error_of(index_->erase_lock(LockId{1})), 0);
  EXPECT_EQ(row_count(Table::locks), 0U);
  EXPECT_EQ(row_count(Table::deadlines), 0U);
  EXPECT_EQ(row_count(Table::owners), 0U);
}

TEST_F(UnitIndexTest, KeepsWhatIsNeverDueOutOfTheQueue) {
  EXPECT_EQ(error_of(index_->put_unit(sample_unit(UnitId{1}), kNever)), 0);
  EXPECT_EQ(row_count(Table::deadlines), 0U);
  EXPECT_EQ(error_of(index_->put_unit(sample_unit(UnitId{1}), at(5))), 0);
  EXPECT_EQ(error_of(index_->put_unit(sample_unit(UnitId{1}), kNever)), 0);
  EXPECT_EQ(row_count(Table::deadlines), 0U);
  EXPECT_TRUE(queue().empty());
}

TEST_F(UnitIndexTest, QueuesUnitsAndLocksInOneOrder) {
  EXPECT_EQ(error_of(index_->put_unit(sample_unit(UnitId{1}), at(7))), 0);
  EXPECT_EQ(error_of(index_->put_lock(sample_lock(LockId{1}), at(5))), 0);
  EXPECT_EQ(queue(), (std::vector<Deadline>{{at(5), Kind::lock, 1}, {at(7), Kind::unit, 1}}));
  EXPECT_EQ(index_->next_due(), at(5));
}

TEST_F(UnitIndexTest, ReschedulesWithoutTouchingTheRecord) {
  const UnitRecord unit = sample_unit(UnitId{1});
  EXPECT_EQ(error_of(index_->put_unit(unit, at(5))), 0);
  EXPECT_EQ(error_of(index_->reschedule(Kind::unit, 1, at(9))), 0);
  EXPECT_EQ(index_->load_units(), std::vector{unit});
  EXPECT_EQ(queue(), (std::vector<Deadline>{{at(9), Kind::unit, 1}}));
  EXPECT_EQ(error_of(index_->reschedule(Kind::unit, 1, kNever)), 0);
  EXPECT_TRUE(queue().empty());
  EXPECT_EQ(index_->owned_by({42, 100}, sample_boot())->size(), 1U);
}

TEST_F(UnitIndexTest, WritesNothingForADeadlineThatStays) {
  EXPECT_EQ(error_of(index_->put_unit(sample_unit(UnitId{1}), at(5))), 0);
  const std::uint64_t before = fault_.commits();
  EXPECT_EQ(error_of(index_->reschedule(Kind::unit, 1, at(5))), 0);
  EXPECT_EQ(fault_.commits(), before);
}

TEST_F(UnitIndexTest, FindsThingsByOwner) {
  EXPECT_EQ(error_of(index_->put_unit(sample_unit(UnitId{1}, 42, 1000), at(5))), 0);
  EXPECT_EQ(error_of(index_->put_lock(sample_lock(LockId{1}, 42, 1001), at(5))), 0);
  EXPECT_EQ(error_of(index_->put_lock(sample_lock(LockId{2}, 43, 1000), at(5))), 0);
  const Thing unit = {Kind::unit, 1};
  const Thing lock = {Kind::lock, 1};
  const Thing other = {Kind::lock, 2};
  EXPECT_EQ(index_->owned_by({42, 100}, sample_boot()), (std::vector{unit, lock}));
  EXPECT_EQ(index_->owned_by(1000), (std::vector{unit, other}));
  EXPECT_EQ(index_->owned_by({42, 101}, sample_boot()), std::vector<Thing>{}) << "pid reused";
  EXPECT_EQ(index_->owned_by({42, 100}, BootId{}), std::vector<Thing>{}) << "earlier boot";
  EXPECT_EQ(index_->owned_by(1002), std::vector<Thing>{});
}

TEST_F(UnitIndexTest, FollowsALockThatIsHandedOver) {
  EXPECT_EQ(error_of(index_->put_lock(sample_lock(LockId{1}, 42), at(5))), 0);
  EXPECT_EQ(error_of(index_->put_lock(sample_lock(LockId{1}, 43), at(5))), 0);
  EXPECT_TRUE(index_->owned_by({42, 100}, sample_boot())->empty());
  EXPECT_EQ(index_->owned_by({43, 100}, sample_boot())->size(), 1U);
  EXPECT_EQ(row_count(Table::owners), 1U);
}

TEST_F(UnitIndexTest, FindsThingsOfAnUnknownProcessByUser) {
  EXPECT_EQ(error_of(index_->put_lock(sample_lock(LockId{1}, 0, 1000), at(5))), 0);
  EXPECT_EQ(index_->owned_by(1000)->size(), 1U);
  crash_and_reopen();
  EXPECT_EQ(error_of(index_->erase_lock(LockId{1})), 0);
  EXPECT_EQ(row_count(Table::owners), 0U);
}

TEST_F(UnitIndexTest, RemembersQueueAndOwnersWhenReopened) {
  EXPECT_EQ(error_of(index_->put_unit(sample_unit(UnitId{1}), at(5))), 0);
  EXPECT_EQ(error_of(index_->put_lock(sample_lock(LockId{1}), at(6))), 0);
  crash_and_reopen();
  EXPECT_EQ(queue(), (std::vector<Deadline>{{at(5), Kind::unit, 1}}));
  EXPECT_EQ(error_of(index_->erase_unit(UnitId{1})), 0);
  EXPECT_EQ(error_of(index_->erase_lock(LockId{1})), 0);
  EXPECT_EQ(row_count(Table::deadlines), 0U);
  EXPECT_EQ(row_count(Table::owners), 0U);
}

TEST_F(UnitIndexTest, DropsASecondDeadlineOfOneThing) {
  EXPECT_EQ(error_of(index_->put_unit(sample_unit(UnitId{1}), at(5))), 0);
  plant(Table::deadlines, deadline_key({Kind::unit, 1}, at(9)), "");
  crash_and_reopen();
  EXPECT_EQ(queue(), (std::vector<Deadline>{{at(5), Kind::unit, 1}}));
  EXPECT_EQ(row_count(Table::deadlines), 1U);
}

TEST_F(UnitIndexTest, WritesNothingForTheDeadlineOfALock) {
  EXPECT_EQ(error_of(index_->put_lock(sample_lock(LockId{1}), at(5))), 0);
  const std::uint64_t before = fault_.commits();
  EXPECT_EQ(error_of(index_->reschedule(Kind::lock, 1, at(9))), 0);
  EXPECT_EQ(fault_.commits(), before);
  EXPECT_EQ(row_count(Table::deadlines), 0U);
  EXPECT_EQ(queue(), (std::vector<Deadline>{{at(9), Kind::lock, 1}}));
}

TEST_F(UnitIndexTest, DropsTheDeadlineOfALockThatAnEarlierVersionStored) {
  plant(Table::deadlines, deadline_key({Kind::lock, 1}, at(9)), "");
  crash_and_reopen();
  EXPECT_TRUE(queue().empty());
  EXPECT_EQ(row_count(Table::deadlines), 0U);
}

TEST_F(UnitIndexTest, CountsDueUnitsWhateverElseIsDue) {
  EXPECT_EQ(error_of(index_->put_unit(sample_unit(UnitId{1}), at(7))), 0);
  EXPECT_EQ(error_of(index_->put_unit(sample_unit(UnitId{2}), at(9))), 0);
  EXPECT_EQ(error_of(index_->put_lock(sample_lock(LockId{1}), at(5))), 0);
  EXPECT_EQ(index_->due_units(at(8), 10), (std::vector<Deadline>{{at(7), Kind::unit, 1}}));
  EXPECT_EQ(index_->due_units(at(9), 1), (std::vector<Deadline>{{at(7), Kind::unit, 1}}));
}

TEST_F(UnitIndexTest, ErasesManyLocksInOneCommit) {
  for (const std::uint64_t id : {1U, 2U, 3U}) {
    EXPECT_EQ(error_of(index_->put_lock(sample_lock(LockId{id}), at(5))), 0);
  }
  const std::array gone{LockId{1}, LockId{3}};
  const std::uint64_t before = fault_.commits();
  EXPECT_EQ(error_of(index_->erase_locks(gone)), 0);
  EXPECT_EQ(error_of(index_->erase_locks({})), 0);
  EXPECT_EQ(fault_.commits(), before + 1);
  EXPECT_EQ(index_->load_locks(), std::vector{sample_lock(LockId{2})});
  EXPECT_EQ(row_count(Table::owners), 1U);
  EXPECT_EQ(queue(), (std::vector<Deadline>{{at(5), Kind::lock, 2}}));
}

TEST_F(UnitIndexTest, AppendsManyEventsInOneCommit) {
  std::vector<EventRecord> events(3);
  for (std::size_t i = 0; i < events.size(); ++i) events[i].path = std::to_string(i);
  const std::uint64_t before = fault_.commits();
  EXPECT_EQ(error_of(index_->append_events(events)), 0);
  EXPECT_EQ(fault_.commits(), before + 1);
  for (std::size_t i = 0; i < events.size(); ++i) events[i].sequence = i + 1;
  EXPECT_EQ(index_->newest_events(10), events);
}

TEST_F(UnitIndexTest, CommitsEachChangeOfStateOnce) {
  const TrashRecord trash = sample_trash(TrashId{1}, UnitId{1}, at(50));
  const auto commits_of = [&](auto change) {
    const std::uint64_t before = fault_.commits();
    EXPECT_EQ(error_of(change()), 0);
    return fault_.commits() - before;
  };
  EXPECT_EQ(commits_of([&] { return index_->put_unit(sample_unit(UnitId{1}), at(5)); }), 1U);
  EXPECT_EQ(commits_of([&] { return index_->put_unit(sample_unit(UnitId{1}, 43), at(6)); }), 1U);
  EXPECT_EQ(commits_of([&] { return index_->put_lock(sample_lock(LockId{1}), at(5)); }), 1U);
  EXPECT_EQ(commits_of([&] { return index_->erase_lock(LockId{1}); }), 1U);
  EXPECT_EQ(commits_of([&] { return index_->intend_trash(trash, {}); }), 1U);
  EXPECT_EQ(commits_of([&] { return index_->store_trash(trash); }), 1U);
  EXPECT_EQ(commits_of([&] { return index_->erase_trash(TrashId{1}); }), 1U);
}

TEST_F(UnitIndexTest, NeverSyncsOnAPathOfRequests) {
  EXPECT_EQ(error_of(index_->put_unit(sample_unit(UnitId{1}), at(5))), 0);
  EXPECT_EQ(error_of(index_->put_lock(sample_lock(LockId{1}), at(5))), 0);
  EXPECT_EQ(error_of(index_->erase_lock(LockId{1})), 0);
  EXPECT_EQ(error_of(index_->reschedule(Kind::unit, 1, at(6))), 0);
  EXPECT_EQ(fault_.synced_commits(), 0U);
}

TEST_F(UnitIndexTest, RefusesARecordThatDoesNotDecode) {
  plant(Table::units, number_key(1), "garbage");
  EXPECT_EQ(error_of(index_->load_units()), EBADMSG);
}

TEST_F(UnitIndexTest, RefusesARecordUnderAnotherId) {
  plant(Table::locks, number_key(2), encode(sample_lock(LockId{1})));
  EXPECT_EQ(error_of(index_->load_locks()), EBADMSG);
}

TEST_F(UnitIndexTest, ReportsAStoreThatCannotBeRead) {
  fault_.fail_reads(EIO);
  EXPECT_EQ(error_of(index_->load_units()), EIO);
  EXPECT_EQ(error_of(index_->owned_by(1000)), EIO);
  EXPECT_EQ(error_of(UnitIndex::open(fault_)), EIO);
}

// ---- Trash ----

TEST_F(UnitIndexTest, WritesIntentAndEventTogetherAndLeavesTheUnit) {
  EXPECT_EQ(error_of(index_->put_unit(sample_unit(UnitId{1}), at(5))), 0);
  const TrashRecord trash = sample_trash(TrashId{1}, UnitId{1}, at(50));
  EventRecord event;
  event.kind = EventRecord::Kind::expired;
  EXPECT_EQ(error_of(index_->intend_trash(trash, event)), 0);
  event.sequence = 1;
  EXPECT_EQ(index_->load_trash(), std::vector{trash});
  EXPECT_EQ(index_->newest_events(10), std::vector{event});
  EXPECT_EQ(index_->load_units()->size(), 1U);
  EXPECT_EQ(queue(), (std::vector<Deadline>{{at(5), Kind::unit, 1}}));
}

TEST_F(UnitIndexTest, MovesAUnitIntoTheTrash) {
  EXPECT_EQ(error_of(index_->put_unit(sample_unit(UnitId{1}), at(5))), 0);
  TrashRecord trash = sample_trash(TrashId{1}, UnitId{1}, at(50));
  EXPECT_EQ(error_of(index_->intend_trash(trash, {})), 0);
  trash.stage = TrashRecord::Stage::stored;
  EXPECT_EQ(error_of(index_->store_trash(trash)), 0);
  EXPECT_EQ(index_->load_trash(), std::vector{trash});
  EXPECT_TRUE(index_->load_units()->empty());
  EXPECT_EQ(queue(), (std::vector<Deadline>{{at(50), Kind::trash, 1}}));
  EXPECT_EQ(row_count(Table::owners), 0U);
}

TEST_F(UnitIndexTest, MovesALockDirectoryIntoTheTrash) {
  EXPECT_EQ(error_of(index_->put_unit(sample_unit(UnitId{7}), at(4))), 0);
  EXPECT_EQ(error_of(index_->put_lock(sample_lock(LockId{7}), at(5))), 0);
  TrashRecord trash;
  trash.id = TrashId{1};
  trash.lock = LockId{7};
  trash.purge_after = at(50);
  EXPECT_EQ(error_of(index_->store_trash(trash)), 0);
  EXPECT_TRUE(index_->load_locks()->empty());
  EXPECT_EQ(index_->load_units()->size(), 1U) << "the unit of the same number stays";
  EXPECT_EQ(queue(), (std::vector<Deadline>{{at(4), Kind::unit, 7}, {at(50), Kind::trash, 1}}));
}

TEST_F(UnitIndexTest, NeverErasesTheRootUnit) {
  EXPECT_EQ(error_of(index_->put_unit(sample_unit(kRootUnit), at(4))), 0);
  TrashRecord trash;
  trash.id = TrashId{1};
  EXPECT_EQ(error_of(index_->store_trash(trash)), 0);
  EXPECT_EQ(index_->load_units()->size(), 1U);
  EXPECT_EQ(row_count(Table::owners), 1U);
  EXPECT_EQ(queue().back(), (Deadline{at(4), Kind::unit, 0}));
}

TEST_F(UnitIndexTest, TakesBackAnIntent) {
  EXPECT_EQ(error_of(index_->put_unit(sample_unit(UnitId{1}), at(5))), 0);
  EXPECT_EQ(error_of(index_->intend_trash(sample_trash(TrashId{1}, UnitId{1}, at(50)), {})), 0);
  EXPECT_EQ(error_of(index_->abandon_trash(TrashId{1})), 0);
  EXPECT_TRUE(index_->load_trash()->empty());
  EXPECT_EQ(index_->load_units()->size(), 1U);
  EXPECT_EQ(queue(), (std::vector<Deadline>{{at(5), Kind::unit, 1}}));
}

TEST_F(UnitIndexTest, LeavesNothingOfPurgedTrash) {
  EXPECT_EQ(error_of(index_->store_trash(sample_trash(TrashId{1}, UnitId{1}, at(50)))), 0);
  EXPECT_EQ(error_of(index_->erase_trash(TrashId{1})), 0);
  EXPECT_EQ(row_count(Table::trash), 0U);
  EXPECT_EQ(row_count(Table::deadlines), 0U);
}

}  // namespace
}  // namespace ebbfs
