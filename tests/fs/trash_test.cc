// SPDX-License-Identifier: Apache-2.0
#include "fs/trash.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <thread>

#include "tests/support/git.h"
#include "tests/support/volume_rig.h"

namespace ebbfs {
namespace {

namespace stdfs = std::filesystem;
using std::chrono::hours;
using std::chrono::minutes;

class TrashTest : public testing::Test {
 protected:
  TrashTest() {
    rig_.mount();
    EXPECT_TRUE(rig_.make_dir("worktrees"));
    EXPECT_TRUE(rig_.make_dir("worktrees/a"));
    EXPECT_TRUE(rig_.write_file("worktrees/a/one", std::string(5000, 'x')));
    EXPECT_TRUE(rig_.make_dir("worktrees/a/sub"));
    EXPECT_TRUE(rig_.write_file("worktrees/a/sub/two", "x"));
    EXPECT_TRUE(rig_.change_owner("worktrees/a/one", 1000, 1000));
  }
  // Removes worktrees/a on request.
  TrashRecord expire() {
    const auto expired = rig_.reaper().expire(rig_.unit("worktrees/a"), false);
    EXPECT_TRUE(expired.trash.has_value());
    return expired.trash.value_or(TrashRecord{});
  }
  // The intent of removing worktrees/a, as a crash right after it leaves it.
  TrashRecord intend() {
    const UnitRef unit = rig_.unit("worktrees/a");
    TrashRecord record;
    record.id = rig_.parts().index->next_trash_id();
    record.unit = unit->record();
    record.removed = rig_.clock.wall_now();
    record.purge_after = record.removed + minutes(10);
    EXPECT_TRUE(rig_.parts().index->intend_trash(record, EventRecord{}));
    return record;
  }
  void crash_and_mount() {
    rig_.crash();
    rig_.mount();
  }

