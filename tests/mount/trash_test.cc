// SPDX-License-Identifier: Apache-2.0
//
// Trash, restore and brake on a real mount, with the real git and ebbctl.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <thread>

#include "index/rocks_store.h"
#include "index/unit_index.h"
#include "tests/support/each_filesystem.h"
#include "tests/support/git.h"

namespace ebbfs::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

class TrashOnMount : public OnVolume {
 protected:
  void SetUp() override {
    if (shell("command -v git").exit_code != 0) GTEST_SKIP() << "needs git";
    mount({.policy = "[volume]\nadopt_grace = \"0s\"\n"});
    if (IsSkipped()) return;
    ASSERT_EQ(::mkdir(at("worktrees").c_str(), 0777), 0);
    make_repository(at("main"));
    put(at("main/file"), "content\n");
    git(at("main"), "add -A");
    git(at("main"), "commit -q -m content");
    git(at("main"), "worktree add -q " + at("worktrees/a") + " -b a");
  }
  void expire(const std::string& path) {
    const Ran ran = volume_->ebbctl("expire " + at(path));
    ASSERT_EQ(ran.exit_code, 0) << ran.out;
    ASSERT_FALSE(exists(at(path)));
  }
  void works(const std::string& path) {
    EXPECT_THAT(git(at("main"), "worktree list"), HasSubstr(at(path) + " "));
    EXPECT_THAT(git(at("main"), "worktree list"), Not(HasSubstr("prunable")));
    EXPECT_EQ(git(at(path), "status --porcelain"), "");
    put(at(path + "/more"), path);
    git(at(path), "add more");
    git(at(path), "commit -q -m more");
    EXPECT_EQ(get(at(path + "/file")), "content\n");
  }
};

TEST_F(TrashOnMount, RestoreBringsAWorktreeBackForGitAtOnce) {
  EXPECT_EQ(get(at("worktrees/a/file")), "content\n");
  expire("worktrees/a");
  // The kernel has seen that it is gone, in lookups and in lists.
  EXPECT_TRUE(names_in(at("worktrees")).empty());
  EXPECT_FALSE(exists(at("main/.git/worktrees/a")));
  EXPECT_THAT(git(at("main"), "worktree list"), Not(HasSubstr("worktrees/a")));
  const Ran ran = volume_->ebbctl("restore " + at("worktrees/a"));
  ASSERT_EQ(ran.exit_code, 0) << ran.out;
  EXPECT_THAT(ran.out, HasSubstr("main/.git/worktrees/a"));
  EXPECT_EQ(names_in(at("worktrees")).size(), 1U);
  works("worktrees/a");
  EXPECT_EQ(volume_->json("status")["trash"]["units"], 0);
}

TEST_F(TrashOnMount, ANameThatIsTakenIsRefusedAndGoesElsewhere) {
  expire("worktrees/a");
  git(at("main"), "worktree add -q " + at("worktrees/a") + " a");
  const Ran refused = volume_->ebbctl("restore " + at("worktrees/a"));
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.out, HasSubstr("--to"));
  const Ran ran = volume_->ebbctl("restore " + at("worktrees/a") + " --to " + at("worktrees/b"));
  ASSERT_EQ(ran.exit_code, 0) << ran.out;
  EXPECT_THAT(git(at("main"), "worktree list"), HasSubstr(at("worktrees/b") + " "));
  EXPECT_EQ(git(at("worktrees/b"), "rev-parse --show-toplevel"), at("worktrees/b") + "\n");
  git(at("worktrees/b"), "checkout -q --detach");
  works("worktrees/b");
  works("worktrees/a");
}

