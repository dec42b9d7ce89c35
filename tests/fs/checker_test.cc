// SPDX-License-Identifier: Apache-2.0
//
// Checks on the rig: what differs is found in the scopes that it is in, and nothing else is; also
// with requests beside it.
#include "fs/checker.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

#include "tests/fs/six_directories.h"
#include "tests/support/volume_rig.h"

namespace ebbfs {

static void PrintTo(const Checker::Difference& one, std::ostream* out) {
  *out << one.scope << " " << one.usage.bytes.n << " bytes " << one.usage.inodes << " inodes";
}

namespace {

using namespace std::chrono_literals;
using Differences = std::vector<Checker::Difference>;

class Checks : public testing::Test {
 protected:
  Checks() {
    rig_.mount();
    EXPECT_TRUE(rig_.make_dir("plain"));
    EXPECT_TRUE(rig_.make_dir("worktrees"));
    EXPECT_TRUE(rig_.make_dir("worktrees/a"));
    EXPECT_TRUE(rig_.make_dir("worktrees/b"));
    EXPECT_TRUE(rig_.write_file("plain/f", std::string(5000, 'x')));
    EXPECT_TRUE(rig_.write_file("worktrees/a/f", std::string(5000, 'x')));
  }
  Differences differences(bool repair = false) {
    const auto checked = rig_.checker().run(repair);
    EXPECT_TRUE(checked.unchecked.empty());
    EXPECT_FALSE(checked.running || checked.given_up);
    return checked.differences;
  }
  void count_what_appeared() {
    while (rig_.census().step() != Census::Step::done) {
    }
  }
  // A change of `usage` in a unit's cell of root.
  static Differences in_unit(const std::string& path, const Usage& usage) {
    return {{"class:worktree", usage},
            {"group:0", usage},
            {"unit:" + path, usage},
            {"user:0", usage},
            {"volume", usage}};
  }
  static Differences outside(const Usage& usage) {
    return {{"group:0", usage}, {"user:0", usage}, {"volume", usage}};
  }