  VolumeRig rig_;
};

constexpr Usage kHeldByA{{8192 + 4096}, 4};  // what worktrees/a holds

TEST_F(TrashTest, KeepsWhatItGetsChargedToTheVolumeAlone) {
  const TrashRecord record = expire();
  EXPECT_FALSE(rig_.exists("worktrees/a"));
  EXPECT_EQ(rig_.trashed(), std::vector<std::string>{std::to_string(raw(record.id))});
  EXPECT_EQ(rig_.trash().held().usage, kHeldByA);
  EXPECT_EQ(rig_.trash().held().units, 1U);
  EXPECT_EQ(rig_.parts().ledger.class_usage("worktree"), Usage{});
  EXPECT_TRUE(rig_.exact());
}

TEST_F(TrashTest, IsChargedTheSameAfterARemount) {
  expire();
  rig_.unmount();
  rig_.mount();
  EXPECT_EQ(rig_.trash().held().usage, kHeldByA);
  EXPECT_EQ(rig_.parts().ledger.class_usage("worktree"), Usage{});
  EXPECT_TRUE(rig_.exact());
}

TEST_F(TrashTest, PutsAUnitBackAsItWasButUsedJustNow) {
  const UnitRecord before = rig_.unit("worktrees/a")->record();
  const TrashRecord record = expire();
  rig_.advance(minutes(5));
  const auto restored = rig_.trash().restore(record.id, {});
  ASSERT_TRUE(restored.has_value());
  EXPECT_EQ(restored->path, "worktrees/a");
  const UnitRef unit = rig_.unit("worktrees/a");
  ASSERT_EQ(unit, restored->unit);
  EXPECT_EQ(unit->record().owner, before.owner);
  EXPECT_EQ(unit->record().created, before.created);
  EXPECT_EQ(unit->last_used(), rig_.clock.wall_now());
  EXPECT_EQ(rig_.tree.read_file("worktrees/a/sub/two"), "x");
  EXPECT_TRUE(rig_.trashed().empty());
  EXPECT_TRUE(rig_.last_event(EventRecord::Kind::restored).has_value());
  EXPECT_TRUE(rig_.exact());
  // And it can be used, and expires again in its time.
  EXPECT_TRUE(rig_.write_file("worktrees/a/three", "x"));
  EXPECT_TRUE(rig_.exact());
  rig_.advance(hours(1));
  rig_.reaper().run_once();
  EXPECT_FALSE(rig_.exists("worktrees/a"));
}

TEST_F(TrashTest, KeepsARestoredUnitAcrossARemount) {
  const TrashRecord record = expire();
  ASSERT_TRUE(rig_.trash().restore(record.id, {}));
  rig_.unmount();
  rig_.mount();
  EXPECT_NE(rig_.unit("worktrees/a"), nullptr);
  EXPECT_EQ(rig_.trash().held().units, 0U);
  EXPECT_TRUE(rig_.exact());
}

TEST_F(TrashTest, DoesNotRestoreOverWhatIsThere) {
  const TrashRecord record = expire();
  ASSERT_TRUE(rig_.make_dir("worktrees/a"));
  EXPECT_EQ(rig_.trash().restore(record.id, {}).error().error, Errno{EEXIST});
  EXPECT_EQ(rig_.trash().held().usage, kHeldByA);
  EXPECT_TRUE(rig_.exact());
}

TEST_F(TrashTest, DoesNotRestoreIntoADirectoryThatIsGone) {
  const TrashRecord record = expire();
  ASSERT_TRUE(rig_.remove("worktrees"));
  EXPECT_EQ(rig_.trash().restore(record.id, {}).error().error, Errno{ENOENT});
  EXPECT_TRUE(rig_.exact());
}

TEST_F(TrashTest, DoesNotRestoreWhatItDoesNotHave) {
  EXPECT_EQ(rig_.trash().restore(TrashId{99}, {}).error().error, Errno{ENOENT});
}

TEST_F(TrashTest, DeletesWhatIsPastItsRetention) {
  expire();
  rig_.advance(minutes(10) - std::chrono::nanoseconds(1));
  rig_.reaper().run_once();
  rig_.trash().purge_queued();
  EXPECT_EQ(rig_.trashed().size(), 1U);
  rig_.advance(std::chrono::nanoseconds(1));
  rig_.reaper().run_once();
  rig_.trash().purge_queued();
  EXPECT_TRUE(rig_.trashed().empty());
  EXPECT_EQ(rig_.trash().held().units, 0U);
  EXPECT_TRUE(rig_.last_event(EventRecord::Kind::purged).has_value());
  EXPECT_TRUE(rig_.exact());
}

TEST_F(TrashTest, DeletesAfterARemountWhatCameDueMeanwhile) {
  expire();
  rig_.unmount();
  rig_.advance(hours(1));
  rig_.mount();
  rig_.reaper().run_once();
  rig_.trash().purge_queued();
  EXPECT_TRUE(rig_.trashed().empty());
  EXPECT_TRUE(rig_.exact());
}

TEST_F(TrashTest, StopsDeletingAtOnceAndIsExactWhereItStopped) {
  for (int i = 0; i < 2000; ++i) {
    rig_.tree.write_file("worktrees/a/sub/" + std::to_string(i), "");
  }
  rig_.crash();
  rig_.mount();
  const TrashRecord record = expire();
  const Usage whole = rig_.trash().held().usage;
  rig_.trash().start();
  rig_.trash().purge(record.id);
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (rig_.trash().held().usage == whole && std::chrono::steady_clock::now() < limit) {
    std::this_thread::yield();
  }
  rig_.trash().stop();
  EXPECT_LT(rig_.trash().held().usage.inodes, whole.inodes);
  EXPECT_TRUE(rig_.exact());
  EXPECT_EQ(rig_.trash().restore(record.id, {}).error().error,
            Errno{rig_.trash().held().units == 0 ? ENOENT : EBUSY});
  rig_.trash().purge_queued();
  EXPECT_TRUE(rig_.trashed().empty());
  EXPECT_TRUE(rig_.exact());
}

TEST_F(TrashTest, EndsExactWhenACrashInterruptedADeletion) {
  const TrashRecord record = expire();
  rig_.crash();
  const std::string number = std::to_string(raw(record.id));
  stdfs::rename(rig_.tree.at(".ebbfs/trash/" + number),
                rig_.tree.at(".ebbfs/trash/" + number + ".purge"));
  stdfs::remove(rig_.tree.at(".ebbfs/trash/" + number + ".purge/one"));
  rig_.mount();
  EXPECT_EQ(rig_.trash().held().usage, kHeldByA);  // never too little
  EXPECT_EQ(rig_.trash().restore(record.id, {}).error().error, Errno{EBUSY});
  rig_.trash().purge_queued();
  EXPECT_TRUE(rig_.trashed().empty());
  EXPECT_TRUE(rig_.exact());
}

TEST_F(TrashTest, FinishesARemovalThatACrashInterruptedAfterTheRename) {
  const TrashRecord record = intend();
  stdfs::rename(rig_.tree.at("worktrees/a"),
                rig_.tree.at(".ebbfs/trash/" + std::to_string(raw(record.id))));
  crash_and_mount();
  EXPECT_EQ(rig_.unit("worktrees/a"), nullptr);
  EXPECT_EQ(rig_.trash().held().usage, kHeldByA);
  EXPECT_TRUE(rig_.exact());
  EXPECT_TRUE(rig_.trash().restore(record.id, {}).has_value());
  EXPECT_TRUE(rig_.exact());
}

TEST_F(TrashTest, UndoesARemovalThatACrashInterruptedBeforeTheRename) {
  intend();
  crash_and_mount();
  EXPECT_NE(rig_.unit("worktrees/a"), nullptr);
  EXPECT_EQ(rig_.trash().held().units, 0U);
  EXPECT_TRUE(rig_.parts().index->load_trash()->empty());
  EXPECT_TRUE(rig_.exact());
}

TEST_F(TrashTest, FinishesARestoreThatACrashInterrupted) {
  const UnitRecord before = rig_.unit("worktrees/a")->record();
  const TrashRecord record = expire();
  rig_.crash();
  stdfs::rename(rig_.tree.at(".ebbfs/trash/" + std::to_string(raw(record.id))),
                rig_.tree.at("worktrees/a"));
  rig_.mount();
  const UnitRef unit = rig_.unit("worktrees/a");
  ASSERT_NE(unit, nullptr);
  EXPECT_EQ(unit->id(), before.id);
  EXPECT_EQ(unit->record().created, before.created);
  EXPECT_EQ(rig_.trash().held().units, 0U);
  EXPECT_TRUE(rig_.exact());
}

TEST_F(TrashTest, LeavesAThingThatIsNotTheOneItWasToldOf) {
  const UnitRef unit = rig_.unit("worktrees/a");
  Trash::Removal removal;
  removal.record.unit = unit->record();
  removal.holder = unit;
  removal.dir = rig_.parts().backing->root();
  removal.name = "worktrees";
  EXPECT_EQ(rig_.trash().take(std::move(removal)).error(), Errno{ESTALE});
  EXPECT_TRUE(rig_.exists("worktrees/a/one"));
  EXPECT_TRUE(rig_.parts().index->load_trash()->empty());
  EXPECT_TRUE(rig_.exact());
}

// A worktree of a repository on the volume.
class GitTrash : public testing::Test {
 protected:
  GitTrash() {
    make_repository(rig_.tree.at("repo"));
    rig_.tree.make_dir("worktrees");
    git(repo(), "worktree add -q " + rig_.tree.at("worktrees/a").string());
    git(repo(), "worktree add -q " + rig_.tree.at("worktrees/b").string());
    rig_.mount();
  }
  std::string repo() const { return rig_.tree.at("repo"); }
  std::string worktrees() { return git(repo(), "worktree list --porcelain"); }
  TrashRecord expire() {
    return rig_.reaper().expire(rig_.unit("worktrees/a"), false).trash.value();
  }