TEST_F(TrashOnMount, OfSeveralTheNewestOrTheOneThatIsNamed) {
  put(at("worktrees/x"), "first");
  expire("worktrees/x");
  put(at("worktrees/x"), "second");
  expire("worktrees/x");
  const auto list = volume_->json("trash list")["items"];
  ASSERT_EQ(list.size(), 2U);
  const std::string first = std::to_string(list[1]["id"].get<int>());
  ASSERT_EQ(volume_->ebbctl("restore " + at("worktrees/x")).exit_code, 0);
  EXPECT_EQ(get(at("worktrees/x")), "second");
  ASSERT_EQ(volume_
                ->ebbctl("restore --mount " + volume_->path() + " --id " + first + " --to " +
                         at("worktrees/y"))
                .exit_code,
            0);
  EXPECT_EQ(get(at("worktrees/y")), "first");
}

TEST_F(TrashOnMount, DryRunsLeaveTrashUnitsAndEventsAlone) {
  expire("worktrees/a");
  put(at("worktrees/x"), "x");
  const auto events = volume_->events();
  const auto trash = volume_->json("trash list")["items"];
  for (const std::string& command : {"expire " + at("worktrees/x"), "restore " + at("worktrees/a"),
                                     "restore " + at("worktrees/a") + " --to " + at("worktrees/b"),
                                     std::string("trash empty")}) {
    const Ran ran = volume_->ebbctl(command + " --dry-run --mount " + volume_->path());
    EXPECT_EQ(ran.exit_code, 0) << command << "\n" << ran.out;
    EXPECT_THAT(ran.out, HasSubstr("would be")) << command;
  }
  EXPECT_EQ(volume_->events(), events);
  EXPECT_EQ(volume_->json("trash list")["items"], trash);
  EXPECT_TRUE(exists(at("worktrees/x")));
  EXPECT_FALSE(exists(at("worktrees/a")));
}

TEST_F(TrashOnMount, EmptyDeletesInTheBackgroundWhatIsOldEnough) {
  expire("worktrees/a");
  EXPECT_EQ(volume_->json("trash empty --older 1h")["items"].size(), 0U);
  EXPECT_EQ(volume_->json("trash empty")["items"].size(), 1U);
  EXPECT_TRUE(eventually([&] { return volume_->json("status")["trash"]["units"] == 0; }, 20s));
  EXPECT_EQ(volume_->ebbctl("restore " + at("worktrees/a")).exit_code, 1);
}

TEST_F(TrashOnMount, UsersSeeAndRestoreTheirOwn) {
  ASSERT_EQ(::chmod(at("worktrees").c_str(), 0777), 0);
  const auto as_nobody = [&](const std::string& command) {
    return shell("setpriv --reuid 65534 --regid 65534 --clear-groups " + command, volume_->path());
  };
  ASSERT_EQ(as_nobody("mkdir worktrees/mine").exit_code, 0);
  expire("worktrees/mine");
  expire("worktrees/a");
  const std::string ebbctl = std::string(std::getenv("EBBFS_BIN_DIR")) + "/ebbctl ";
  const std::string copy = "/tmp/ebbctl-of-users";
  ASSERT_EQ(shell("install -m 0755 " + ebbctl + copy).exit_code, 0);
  const Ran list = as_nobody(copy + " trash list");
  EXPECT_THAT(list.out, HasSubstr("worktrees/mine"));
  EXPECT_THAT(list.out, Not(HasSubstr("worktrees/a")));
  EXPECT_EQ(as_nobody(copy + " restore worktrees/a").exit_code, 1);
  EXPECT_EQ(as_nobody(copy + " resume").exit_code, 1);
  const Ran restored = as_nobody(copy + " restore worktrees/mine");
  EXPECT_EQ(restored.exit_code, 0) << restored.out;
  EXPECT_TRUE(exists(at("worktrees/mine")));
  EXPECT_EQ(shell("rm " + copy).exit_code, 0);
}

