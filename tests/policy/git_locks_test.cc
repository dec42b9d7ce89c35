// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "policy/classifier.h"
#include "tests/policy/naive_glob.h"

namespace ebbfs {
namespace {

bool is_lock(std::string_view path) {
  const Names names = naive_split(path);
  return is_git_lock(std::vector<std::string_view>(names.begin(), names.end()));
}

TEST(GitLock, IsWhatGitLocksItsFilesWith) {
  constexpr std::string_view kPaths[] = {
      "index.lock",
      "index~pid.lock",
      "HEAD.lock",
      "FETCH_HEAD.lock",
      "MERGE_RR.lock",
      "config.lock",
      "config.worktree.lock",
      "packed-refs.lock",
      "shallow.lock",
      "gc.pid.lock",
      "next-index-4242.lock",
      "index.stash.4242.lock",
      "refs/heads/main.lock",
      "refs/heads/feature/deep/er.lock",
      "refs/heads/main~pid.lock",
      "refs/heads/Cargo.lock",  // a branch may be called so
      "logs/HEAD.lock",
      "info/sparse-checkout.lock",
      "objects/maintenance.lock",
      "objects/info/commit-graphs/commit-graph-chain.lock",
      "objects/pack/multi-pack-index.lock",
      "reftable/tables.list.lock",
      "rebase-merge/git-rebase-todo.lock",
      "sequencer/todo.lock",
      "worktrees/w1/index.lock",
      "worktrees/w1/HEAD.lock",
      "worktrees/w1/logs/HEAD.lock",
      "worktrees/w1/modules/lib/index.lock",
      "modules/lib/index.lock",
      "modules/third/party/lib/refs/heads/main.lock",
      "modules/lib/modules/nested/HEAD.lock",
      "modules/lib/worktrees/w/index.lock",
  };
  for (const std::string_view path : kPaths) EXPECT_TRUE(is_lock(path)) << path;
}

TEST(GitLock, IsNothingThatSomebodyElseKeeps) {
  constexpr std::string_view kPaths[] = {
      "Cargo.lock",
      "yarn.lock",
      "poetry.lock",
      "flake.lock",
      "Gemfile.lock",
      "main/Cargo.lock",  // a worktree inside a bare repository
      "hooks/post-commit.lock",
      "annex/keys.lock",
      "worktrees/w1/Cargo.lock",
      "worktrees/w1",
      "worktrees/index.lock",
      "modules/lib/Cargo.lock",
      "modules/index.lock",
      "index",
      "index.lock.bak",
      "refs/heads/main",
      ".lock",
      "~pid.lock",
      "head.lock",
  };
  for (const std::string_view path : kPaths) EXPECT_FALSE(is_lock(path)) << path;
}

TEST(GitLock, IsToldQuicklyOfAHostilePath) {
  std::vector<std::string_view> path(2000, "modules");
  path.push_back("Cargo.lock");
  EXPECT_FALSE(is_git_lock(path));
}

TEST(GitLock, IsNotAnEmptyPath) { EXPECT_FALSE(is_git_lock({})); }

}  // namespace
}  // namespace ebbfs