  VolumeRig rig_;
};

TEST_F(GitTrash, TakesTheEntryOfTheWorktreeAndOnlyThat) {
  const TrashRecord record = expire();
  EXPECT_EQ(record.git_admin_path, "repo/.git/worktrees/a");
  EXPECT_FALSE(rig_.exists("repo/.git/worktrees/a"));
  EXPECT_TRUE(rig_.exists("repo/.git/worktrees/b"));
  EXPECT_EQ(worktrees().find("worktrees/a"), std::string::npos);
  EXPECT_NE(worktrees().find("worktrees/b"), std::string::npos);
  EXPECT_TRUE(rig_.kernel.has("changed a"));
  EXPECT_TRUE(rig_.exact());
}

TEST_F(GitTrash, PutsTheEntryBackWithTheWorktree) {
  const TrashRecord record = expire();
  const auto restored = rig_.trash().restore(record.id, {});
  ASSERT_TRUE(restored.has_value());
  EXPECT_EQ(restored->git_admin_path, "repo/.git/worktrees/a");
  EXPECT_NE(worktrees().find("worktrees/a"), std::string::npos);
  git(rig_.tree.at("worktrees/a"), "status");
  // git refreshed its index, which is not a request: compare what we did before that.
  EXPECT_TRUE(rig_.trashed().empty());
}

TEST_F(GitTrash, IsExactAfterPuttingTheEntryBack) {
  const TrashRecord record = expire();
  ASSERT_TRUE(rig_.trash().restore(record.id, {}).has_value());
  EXPECT_TRUE(rig_.exact());
}

TEST_F(GitTrash, DeletesTheEntryWithTheWorktree) {
  expire();
  rig_.advance(minutes(10));
  rig_.reaper().run_once();
  rig_.trash().purge_queued();
  EXPECT_TRUE(rig_.trashed().empty());
  EXPECT_TRUE(rig_.exact());
}

TEST_F(GitTrash, IsExactAfterACrashRightAfterTheRemoval) {
  expire();
  rig_.crash();
  rig_.mount();
  EXPECT_TRUE(rig_.exact());
}

TEST_F(GitTrash, TakesTheEntryThatACrashLeftBehind) {
  const UnitRef unit = rig_.unit("worktrees/a");
  TrashRecord record;
  record.id = rig_.parts().index->next_trash_id();
  record.unit = unit->record();
  record.git_admin_path = "repo/.git/worktrees/a";
  record.purge_after = rig_.clock.wall_now() + hours(1);
  ASSERT_TRUE(rig_.parts().index->intend_trash(record, EventRecord{}));
  stdfs::rename(rig_.tree.at("worktrees/a"),
                rig_.tree.at(".ebbfs/trash/" + std::to_string(raw(record.id))));
  rig_.crash();
  rig_.mount();
  EXPECT_FALSE(rig_.exists("repo/.git/worktrees/a"));
  EXPECT_TRUE(rig_.exists("repo/.git/worktrees/b"));
}

}  // namespace
}  // namespace ebbfs
