// SPDX-License-Identifier: Apache-2.0
#include "fs/census.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/git.h"
#include "tests/support/volume_rig.h"

namespace ebbfs {
namespace {

namespace stdfs = std::filesystem;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

class CensusTest : public testing::Test {
 protected:
  void run() {
    while (rig_.census().step() != Census::Step::done) {
    }
  }
  std::uint64_t entries() { return rig_.census().progress().entries; }

  VolumeRig rig_;
};

TEST_F(CensusTest, AdoptsWhatIsThere) {
  rig_.tree.write_file("plain/file", std::string(5000, 'x'));
  rig_.tree.write_file("worktrees/a/one", "x");
  rig_.tree.write_file("worktrees/a/sub/two", "x");
  rig_.tree.write_file("worktrees/single", "x");
  stdfs::create_hard_link(rig_.tree.at("plain/file"), rig_.tree.at("plain/again"));
  stdfs::create_symlink("x", rig_.tree.at("plain/link"));
  rig_.mount(false);
  EXPECT_TRUE(rig_.census().progress().running);
  EXPECT_TRUE(rig_.census().progress().adopting);
  run();
  EXPECT_EQ(rig_.unit("worktrees/a")->accounts().total().usage(), (Usage{{8192}, 4}));
  EXPECT_EQ(rig_.unit("worktrees/single")->accounts().total().usage(), (Usage{{4096}, 1}));
  EXPECT_FALSE(rig_.unit("worktrees/a")->counting());
  EXPECT_FALSE(rig_.parts().units->root()->counting());
  EXPECT_TRUE(rig_.exact());
  EXPECT_FALSE(rig_.census().progress().running);
  EXPECT_TRUE(rig_.census().progress().finished.has_value());
  EXPECT_TRUE(rig_.parts().index->volume_state().adopted);
  const auto event = rig_.last_event(EventRecord::Kind::adopted);
  ASSERT_TRUE(event.has_value());
  // The rig's own file is one of them.
  EXPECT_EQ(event->detail, "11 entries, 2 units, 0 locks");
}

TEST_F(CensusTest, CountsOneAsOne) {
  rig_.tree.write_file("worktrees/a/x.lock", "");
  rig_.mount(false);
  run();
  EXPECT_EQ(rig_.last_event(EventRecord::Kind::adopted)->detail, "4 entries, 1 unit, 1 lock");
}

TEST_F(CensusTest, TakesTheAgeOfAUnitFromTheNewestThingInIt) {
  rig_.tree.write_file("worktrees/a/sub/file", "x");
  const auto made = rig_.clock.wall_now();
  rig_.advance(hours(24));
  rig_.mount();
  const UnitRef unit = rig_.unit("worktrees/a");
  EXPECT_LT(unit->last_used(), made + minutes(1));
  EXPECT_GT(unit->last_used(), made - minutes(1));
  rig_.reaper().run_once();
  EXPECT_FALSE(rig_.exists("worktrees/a"));
}

TEST_F(CensusTest, DoesNotTakeAFutureTimeForUse) {
  rig_.tree.write_file("worktrees/a/file", "x");
  const timespec times[2] = {{4'000'000'000, 0}, {4'000'000'000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, rig_.tree.at("worktrees/a/file").c_str(), times, 0), 0);
  rig_.mount();
  EXPECT_LE(rig_.unit("worktrees/a")->last_used(), rig_.clock.wall_now());
}

TEST_F(CensusTest, FindsLocksOfUnknownOwnersButNoDirectoriesAmongThem) {
  make_repository(rig_.tree.at("repo"));
  rig_.tree.write_file("repo/.git/index.lock", "");
  rig_.tree.write_file("repo/Cargo.lock", "");
  rig_.tree.write_file("locks/file", "");
  rig_.tree.write_file("locks/dir/inner", "");
  stdfs::create_symlink("host:1", rig_.tree.at("locks/link"));
  rig_.mount();
  EXPECT_NE(rig_.lock("repo/.git/index.lock"), nullptr);
  EXPECT_EQ(rig_.lock("repo/Cargo.lock"), nullptr);
  EXPECT_NE(rig_.lock("locks/file"), nullptr);
  EXPECT_NE(rig_.lock("locks/link"), nullptr);
  EXPECT_NE(rig_.lock("locks/dir/inner"), nullptr);
  EXPECT_EQ(rig_.lock("locks/dir"), nullptr);
  const LockRef lock = rig_.lock("locks/file");
  {
    const MutexLock held(lock->mu);
    EXPECT_EQ(lock->record.certainty, OwnerCertainty::unknown);
    EXPECT_TRUE(lock->suspect);
  }
  rig_.advance(minutes(6));
  rig_.reaper().run_once();
  EXPECT_FALSE(rig_.exists("locks/file"));
  EXPECT_TRUE(rig_.exists("locks/dir"));
  EXPECT_TRUE(rig_.exists("repo/Cargo.lock"));
  EXPECT_TRUE(rig_.exact());
}

TEST_F(CensusTest, KeepsFoundLocksThroughTheAdoptGraceButNotOthers) {
  std::string policy = rig_.policy_text;
  policy.replace(policy.find("\"0s\""), 4, "\"1h\"");
  rig_.policy_text = policy;
  rig_.tree.write_file("locks/found", "");
  rig_.advance(minutes(10));
  rig_.mount();
  const ProcessId worker = rig_.processes.start();
  ASSERT_TRUE(rig_.take_lock("locks/taken", worker.tgid));
  rig_.advance(seconds(3));
  rig_.processes.kill(worker);
  rig_.reaper().run_once();
  rig_.advance(seconds(5));
  rig_.reaper().run_once();
  EXPECT_FALSE(rig_.exists("locks/taken"));
  EXPECT_TRUE(rig_.exists("locks/found"));
  rig_.advance(hours(1));
  rig_.reaper().run_once();
  EXPECT_FALSE(rig_.exists("locks/found"));
}

TEST_F(CensusTest, CountsNothingAfterACleanUnmount) {
  rig_.tree.write_file("worktrees/a/file", "x");
  rig_.mount();
  rig_.unmount();
  rig_.mount(false);
  EXPECT_FALSE(rig_.census().progress().running);
  EXPECT_EQ(rig_.census().step(), Census::Step::done);
  EXPECT_EQ(entries(), 0U);
  EXPECT_TRUE(rig_.exact());
}

TEST_F(CensusTest, CountsOnlyWhatACrashHasMetInUse) {
  for (int i = 0; i < 50; ++i) rig_.tree.write_file("worktrees/a/" + std::to_string(i), "x");
  rig_.tree.write_file("worktrees/b/file", "x");
  rig_.mount();
  rig_.unmount();
  rig_.mount();
  ASSERT_TRUE(rig_.write_file("worktrees/b/new", "x"));
  rig_.crash();
  rig_.mount();
  EXPECT_EQ(entries(), 3U);  // b and its two files
  EXPECT_TRUE(rig_.exact());
}

TEST_F(CensusTest, TakesAUnitMetInUseByACrashForUsedJustNow) {
  rig_.mount();
  ASSERT_TRUE(rig_.make_dir("worktrees"));
  ASSERT_TRUE(rig_.make_dir("worktrees/a"));
  rig_.crash();
  rig_.advance(hours(2));
  rig_.mount();
  EXPECT_EQ(rig_.unit("worktrees/a")->last_used(), rig_.clock.wall_now());
}

TEST_F(CensusTest, CountsEverythingAfterAPowerLoss) {
  rig_.tree.write_file("worktrees/a/file", "x");
  rig_.mount();
  rig_.unmount();
  rig_.mount();
  rig_.crash();
  // The index says clean, but what was written last did not reach the disk.
  std::ofstream(rig_.tree.at("worktrees/a/lost")) << "x";
  rig_.processes.reboot();
  rig_.mount();
  EXPECT_TRUE(rig_.exact());
  // And what it counted is stored.
  rig_.unmount();
  rig_.mount();
  EXPECT_EQ(entries(), 0U);
  EXPECT_TRUE(rig_.exact());
}

TEST_F(CensusTest, StartsOverWhenItWasInterrupted) {
  rig_.tree.write_file("worktrees/a/file", "x");
  rig_.tree.write_file("plain/file", "x");
  rig_.mount(false);
  for (int i = 0; i < 3; ++i) (void)rig_.census().step();
  rig_.unmount();  // in order, but not counted to the end
  rig_.mount();
  EXPECT_TRUE(rig_.exact());
  EXPECT_TRUE(rig_.parts().index->volume_state().adopted);
}

TEST_F(CensusTest, JudgesAUnitAsSoonAsItIsCounted) {
  rig_.tree.write_file("worktrees/a/file", "x");
  rig_.advance(hours(2));
  rig_.mount(false);
  (void)rig_.at("worktrees/a");  // a request finds the unit first
  rig_.reaper().run_once();
  EXPECT_TRUE(rig_.exists("worktrees/a"));
  run();
  rig_.reaper().run_once();
  EXPECT_FALSE(rig_.exists("worktrees/a"));
  EXPECT_TRUE(rig_.exact());
}

TEST_F(CensusTest, WaitsForRequestsBeforeItSaysThatAUnitIsCounted) {
  rig_.mount(false);
  const UnitRef root = rig_.parts().units->root();
  ASSERT_TRUE(root->try_enter());
  Census::Step step{};
  for (int i = 0; i < 5; ++i) step = rig_.census().step();
  EXPECT_EQ(step, Census::Step::blocked);
  EXPECT_TRUE(root->counting());
  root->leave();
  run();
  EXPECT_FALSE(root->counting());
}

TEST_F(CensusTest, FollowsADirectoryThatIsRenamedBehindIt) {
  rig_.tree.write_file("z/inner/file", "x");
  rig_.tree.make_dir("walked");
  rig_.mount(false);
  (void)rig_.census().step();  // begins
  (void)rig_.census().step();  // the root directory
  ASSERT_TRUE(rig_.rename("z/inner", "walked/inner"));
  run();
  EXPECT_TRUE(rig_.exact());
}

TEST(CensusOfMovingFiles, IsExactAtWhateverStepTheyMove) {
  for (int steps = 0; steps < 8; ++steps) {
    VolumeRig rig;
    for (const char* path : {"a/moved", "b/moved too", "a/linked", "b/linked too"}) {
      rig.tree.write_file(path, "x");
    }
    rig.mount(false);
    for (int i = 0; i < steps; ++i) (void)rig.census().step();
    ASSERT_TRUE(rig.rename("a/moved", "b/x"));
    ASSERT_TRUE(rig.rename("b/moved too", "a/x"));
    ASSERT_TRUE(rig.link("a/linked", "b/y"));
    ASSERT_TRUE(rig.remove("a/linked"));
    ASSERT_TRUE(rig.link("b/linked too", "a/y"));
    ASSERT_TRUE(rig.remove("b/linked too"));
    while (rig.census().step() != Census::Step::done) {
    }
    EXPECT_TRUE(rig.exact()) << "after " << steps << " steps";
  }
}

TEST_F(CensusTest, CountsAFileThatLosesItsNameBeforeItAndIsClosedAfterIt) {
  rig_.tree.write_file("plain/file", std::string(5000, 'x'));
  rig_.mount(false);
  OpenFile* const open = rig_.open("plain/file", O_RDONLY);
  ASSERT_NE(open, nullptr);
  ASSERT_TRUE(rig_.remove("plain/file"));
  run();
  rig_.close(open);
  EXPECT_TRUE(rig_.exact());
}

TEST_F(CensusTest, RunsOnAThreadOfItsOwnAndStops) {
  for (int i = 0; i < 2000; ++i) rig_.tree.write_file("plain/" + std::to_string(i), "");
  rig_.mount(false);
  rig_.census().start();
  rig_.census().stop();
  EXPECT_TRUE(rig_.census().progress().running);
  rig_.census().start();
  const auto limit = std::chrono::steady_clock::now() + seconds(30);
  while (rig_.census().progress().running && std::chrono::steady_clock::now() < limit) {
    std::this_thread::yield();
  }
  rig_.census().stop();
  EXPECT_FALSE(rig_.census().progress().running);
  EXPECT_TRUE(rig_.exact());
}

}  // namespace
}  // namespace ebbfs
