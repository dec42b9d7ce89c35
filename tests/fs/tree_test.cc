// SPDX-License-Identifier: Apache-2.0
#include "fs/tree.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "tests/support/temp_tree.h"
#include "tests/support/volume_rig.h"

namespace ebbfs {
namespace {

namespace stdfs = std::filesystem;

TEST(SplitPath, CutsOffTheLastName) {
  EXPECT_EQ(split_path("a/b/c").directory, "a/b");
  EXPECT_EQ(split_path("a/b/c").name, "c");
  EXPECT_EQ(split_path("c").directory, "");
  EXPECT_EQ(split_path("c").name, "c");
}

TEST(ComponentsOf, LeavesOutEmptyOnes) {
  using Components = std::vector<std::string_view>;
  EXPECT_EQ(components_of("//a/b//c/"), (Components{"a", "b", "c"}));
  EXPECT_EQ(components_of(""), Components{});
  EXPECT_EQ(components_of("/"), Components{});
}

class TreeTest : public testing::Test {
 protected:
  Errno open_error(const char* path) {
    const auto fd = open_beneath(backing_->root(), path, O_RDONLY);
    return fd ? Errno{0} : fd.error();
  }

  TempTree tree_;
  std::unique_ptr<Backing> backing_ = Backing::open(tree_.path()).value();
};

TEST_F(TreeTest, OpensOnlyBelowAndThroughNoLink) {
  tree_.write_file("a/b", "x");
  stdfs::create_directory_symlink("a", tree_.at("link"));
  EXPECT_EQ(open_error("a/b"), Errno{0});
  EXPECT_EQ(open_error(""), Errno{0});
  EXPECT_EQ(open_error("a/../a/b"), Errno{0});
  EXPECT_EQ(open_error("../etc"), Errno{EXDEV});
  EXPECT_EQ(open_error("/etc"), Errno{EXDEV});
  EXPECT_EQ(open_error("link/b"), Errno{ELOOP});
  EXPECT_EQ(open_error("link"), Errno{ELOOP});
  EXPECT_EQ(open_error("absent"), Errno{ENOENT});
}

// The kernel answers EAGAIN where something was renamed, anywhere, while it went through a "..".
TEST_F(TreeTest, OpensThroughDotsWhileOthersRename) {
  tree_.write_file("a/b", "x");
  const std::jthread renaming([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      stdfs::rename(tree_.at("a/b"), tree_.at("a/c"));
      stdfs::rename(tree_.at("a/c"), tree_.at("a/b"));
    }
  });
  for (int i = 0; i < 20'000; ++i) ASSERT_EQ(open_error("a/../a/../a"), Errno{0}) << i;
}

// As when the number of a file that has just gone is used again: the kernel opens none itself here.
TEST(OpeningByHandle, OfAFifoNeitherWaitsNorSucceeds) {
  VolumeRig rig;
  rig.mount();
  ASSERT_EQ(::mkfifo(rig.tree.at("fifo").c_str(), 0600), 0);
  for (const int flags : {O_RDONLY, O_WRONLY, O_RDWR}) {
    EXPECT_EQ(rig.open_error("fifo", flags), Errno{ESTALE}) << flags;
  }
}

TEST_F(TreeTest, GathersEachInodeOnceAndKnowsWhichHaveNamesElsewhere) {
  tree_.write_file("t/one", "x");
  tree_.write_file("t/d/two", "x");
  stdfs::create_hard_link(tree_.at("t/one"), tree_.at("t/d/one"));
  stdfs::create_hard_link(tree_.at("t/d/two"), tree_.at("outside"));
  const auto inodes = gather_tree(*backing_, backing_->root(), "t", 100);
  ASSERT_TRUE(inodes.has_value());
  EXPECT_EQ(inodes->size(), 4U);
  EXPECT_TRUE(is_directory(inodes->front().attributes));
  int elsewhere = 0;
  for (const TreeInode& inode : *inodes) elsewhere += inode.whole() ? 0 : 1;
  EXPECT_EQ(elsewhere, 1);
}

TEST_F(TreeTest, RefusesToGatherALargeTree) {
  for (int i = 0; i < 10; ++i) tree_.write_file("t/" + std::to_string(i), "");
  EXPECT_TRUE(gather_tree(*backing_, backing_->root(), "t", 11).has_value());
  EXPECT_EQ(gather_tree(*backing_, backing_->root(), "t", 10).error(), Errno{E2BIG});
}

TEST_F(TreeTest, GivesTheRootTheNumberThatTheKernelHasForIt) {
  tree_.make_dir("a");
  const auto root = backing_->stat(backing_->root(), "");
  const auto other = backing_->stat(backing_->root(), "a");
  EXPECT_EQ(inode_id_of(*backing_, *root), kRootInode);
  EXPECT_EQ(inode_id_of(*backing_, *other), InodeId{other->stx_ino});
}

TEST(UnitOfPath, IsTheUnitAroundOrTheRootUnit) {
  VolumeRig rig;
  rig.mount();
  ASSERT_TRUE(rig.make_dir("worktrees"));
  ASSERT_TRUE(rig.make_dir("worktrees/a"));
  const UnitRef unit = rig.unit("worktrees/a");
  EXPECT_EQ(unit_of_path(rig.volume(), "worktrees/a"), unit);
  EXPECT_EQ(unit_of_path(rig.volume(), "worktrees/a/b/c"), unit);
  EXPECT_EQ(unit_of_path(rig.volume(), "worktrees/ab"), rig.parts().units->root());
  EXPECT_EQ(unit_of_path(rig.volume(), "worktrees"), rig.parts().units->root());
  EXPECT_EQ(unit_of_path(rig.volume(), ""), rig.parts().units->root());
}

}  // namespace
}  // namespace ebbfs
