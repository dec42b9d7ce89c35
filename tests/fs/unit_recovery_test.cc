// SPDX-License-Identifier: Apache-2.0
#include "fs/unit_recovery.h"

#include <gtest/gtest.h>

#include "tests/support/volume_rig.h"

namespace ebbfs {
namespace {

using namespace std::chrono_literals;

class StaleUnits : public testing::Test {
 protected:
  StaleUnits() {
    rig_.mount();
    for (const char* path : {"worktrees", "worktrees/a", "worktrees/b", "plain"}) {
      EXPECT_TRUE(rig_.make_dir(path).has_value());
    }
    EXPECT_TRUE(rig_.write_file("worktrees/a/file", "content").has_value());
    EXPECT_TRUE(rig_.write_file("worktrees/b/file", "content").has_value());
    rig_.unmount();
  }
  void move(const std::string& from, const std::string& to) {
    std::filesystem::rename(rig_.tree.at(from), rig_.tree.at(to));
  }
  VolumeRig rig_;
};

TEST_F(StaleUnits, ThatMovedWithinTheirClassAreFollowed) {
  move("worktrees/a", "worktrees/moved");
  rig_.mount();
  EXPECT_EQ(rig_.unit("worktrees/a"), nullptr);
  ASSERT_NE(rig_.unit("worktrees/moved"), nullptr);
  EXPECT_EQ(rig_.volume().units.size(), 2U);
  EXPECT_TRUE(rig_.exact());
}

TEST_F(StaleUnits, ThatWereRemovedAreForgottenAndTheRestIsCountedAgain) {
  std::filesystem::remove_all(rig_.tree.at("worktrees/a"));
  rig_.tree.write_file("plain/unseen", "x");
  rig_.mount();
  EXPECT_EQ(rig_.volume().units.size(), 1U);
  EXPECT_TRUE(rig_.exact());
}

// So many that several threads ask.
TEST_F(StaleUnits, AreFoundAmongFiveThousand) {
  constexpr int kUnits = 5000;
  const auto unit = [](int number) { return "worktrees/" + std::to_string(number); };
  rig_.mount();
  for (int i = 0; i < kUnits; ++i) ASSERT_TRUE(rig_.make_dir(unit(i)).has_value());
  rig_.unmount();
  for (int i = 0; i < kUnits; i += 1000) move(unit(i), unit(i) + "-moved");
  std::filesystem::remove_all(rig_.tree.at(unit(kUnits - 1)));
  rig_.mount();
  EXPECT_EQ(rig_.volume().units.size(), 2U + kUnits - 1);
  for (int i = 0; i < kUnits; i += 1000) {
    EXPECT_EQ(rig_.unit(unit(i)), nullptr);
    EXPECT_NE(rig_.unit(unit(i) + "-moved"), nullptr);
  }
}

TEST_F(StaleUnits, ThatLeftTheirClassNeverExpire) {
  move("worktrees/a", "plain/a");
  rig_.mount();
  EXPECT_EQ(rig_.volume().units.size(), 1U);
  rig_.advance(48h);
  rig_.reaper().run_once();
  EXPECT_TRUE(rig_.exists("plain/a/file"));
  EXPECT_FALSE(rig_.exists("worktrees/b"));
  EXPECT_TRUE(rig_.exact());
}

TEST_F(StaleUnits, ThatAnotherPolicyDoesNotCoverNeverExpire) {
  const std::string covered = "match = [\"worktrees/*\"]";
  const auto at = rig_.policy_text.find(covered);
  ASSERT_NE(at, std::string::npos);
  rig_.policy_text.replace(at, covered.size(), "match = [\"worktrees/b\"]");
  rig_.mount();
  EXPECT_EQ(rig_.unit("worktrees/a"), nullptr);
  rig_.advance(48h);
  rig_.reaper().run_once();
  EXPECT_TRUE(rig_.exists("worktrees/a/file"));
  EXPECT_FALSE(rig_.exists("worktrees/b"));
  EXPECT_TRUE(rig_.exact());
}

TEST_F(StaleUnits, ThatLeaveTheirClassWhileServedNeverExpire) {
  rig_.mount();
  move("worktrees/a", "plain/a");
  rig_.advance(48h);
  rig_.reaper().run_once();
  EXPECT_TRUE(rig_.exists("plain/a/file"));
  EXPECT_EQ(rig_.volume().units.size(), 0U);
}

TEST_F(StaleUnits, ArePlacesOnlyWhereTheirOwnClassSaysSo) {
  rig_.mount();
  UnitRecord record;
  record.class_name = "worktree";
  EXPECT_TRUE(is_unit_place(rig_.volume(), record, "worktrees/x"));
  EXPECT_FALSE(is_unit_place(rig_.volume(), record, "worktrees/x/y"));
  EXPECT_FALSE(is_unit_place(rig_.volume(), record, "worktrees"));
  EXPECT_FALSE(is_unit_place(rig_.volume(), record, ".ebbfs/trash/1"));
  EXPECT_FALSE(is_unit_place(rig_.volume(), record, ""));
  record.class_name = "other";
  EXPECT_FALSE(is_unit_place(rig_.volume(), record, "worktrees/x"));
}

using TrashStrays = StaleUnits;

TEST_F(TrashStrays, WhoseUnitTheIndexStillNamesAreFinishedAsItsRemoval) {
  std::filesystem::rename(rig_.tree.at("worktrees/a"), rig_.tree.at(".ebbfs/trash/9"));
  rig_.mount();
  EXPECT_EQ(rig_.unit("worktrees/a"), nullptr);
  const auto listed = rig_.trash().list();
  ASSERT_EQ(listed.size(), 1U);
  EXPECT_EQ(listed[0].unit.path, "worktrees/a");
  EXPECT_EQ(listed[0].unit.class_name, "worktree");
  rig_.trash().purge_queued();  // counts it, and there is nothing to delete
  EXPECT_TRUE(rig_.exists(".ebbfs/trash/9/file"));
  EXPECT_EQ(rig_.trash().held().usage, (Usage{Bytes{4096}, 2}));
}

TEST_F(TrashStrays, ThatNobodyKnowsAreKeptForADayThoughTheRetentionIsShorter) {
  rig_.tree.make_dir(".ebbfs/trash/5");
  rig_.tree.write_file(".ebbfs/trash/5/file", "content");
  rig_.mount();
  rig_.advance(23h);
  rig_.reaper().run_once();
  rig_.trash().purge_queued();
  EXPECT_TRUE(rig_.exists(".ebbfs/trash/5/file"));
  rig_.advance(2h);
  rig_.reaper().run_once();
  rig_.trash().purge_queued();
  EXPECT_FALSE(rig_.exists(".ebbfs/trash/5"));
  EXPECT_TRUE(rig_.exact());
}

TEST_F(TrashStrays, WhoseDeletionHadBegunAreDeletedAtOnce) {
  rig_.tree.make_dir(".ebbfs/trash/7.purge");
  rig_.tree.write_file(".ebbfs/trash/7.purge/file", "content");
  rig_.mount();
  rig_.trash().purge_queued();
  EXPECT_TRUE(rig_.trashed().empty());
  EXPECT_FALSE(rig_.volume().ledger.went_below_zero());
  EXPECT_TRUE(rig_.exact());
}

TEST_F(TrashStrays, KeepTheirNumbersToThemselves) {
  rig_.tree.make_dir(".ebbfs/trash/200000");
  rig_.mount();
  rig_.advance(48h);
  rig_.reaper().run_once();
  EXPECT_TRUE(rig_.exists(".ebbfs/trash/200001"));
}

TEST_F(TrashStrays, AreNotMadeOfOtherNames) {
  rig_.tree.write_file(".ebbfs/trash/notes.txt", "x");
  rig_.tree.write_file(".ebbfs/trash/007", "x");
  rig_.mount();
  EXPECT_TRUE(rig_.trash().list().empty());
}

}  // namespace
}  // namespace ebbfs