  VolumeRig rig_;
};

TEST_F(Checks, FindNothingWhereNothingWasChangedBehindTheMount) {
  EXPECT_TRUE(rig_.link("worktrees/a/f", "worktrees/a/g"));
  EXPECT_TRUE(rig_.make_symlink("worktrees/a/l", "f"));
  EXPECT_EQ(differences(), Differences{});
  EXPECT_TRUE(rig_.exact());
}

TEST_F(Checks, CountOpenFilesWithoutANameFromBeforeAndFromDuring) {
  OpenFile* const before = rig_.open("worktrees/a/f", O_RDWR);
  ASSERT_NE(before, nullptr);
  EXPECT_TRUE(rig_.remove("worktrees/a/f"));
  EXPECT_TRUE(rig_.append(before, std::string(9000, 'x')));
  EXPECT_EQ(differences(), Differences{});
  rig_.close(before);
  EXPECT_EQ(differences(), Differences{});
  EXPECT_TRUE(rig_.exact());
}

TEST_F(Checks, TellAFileThatAppearedInAUnit) {
  rig_.tree.write_file("worktrees/a/new", std::string(5000, 'x'));
  EXPECT_EQ(differences(), in_unit("worktrees/a", {{8192}, 1}));
}

TEST_F(Checks, TellAFileThatGrewAndOneThatIsGone) {
  rig_.tree.write_file("worktrees/a/f", std::string(20000, 'x'));
  std::filesystem::remove(rig_.tree.at("plain/f"));
  const Differences found = differences();
  const auto scope = [&](const std::string& name) {
    for (const auto& one : found) {
      if (one.scope == name) return one.usage;
    }
    return Usage{};
  };
  EXPECT_EQ(scope("unit:worktrees/a"), (Usage{{20480 - 8192}, 0}));
  EXPECT_EQ(scope("volume"), (Usage{{20480 - 8192 - 8192}, -1}));
}

TEST_F(Checks, LeaveAUnitThatAppearedToTheCensus) {
  rig_.tree.write_file("worktrees/c/f", "x");
  const auto checked = rig_.checker().run(false);
  EXPECT_EQ(checked.differences, Differences{});
  ASSERT_EQ(checked.unchecked.size(), 1U);
  EXPECT_TRUE(checked.unchecked.front().starts_with("worktrees/c"));
  count_what_appeared();
  EXPECT_EQ(differences(), Differences{});
  EXPECT_TRUE(rig_.exact());
}

TEST_F(Checks, TellAUnitWhoseTopIsGone) {
  std::filesystem::remove_all(rig_.tree.at("worktrees/a"));
  EXPECT_EQ(differences(), in_unit("worktrees/a", {{-8192}, -2}));
}

TEST_F(Checks, TellAnotherOwner) {
  ASSERT_EQ(::chown(rig_.tree.at("plain/f").c_str(), 1000, 0), 0);
  EXPECT_EQ(differences(), (Differences{{"user:0", {{-8192}, -1}}, {"user:1000", {{8192}, 1}}}));
}

TEST_F(Checks, RepairWhatTheyTellAndTheNextOneFindsNothing) {
  rig_.tree.write_file("worktrees/a/new", std::string(5000, 'x'));
  rig_.tree.write_file("plain/new", "x");
  EXPECT_FALSE(differences(true).empty());
  EXPECT_EQ(differences(), Differences{});
  EXPECT_TRUE(rig_.exact());
}

TEST_F(Checks, LeaveRepairedUsageStored) {
  rig_.advance(1min);
  rig_.unmount();
  rig_.mount();
  rig_.tree.write_file("worktrees/a/new", std::string(5000, 'x'));
  EXPECT_FALSE(differences(true).empty());
  rig_.unmount();
  rig_.mount();
  EXPECT_EQ(differences(), Differences{});
  EXPECT_TRUE(rig_.exact());
}

TEST_F(Checks, CountTheTrashForTheVolumeAlone) {
  const auto expired = rig_.reaper().expire(rig_.unit("worktrees/a"), false);
  ASSERT_TRUE(expired.trash.has_value());
  EXPECT_EQ(differences(), Differences{});
  rig_.tree.write_file(".ebbfs/trash/" + rig_.trashed().front() + "/new", "x");
  EXPECT_EQ(differences(), (Differences{{"volume", {{4096}, 1}}}));
  EXPECT_FALSE(differences(true).empty());
  EXPECT_EQ(differences(), Differences{});
  EXPECT_TRUE(rig_.exact());
}

TEST_F(Checks, GiveUpOnAUnitThatIsNeverStill) {
  const UnitRef unit = rig_.unit("worktrees/b");
  ASSERT_TRUE(unit->try_enter());
  const auto checked = rig_.checker().run(false);
  unit->leave();
  ASSERT_EQ(checked.unchecked.size(), 1U);
  EXPECT_EQ(checked.unchecked.front(), "worktrees/b: requests in it last too long");
  EXPECT_FALSE(checked.exact());
}

TEST_F(Checks, DoNotTakeAUnitThatIsBeingDissolvedForOneThatDiffers) {
  for (int round = 0; round < 5; ++round) {
    ASSERT_TRUE(rig_.write_file("worktrees/file", std::string(5000, 'x')));
    const UnitRef unit = rig_.unit("worktrees/file");
    ASSERT_NE(unit, nullptr);
    // What is counted before it, as that is the oldest.
    for (int i = 0; i < 20; ++i) {
      const std::string other = fmt::format("worktrees/{}-{}", round, i);
      ASSERT_TRUE(rig_.make_dir(other));
      for (int j = 0; j < 20; ++j) ASSERT_TRUE(rig_.write_file(fmt::format("{}/{}", other, j), ""));
    }
    std::atomic<bool> checked = false;
    // As a rename of it to somewhere else does, and takes its time.
    std::thread mover([&] {
      const auto has_counted_the_root = [&] {
        const auto progress = rig_.checker().progress(false);
        return progress.running && progress.units > 0;
      };
      while (!checked && !has_counted_the_root()) {
      }
      const auto inside = rig_.volume().units.use(rig_.volume().units.root(), WallTime{}, true);
      Cell& cell = rig_.volume().ledger.cell(unit->accounts(), 0, 0);
      rig_.volume().ledger.settle(cell, -Usage{{8192}, 1});
      std::this_thread::sleep_for(50ms);
      EXPECT_TRUE(rig_.volume().units.remove(*unit));
      std::filesystem::remove(rig_.tree.at("worktrees/file"));
    });
    EXPECT_EQ(differences(), Differences{});
    checked = true;
    mover.join();
  }
}

TEST_F(Checks, JoinTheOneThatRunsUnlessItIsOfTheOtherKind) {
  for (int i = 0; i < 3000; ++i) rig_.tree.write_file("plain/" + std::to_string(i), "");
  const auto first = rig_.checker().start(true);
  ASSERT_TRUE(first.has_value());
  const auto second = rig_.checker().start(true);
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->token, first->token);
  EXPECT_EQ(rig_.checker().start(false).error(), Errno{EBUSY});
  rig_.checker().stop();
  EXPECT_TRUE(rig_.checker().progress(false).given_up);
  const auto third = rig_.checker().start(false);
  ASSERT_TRUE(third.has_value());
  EXPECT_EQ(third->token, first->token + 1);
}

TEST_F(Checks, WaitForTheCensus) {
  rig_.crash();
  rig_.mount(false);
  EXPECT_EQ(rig_.checker().start(false).error(), Errno{EAGAIN});
}

// ---- beside requests
// -----------------------------------------------------------------------------

constexpr int kFilesInEach = 150;

// Everything that moves a charge, each directory of one thread only, as the kernel would have it.
void disturb(VolumeRig& rig, unsigned seed, const std::vector<int>& mine,
             const std::atomic<bool>& stop) {
  std::mt19937 random(seed);
  const auto pick = [&](std::size_t below) { return random() % below; };
  const auto place = [&] { return directory(mine[pick(mine.size())]); };
  const auto file = [&] {
    return place() + (pick(4) == 0 ? "/d/" : "/") + std::to_string(pick(kFilesInEach));
  };
  while (!stop.load()) {
    const std::string path = file();
    switch (pick(8)) {
      case 0:
      case 1:
        (void)rig.write_file(path, std::string(pick(9000), 'x'));
        break;
      case 2:
        (void)rig.remove(path);
        break;
      case 3:
        (void)rig.rename(path, file());
        break;
      case 4:
        (void)rig.link(path, file());
        break;
      case 5:
        (void)rig.change_owner(path, static_cast<uid_t>(1000 + pick(2)), 1000);
        break;
      case 6:
        if (!rig.make_dir(place() + "/d")) (void)rig.rename(place() + "/d", place() + "/d");
        break;
      default: {
        if (rig.at(path) == kNoNode) break;
        OpenFile* const open = rig.open(path, O_RDWR);
        if (open == nullptr) break;
        (void)rig.append(open, std::string(pick(9000), 'x'));
        if (pick(2) == 0) (void)rig.remove(path);
        rig.close(open);
      }
    }
  }
}

class CheckRace : public testing::TestWithParam<unsigned> {};

TEST_P(CheckRace, FindsNothingWhileTwoThreadsChangeEverything) {
  VolumeRig rig;
  for (int i = 0; i < kDirectories; ++i) {
    for (int j = 0; j < kFilesInEach; j += 2) {
      rig.tree.write_file(directory(i) + "/" + std::to_string(j), std::string(6000, 'x'));
    }
  }
  rig.mount();
  std::atomic<bool> stop{false};
  std::thread one([&] { disturb(rig, GetParam(), {0, 2, 4}, stop); });
  std::thread other([&] { disturb(rig, GetParam() + 1, {1, 3, 5}, stop); });
  for (int i = 0; i < 20; ++i) {
    const auto checked = rig.checker().run(false);
    EXPECT_EQ(checked.differences, Differences{});
    EXPECT_EQ(checked.unchecked, std::vector<std::string>{});
  }
  stop.store(true);
  one.join();
  other.join();
  EXPECT_TRUE(rig.exact());
}

INSTANTIATE_TEST_SUITE_P(Seeds, CheckRace, testing::Values(1U, 11U, 21U, 31U, 41U));

}  // namespace
}  // namespace ebbfs
