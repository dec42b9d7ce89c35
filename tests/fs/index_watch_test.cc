// SPDX-License-Identifier: Apache-2.0
//
// An index that fails while the volume is served, with a store that fails as told.
#include "fs/index_watch.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/volume_rig.h"

namespace ebbfs {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;

class Watched : public testing::Test {
 protected:
  Watched() : state_(::open(state_tree_.at("").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    rig_.mount();
    EXPECT_TRUE(rig_.make_dir("worktrees").has_value());
    EXPECT_TRUE(rig_.make_dir("worktrees/a").has_value());
    exports_.trust();
  }
  int change() {
    Batch batch;
    batch.put(Table::history, "k", "v");
    return steady_.commit(batch, Durability::process_crash) ? 0 : 1;
  }
  [[nodiscard]] std::string status() const {
    std::string all;
    for (const std::string& sentence : rig_.parts().volume->health.sentences()) all += sentence;
    return all;
  }
  void pass_ttl() {
    rig_.advance(2h);
    rig_.reaper().run_once();
  }

  TempTree state_tree_;
  UniqueFd state_;
  mutable VolumeRig rig_;
  MemStore memory_;
  FaultStore fault_{memory_};
  SteadyStore steady_{fault_, 4};
  Exports exports_{state_.get()};
  bool counting_ = false;
  std::optional<IndexWatch> made_;
  IndexWatch& watch() {
    if (!made_) made_.emplace(rig_.volume(), steady_, exports_, [this] { return counting_; });
    return *made_;
  }
};

TEST_F(Watched, ThatFailsPausesRemovalUntilItTakesChangesAgain) {
  watch();
  fault_.fail_commits(1, EIO, 1000);
  EXPECT_EQ(change(), 0);
  EXPECT_FALSE(state_tree_.exists("trust")) << "before the change is acknowledged";
  watch().look();
  EXPECT_THAT(status(), HasSubstr("takes no changes (Input/output error)"));
  EXPECT_THAT(status(), HasSubstr("removal is paused"));
  pass_ttl();
  EXPECT_TRUE(rig_.exists("worktrees/a"));
  const auto asked = rig_.reaper().expire(rig_.unit("worktrees/a"), false);
  EXPECT_EQ(asked.report.verdict.action, Verdict::Action::keep);
  ASSERT_FALSE(asked.report.blockers.empty());
  EXPECT_THAT(asked.report.blockers.back().text, HasSubstr("takes no changes"));

  fault_.fail_commits(1, 0, 0);
  watch().look();
  EXPECT_THAT(status(), IsEmpty());
  EXPECT_TRUE(state_tree_.exists("trust"));
  pass_ttl();
  EXPECT_FALSE(rig_.exists("worktrees/a"));
  EXPECT_TRUE(watch().settle());
}

TEST_F(Watched, ThatIsFullLetsRemovalGoOnAsThatMakesRoom) {
  watch();
  fault_.fail_commits(1, ENOSPC, 1000);
  EXPECT_EQ(change(), 0);
  watch().look();
  EXPECT_THAT(status(), HasSubstr("no space"));
  pass_ttl();
  EXPECT_FALSE(rig_.exists("worktrees/a"));
  EXPECT_FALSE(watch().settle()) << "not clean";
}

TEST_F(Watched, ThatCannotBeReadPausesRemovalForGood) {
  watch();
  fault_.fail_reads(EBADMSG);
  EXPECT_FALSE(steady_.get(Table::units, "k").has_value());
  fault_.fail_reads(0);
  watch().look();
  EXPECT_THAT(status(), HasSubstr("cannot be read"));
  EXPECT_FALSE(state_tree_.exists("trust"));
  pass_ttl();
  EXPECT_TRUE(rig_.exists("worktrees/a"));
  EXPECT_FALSE(watch().settle());
}

TEST_F(Watched, ThatHasLostChangesIsNotBelievedAgain) {
  watch();
  fault_.fail_commits(1, ENOSPC, 1000);
  for (char key = 'a'; key < 'h'; ++key) {
    Batch batch;
    batch.put(Table::history, {key}, "v");
    EXPECT_TRUE(steady_.commit(batch, Durability::process_crash).has_value());
  }
  fault_.fail_commits(1, 0, 0);
  watch().look();
  EXPECT_THAT(status(), HasSubstr("too many"));
  pass_ttl();
  EXPECT_TRUE(rig_.exists("worktrees/a"));
  EXPECT_FALSE(watch().settle());
}

TEST_F(Watched, ThatWasRebuiltPausesRemovalUntilEverythingIsCounted) {
  OpenedIndex opened;
  opened.lost = "a test";
  opened.kept_as = "index.broken-x";
  counting_ = true;
  rig_.volume().index.set_rebuilt(rig_.clock.wall_now(), "a test");
  watch().begin(opened);
  watch().look();
  EXPECT_THAT(status(), HasSubstr("the index was lost (a test)"));
  EXPECT_THAT(status(), HasSubstr(".ebbfs/index.broken-x"));
  pass_ttl();
  EXPECT_TRUE(rig_.exists("worktrees/a"));
  counting_ = false;
  watch().look();
  EXPECT_THAT(status(), IsEmpty());
  pass_ttl();
  EXPECT_FALSE(rig_.exists("worktrees/a"));
}

}  // namespace
}  // namespace ebbfs
