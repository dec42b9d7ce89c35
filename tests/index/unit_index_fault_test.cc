// SPDX-License-Identifier: Apache-2.0
//
// A refused commit changes nothing, neither in the store nor in memory, and can be tried again.
#include <gtest/gtest.h>

#include <functional>

#include "tests/index/index_picture.h"
#include "tests/index/outcome.h"
#include "tests/index/sample_records.h"
#include "tests/support/fault_store.h"
#include "tests/support/mem_store.h"

namespace ebbfs {
namespace {

struct Case {
  const char* name;
  std::function<int(UnitIndex&)> change;  // returns the errno
};

void PrintTo(const Case& row, std::ostream* out) { *out << row.name; }

const Case kCases[] = {
    {"put_new_unit",
     [](UnitIndex& index) {
       return error_of(index.put_unit(sample_unit(UnitId{9}, 1, 1), at(1)));
     }},
    {"put_changed_unit",
     [](UnitIndex& index) {
       return error_of(index.put_unit(sample_unit(UnitId{1}, 2, 2), at(1)));
     }},
    {"erase_unit", [](UnitIndex& index) { return error_of(index.erase_unit(UnitId{1})); }},
    {"put_new_lock",
     [](UnitIndex& index) {
       return error_of(index.put_lock(sample_lock(LockId{9}, 1, 1), kNever));
     }},
    {"hand_over_lock",
     [](UnitIndex& index) {
       return error_of(index.put_lock(sample_lock(LockId{1}, 3, 1), kNever));
     }},
    {"erase_lock", [](UnitIndex& index) { return error_of(index.erase_lock(LockId{1})); }},
    {"intend_trash",
     [](UnitIndex& index) {
       return error_of(index.intend_trash(sample_trash(TrashId{9}, UnitId{1}, at(50)), {}));
     }},
    {"store_trash",
     [](UnitIndex& index) {
       return error_of(index.store_trash(sample_trash(TrashId{1}, UnitId{1}, at(50))));
     }},
    {"abandon_trash", [](UnitIndex& index) { return error_of(index.abandon_trash(TrashId{1})); }},
    {"erase_stored_trash",
     [](UnitIndex& index) { return error_of(index.erase_trash(TrashId{2})); }},
    {"reschedule_later",
     [](UnitIndex& index) { return error_of(index.reschedule(Deadline::Kind::unit, 1, at(99))); }},
    {"reschedule_never",
     [](UnitIndex& index) { return error_of(index.reschedule(Deadline::Kind::unit, 1, kNever)); }},
    {"append_event", [](UnitIndex& index) { return error_of(index.append_event({})); }},
    {"append_events",
     [](UnitIndex& index) { return error_of(index.append_events(std::vector<EventRecord>(2))); }},
};

class UnitIndexFault : public testing::TestWithParam<Case> {
 protected:
  // A unit, a lock, an intent and a piece of stored trash, numbered 1, 1, 1 and 2.
  UnitIndexFault() {
    EXPECT_EQ(error_of(index_->put_unit(sample_unit(UnitId{1}, 1, 1), at(5))), 0);
    EXPECT_EQ(error_of(index_->put_lock(sample_lock(LockId{1}, 2, 1), kNever)), 0);
    EXPECT_EQ(error_of(index_->intend_trash(sample_trash(TrashId{1}, UnitId{1}, at(50)), {})), 0);
    EXPECT_EQ(error_of(index_->store_trash(sample_trash(TrashId{2}, UnitId{2}, at(60)))), 0);
  }

  MemStore memory_;
  FaultStore fault_{memory_};
  std::unique_ptr<UnitIndex> index_ = UnitIndex::open(fault_).value();
};

INSTANTIATE_TEST_SUITE_P(Changes, UnitIndexFault, testing::ValuesIn(kCases),
                         [](const auto& row) { return row.param.name; });

TEST_P(UnitIndexFault, ChangesNothingWhenRefusedAndAllWhenTriedAgain) {
  const Picture before = take_picture(*index_);
  fault_.fail_commits(1, EIO);
  EXPECT_EQ(GetParam().change(*index_), EIO);
  EXPECT_EQ(take_picture(*index_), before);
  EXPECT_EQ(take_picture(*UnitIndex::open(memory_).value()), before);

  EXPECT_EQ(GetParam().change(*index_), 0);
  const Picture after = take_picture(*index_);
  EXPECT_NE(after, before);
  EXPECT_EQ(take_picture(*UnitIndex::open(memory_).value()), after);
}

TEST(UnitIndexFaultMarks, LeaveTheStateAsItWas) {
  MemStore memory;
  FaultStore fault(memory);
  const auto index = UnitIndex::open(fault).value();
  fault.fail_commits(1, EIO, 3);
  EXPECT_EQ(error_of(index->mark_mounted(sample_boot(), at(7))), EIO);
  EXPECT_EQ(error_of(index->mark_adopted()), EIO);
  EXPECT_EQ(error_of(index->mark_clean()), EIO);
  EXPECT_EQ(index->volume_state(), VolumeState{});
  EXPECT_EQ(error_of(index->mark_mounted(sample_boot(), at(8))), 0);
  EXPECT_EQ(index->volume_state().first_mounted, at(8));
}

TEST(UnitIndexFaultOpen, FailsWithTheErrorOfAnyCommitAndLeavesAUsableStore) {
  MemStore memory;
  FaultStore fault(memory);
  int error = EIO;
  for (std::uint64_t nth = 1; error != 0; ++nth) {
    ASSERT_LT(nth, 20U) << "opening commits without end";
    fault.fail_commits(nth, EIO);
    error = error_of(UnitIndex::open(fault));
  }
  EXPECT_EQ(error_of(UnitIndex::open(memory)), 0);
}

}  // namespace
}  // namespace ebbfs
