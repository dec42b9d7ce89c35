// SPDX-License-Identifier: Apache-2.0
//
// Who owns a lock after its owner has ended: fs/lock_owners.cc.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/support/volume_rig.h"

namespace ebbfs {
namespace {

namespace stdfs = std::filesystem;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using Life = OwnerState::Life;

class LockOwners : public testing::Test {
 protected:
  explicit LockOwners(const std::string& policy = kRigPolicy) : rig_(policy) {
    rig_.mount();
    EXPECT_TRUE(rig_.make_dir("locks"));
    rig_.advance(seconds(10));
  }
  ProcessId start(const ProcessId& parent = {}) {
    return rig_.processes.start({.parent = parent.known() ? parent.tgid : 1});
  }
  void take(const ProcessId& owner) { ASSERT_TRUE(rig_.take_lock("locks/a", owner.tgid)); }
  // `owner` ends as said, `after` having taken the lock.
  void end(const ProcessId& owner, Life how, Duration after) {
    rig_.advance(after);
    rig_.processes.end(owner, how);
    rig_.reaper().run_once();
  }
  void pass(Duration time) {
    rig_.advance(time);
    rig_.reaper().run_once();
  }
  LockRecord record() {
    const LockRef lock = rig_.lock("locks/a");
    const MutexLock held(lock->mu);
    return lock->record;
  }
  bool held() { return rig_.exists("locks/a"); }
  void remount() {
    rig_.unmount();
    rig_.mount();
  }

