// SPDX-License-Identifier: Apache-2.0
#include "fs/purge.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>

#include "fs/tree.h"
#include "tests/support/temp_tree.h"

namespace ebbfs {
namespace {

class Purge : public testing::Test {
 protected:
  Status purge(const char* name, int deletions = -1) {
    left_ = deletions;
    const PurgeHooks hooks{[this](const Attributes& gone) { freed_ += charge_for(gone); },
                           [this] {
                             if (left_ > 0) --left_;
                             return left_ != 0;
                           }};
    return purge_tree(*backing_, backing_->root(), name, hooks);
  }

  TempTree tree_;
  std::unique_ptr<Backing> backing_ = Backing::open(tree_.path()).value();
  Usage freed_;
  int left_ = -1;
};

TEST_F(Purge, DeletesATreeAndTellsWhatItHeld) {
  tree_.write_file("a/b/one", std::string(5000, 'x'));
  tree_.write_file("a/two", "x");
  std::filesystem::create_symlink("nowhere", tree_.at("a/link"));
  ASSERT_TRUE(purge("a"));
  EXPECT_FALSE(tree_.exists("a"));
  EXPECT_EQ(freed_, (Usage{{8192 + 4096}, 5}));
}

TEST_F(Purge, DeletesASingleFile) {
  tree_.write_file("a", "x");
  ASSERT_TRUE(purge("a"));
  EXPECT_FALSE(tree_.exists("a"));
}

TEST_F(Purge, IsContentWithNothing) { EXPECT_TRUE(purge("absent")); }

TEST_F(Purge, CountsAHardLinkedFileOnceAndNotWhileItIsElsewhere) {
  tree_.write_file("a/one", "x");
  std::filesystem::create_hard_link(tree_.at("a/one"), tree_.at("a/two"));
  tree_.write_file("a/outside", "x");
  std::filesystem::create_hard_link(tree_.at("a/outside"), tree_.at("kept"));
  ASSERT_TRUE(purge("a"));
  EXPECT_EQ(freed_, (Usage{{4096}, 2}));  // the directory and one file
}

TEST_F(Purge, DeletesWhatNoPathCanName) {
  constexpr int kDepth = 3000;
  UniqueFd at(::open(tree_.path().c_str(), O_RDONLY | O_DIRECTORY));
  ASSERT_EQ(::mkdirat(at.get(), "deep", 0700), 0);
  at.reset(::openat(at.get(), "deep", O_RDONLY | O_DIRECTORY));
  for (int i = 1; i < kDepth; ++i) {
    ASSERT_EQ(::mkdirat(at.get(), "ebbfs-deep-1", 0700), 0);
    at.reset(::openat(at.get(), "ebbfs-deep-1", O_RDONLY | O_DIRECTORY));
  }
  ASSERT_TRUE(purge("deep"));
  EXPECT_FALSE(tree_.exists("deep"));
  EXPECT_EQ(freed_.inodes, kDepth);
}

TEST_F(Purge, DeletesADirectoryLargerThanOneReading) {
  constexpr int kNames = 3000;
  for (int i = 0; i < kNames; ++i) tree_.write_file("wide/" + std::to_string(i), "");
  ASSERT_TRUE(purge("wide"));
  EXPECT_EQ(freed_.inodes, kNames + 1);
}

TEST_F(Purge, GoesOnWhereItWasStopped) {
  for (int i = 0; i < 10; ++i) tree_.write_file("a/" + std::to_string(i), "x");
  const auto stopped = purge("a", 4);
  ASSERT_FALSE(stopped.has_value());
  EXPECT_EQ(stopped.error(), Errno{ECANCELED});
  EXPECT_EQ(freed_.inodes, 4);
  ASSERT_TRUE(purge("a"));
  EXPECT_EQ(freed_.inodes, 11);
  EXPECT_FALSE(tree_.exists("a"));
}

}  // namespace
}  // namespace ebbfs
