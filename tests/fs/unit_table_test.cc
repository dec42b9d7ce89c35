// SPDX-License-Identifier: Apache-2.0
#include "fs/unit_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/fs/unit_times.h"
#include "tests/support/fault_store.h"
#include "tests/support/mem_store.h"

namespace ebbfs {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

constexpr Duration kIdle = seconds(10);

FileHandle some_handle(std::uint8_t seed) {
  FileHandle handle;
  handle.type = 1;
  handle.size = 8;
  handle.data[0] = seed;
  return handle;
}

UnitRecord record_of(std::uint64_t inode, std::string path) {
  UnitRecord record;
  record.path = std::move(path);
  record.inode = InodeId{inode};
  record.handle = some_handle(1);
  record.class_name = "worktree";
  record.created = kStart;
  record.last_used = kStart;
  return record;
}

class UnitTableTest : public testing::Test {
 protected:
  UnitRef create(std::uint64_t inode = 10, std::string path = "worktrees/a",
                 WallTime due = kStart + hours(24)) {
    return units_.create(record_of(inode, std::move(path)), due).value();
  }
  // A unit that nobody has used for a while, as stored clean.
  UnitRef create_idle() {
    UnitRef unit = create();
    EXPECT_EQ(units_.flush(kStart + kIdle, kIdle, false), 0U);
    return unit;
  }
  UnitUse use(const UnitRef& unit, WallTime now = kStart) {
    return units_.use(unit, now, true).value();
  }
  void charge(const UnitRef& unit, std::int64_t bytes) {
    ledger_.settle(ledger_.cell(unit->accounts(), 1000, 100), {{bytes}, 1});
  }
  std::optional<UnitRecord> stored(const UnitRef& unit) {
    const auto records = index_->load_units().value();
    const auto found = std::ranges::find(records, unit->id(), &UnitRecord::id);
    return found == records.end() ? std::nullopt : std::optional(*found);
  }

