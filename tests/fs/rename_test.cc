// SPDX-License-Identifier: Apache-2.0
//
// Renames on the rig, beside others who freeze what they concern.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "tests/support/volume_rig.h"

namespace ebbfs {
namespace {

using namespace std::chrono_literals;

class RenameAcross : public testing::Test {
 protected:
  RenameAcross() {
    rig_.mount();
    for (const char* dir : {"plain", "plain/tree", "worktrees", "worktrees/a"}) {
      EXPECT_TRUE(rig_.make_dir(dir));
    }
    unit_ = rig_.unit("worktrees/a");
    EXPECT_TRUE(unit_->freeze(1s));
  }
  VolumeRig rig_;
  UnitRef unit_;  // frozen
};

TEST_F(RenameAcross, WaitsForWhoHasAUnitFrozenForAnInstant) {
  std::thread other([&] {
    std::this_thread::sleep_for(100ms);
    unit_->thaw();
  });
  EXPECT_TRUE(rig_.rename("plain/tree", "worktrees/a/tree"));
  other.join();
  EXPECT_TRUE(rig_.exists("worktrees/a/tree"));
  EXPECT_TRUE(rig_.exact());
}

TEST_F(RenameAcross, DoesNotWaitForEver) {
  const auto renamed = rig_.rename("plain/tree", "worktrees/a/tree");
  unit_->thaw();
  ASSERT_FALSE(renamed);
  EXPECT_EQ(renamed.error(), Errno{EBUSY});
  EXPECT_TRUE(rig_.exists("plain/tree"));
  EXPECT_TRUE(rig_.exact());
}

}  // namespace
}  // namespace ebbfs
