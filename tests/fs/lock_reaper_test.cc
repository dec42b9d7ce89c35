// SPDX-License-Identifier: Apache-2.0
#include "fs/lock_reaper.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/fs/lock_fixture.h"
#include "tests/support/git.h"

namespace ebbfs {
namespace {

namespace stdfs = std::filesystem;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::nanoseconds;
using std::chrono::seconds;

class LockReaperTest : public WithLocks {
 protected:
  // A worker that takes locks/a and holds it past the helper window.
  ProcessId hold(const std::string& path = "locks/a", std::string_view content = "") {
    const ProcessId worker = start();
    EXPECT_TRUE(rig_.take_lock(path, worker.tgid, content));
    rig_.advance(seconds(3));
    return worker;
  }
};

TEST_F(LockReaperTest, RemovesTheLockOfAKilledOwnerWhenItsGraceIsOver) {
  kill(hold());
  pass(kRigLockGrace - nanoseconds(1));
  EXPECT_TRUE(rig_.exists("locks/a"));
  pass(nanoseconds(1));
  EXPECT_FALSE(rig_.exists("locks/a"));
  EXPECT_EQ(rig_.lock("locks/a"), nullptr);
  EXPECT_TRUE(rig_.parts().index->load_locks()->empty());
  EXPECT_TRUE(rig_.exact());
}

TEST_F(LockReaperTest, TellsWhatItRemovedAndWhy) {
  const ProcessId worker = hold();
  kill(worker);
  pass(kRigLockGrace);
  const auto event = rig_.last_event(EventRecord::Kind::reclaimed);
  ASSERT_TRUE(event.has_value());
  EXPECT_EQ(event->path, "locks/a");
  EXPECT_EQ(event->class_name, "lock");
  EXPECT_EQ(event->rule, "owner killed, grace 5s");
  EXPECT_EQ(event->owner, "uid=0 pid=" + std::to_string(worker.tgid) + " comm=worker");
  EXPECT_EQ(event->age, seconds(8));
  EXPECT_EQ(event->usage, (Usage{{0}, 1}));
}

TEST_F(LockReaperTest, TellsTheKernelToAskAgainAndThenThatItIsGone) {
  const ProcessId worker = hold();
  rig_.kernel.take();
  kill(worker);
  EXPECT_EQ(rig_.kernel.take(), std::vector<std::string>{"changed a"});
  pass(kRigLockGrace);
  EXPECT_EQ(rig_.kernel.take(), std::vector<std::string>{"removed a"});
}

TEST_F(LockReaperTest, NeverTakesALockWhoseOwnerLives) {
  hold();
  pass(hours(24 * 365));
  EXPECT_TRUE(rig_.exists("locks/a"));
}

TEST_F(LockReaperTest, KeepsAnOrphanWhileSomebodyHasItOpen) {
  const ProcessId worker = hold();
  OpenFile* const file = rig_.open("locks/a");
  kill(worker);
  pass(kRigLockGrace);
  pass(minutes(1));
  EXPECT_TRUE(rig_.exists("locks/a"));
  rig_.close(file);
  pass(seconds(1));
  EXPECT_FALSE(rig_.exists("locks/a"));
  EXPECT_TRUE(rig_.exact());
}

// Opened by the kernel alone, which only /proc tells.
TEST_F(LockReaperTest, KeepsAnOrphanedDirectoryWhileSomebodyHasItOpen) {
  const ProcessId worker = start();
  ASSERT_TRUE(rig_.make_dir("locks/d", worker.tgid));
  const auto inode = raw(rig_.at("locks/d"));
  rig_.advance(seconds(3));
  kill(worker);
  rig_.processes.set_inodes_in_use(fail(EACCES));
  pass(kRigLockGrace);
  EXPECT_TRUE(rig_.exists("locks/d"));
  rig_.processes.set_inodes_in_use(std::unordered_set{inode});
  pass(seconds(60));
  EXPECT_TRUE(rig_.exists("locks/d"));
  EXPECT_EQ(rig_.reaper().verdict(rig_.lock("locks/d")).verdict.reason, Reason::lock_open);
  rig_.processes.set_inodes_in_use(std::unordered_set<std::uint64_t>{});
  pass(seconds(60));
  EXPECT_FALSE(rig_.exists("locks/d"));
}

TEST_F(LockReaperTest, KeepsALockThatWasThereBeforeTheMountWhileSomebodyHasItOpen) {
  kill(hold());
  rig_.unmount();
  rig_.mount();
  rig_.processes.set_inodes_in_use(std::unordered_set{raw(rig_.at("locks/a"))});
  pass(hours(1));
  EXPECT_TRUE(rig_.exists("locks/a"));
  rig_.processes.set_inodes_in_use(std::unordered_set<std::uint64_t>{});
  pass(minutes(1));
  EXPECT_FALSE(rig_.exists("locks/a"));
}

TEST_F(LockReaperTest, LeavesAnotherFileOfTheSameNameAlone) {
  kill(hold());
  stdfs::remove(rig_.tree.at("locks/a"));
  std::ofstream(rig_.tree.at("locks/a")) << "another";
  pass(kRigLockGrace);
  EXPECT_TRUE(rig_.exists("locks/a"));
  EXPECT_EQ(rig_.lock("locks/a"), nullptr);
}

TEST_F(LockReaperTest, ForgetsALockThatIsGoneByItself) {
  kill(hold());
  stdfs::remove(rig_.tree.at("locks/a"));
  pass(kRigLockGrace);
  EXPECT_EQ(rig_.lock("locks/a"), nullptr);
  EXPECT_FALSE(rig_.last_event(EventRecord::Kind::reclaimed).has_value());
}

TEST_F(LockReaperTest, RemovesSymbolicLinks) {
  const ProcessId worker = start();
  ASSERT_TRUE(rig_.make_symlink("locks/a", "host:42", worker.tgid));
  rig_.advance(seconds(3));
  kill(worker);
  pass(kRigLockGrace);
  EXPECT_FALSE(rig_.exists("locks/a"));
  EXPECT_TRUE(rig_.exact());
}

TEST_F(LockReaperTest, RemovesOneNameOfAHardLinkedLockAndItsChargeWithTheLast) {
  const ProcessId worker = start();
  ASSERT_TRUE(rig_.write_file("unique", "42\n"));
  ASSERT_TRUE(rig_.link("unique", "locks/a", worker.tgid));
  rig_.advance(seconds(3));
  kill(worker);
  pass(kRigLockGrace);
  EXPECT_FALSE(rig_.exists("locks/a"));
  EXPECT_TRUE(rig_.exists("unique"));
  EXPECT_TRUE(rig_.exact());
}

class DirectoryLock : public LockReaperTest {
 protected:
  ProcessId hold_directory() {
    const ProcessId worker = start();
    EXPECT_TRUE(rig_.make_dir("locks/d", worker.tgid));
    EXPECT_TRUE(rig_.write_file("locks/d/pid", "x", worker.tgid));
    rig_.advance(seconds(3));
    return worker;
  }
};

TEST_F(DirectoryLock, GoesAsAWholeByWayOfTheTrash) {
  kill(hold_directory());
  pass(kRigLockGrace);
  EXPECT_FALSE(rig_.exists("locks/d"));
  EXPECT_EQ(rig_.parts().locks->size(), 0U);
  EXPECT_TRUE(rig_.exact());
  rig_.trash().purge_queued();
  EXPECT_TRUE(rig_.trashed().empty());
  EXPECT_EQ(rig_.trash().held().units, 0U);
  EXPECT_TRUE(rig_.exact());
}

TEST_F(DirectoryLock, StaysWhileAFileInItIsOpen) {
  const ProcessId worker = hold_directory();
  OpenFile* const file = rig_.open("locks/d/pid");
  kill(worker);
  pass(kRigLockGrace);
  pass(minutes(1));
  EXPECT_TRUE(rig_.exists("locks/d/pid"));
  rig_.close(file);
  pass(seconds(1));
  EXPECT_FALSE(rig_.exists("locks/d"));
  EXPECT_TRUE(rig_.exact());
}

TEST_F(DirectoryLock, StaysWhileALockInItLives) {
  const ProcessId worker = hold_directory();
  kill(worker);
  // Somebody opens the orphaned file for writing: it is theirs now.
  const ProcessId other = start();
  const auto file = rig_.parts().filesystem->open(
      {.uid = 0, .gid = 0, .tid = other.tgid, .umask = 022, .may_block = true},
      rig_.at("locks/d/pid"), O_WRONLY, false);
  ASSERT_TRUE(file.has_value());
  rig_.close(const_cast<Opened&>(*file).file.release());
  pass(kRigLockGrace);
  pass(minutes(1));
  EXPECT_TRUE(rig_.exists("locks/d/pid"));
  kill(other);
  pass(kRigLockGrace);
  pass(seconds(1));
  EXPECT_FALSE(rig_.exists("locks/d"));
  EXPECT_TRUE(rig_.exact());
}

TEST_F(DirectoryLock, IsNoneWhenThereIsTooMuchInIt) {
  const ProcessId worker = hold_directory();
  for (int i = 0; i < 5000; ++i) {
    std::ofstream(rig_.tree.at("locks/d/" + std::to_string(i)));
  }
  kill(worker);
  pass(kRigLockGrace);
  EXPECT_TRUE(rig_.exists("locks/d/4999"));
  EXPECT_EQ(rig_.lock("locks/d"), nullptr);
}

TEST_F(DirectoryLock, IsFinishedAfterACrashBetweenRenameAndDeletion) {
  kill(hold_directory());
  pass(kRigLockGrace);
  ASSERT_EQ(rig_.trashed().size(), 1U);
  rig_.crash();
  rig_.mount();
  EXPECT_TRUE(rig_.exact());
  rig_.trash().purge_queued();
  EXPECT_TRUE(rig_.trashed().empty());
  EXPECT_TRUE(rig_.exact());
}

TEST_F(LockReaperTest, GivesTheNameToWhoeverMeetsItAfterItsGrace) {
  kill(hold());
  rig_.kernel.take();
  rig_.advance(kRigLockGrace);
  const ProcessId next = start();
  EXPECT_TRUE(rig_.take_lock("locks/a", next.tgid));
  EXPECT_TRUE(rig_.kernel.take().empty());  // the request was about that very name
  const LockRef lock = rig_.lock("locks/a");
  ASSERT_NE(lock, nullptr);
  const MutexLock held(lock->mu);
  EXPECT_EQ(lock->record.owner.process.id, next);
}

TEST_F(LockReaperTest, RefusesTheNameToWhoeverMeetsItBefore) {
  kill(hold());
  rig_.advance(kRigLockGrace - nanoseconds(1));
  EXPECT_EQ(rig_.take_lock("locks/a", start().tgid).error(), Errno{EEXIST});
}

TEST_F(LockReaperTest, IsRemovedUnderARequestThatIsInTheSameUnitOnlyAfterwards) {
  kill(hold());
  rig_.advance(kRigLockGrace);
  {
    const auto inside =
        rig_.parts().units->use(rig_.parts().units->root(), rig_.clock.wall_now(), true);
    rig_.reaper().run_once();
    EXPECT_TRUE(rig_.exists("locks/a"));
  }
  pass(std::chrono::milliseconds(50));
  EXPECT_FALSE(rig_.exists("locks/a"));
}

TEST_F(LockReaperTest, RemovesNothingWhenThePolicyOnlyObservesAndSaysSoOnce) {
  rig_.reload("mode = \"observe\"\n" + rig_.policy_text);
  kill(hold());
  for (int i = 0; i < 5; ++i) pass(kRigLockGrace);
  EXPECT_TRUE(rig_.exists("locks/a"));
  EXPECT_EQ(rig_.take_lock("locks/a", start().tgid).error(), Errno{EEXIST});
  int told = 0;
  for (const EventRecord& event : rig_.events()) {
    told += event.kind == EventRecord::Kind::would_remove ? 1 : 0;
  }
  EXPECT_EQ(told, 1);
  // And goes when the policy enforces again.
  rig_.reload(rig_.policy_text);
  rig_.reaper().run_once();
  EXPECT_FALSE(rig_.exists("locks/a"));
}

TEST_F(LockReaperTest, RemovesTheLockOfAnUnknownOwnerWhenUntouchedForItsTtl) {
  ASSERT_TRUE(rig_.take_lock("locks/a", 0));
  touch("locks/a");
  pass(kRigLockTtl - nanoseconds(1));
  EXPECT_TRUE(rig_.exists("locks/a"));
  pass(nanoseconds(1));
  EXPECT_FALSE(rig_.exists("locks/a"));
  EXPECT_EQ(rig_.last_event(EventRecord::Kind::reclaimed)->rule, "owner unknown, untouched 5m");
}

TEST_F(LockReaperTest, KeepsTheLockOfAnUnknownOwnerThatTouchesIt) {
  ASSERT_TRUE(rig_.take_lock("locks/a", 0));
  for (int i = 0; i < 10; ++i) {
    touch("locks/a");
    pass(kRigLockTtl - seconds(1));
    EXPECT_TRUE(rig_.exists("locks/a"));
  }
  pass(seconds(1));
  EXPECT_FALSE(rig_.exists("locks/a"));
}

TEST_F(LockReaperTest, ReclaimsGitsOwnLockFilesAndNobodyElses) {
  make_repository(rig_.tree.at("repo"));
  rig_.crash();
  rig_.mount();
  const ProcessId worker = start();
  ASSERT_TRUE(rig_.take_lock("repo/.git/index.lock", worker.tgid));
  ASSERT_TRUE(rig_.take_lock("repo/Cargo.lock", worker.tgid));
  rig_.advance(seconds(3));
  kill(worker);
  pass(kRigLockGrace);
  EXPECT_FALSE(rig_.exists("repo/.git/index.lock"));
  EXPECT_TRUE(rig_.exists("repo/Cargo.lock"));
  EXPECT_TRUE(rig_.exact());
}

TEST_F(LockReaperTest, ReportsWhatHoldsALock) {
  const ProcessId worker = hold();
  const auto report = [&] { return rig_.reaper().verdict(rig_.lock("locks/a")); };
  ASSERT_EQ(report().blockers.size(), 1U);
  EXPECT_EQ(report().blockers[0].reason, Reason::owner_alive);
  EXPECT_EQ(report().blockers[0].text, "pid " + std::to_string(worker.tgid) + " (worker), lives");
  kill(worker);
  ASSERT_EQ(report().blockers.size(), 1U);
  EXPECT_EQ(report().blockers[0].reason, Reason::in_grace);
  EXPECT_EQ(report().blockers[0].text, "its grace lasts for another 5s");
  EXPECT_EQ(report().rule, "owner killed, grace 5s");
}

TEST_F(LockReaperTest, RemovesAnOrphanOnRequestWithoutWaitingForItsGrace) {
  kill(hold());
  const LockRef lock = rig_.lock("locks/a");
  EXPECT_EQ(rig_.reaper().expire(lock, true).verdict.action, Verdict::Action::remove);
  EXPECT_TRUE(rig_.exists("locks/a"));
  EXPECT_EQ(rig_.reaper().expire(lock, false).verdict.action, Verdict::Action::remove);
  EXPECT_FALSE(rig_.exists("locks/a"));
  EXPECT_TRUE(rig_.last_event(EventRecord::Kind::requested).has_value());
  EXPECT_TRUE(rig_.exact());
}

TEST_F(LockReaperTest, RefusesToRemoveALiveLockOnRequest) {
  hold();
  const Report report = rig_.reaper().expire(rig_.lock("locks/a"), false);
  EXPECT_EQ(report.verdict.action, Verdict::Action::keep);
  EXPECT_EQ(report.blockers.size(), 1U);
  EXPECT_TRUE(rig_.exists("locks/a"));
}

TEST_F(LockReaperTest, RemovesNothingThatItCannotTellOf) {
  kill(hold());
  rig_.faults.fail_commits(1, EIO, 1000);
  pass(kRigLockGrace);
  EXPECT_TRUE(rig_.exists("locks/a"));
  rig_.faults.fail_commits(1, EIO, 0);
  pass(seconds(1));
  EXPECT_FALSE(rig_.exists("locks/a"));
}

}  // namespace
}  // namespace ebbfs
