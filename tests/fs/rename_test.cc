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

TEST(RenameAcross, WaitsForWhoHasAUnitFrozenForAnInstant) {
  VolumeRig rig;
  rig.mount();
  ASSERT_TRUE(rig.make_dir("plain"));
  ASSERT_TRUE(rig.make_dir("plain/tree"));
  ASSERT_TRUE(rig.make_dir("worktrees"));
  ASSERT_TRUE(rig.make_dir("worktrees/a"));
  ASSERT_TRUE(rig.unit("worktrees/a")->freeze(1s));
  std::thread other([&] {
    std::this_thread::sleep_for(100ms);
    rig.unit("worktrees/a")->thaw();
  });
  EXPECT_TRUE(rig.rename("plain/tree", "worktrees/a/tree"));
  other.join();
  EXPECT_TRUE(rig.exists("worktrees/a/tree"));
  EXPECT_TRUE(rig.exact());
}

TEST(RenameAcross, DoesNotWaitForEver) {
  VolumeRig rig;
  rig.mount();
  ASSERT_TRUE(rig.make_dir("plain"));
  ASSERT_TRUE(rig.make_dir("plain/tree"));
  ASSERT_TRUE(rig.make_dir("worktrees"));
  ASSERT_TRUE(rig.make_dir("worktrees/a"));
  const UnitRef unit = rig.unit("worktrees/a");
  ASSERT_TRUE(unit->freeze(1s));
  const auto renamed = rig.rename("plain/tree", "worktrees/a/tree");
  unit->thaw();
  ASSERT_FALSE(renamed);
  EXPECT_EQ(renamed.error(), Errno{EBUSY});
  EXPECT_TRUE(rig.exists("plain/tree"));
  EXPECT_TRUE(rig.exact());
}

}  // namespace
}  // namespace ebbfs
