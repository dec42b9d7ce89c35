// SPDX-License-Identifier: Apache-2.0
//
// What one run leaves for the next: format, marks, identities.
#include <gtest/gtest.h>

#include "tests/index/outcome.h"
#include "tests/index/sample_records.h"
#include "tests/index/unit_index_fixture.h"
#include "tests/support/mem_store.h"

namespace ebbfs {
namespace {

class UnitIndexOpenTest : public UnitIndexTest {};

// ---- Format ----

TEST_F(UnitIndexOpenTest, RefusesANewerFormat) {
  plant(Table::meta, "format", {"\0\0\0\3", 4});
  EXPECT_EQ(error_of(UnitIndex::open(fault_)), EPROTO);
}

TEST_F(UnitIndexOpenTest, RefusesAFormatThatNeverWas) {
  plant(Table::meta, "format", {"\0\0\0\0", 4});
  EXPECT_EQ(error_of(UnitIndex::open(fault_)), EBADMSG);
  plant(Table::meta, "format", "1");
  EXPECT_EQ(error_of(UnitIndex::open(fault_)), EBADMSG);
}

TEST_F(UnitIndexOpenTest, RefusesRowsThatAreNotItsOwn) {
  plant(Table::deadlines, "short", "");
  EXPECT_EQ(error_of(UnitIndex::open(fault_)), EBADMSG);
}

TEST_F(UnitIndexOpenTest, RefusesOwnersThatAreNotItsOwn) {
  plant(Table::owners, "short", "");
  EXPECT_EQ(error_of(UnitIndex::open(fault_)), EBADMSG);
}

TEST_F(UnitIndexOpenTest, RefusesAVolumeStateThatDoesNotDecode) {
  plant(Table::meta, "volume", "garbage");
  EXPECT_EQ(error_of(UnitIndex::open(fault_)), EBADMSG);
}

TEST(UnitIndexFormat, RefusesAStoreOfSomethingElse) {
  MemStore store;
  Batch batch;
  batch.put(Table::history, "k", "v");
  EXPECT_EQ(error_of(store.commit(batch, Durability::process_crash)), 0);
  EXPECT_EQ(error_of(UnitIndex::open(store)), EBADMSG);
}

// ---- Volume state ----

TEST_F(UnitIndexOpenTest, IsFreshUntilFirstMounted) {
  EXPECT_EQ(index_->volume_state(), VolumeState{});
  crash_and_reopen();
  EXPECT_TRUE(index_->volume_state().fresh);
  EXPECT_EQ(error_of(index_->mark_mounted(sample_boot(), at(77))), 0);
  EXPECT_TRUE(index_->volume_state().fresh) << "as found at open";
  EXPECT_EQ(index_->volume_state().first_mounted, at(77));
  crash_and_reopen();
  const VolumeState want = {.fresh = false,
                            .clean = false,
                            .boot = sample_boot(),
                            .first_mounted = at(77),
                            .adopted = false,
                            .rebuilt_at = {},
                            .rebuilt_why = {}};
  EXPECT_EQ(index_->volume_state(), want);
}

TEST_F(UnitIndexOpenTest, KeepsTheTimeOfTheFirstMount) {
  EXPECT_EQ(error_of(index_->mark_mounted(sample_boot(), at(77))), 0);
  crash_and_reopen();
  EXPECT_EQ(error_of(index_->mark_mounted(BootId{}, at(88))), 0);
  crash_and_reopen();
  EXPECT_EQ(index_->volume_state().first_mounted, at(77));
  EXPECT_EQ(index_->volume_state().boot, BootId{});
}

TEST_F(UnitIndexOpenTest, IsCleanOnlyAfterAnOrderlyEnd) {
  EXPECT_EQ(error_of(index_->mark_mounted(sample_boot(), at(77))), 0);
  EXPECT_EQ(error_of(index_->mark_clean()), 0);
  crash_and_reopen();
  EXPECT_TRUE(index_->volume_state().clean);
  EXPECT_EQ(error_of(index_->mark_mounted(sample_boot(), at(78))), 0);
  crash_and_reopen();
  EXPECT_FALSE(index_->volume_state().clean);
}

TEST_F(UnitIndexOpenTest, RemembersThatItTookThePlaceOfALostOne) {
  index_->set_rebuilt(at(76), "it was corrupt");
  EXPECT_EQ(error_of(index_->mark_mounted(sample_boot(), at(77))), 0);
  EXPECT_EQ(error_of(index_->mark_clean()), 0);
  crash_and_reopen();
  EXPECT_TRUE(index_->volume_state().rebuilt());
  EXPECT_EQ(index_->volume_state().rebuilt_at, at(76));
  EXPECT_EQ(index_->volume_state().rebuilt_why, "it was corrupt");
}

TEST_F(UnitIndexOpenTest, GivesNoTrashIdThatIsInUseUnknownToIt) {
  EXPECT_EQ(error_of(index_->skip_trash_id(TrashId{200'000})), 0);
  EXPECT_EQ(index_->next_trash_id(), TrashId{200'001});
  EXPECT_EQ(error_of(index_->skip_trash_id(TrashId{5})), 0);
  EXPECT_EQ(index_->next_trash_id(), TrashId{200'002});
  crash_and_reopen();
  EXPECT_GT(index_->next_trash_id(), TrashId{200'002});
}

TEST_F(UnitIndexOpenTest, RemembersThatAdoptionIsComplete) {
  EXPECT_EQ(error_of(index_->mark_mounted(sample_boot(), at(77))), 0);
  EXPECT_EQ(error_of(index_->mark_adopted()), 0);
  EXPECT_TRUE(index_->volume_state().adopted);
  crash_and_reopen();
  EXPECT_TRUE(index_->volume_state().adopted);
}

TEST_F(UnitIndexOpenTest, SyncsTheMarksThatRecoveryReliesOn) {
  EXPECT_EQ(error_of(index_->mark_mounted(sample_boot(), at(77))), 0);
  EXPECT_EQ(fault_.synced_commits(), 1U);
  EXPECT_EQ(error_of(index_->mark_clean()), 0);
  EXPECT_EQ(fault_.synced_commits(), 2U);
}

// ---- Identities ----

TEST_F(UnitIndexOpenTest, RepeatsNoIdAfterACrash) {
  const UnitId unit = index_->next_unit_id();
  const LockId lock = index_->next_lock_id();
  const TrashId trash = index_->next_trash_id();
  crash_and_reopen();
  EXPECT_GT(index_->next_unit_id(), unit);
  EXPECT_GT(index_->next_lock_id(), lock);
  EXPECT_GT(index_->next_trash_id(), trash);
}

TEST_F(UnitIndexOpenTest, LeavesNoGapInIdsAfterAnOrderlyEnd) {
  EXPECT_EQ(index_->next_unit_id(), UnitId{1});
  EXPECT_EQ(index_->next_trash_id(), TrashId{1});
  EXPECT_EQ(error_of(index_->mark_clean()), 0);
  crash_and_reopen();
  EXPECT_EQ(index_->next_unit_id(), UnitId{2});
  EXPECT_EQ(index_->next_lock_id(), LockId{1});
  EXPECT_EQ(index_->next_trash_id(), TrashId{2});
}

TEST_F(UnitIndexOpenTest, StoresNothingUnderAnIdThatACrashCouldRepeat) {
  fault_.fail_commits(1, ENOSPC, 2 * IdCounter::kBlock);
  UnitId unit{};
  for (std::uint64_t i = 0; i <= IdCounter::kBlock; ++i) unit = index_->next_unit_id();
  EXPECT_EQ(error_of(index_->put_unit(sample_unit(unit), at(5))), ENOSPC);
  fault_.fail_commits(0, 0, 0);
  EXPECT_EQ(error_of(index_->put_unit(sample_unit(unit), at(5))), 0);
  crash_and_reopen();
  EXPECT_GT(index_->next_unit_id(), unit);
}

}  // namespace
}  // namespace ebbfs