  MemStore memory_;
  FaultStore store_{memory_};
  std::unique_ptr<UnitIndex> index_ = UnitIndex::open(store_).value();
  UsageLedger ledger_;
  UnitTable units_{*index_, ledger_, UnitRecord{}};
};

TEST_F(UnitTableTest, UseOfAFrozenUnitIsDeferredWhereItMayNotBlock) {
  const UnitRef unit = create();
  ASSERT_TRUE(unit->freeze(Duration::zero()));
  EXPECT_EQ(units_.use(unit, kStart, false).error(), kDefer);
  unit->thaw();
  EXPECT_TRUE(units_.use(unit, kStart, false));
}

TEST_F(UnitTableTest, UseOfAFrozenUnitWaitsUntilItIsThawed) {
  const UnitRef unit = create();
  ASSERT_TRUE(unit->freeze(Duration::zero()));
  auto entered = std::async(std::launch::async, [&] { return use(unit); });
  unit->thaw();
  EXPECT_EQ(&entered.get().unit(), unit.get());
}

TEST_F(UnitTableTest, UseThatWaitsFailsWhenTheUnitGoes) {
  const UnitRef unit = create();
  ASSERT_TRUE(unit->freeze(Duration::zero()));
  auto entered = std::async(std::launch::async, [&] { return units_.use(unit, kStart, true); });
  unit->kill();
  EXPECT_EQ(entered.get().error(), Errno{ESTALE});
  EXPECT_TRUE(unit->gone());
}

TEST_F(UnitTableTest, ANewUnitIsStoredInUse) {
  const UnitRef unit = create(10, "worktrees/a", kStart + hours(24));
  const auto record = stored(unit);
  ASSERT_TRUE(record);
  EXPECT_TRUE(record->dirty);
  EXPECT_EQ(record->path, "worktrees/a");
  EXPECT_EQ(index_->next_due().value(), kStart + hours(24));
  EXPECT_NE(unit->id(), kRootUnit);
  EXPECT_NE(create(11, "worktrees/b")->id(), unit->id());
}

TEST_F(UnitTableTest, AUnitThatCannotBeStoredIsNotMade) {
  store_.fail_commits(1, ENOSPC, 100);
  EXPECT_EQ(units_.create(record_of(10, "worktrees/a"), kNever).error(), Errno{ENOSPC});
  EXPECT_EQ(units_.size(), 0U);
  EXPECT_EQ(units_.find_by_top(InodeId{10}, some_handle(1)), nullptr);
}

TEST_F(UnitTableTest, StoresOnceHoweverOftenAUnitIsUsed) {
  const UnitRef unit = create_idle();
  const auto before = store_.commits();
  for (int i = 0; i < 5; ++i) (void)use(unit, kStart + hours(1) + seconds(i));
  EXPECT_EQ(store_.commits(), before + 1);
  EXPECT_TRUE(stored(unit)->dirty);
  EXPECT_EQ(unit->last_used(), kStart + hours(1) + seconds(4));
}

TEST_F(UnitTableTest, UseFailsWhenTheRecordCannotBeMarked) {
  const UnitRef unit = create_idle();
  store_.fail_commits(1, EIO);
  EXPECT_EQ(units_.use(unit, kStart, true).error(), Errno{EIO});
  EXPECT_TRUE(unit->freeze(Duration::zero())) << "the request that failed is not inside";
  unit->thaw();
  (void)use(unit);
  EXPECT_TRUE(stored(unit)->dirty);
}

TEST_F(UnitTableTest, FlushStoresAnIdleUnitCleanAndExact) {
  const UnitRef unit = create();
  {
    const UnitUse inside = use(unit, kStart + seconds(7));
    charge(unit, 4096);
  }
  EXPECT_EQ(units_.flush(kStart + seconds(7) + kIdle, kIdle, false), 0U);
  const auto record = stored(unit);
  EXPECT_FALSE(record->dirty);
  EXPECT_EQ(record->last_used, kStart + seconds(7));
  EXPECT_EQ(record->usage, (std::vector<UsageCell>{{1000, 100, {{4096}, 1}}}));
}

TEST_F(UnitTableTest, FlushKeepsAUnitDirtyThatCannotBeStored) {
  const UnitRef unit = create();
  store_.fail_commits(1, EIO);
  EXPECT_EQ(units_.flush(kStart + kIdle, kIdle, false), 1U);
  EXPECT_TRUE(unit->record().dirty);
  EXPECT_EQ(units_.flush(kStart + kIdle, kIdle, false), 0U);
}

TEST_F(UnitTableTest, FlushStoresTheRootUnitToo) {
  (void)use(units_.root());
  EXPECT_EQ(stored(units_.root())->dirty, true);
  EXPECT_EQ(units_.flush(kStart + kIdle, kIdle, false), 0U);
  EXPECT_EQ(stored(units_.root())->dirty, false);
  EXPECT_EQ(index_->next_due().value(), kNever);
}

struct HoldCase {
  const char* name;
  void (*hold)(const UnitRef& unit);
  bool clean_when_closing;
};
constexpr HoldCase kHolds[] = {
    {"Inside", [](const UnitRef& unit) { EXPECT_TRUE(unit->try_enter()); }, true},
    {"Open", [](const UnitRef& unit) { unit->opened(); }, true},
    {"Young", [](const UnitRef& unit) { unit->touch(kStart + std::chrono::nanoseconds(1)); }, true},
    {"UsedInTheFuture", [](const UnitRef& unit) { unit->touch(kStart + hours(1)); }, true},
    {"Counting", [](const UnitRef& unit) { unit->set_counting(true); }, false},
    {"Frozen", [](const UnitRef& unit) { EXPECT_TRUE(unit->freeze(Duration::zero())); }, false},
};
class UnitFlushTest : public UnitTableTest, public testing::WithParamInterface<HoldCase> {};

TEST_P(UnitFlushTest, LeavesDirtyWhatIsHeld) {
  const UnitRef unit = create();
  GetParam().hold(unit);
  EXPECT_EQ(units_.flush(kStart + kIdle, kIdle, false), 1U);
  EXPECT_TRUE(stored(unit)->dirty);
  EXPECT_TRUE(unit->record().dirty);
}

TEST_P(UnitFlushTest, AtClosingLeavesDirtyOnlyWhatIsNotKnown) {
  const UnitRef unit = create();
  GetParam().hold(unit);
  const bool clean = GetParam().clean_when_closing;
  EXPECT_EQ(units_.flush(kStart, kIdle, true), clean ? 0U : 1U);
  EXPECT_EQ(stored(unit)->dirty, !clean);
}

INSTANTIATE_TEST_SUITE_P(Holds, UnitFlushTest, testing::ValuesIn(kHolds),
                         [](const auto& param) { return param.param.name; });

TEST_F(UnitTableTest, StoringKeepsTheDeadlineGivenLast) {
  const UnitRef unit = create(10, "worktrees/a", kStart + hours(24));
  ASSERT_TRUE(units_.reschedule(*unit, kStart + hours(30)));
  EXPECT_EQ(index_->next_due().value(), kStart + hours(30));
  ASSERT_EQ(units_.flush(kStart + kIdle, kIdle, false), 0U);
  (void)use(unit);
  ASSERT_TRUE(units_.set_pinned(*unit, true));
  ASSERT_TRUE(units_.set_path(*unit, "worktrees/b"));
  EXPECT_EQ(index_->next_due().value(), kStart + hours(30));
}

TEST_F(UnitTableTest, ARestoredUnitIsDueAtItsLastUseWhereItsDeadlineIsNotKnown) {
  UnitRecord record = record_of(10, "worktrees/a");
  record.id = index_->next_unit_id();
  ASSERT_TRUE(index_->put_unit(record, kStart + hours(24)));
  const UnitRef unit = units_.restore(record);
  EXPECT_EQ(index_->next_due().value(), kStart + hours(24));
  (void)use(unit, kStart + hours(2));
  EXPECT_EQ(index_->next_due().value(), kStart + hours(2));
}

TEST_F(UnitTableTest, ARestoredUnitIsChargedWithWhatItHeld) {
  UnitRecord record = record_of(10, "worktrees/a");
  record.id = index_->next_unit_id();
  record.usage = {{1000, 100, {{8192}, 2}}, {0, 0, {{0}, 1}}};
  const auto before = store_.commits();
  const UnitRef unit = units_.restore(record);
  EXPECT_EQ(store_.commits(), before);
  EXPECT_FALSE(unit->counting());
  EXPECT_EQ(unit->accounts().total().usage(), (Usage{{8192}, 3}));
  EXPECT_EQ(ledger_.class_usage("worktree"), (Usage{{8192}, 3}));
}

TEST_F(UnitTableTest, ADirtyUnitIsRestoredCountingFromNothing) {
  UnitRecord record = record_of(10, "worktrees/a");
  record.id = index_->next_unit_id();
  record.usage = {{1000, 100, {{8192}, 2}}};
  record.dirty = true;
  const UnitRef unit = units_.restore(record);
  EXPECT_TRUE(unit->counting());
  EXPECT_EQ(unit->accounts().total().usage(), Usage{});
  EXPECT_EQ(unit->record().usage, record.usage) << "shown until the count is done";
  charge(unit, 4096);
  unit->set_counting(false);
  EXPECT_EQ(units_.flush(kStart + kIdle, kIdle, false), 0U) << "it was in use, so it is stored now";
  EXPECT_EQ(stored(unit)->usage, (std::vector<UsageCell>{{1000, 100, {{4096}, 1}}}));
}

TEST_F(UnitTableTest, FindsAUnitByIdTopAndPath) {
  const UnitRef unit = create(10, "worktrees/a");
  EXPECT_EQ(units_.find(unit->id()), unit);
  EXPECT_EQ(units_.find_by_top(InodeId{10}, some_handle(1)), unit);
  EXPECT_EQ(units_.find_by_path("worktrees/a"), unit);
  EXPECT_EQ(units_.find_by_path("worktrees"), nullptr);
  EXPECT_EQ(units_.all(), std::vector<UnitRef>{unit});
  EXPECT_EQ(units_.size(), 1U);
}

TEST_F(UnitTableTest, FindsTheRootUnitByIdAndPathButNeverAsATop) {
  EXPECT_EQ(units_.find(kRootUnit), units_.root());
  EXPECT_EQ(units_.find_by_path(""), units_.root());
  EXPECT_EQ(units_.find_by_top(InodeId{0}, FileHandle{}), nullptr);
  EXPECT_TRUE(units_.all().empty());
}

TEST_F(UnitTableTest, DoesNotFindAUnitWhoseInodeNumberWasUsedAgain) {
  const UnitRef old = create(10, "worktrees/a");
  EXPECT_EQ(units_.find_by_top(InodeId{10}, some_handle(2)), nullptr);

  UnitRecord record = record_of(10, "worktrees/b");
  record.handle = some_handle(2);
  const UnitRef reused = units_.create(record, kNever).value();
  EXPECT_EQ(units_.find_by_top(InodeId{10}, some_handle(1)), nullptr);
  ASSERT_TRUE(units_.remove(*old));
  EXPECT_EQ(units_.find_by_top(InodeId{10}, some_handle(2)), reused);
}

TEST_F(UnitTableTest, RemoveForgetsTheUnitAndItsUsage) {
  const UnitRef unit = create();
  charge(unit, 4096);
  ASSERT_TRUE(units_.remove(*unit));
  EXPECT_FALSE(stored(unit));
  EXPECT_EQ(index_->next_due().value(), kNever);
  EXPECT_EQ(units_.find(unit->id()), nullptr);
  EXPECT_EQ(units_.find_by_top(InodeId{10}, some_handle(1)), nullptr);
  EXPECT_EQ(ledger_.volume().usage(), Usage{});
  EXPECT_EQ(units_.flush(kStart, kIdle, true), 0U);
}

TEST_F(UnitTableTest, RemovedUnitKeepsTheChargeOfFilesStillOpenAndCanBeWritten) {
  const UnitRef unit = create_idle();
  unit->opened();
  charge(unit, 4096);
  ASSERT_TRUE(units_.remove(*unit));
  EXPECT_EQ(ledger_.volume().usage(), (Usage{{4096}, 1}));
  EXPECT_TRUE(units_.use(unit, kStart, false));
  EXPECT_FALSE(stored(unit)) << "a use does not bring the record back";
}

TEST_F(UnitTableTest, NothingIsStoredForAUnitThatLeftTheTable) {
  const UnitRef removed = create_idle();
  const UnitRef trashed = create(11, "worktrees/b");
  ASSERT_TRUE(units_.remove(*removed));
  ASSERT_TRUE(trashed->freeze(Duration::zero()));
  ASSERT_TRUE(index_->erase_unit(trashed->id()));  // as storing the piece of trash does
  trashed->kill();
  units_.detach(*trashed);
  const auto before = store_.commits();
  for (const UnitRef& unit : {removed, trashed}) {
    EXPECT_EQ(units_.set_path(*unit, "worktrees/c").error(), Errno{ESTALE});
    EXPECT_EQ(units_.set_pinned(*unit, true).error(), Errno{ESTALE});
    EXPECT_TRUE(units_.reschedule(*unit, kStart));
    EXPECT_TRUE(units_.activate(unit));
    EXPECT_TRUE(units_.remove(*unit));
  }
  EXPECT_EQ(units_.flush(kStart, kIdle, true), 0U);
  EXPECT_EQ(store_.commits(), before);
}

TEST_F(UnitTableTest, DetachLeavesUsageToTheCaller) {
  const UnitRef unit = create();
  charge(unit, 4096);
  ASSERT_TRUE(unit->freeze(Duration::zero()));
  unit->kill();
  units_.detach(*unit);
  EXPECT_EQ(units_.find(unit->id()), nullptr);
  EXPECT_EQ(ledger_.class_usage("worktree"), (Usage{{4096}, 1}));
}

TEST_F(UnitTableTest, ActivateMarksAUnitThatTheCallerHasFrozen) {
  const UnitRef unit = create_idle();
  ASSERT_TRUE(unit->freeze(Duration::zero()));
  ASSERT_TRUE(units_.activate(unit));
  EXPECT_TRUE(stored(unit)->dirty);
}

TEST_F(UnitTableTest, PinIsStoredAndDoesNotCountAsUse) {
  const UnitRef unit = create_idle();
  ASSERT_TRUE(units_.set_pinned(*unit, true));
  EXPECT_TRUE(unit->pinned());
  EXPECT_TRUE(stored(unit)->pinned);
  EXPECT_FALSE(stored(unit)->dirty);
  EXPECT_EQ(unit->last_used(), kStart);
}

TEST_F(UnitTableTest, PinThatCannotBeStoredIsNotThere) {
  const UnitRef unit = create();
  store_.fail_commits(1, EIO);
  EXPECT_EQ(units_.set_pinned(*unit, true).error(), Errno{EIO});
  EXPECT_FALSE(unit->pinned());
}

TEST_F(UnitTableTest, PinWaitsForTheVerdictOnAFrozenUnit) {
  const UnitRef unit = create();
  ASSERT_TRUE(unit->freeze(Duration::zero()));
  auto pinned = std::async(std::launch::async, [&] { return units_.set_pinned(*unit, true); });
  unit->kill();
  EXPECT_EQ(pinned.get().error(), Errno{ESTALE});
  EXPECT_FALSE(unit->pinned());
}

TEST_F(UnitTableTest, ARenamedUnitHasItsNewPathEvenWhenThatCannotBeStored) {
  const UnitRef unit = create(10, "worktrees/a");
  store_.fail_commits(1, EIO);
  EXPECT_EQ(units_.set_path(*unit, "worktrees/b").error(), Errno{EIO});
  EXPECT_EQ(unit->path(), "worktrees/b");
  EXPECT_EQ(units_.find_by_path("worktrees/b"), unit);
  ASSERT_EQ(units_.flush(kStart + kIdle, kIdle, false), 0U);
  EXPECT_EQ(stored(unit)->path, "worktrees/b");
}

}  // namespace
}  // namespace ebbfs