TEST_F(TrashOnMount, AFullQuotaRefusesARestoreAndNamesItself) {
  expire("worktrees/a");
  ASSERT_EQ(volume_->ebbctl("quota set class:worktree --bytes 4K").exit_code, 0);
  const Ran refused = volume_->ebbctl("restore " + at("worktrees/a"));
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.out, HasSubstr("class:worktree: 0 B of 4.0 KiB are used"));
  EXPECT_FALSE(exists(at("worktrees/a")));
  ASSERT_EQ(volume_->ebbctl("quota set class:worktree --bytes none").exit_code, 0);
  EXPECT_EQ(volume_->ebbctl("restore " + at("worktrees/a")).exit_code, 0);
  works("worktrees/a");
}

TEST_F(TrashOnMount, ARestoreOutlivesAKilledDaemon) {
  expire("worktrees/a");
  ASSERT_EQ(
      volume_->ebbctl("restore " + at("worktrees/a") + " --to " + at("worktrees/b")).exit_code, 0);
  volume_->kill_daemon();
  volume_->mount();
  works("worktrees/b");
  EXPECT_EQ(volume_->json("status")["trash"]["units"], 0);
}

class BrakeOnMount : public OnVolume {
 protected:
  void SetUp() override {
    mount({.policy = "[volume]\nadopt_grace = \"0s\"\nbrake_units = 3\n[[class]]\nname = \"w\"\n"
                     "kind = \"tree\"\nmatch = [\"w/*\"]\nttl = \"2s\"\n"});
    if (IsSkipped()) return;
    ASSERT_EQ(::mkdir(at("w").c_str(), 0755), 0);
  }
  void make(int units) {
    for (int i = 0; i < units; ++i) put(at("w/" + std::to_string(i)), "x");
  }
  [[nodiscard]] bool braked() const {
    return eventually([&] { return !volume_->json("status")["brake"].is_null(); }, 20s);
  }
};

TEST_F(BrakeOnMount, HoldsAMassAcrossARestartUntilResumed) {
  make(8);
  volume_->kill_daemon();
  std::this_thread::sleep_for(2500ms);
  volume_->mount();
  ASSERT_TRUE(braked());
  const auto status = volume_->json("status");
  EXPECT_EQ(status["enforcing"], false);
  EXPECT_EQ(status["brake"]["cause"], "mass");
  EXPECT_THAT(volume_->ebbctl("status").out, HasSubstr("NOT ENFORCING"));
  EXPECT_THAT(volume_->ebbctl("status").out, HasSubstr("ebbctl resume"));
  EXPECT_EQ(names_in(at("w")).size(), 8U);
  volume_->unmount();
  volume_->mount();
  ASSERT_TRUE(braked());
  EXPECT_EQ(volume_->ebbctl("resume").exit_code, 0);
  EXPECT_TRUE(eventually([&] { return names_in(at("w")).empty(); }, 20s));
  EXPECT_EQ(volume_->json("status")["enforcing"], true);
}

TEST_F(BrakeOnMount, HoldsWhenTheClockWasSetWhileNothingRan) {
  make(1);
  volume_->unmount();
  {
    const auto store = RocksStore::open(at(".ebbfs/index"));
    ASSERT_TRUE(store.has_value());
    const auto index = UnitIndex::open(**store);
    ASSERT_TRUE(index.has_value());
    // As if the last run had seen it a day earlier than boot time says.
    auto clock = (*index)->load_clock();
    ASSERT_TRUE(clock.has_value() && clock->has_value());
    (*clock)->wall -= 24h;
    ASSERT_TRUE((*index)->put_brake({}, **clock, {}).has_value());
  }
  volume_->mount();
  ASSERT_TRUE(braked());
  EXPECT_EQ(volume_->json("status")["brake"]["cause"], "clock");
  std::this_thread::sleep_for(3s);
  EXPECT_TRUE(exists(at("w/0")));
  EXPECT_EQ(volume_->ebbctl("resume").exit_code, 0);
  EXPECT_TRUE(eventually([&] { return !exists(at("w/0")); }, 20s));
}

}  // namespace
}  // namespace ebbfs::test
