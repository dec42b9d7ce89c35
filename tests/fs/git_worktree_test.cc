// SPDX-License-Identifier: Apache-2.0
#include "fs/git_worktree.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "fs/tree.h"
#include "tests/support/git.h"
#include "tests/support/temp_tree.h"

namespace ebbfs {
namespace {

namespace stdfs = std::filesystem;

class GitWorktree : public testing::Test {
 protected:
  GitWorktree() {
    make_repository(tree_.at("main/repo"));
    tree_.make_dir("worktrees");
    git(tree_.at("main/repo"), "worktree add -q " + tree_.at("worktrees/wt").string());
  }

  Result<std::optional<GitAdmin>> find(const std::string& path = "worktrees/wt") {
    const SplitPath split = split_path(path);
    const auto dir = open_beneath(backing_->root(), split.directory, O_RDONLY | O_DIRECTORY);
    return find_git_admin(*backing_, dir->get(), split.name.c_str(), path);
  }
  void expect_none(const std::string& path = "worktrees/wt") {
    const auto found = find(path);
    ASSERT_TRUE(found.has_value());
    EXPECT_FALSE(found->has_value());
  }
  // Where git put it, as a path on the volume.
  static constexpr const char* kEntry = "main/repo/.git/worktrees/wt";

  TempTree tree_;
  std::unique_ptr<Backing> backing_ = Backing::open(tree_.path()).value();
};

TEST_F(GitWorktree, FindsTheEntryThatGitMade) {
  const auto found = find();
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->path, kEntry);
  EXPECT_EQ((*found)->id, "wt");
  EXPECT_FALSE((*found)->locked);
  EXPECT_EQ((*found)->handle, backing_->handle((*found)->parent.get(), "wt").value());
}

TEST_F(GitWorktree, SeesTheLockOfGitAndItsReason) {
  git(tree_.at("main/repo"),
      "worktree lock --reason 'on a stick' " + tree_.at("worktrees/wt").string());
  const auto found = find();
  ASSERT_TRUE(found && *found);
  EXPECT_TRUE((*found)->locked);
  EXPECT_EQ((*found)->locked_why, "on a stick");
}

TEST_F(GitWorktree, UnderstandsPathsOfAnotherMountPoint) {
  tree_.write_file("worktrees/wt/.git", "gitdir: /in/the/container/main/repo/.git/worktrees/wt\n");
  tree_.write_file(std::string(kEntry) + "/gitdir", "/in/the/container/worktrees/wt/.git\n");
  const auto found = find();
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->path, kEntry);
}

TEST_F(GitWorktree, UnderstandsRelativePaths) {
  tree_.write_file("worktrees/wt/.git", "gitdir: ../../main/repo/.git/worktrees/wt\n");
  tree_.write_file(std::string(kEntry) + "/gitdir", "../../../../../worktrees/wt/.git\n");
  const auto found = find();
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->path, kEntry);
}

TEST_F(GitWorktree, TakesTheLongestTailThatPointsBack) {
  // A repository at the root of the volume with an entry of the same name, for another worktree.
  stdfs::create_directories(tree_.at("repo/.git/worktrees/wt"));
  tree_.write_file("repo/.git/worktrees/wt/commondir", "../..\n");
  tree_.write_file("repo/.git/worktrees/wt/gitdir", "/elsewhere/worktrees/wt/.git\n");
  const auto found = find();
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->path, kEntry);
}

struct Doubt {
  const char* name;
  const char* file;  // replaced by `content`; removed when that is null
  const char* content;
};

class GitWorktreeDoubt : public GitWorktree, public testing::WithParamInterface<Doubt> {};

TEST_P(GitWorktreeDoubt, IsNoEntry) {
  const auto file = tree_.at(GetParam().file);
  if (GetParam().content == nullptr) {
    stdfs::remove_all(file);
  } else {
    std::ofstream(file) << GetParam().content;
  }
  expect_none();
}

INSTANTIATE_TEST_SUITE_P(
    All, GitWorktreeDoubt,
    testing::Values(
        Doubt{"entry_points_to_another", "main/repo/.git/worktrees/wt/gitdir",
              "/x/worktrees/other/.git\n"},
        Doubt{"entry_points_to_longer_name", "main/repo/.git/worktrees/wt/gitdir",
              "/x/my-worktrees/wt/.git\n"},
        Doubt{"entry_points_to_subdirectory", "main/repo/.git/worktrees/wt/gitdir",
              "/x/worktrees/wt/sub/.git\n"},
        Doubt{"entry_without_gitdir", "main/repo/.git/worktrees/wt/gitdir", nullptr},
        Doubt{"entry_with_empty_gitdir", "main/repo/.git/worktrees/wt/gitdir", ""},
        Doubt{"entry_without_commondir", "main/repo/.git/worktrees/wt/commondir", nullptr},
        Doubt{"entry_missing", "main/repo/.git/worktrees/wt", nullptr},
        Doubt{"no_link", "worktrees/wt/.git", nullptr},
        Doubt{"link_without_gitdir", "worktrees/wt/.git", "hello\n"},
        Doubt{"link_to_nothing", "worktrees/wt/.git", "gitdir: /\n"},
        Doubt{"link_out_of_the_volume", "worktrees/wt/.git",
              "gitdir: ../../../../../../etc/worktrees/wt\n"},
        Doubt{"link_to_the_repository_itself", "worktrees/wt/.git", "gitdir: /x/main/repo/.git\n"}),
    [](const auto& row) { return std::string(row.param.name); });

TEST_F(GitWorktree, IsNotFollowedThroughLinks) {
  stdfs::rename(tree_.at("main"), tree_.at("moved"));
  stdfs::create_directory_symlink("moved", tree_.at("main"));
  expect_none();
}

TEST_F(GitWorktree, RefusesContentWithNulBytes) {
  std::ofstream(tree_.at("worktrees/wt/.git")) << std::string("gitdir: /x\0/worktrees/wt\n", 25);
  expect_none();
}

TEST_F(GitWorktree, DoesNotWaitForTheWriterOfAPipe) {
  stdfs::remove(tree_.at("worktrees/wt/.git"));
  ASSERT_EQ(::mkfifo(tree_.at("worktrees/wt/.git").c_str(), 0600), 0);
  expect_none();
}

TEST_F(GitWorktree, IsNoneForMainRepositoriesAndFiles) {
  make_repository(tree_.at("worktrees/whole"));
  expect_none("worktrees/whole");
  tree_.write_file("worktrees/file", "x");
  expect_none("worktrees/file");
}

}  // namespace
}  // namespace ebbfs
