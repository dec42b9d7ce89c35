// SPDX-License-Identifier: Apache-2.0
//
// Many locks that are due together: what that costs, and that each is still judged by itself.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/fs/lock_fixture.h"

namespace ebbfs {
namespace {

using std::chrono::seconds;

constexpr int kManyLocks = 4 * static_cast<int>(LockReaper::kBatch) + 1;

class LockBatch : public WithLocks {
 protected:
  static std::string name(int number) { return "locks/" + std::to_string(number); }
  // Takes locks 0 to `count` - 1 and holds them past the helper window.
  ProcessId hold_many(int count = kManyLocks) {
    const ProcessId worker = start();
    for (int i = 0; i < count; ++i) EXPECT_TRUE(rig_.take_lock(name(i), worker.tgid));
    rig_.advance(seconds(3));
    return worker;
  }
  [[nodiscard]] std::size_t left() const { return rig_.tree.list("locks").size(); }
};

TEST_F(LockBatch, GoesWithTwoChangesOfTheIndexForEachBatch) {
  const ProcessId worker = hold_many();
  const std::uint64_t held = rig_.faults.commits();
  kill(worker);
  // One for the clock, as ever.
  EXPECT_LE(rig_.faults.commits(), held + 1) << "an owner that ends costs no change";
  rig_.advance(kRigLockGrace);
  const std::uint64_t before = rig_.faults.commits();
  rig_.reaper().run_once();
  EXPECT_EQ(left(), 0U);
  // The root unit is marked as in use, and the clock is kept.
  EXPECT_LE(rig_.faults.commits() - before, 2U * (kManyLocks / LockReaper::kBatch + 1) + 2);
  EXPECT_EQ(rig_.parts().locks->size(), 0U);
  EXPECT_TRUE(rig_.parts().index->load_locks()->empty());
  EXPECT_TRUE(rig_.exact());
}

TEST_F(LockBatch, IsToldLockByLock) {
  const ProcessId worker = hold_many();
  rig_.kernel.take();
  kill(worker);
  EXPECT_EQ(rig_.kernel.take().size(), static_cast<std::size_t>(kManyLocks));
  pass(kRigLockGrace);
  EXPECT_EQ(rig_.kernel.take().size(), static_cast<std::size_t>(kManyLocks));
  int reclaimed = 0;
  for (const EventRecord& event : rig_.events()) {
    reclaimed += event.kind == EventRecord::Kind::reclaimed ? 1 : 0;
  }
  EXPECT_EQ(reclaimed, kManyLocks);
}

TEST_F(LockBatch, KeepsWhatLivesOrIsOpenAmongThem) {
  const ProcessId other = start();
  ASSERT_TRUE(rig_.take_lock("locks/live", other.tgid));
  const ProcessId worker = hold_many();
  ASSERT_TRUE(rig_.take_lock("locks/named", worker.tgid, std::to_string(other.tgid) + "\n"));
  touch("locks/named");
  rig_.advance(seconds(3));
  OpenFile* const file = rig_.open(name(7));
  kill(worker);
  pass(kRigLockGrace);
  EXPECT_TRUE(rig_.exists("locks/live"));
  EXPECT_TRUE(rig_.exists("locks/named"));
  EXPECT_TRUE(rig_.exists(name(7)));
  EXPECT_EQ(left(), 3U);
  rig_.close(file);
  pass(seconds(1));
  EXPECT_FALSE(rig_.exists(name(7)));
  kill(other);
  pass(kRigLockGrace);
  EXPECT_EQ(left(), 0U);
  EXPECT_TRUE(rig_.exact());
}

TEST_F(LockBatch, LeavesAloneWhatWasReplacedAmongThem) {
  kill(hold_many());
  std::filesystem::remove(rig_.tree.at(name(3)));
  std::ofstream(rig_.tree.at(name(3))) << "another";
  pass(kRigLockGrace);
  EXPECT_TRUE(rig_.exists(name(3)));
  EXPECT_EQ(left(), 1U);
  EXPECT_EQ(rig_.parts().locks->size(), 0U);
}

TEST_F(LockBatch, StaysAsAWholeWhenItCannotBeToldOf) {
  kill(hold_many());
  rig_.faults.fail_commits(1, EIO, 1000);
  pass(kRigLockGrace);
  EXPECT_EQ(left(), static_cast<std::size_t>(kManyLocks));
  rig_.faults.fail_commits(1, EIO, 0);
  pass(seconds(1));
  EXPECT_EQ(left(), 0U);
}

TEST_F(LockBatch, TakesEmptyDirectoriesWithoutTheTrash) {
  const ProcessId worker = start();
  for (int i = 0; i < kManyLocks; ++i) ASSERT_TRUE(rig_.make_dir(name(i), worker.tgid));
  rig_.advance(seconds(3));
  kill(worker);
  pass(kRigLockGrace);
  EXPECT_EQ(left(), 0U);
  EXPECT_TRUE(rig_.trashed().empty());
  EXPECT_TRUE(rig_.exact());
}

TEST_F(LockBatch, WaitsForRequestsInItsUnit) {
  const ProcessId worker = hold_many(3);
  const UnitRef root = rig_.volume().units.find(kRootUnit);
  kill(worker);
  {
    // A request is inside.
    const auto inside = rig_.volume().units.use(root, rig_.clock.wall_now(), false);
    ASSERT_TRUE(inside.has_value());
    pass(kRigLockGrace);
    EXPECT_EQ(left(), 3U);
  }
  pass(seconds(1));
  EXPECT_EQ(left(), 0U);
}

}  // namespace
}  // namespace ebbfs
