// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gtest/gtest.h>

#include <array>

#include "tests/support/volume_rig.h"

namespace ebbfs {
namespace {

class OpenFiles : public testing::Test {
 protected:
  void SetUp() override {
    rig_.mount();
    ASSERT_TRUE(rig_.make_dir("worktrees"));
    ASSERT_TRUE(rig_.make_dir("worktrees/a"));
  }
  VolumeRig rig_;
};

TEST_F(OpenFiles, AreReleasedInAnyOrder) {
  ASSERT_TRUE(rig_.write_file("worktrees/a/file", "content"));
  for (const auto& order : {std::array{0U, 1U, 2U}, std::array{2U, 1U, 0U}, std::array{1U, 0U, 2U},
                            std::array{1U, 2U, 0U}}) {
    std::array<OpenFile*, 3> files{};
    for (OpenFile*& file : files) {
      file = rig_.open("worktrees/a/file", O_RDWR);
      ASSERT_NE(file, nullptr);
    }
    for (const std::size_t which : order) rig_.close(files.at(which));
    EXPECT_EQ(rig_.parts().filesystem->open_files(), 0U);
    const InodeRef inode = rig_.parts().inodes.find(rig_.at("worktrees/a/file"));
    const MutexLock lock(inode->size_mu);
    EXPECT_EQ(inode->extent.first_open, nullptr);
  }
}

TEST_F(OpenFiles, AreAllReleasedWhenTheKernelIsGone) {
  ASSERT_TRUE(rig_.write_file("worktrees/a/stays", "content"));
  ASSERT_TRUE(rig_.write_file("worktrees/a/goes", "content"));
  ASSERT_NE(rig_.open("worktrees/a/stays", O_RDWR), nullptr);
  ASSERT_NE(rig_.open("worktrees/a/stays", O_RDONLY), nullptr);
  ASSERT_NE(rig_.open("worktrees/a/goes", O_RDWR), nullptr);
  ASSERT_TRUE(rig_.remove("worktrees/a/goes"));
  EXPECT_EQ(rig_.unit("worktrees/a")->opens(), 3U);
  rig_.parts().filesystem->release_all();
  EXPECT_EQ(rig_.parts().filesystem->open_files(), 0U);
  EXPECT_EQ(rig_.unit("worktrees/a")->opens(), 0U);
  EXPECT_TRUE(rig_.exact()) << "what had lost its name is charged no more";
}

}  // namespace
}  // namespace ebbfs
