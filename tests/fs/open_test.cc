// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gtest/gtest.h>

#include <array>

#include "tests/support/volume_rig.h"

namespace ebbfs {
namespace {

TEST(OpenFiles, AreReleasedInAnyOrder) {
  VolumeRig rig;
  rig.mount();
  ASSERT_TRUE(rig.make_dir("worktrees"));
  ASSERT_TRUE(rig.make_dir("worktrees/a"));
  ASSERT_TRUE(rig.write_file("worktrees/a/file", "content"));
  for (const auto& order : {std::array{0U, 1U, 2U}, std::array{2U, 1U, 0U}, std::array{1U, 0U, 2U},
                            std::array{1U, 2U, 0U}}) {
    std::array<OpenFile*, 3> files{};
    for (OpenFile*& file : files) {
      file = rig.open("worktrees/a/file", O_RDWR);
      ASSERT_NE(file, nullptr);
    }
    for (const std::size_t which : order) rig.close(files.at(which));
    EXPECT_EQ(rig.parts().filesystem->open_files(), 0U);
    const InodeRef inode = rig.parts().inodes.find(rig.at("worktrees/a/file"));
    const MutexLock lock(inode->size_mu);
    EXPECT_EQ(inode->extent.first_open, nullptr);
  }
}

TEST(OpenFiles, AreAllReleasedWhenTheKernelIsGone) {
  VolumeRig rig;
  rig.mount();
  ASSERT_TRUE(rig.make_dir("worktrees"));
  ASSERT_TRUE(rig.make_dir("worktrees/a"));
  ASSERT_TRUE(rig.write_file("worktrees/a/stays", "content"));
  ASSERT_TRUE(rig.write_file("worktrees/a/goes", "content"));
  ASSERT_NE(rig.open("worktrees/a/stays", O_RDWR), nullptr);
  ASSERT_NE(rig.open("worktrees/a/stays", O_RDONLY), nullptr);
  ASSERT_NE(rig.open("worktrees/a/goes", O_RDWR), nullptr);
  ASSERT_TRUE(rig.remove("worktrees/a/goes"));
  EXPECT_EQ(rig.unit("worktrees/a")->opens(), 3U);
  rig.parts().filesystem->release_all();
  EXPECT_EQ(rig.parts().filesystem->open_files(), 0U);
  EXPECT_EQ(rig.unit("worktrees/a")->opens(), 0U);
  EXPECT_TRUE(rig.exact()) << "what had lost its name is charged no more";
}

}  // namespace
}  // namespace ebbfs