  VolumeRig rig_;
};

TEST_F(LockOwners, AHelperHandsItsLockToItsParentInFull) {
  const ProcessId worker = start();
  const ProcessId helper = start(worker);
  take(helper);
  end(helper, Life::exited, milliseconds(5));
  EXPECT_EQ(record().owner.process.id, worker);
  EXPECT_EQ(record().certainty, OwnerCertainty::certain);
  EXPECT_TRUE(rig_.last_event(EventRecord::Kind::handed_over).has_value());
  pass(hours(24));
  EXPECT_TRUE(held());
  end(worker, Life::killed, {});
  pass(kRigLockGrace);
  EXPECT_FALSE(held());
}

TEST_F(LockOwners, AChainOfHelpersHandsItUpToTheFirstThatLives) {
  const ProcessId worker = start();
  const ProcessId shell = start(worker);
  const ProcessId helper = start(shell);
  take(helper);
  rig_.advance(milliseconds(5));
  rig_.processes.exit(shell);
  rig_.processes.exit(helper);
  rig_.reaper().run_once();
  EXPECT_EQ(record().owner.process.id, worker);
  EXPECT_EQ(record().certainty, OwnerCertainty::certain);
}

TEST_F(LockOwners, AParentThatWasKilledMeanwhileLeavesAnOrphan) {
  const ProcessId worker = start();
  const ProcessId helper = start(worker);
  take(helper);
  rig_.advance(milliseconds(5));
  rig_.processes.exit(helper);
  rig_.processes.kill(worker);
  rig_.reaper().run_once();
  pass(kRigLockGrace);
  EXPECT_FALSE(held());
}

TEST_F(LockOwners, AKilledHelperLeavesAnOrphan) {
  const ProcessId worker = start();
  const ProcessId helper = start(worker);
  take(helper);
  end(helper, Life::killed, milliseconds(5));
  pass(kRigLockGrace);
  EXPECT_FALSE(held());
}

TEST_F(LockOwners, AWorkerThatForgotItsLockLeavesAnOrphan) {
  const ProcessId worker = start(start());
  take(worker);
  end(worker, Life::exited, kHelperWindow + milliseconds(1));
  pass(kRigLockGrace);
  EXPECT_FALSE(held());
}

TEST_F(LockOwners, AnEndNobodyKnowsTheWayOfMakesTheParentUncertain) {
  const ProcessId worker = start();
  const ProcessId helper = start(worker);
  take(helper);
  end(helper, Life::ended, milliseconds(5));
  EXPECT_EQ(record().owner.process.id, worker);
  EXPECT_EQ(record().certainty, OwnerCertainty::uncertain);
  // An uncertain owner holds it by touching it, not by being alive.
  pass(kRigLockTtl - seconds(1));
  EXPECT_TRUE(held());
  pass(seconds(2));
  EXPECT_FALSE(held());
}

TEST_F(LockOwners, AHelperOfNobodyLeavesALockOfAnUnknownOwner) {
  const ProcessId helper = start();
  take(helper);
  end(helper, Life::exited, milliseconds(5));
  EXPECT_EQ(record().certainty, OwnerCertainty::unknown);
  pass(kRigLockGrace + seconds(1));
  EXPECT_TRUE(held());
  pass(kRigLockTtl);
  EXPECT_FALSE(held());
}

TEST_F(LockOwners, AnEndNoticedLateCountsFromWhenItCanHaveBeen) {
  const ProcessId worker = start();
  const ProcessId helper = start(worker);
  take(helper);
  Brake brake(rig_.volume());
  LockReaper reaper(rig_.volume(), rig_.trash(), rig_.kernel, brake);
  const WallTime made = record().made;
  const EndedOwner ended{helper, {}, {.life = Life::exited, .ended_at = made + seconds(10)}};
  rig_.advance(seconds(10));
  reaper.owner_ended(ended, made + milliseconds(1));
  EXPECT_EQ(record().owner.process.id, worker);
}

TEST_F(LockOwners, AnOwnerThatCannotBeSeenIsNotTakenForDead) {
  const ProcessId worker = start();
  take(worker);
  rig_.processes.hide(worker);
  pass(hours(24));
  EXPECT_TRUE(held());
}

// ---- after a restart
// -----------------------------------------------------------------------------

TEST_F(LockOwners, ALiveOwnerHoldsItsLockAcrossARestart) {
  const ProcessId worker = start();
  take(worker);
  remount();
  pass(hours(24));
  EXPECT_TRUE(held());
  end(worker, Life::killed, {});
  pass(kRigLockGrace);
  EXPECT_FALSE(held());
}

TEST_F(LockOwners, AnOwnerThatEndedWhileNobodyWatchedLeavesAnOrphan) {
  const ProcessId worker = start(start());
  take(worker);
  pass(seconds(5));  // seen to have outlived the helper window
  rig_.unmount();
  rig_.processes.end(worker, Life::ended);
  rig_.advance(minutes(1));
  rig_.mount();
  rig_.reaper().run_once();
  pass(kRigLockGrace - milliseconds(1));
  EXPECT_TRUE(held());
  pass(milliseconds(1));
  EXPECT_FALSE(held());
}

TEST_F(LockOwners, APossibleHelperThatEndedWhileNobodyWatchedMakesItsParentUncertain) {
  const ProcessId worker = start();
  const ProcessId helper = start(worker);
  take(helper);
  rig_.unmount();
  rig_.processes.end(helper, Life::ended);
  rig_.advance(minutes(1));
  rig_.mount();
  EXPECT_EQ(record().owner.process.id, worker);
  EXPECT_EQ(record().certainty, OwnerCertainty::uncertain);
  pass(kRigLockGrace + seconds(1));
  EXPECT_TRUE(held());
}

TEST_F(LockOwners, APossibleHelperWhoseParentsAreGoneTooLeavesAnOrphan) {
  const ProcessId worker = start();
  const ProcessId helper = start(worker);
  take(helper);
  rig_.unmount();
  rig_.processes.end(helper, Life::ended);
  rig_.processes.end(worker, Life::ended);
  rig_.advance(minutes(1));
  rig_.mount();
  pass(kRigLockGrace);
  EXPECT_FALSE(held());
}

TEST_F(LockOwners, ARebootLeavesOrphans) {
  take(start(start()));
  rig_.unmount();
  rig_.processes.reboot();
  rig_.advance(minutes(1));
  rig_.mount();
  pass(kRigLockGrace - milliseconds(1));
  EXPECT_TRUE(held());
  pass(milliseconds(1));
  EXPECT_FALSE(held());
}

TEST_F(LockOwners, ALockWhoseNameIsGoneIsForgottenAtTheStart) {
  take(start());
  rig_.unmount();
  stdfs::remove(rig_.tree.at("locks/a"));
  rig_.mount();
  EXPECT_EQ(rig_.lock("locks/a"), nullptr);
  EXPECT_TRUE(rig_.parts().index->load_locks()->empty());
}

TEST_F(LockOwners, ALockThatWasReplacedIsForgottenAtTheStart) {
  take(start());
  rig_.unmount();
  stdfs::remove(rig_.tree.at("locks/a"));
  rig_.tree.write_file("locks/other", "");
  stdfs::rename(rig_.tree.at("locks/other"), rig_.tree.at("locks/a"));
  rig_.mount();
  EXPECT_EQ(rig_.lock("locks/a"), nullptr);
  EXPECT_TRUE(rig_.exists("locks/a"));
}

TEST_F(LockOwners, ALockOfAnUnknownOwnerKeepsItsClockAcrossARestart) {
  ASSERT_TRUE(rig_.take_lock("locks/a", 0));
  rig_.unmount();
  rig_.advance(kRigLockTtl + seconds(1));
  rig_.mount();
  rig_.reaper().run_once();
  EXPECT_FALSE(held());
}

TEST_F(LockOwners, AncestorsAreForgottenOnceTheOwnerCannotBeAHelper) {
  const ProcessId worker = start(start());
  take(worker);
  EXPECT_EQ(record().ancestors.size(), 1U);
  pass(kHelperWindow);
  EXPECT_EQ(record().ancestors.size(), 1U);
  pass(seconds(2));
  EXPECT_TRUE(record().ancestors.empty());
  EXPECT_EQ(record().owner.process.id, worker);
  EXPECT_EQ(rig_.processes.watches(worker), 1U);
}

// ---- cgroups
// -------------------------------------------------------------------------------------

class CgroupOwners : public LockOwners {
 protected:
  CgroupOwners()
      : LockOwners(R"(
[volume]
adopt_grace = "0s"
[[class]]
name = "lock"
kind = "lock"
match = ["locks/**"]
owner = "cgroup"
ttl = "2h"
)") {}
  ProcessId take_in(const std::string& cgroup) {
    const ProcessId maker = rig_.processes.start({.cgroup = cgroup});
    take(maker);
    return maker;
  }
};

TEST_F(CgroupOwners, TheLockOutlivesItsProcessButNotItsCgroup) {
  const ProcessId maker = take_in("/job");
  end(maker, Life::killed, seconds(3));
  pass(hours(1));
  EXPECT_TRUE(held());
  rig_.processes.empty_cgroup("/job");
  rig_.reaper().run_once();
  pass(kRigLockGrace);
  EXPECT_FALSE(held());
}

TEST_F(CgroupOwners, ACgroupThatFillsAgainWithinTheGraceKeepsItsLock) {
  take_in("/job");
  rig_.processes.empty_cgroup("/job");
  rig_.reaper().run_once();
  rig_.processes.populate_cgroup("/job");
  pass(kRigLockGrace);
  EXPECT_TRUE(held());
  rig_.processes.empty_cgroup("/job");
  rig_.reaper().run_once();
  pass(kRigLockGrace);
  EXPECT_FALSE(held());
}

// As where the daemon runs in a container with a cgroup namespace of its own.
TEST_F(CgroupOwners, ACgroupThatCannotBeSeenLeavesItsLockToTheTtl) {
  const ProcessId maker = take_in("/../job");
  pass(hours(1));
  EXPECT_TRUE(held());
  end(maker, Life::killed, seconds(0));
  pass(minutes(30));
  EXPECT_TRUE(held());
  pass(minutes(31));
  EXPECT_FALSE(held());
}

TEST_F(CgroupOwners, ACgroupOfTheSameNameAfterARebootIsAnother) {
  take_in("/job");
  rig_.unmount();
  rig_.processes.reboot();
  rig_.processes.populate_cgroup("/job");
  rig_.mount();
  pass(kRigLockGrace);
  EXPECT_FALSE(held());
}

}  // namespace
}  // namespace ebbfs
