// SPDX-License-Identifier: Apache-2.0
//
// What the real git leaves behind, and what is said of it.
#include "fs/git_state.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "fs/tree.h"
#include "tests/support/git.h"
#include "tests/support/temp_tree.h"

namespace ebbfs {

void PrintTo(GitWork work, std::ostream* out) {
  constexpr const char* kNames[] = {"none", "dirty", "unpushed", "unknown"};
  *out << kNames[static_cast<std::size_t>(work)];
}

namespace {

struct Row {
  const char* name;
  const char* script;
  GitWork want;
  const char* why = "";  // found in what is said
};

std::string row_name(const testing::TestParamInfo<Row>& row) { return row.param.name; }

constexpr GitWork kNone = GitWork::none;
constexpr GitWork kDirty = GitWork::dirty;
constexpr GitWork kUnpushed = GitWork::unpushed;
constexpr GitWork kUnknown = GitWork::unknown;

class GitStates : public testing::TestWithParam<Row> {
 protected:
  GitStates() {
    git_script(tree_.path(), "cp -a '" + origin().path().string() +
                                 "'/* .; cd main/repo; git status\n"
                                 "git worktree add -q ../../worktrees/wt");
  }

  // What every test begins with, made once: main/repo and remote.git, where it was pushed to.
  static const TempTree& origin() {
    static const TempTree tree;
    [[maybe_unused]] static const bool kMade = [] {
      git_script(tree.path(),
                 "git init -q --bare --template= remote.git\n"
                 "git init -q --template= main/repo; cd main/repo; mkdir .git/info .git/hooks\n"
                 "mkdir -p src/deep lib; echo 1 >file; echo 2 >src/a.c; echo 3 >src/deep/b.c\n"
                 "echo 4 >lib/c.c; ln -s file link; echo '#!/bin/sh' >run; chmod +x run\n"
                 "printf 'target/\\n*.o\\n!keep.o\\n' >.gitignore\n"
                 "git add -A; git commit -qm first; echo 1a >file; git commit -qam second\n"
                 "git remote add origin ../../remote.git; git push -q origin m");
      return true;
    }();
    return tree;
  }

  [[nodiscard]] GitState look(const std::string& path, const GitBounds& bounds = kPatient) const {
    const SplitPath split = split_path(path);
    const auto dir = open_beneath(backing_->root(), split.directory, O_RDONLY | O_DIRECTORY);
    return look_at_git_work(*backing_, dir->get(), split.name.c_str(), path, bounds);
  }
  void expect(const GitState& state) const {
    EXPECT_EQ(state.work, GetParam().want) << state.why;
    EXPECT_TRUE(state.why.contains(GetParam().why)) << state.why;
    EXPECT_EQ(state.why.empty(), state.work == kNone) << state.why;
  }

  // The machine may be busy.
  static constexpr GitBounds kPatient = {.entries_max = 50'000,
                                         .time_max = std::chrono::minutes(1)};
  TempTree tree_;
  std::unique_ptr<Backing> backing_ = Backing::open(tree_.path()).value();
};

// The script runs at the top of worktrees/wt, a linked worktree on the branch wt.
class LinkedGitWork : public GitStates {};

TEST_P(LinkedGitWork, IsToldApart) {
  git_script(
      tree_.at("worktrees/wt"),
      "admin=$(git rev-parse --git-dir)\n"
      "push() { git push -q origin wt; }\n"
      // Two branches that cannot be merged, both pushed; here is wt.
      "fork() {\n"
      "  git checkout -q -b other; echo 7 >file; git commit -qam o; git push -q origin other\n"
      "  git checkout -q wt; echo 6 >file; git commit -qam w; push\n"
      "}\n" +
          std::string(GetParam().script));
  expect(look("worktrees/wt"));
}

INSTANTIATE_TEST_SUITE_P(
    Files, LinkedGitWork,
    testing::Values(
        Row{"fresh", "true", kNone},
        Row{"fresh_and_looked_at", "git status; git diff; git log", kNone},
        Row{"modified", "echo more >>src/a.c", kDirty, "src/a.c differs"},
        Row{"modified_at_the_same_size", "echo 9 >src/a.c", kDirty, "src/a.c differs"},
        Row{"modified_with_old_times", "echo 9 >src/a.c; touch -r lib/c.c src/a.c", kDirty,
            "src/a.c differs"},
        Row{"touched", "touch src/a.c", kDirty, "src/a.c differs"},
        Row{"touched_and_refreshed", "touch -d yesterday src/a.c; git status", kNone},
        Row{"removed", "rm src/deep/b.c", kDirty, "src/deep/b.c is gone"},
        Row{"directory_removed", "rm -r src", kDirty, "src is gone"},
        Row{"directory_became_a_link", "mv src ../src; ln -s ../src src", kDirty, "src is gone"},
        Row{"directory_became_a_file", "rm -r src; echo >src", kDirty, "src is gone"},
        Row{"made_executable", "chmod +x file", kDirty, "file differs"},
        Row{"link_changed", "ln -sf run link", kDirty, "link differs"},
        Row{"file_became_a_link", "ln -sf run file", kDirty, "file differs"},
        Row{"restored", "echo 9 >src/a.c; git checkout -q src/a.c", kNone},
        Row{"assumed_unchanged",
            "git update-index --assume-unchanged file; git commit -q --allow-empty -m c; push; "
            "echo 9 >file",
            kNone},
        Row{"sparse_checkout", "git sparse-checkout set --no-cone /file; test ! -e src; git status",
            kNone},
        Row{"sparse_index", "git sparse-checkout set --cone --sparse-index lib", kUnknown,
            "is sparse"},
        Row{"split_index", "git update-index --split-index", kUnknown, "is split"},
        Row{"index_version_4", "git update-index --index-version 4", kNone},
        Row{"index_version_4_modified",
            "git update-index --index-version 4; echo more >>src/deep/b.c", kDirty,
            "src/deep/b.c differs"},
        Row{"untracked_cache_and_threads",
            "git update-index --force-untracked-cache; git -c index.threads=2 status", kNone},
        Row{"damaged_index", "echo garbage >$admin/index", kUnknown, "git's index"},
        Row{"without_git", "rm .git", kNone}),
    row_name);

INSTANTIATE_TEST_SUITE_P(
    Untracked, LinkedGitWork,
    testing::Values(
        Row{"at_the_top", "echo >new.c", kDirty, "new.c was never added"},
        Row{"beside_tracked_files", "echo >src/deep/new.c", kDirty, "src/deep/new.c was never"},
        Row{"in_a_new_directory", "mkdir -p new/deep; echo >new/deep/x.c", kDirty,
            "new/deep/x.c was never"},
        Row{"link", "ln -s nowhere new", kDirty, "new was never added"},
        Row{"empty_directory", "mkdir -p new/deep", kNone}, Row{"pipe", "mkfifo new", kNone},
        Row{"build_output",
            "mkdir -p target/debug src/target; echo >target/debug/x; echo >src/a.o; "
            "echo >src/target/y",
            kNone},
        Row{"output_in_a_new_directory", "mkdir new; echo >new/x.o", kNone},
        Row{"file_named_like_an_ignored_directory", "echo >target", kDirty, "target was never"},
        Row{"taken_back", "echo >src/keep.o", kDirty, "src/keep.o was never"},
        Row{"excluded_by_the_repository",
            "echo scratch >>../../main/repo/.git/info/exclude; "
            "echo >scratch",
            kNone},
        Row{"ignored_further_down",
            "echo '*.log' >src/.gitignore; git add src; git commit -qm i; push; "
            "echo >src/deep/x.log",
            kNone},
        Row{"ignored_elsewhere",
            "echo '*.log' >src/.gitignore; git add src; git commit -qm i; push; "
            "echo >lib/x.log",
            kDirty, "lib/x.log was never"},
        Row{"ignored_by_itself", "mkdir new; echo '*' >new/.gitignore; echo >new/x", kNone},
        Row{"tracked_among_ignored",
            "mkdir target; echo >target/kept; git add -f target; git commit -qm t; "
            "push; echo >target/x",
            kNone},
        Row{"other_repository", "git init -q other", kDirty, "other/.git is another"}),
    row_name);

INSTANTIATE_TEST_SUITE_P(
    Staged, LinkedGitWork,
    testing::Values(
        Row{"changed", "echo more >>file; git add file", kDirty, "staged"},
        Row{"new_file", "echo >new; git add new", kDirty, "staged"},
        Row{"removed", "git rm -q file", kDirty, "staged"},
        Row{"to_be_added", "echo >new; git add -N new", kDirty, "new is to be added"},
        // The cache tree is whole again.
        Row{"refused_by_a_hook",
            "git repack -adq; sed -i 's/> [0-9]* +/> '$(($(date +%s) - 9999))' +/' "
            "$admin/logs/HEAD\n"
            "printf '#!/bin/sh\\nexit 1\\n' >../../main/repo/.git/hooks/pre-commit\n"
            "chmod +x ../../main/repo/.git/hooks/pre-commit\n"
            "echo >new; git add new; ! git commit -qm new",
            kDirty, "new is staged"},
        Row{"refused_on_a_new_branch",
            "git repack -adq\n"
            "sed -i 's/> [0-9]* +/> '$(($(date +%s) - 9999))' +/' $admin/logs/HEAD\n"
            "echo >new; touch -d '3 hours ago' new; git add new; git checkout -q -b other\n"
            "git write-tree",
            kDirty, "new is staged"},
        Row{"everything_removed_from_the_index", "git rm -rq --cached .", kDirty, "staged"},
        Row{"in_conflict",
            "echo 9 >file; git stash -q; echo 8 >file; git commit -qam x; push\n"
            "! git stash pop",
            kDirty, "file is in conflict"},
        Row{"stash_taken_back", "echo 9 >file; git stash -q; git stash pop -q", kDirty},
        Row{"stashed", "echo 9 >file; git stash -q", kNone},
        Row{"index_locked", "touch $admin/index.lock", kDirty, "is locked"}),
    row_name);

INSTANTIATE_TEST_SUITE_P(
    InProgress, LinkedGitWork,
    testing::Values(
        Row{"fork", "fork", kNone}, Row{"merge", "fork; ! git merge other", kDirty, "a merge is"},
        Row{"merge_not_committed", "fork; git merge -s ours --no-commit other", kDirty,
            "a merge is"},
        Row{"cherry_pick", "fork; ! git cherry-pick other", kDirty, "a cherry-pick is"},
        Row{"revert", "fork; echo 5 >file; git commit -qam 5; ! git revert HEAD~1", kDirty,
            "a revert is"},
        Row{"rebase", "fork; ! git rebase other", kDirty, "a rebase is"},
        Row{"rebase_stopped_to_edit",
            "fork; GIT_SEQUENCE_EDITOR='sed -i s/pick/edit/' "
            "git rebase -i HEAD~1",
            kDirty, "a rebase is"},
        Row{"mail", "fork; git format-patch -q -1 other; ! git am 0001*", kDirty, "a rebase is"},
        Row{"bisection", "git bisect start", kDirty, "a bisection is"},
        Row{"given_up",
            "fork; ! git merge other; git merge --abort; ! git rebase other; "
            "git rebase --abort",
            kNone},
        Row{"merged", "fork; git merge -q -s ours other; push", kNone},
        Row{"rebased", "fork; git rebase -q -X theirs other; git push -qf origin wt", kNone},
        Row{"picked", "fork; git cherry-pick -X theirs other; push", kNone},
        Row{"reverted", "fork; git revert --no-edit HEAD; push", kNone}),
    row_name);

INSTANTIATE_TEST_SUITE_P(
    Commits, LinkedGitWork,
    testing::Values(
        Row{"committed", "echo 9 >file; git commit -qam c", kUnpushed,
            "commits of wt that no remote has"},
        Row{"pushed", "echo 9 >file; git commit -qam c; push", kNone},
        Row{"pushed_and_packed",
            "echo 9 >file; git commit -qam c; push; git pack-refs --all; git gc -q", kNone},
        Row{"committed_and_packed",
            "echo 9 >file; git commit -qam c; git pack-refs --all; git gc -q", kUnpushed,
            "commits of wt"},
        Row{"packed_ref_is_stale",
            "echo 9 >file; git commit -qam c; push; git pack-refs --all\n"
            "git push -qf origin m:wt",
            kUnpushed, "commits of wt"},
        Row{"amended_after_the_push",
            "echo 9 >file; git commit -qam c; push; git commit -q --amend -m d", kUnpushed},
        Row{"tagged", "echo 9 >file; git commit -qam c; git tag v1", kNone},
        Row{"tagged_with_a_note_and_packed",
            "echo 9 >file; git commit -qam c; git tag -a -m v v1; git pack-refs --all", kNone},
        Row{"on_another_branch", "echo 9 >file; git commit -qam c; git branch copy", kNone},
        Row{"merged_into_the_main_repository",
            "echo 9 >file; git commit -qam c; cd ../../main/repo; git merge -q wt", kNone},
        Row{"taken_back", "echo 9 >file; git commit -qam c; git checkout -q --detach m", kNone},
        Row{"detached", "git checkout -q --detach", kNone},
        Row{"detached_commit", "git checkout -q --detach; echo 9 >file; git commit -qam c",
            kUnpushed, "commits of no branch"},
        Row{"older_commit", "git checkout -q --detach HEAD~1", kUnpushed, "commits of no branch"},
        Row{"began_at_an_older_commit",
            "git worktree remove ../wt; git -C ../../main/repo worktree add -q --detach "
            "$PWD m~1",
            kNone},
        Row{"main_repository_moved_on",
            "cd ../../main/repo; echo 9 >file; git commit -qam c; git push -q origin m", kNone},
        Row{"branch_without_history", "git checkout -q --orphan new; git commit -qm c", kUnpushed,
            "commits of new"},
        Row{"staged_after_a_soft_reset",
            "echo 9 >file; git commit -qam c; git reset -q --soft HEAD~1", kUnpushed,
            "commits before a git reset"},
        Row{"reset_to_what_was_pushed",
            "echo 9 >file; git commit -qam c; push; git reset -q --hard HEAD~1", kNone},
        Row{"reset_again_and_again",
            "for i in 1 2; do git fetch -q; git reset -q --hard m~1; git reset -q --hard m; done",
            kNone},
        Row{"no_log", "rm $admin/logs/HEAD", kNone},
        Row{"no_log_committed", "echo 9 >file; git commit -qam c; rm $admin/logs/HEAD", kUnpushed},
        Row{"damaged_head", "echo garbage >$admin/HEAD", kUnknown, "HEAD"},
        Row{"damaged_ref",
            "git commit -q --allow-empty -m c; echo x >../../main/repo/.git/refs/tags/t", kUnknown,
            "refs/tags/t"},
        Row{"entry_is_gone", "rm -r $admin", kUnknown, "not on this volume"},
        Row{"reftable",
            "mkdir ../../main/repo/.git/reftable; "
            "echo >../../main/repo/.git/reftable/tables.list",
            kUnknown, "reftable"}),
    row_name);

// The script runs in worktrees/, and makes the repository worktrees/own.
class OwnGitWork : public GitStates {};

TEST_P(OwnGitWork, IsToldApart) {
  git_script(tree_.at("worktrees"),
             "made() { git init -q own; cd own; }\n"
             "cloned() { git clone -q ../remote.git own; cd own; git checkout -q m; }\n"
             "commit() { echo 9 >>file; git add file; git commit -qm c; }\n" +
                 std::string(GetParam().script));
  expect(look("worktrees/own"));
}

INSTANTIATE_TEST_SUITE_P(
    , OwnGitWork,
    testing::Values(
        Row{"fresh_clone", "cloned", kNone},
        Row{"clone_modified", "cloned; echo 9 >file", kDirty, "file differs"},
        Row{"clone_committed", "cloned; commit", kUnpushed, "commits of m that"},
        Row{"clone_pushed", "cloned; commit; git push -q origin m", kNone},
        Row{"clone_packed", "cloned; commit; git push -q origin m; git gc -q", kNone},
        Row{"other_branch_committed", "cloned; git checkout -q -b other; commit; git checkout -q m",
            kUnpushed, "commits of other"},
        Row{"second_branch_saves_nothing", "cloned; commit; git branch copy", kUnpushed},
        Row{"tag_saves_nothing", "cloned; git checkout -q --detach; commit; git tag v1", kUnpushed,
            "commits of no branch"},
        Row{"clone_that_fell_behind",
            "cloned; (cd ../../main/repo; commit; git push -q origin m); git fetch -q", kNone},
        Row{"clone_of_a_tag",
            "(cd ../main/repo; commit; git tag v1; git push -q origin v1)\n"
            "git clone -q --depth 1 -b v1 file://$PWD/../remote.git own",
            kNone},
        Row{"stash", "cloned; echo 9 >file; git stash -q", kUnpushed, "a stash"},
        Row{"stash_packed", "cloned; echo 9 >file; git stash -q; git pack-refs --all", kUnpushed,
            "a stash"},
        Row{"refused_by_a_hook",
            "cloned; sed -i 's/> [0-9]* +/> '$(($(date +%s) - 9999))' +/' .git/logs/HEAD; git gc "
            "-q\n"
            "printf '#!/bin/sh\\nexit 1\\n' >.git/hooks/pre-commit; chmod +x "
            ".git/hooks/pre-commit\n"
            "! commit",
            kDirty, "file is staged"},
        Row{"just_made", "made", kNone},
        Row{"just_made_with_a_file", "made; echo >x", kDirty, "x was never added"},
        Row{"just_made_and_staged", "made; echo >x; git add x", kDirty, "staged"},
        Row{"made_and_committed", "made; commit", kUnpushed, "commits of m that"},
        Row{"empty_commit",
            "made; git commit -q --allow-empty -m c; git remote add o ../../remote.git; "
            "git push -q o m:x",
            kNone},
        Row{"sha256",
            "git init -q --object-format=sha256 own; cd own; commit; git init -q --bare "
            "--object-format=sha256 ../../r; git remote add o ../../r; git push -q o m",
            kNone},
        Row{"sha256_modified",
            "git init -q --object-format=sha256 own; cd own; commit; git init -q --bare "
            "--object-format=sha256 ../../r; git remote add o ../../r; git push -q o m; echo "
            ">>file",
            kDirty, "file differs"},
        Row{"submodule_not_there",
            "cd ../main/repo; git submodule --quiet add $PWD/../../remote.git sub\n"
            "git commit -qm sub; git push -q origin m; cd ../../worktrees; cloned",
            kNone},
        Row{"submodule", "cloned; git submodule --quiet add $PWD/../../remote.git sub", kUnknown,
            "submodules"},
        Row{"others_hang_on_it", "cloned; git worktree add -q ../../other", kUnknown,
            "other worktrees"},
        Row{"bare", "git clone -q --bare ../remote.git own", kUnknown, "a repository itself"},
        Row{"link_to_a_repository", "mkdir own; ln -s ../../main/repo/.git own/.git", kUnknown,
            ".git cannot be opened"},
        Row{"no_repository", "mkdir -p own/.git", kUnknown, ".git is no repository"},
        Row{"separate_repository", "git init -q --separate-git-dir ../elsewhere own", kUnknown,
            "not on this volume"},
        Row{"pipe", "mkdir own; mkfifo own/.git", kUnknown, ".git"},
        Row{"plain_directory", "mkdir own; echo >own/x", kNone},
        Row{"plain_file", "echo >own", kNone}, Row{"plain_link", "ln -s ../main/repo own", kNone},
        Row{"nothing", "true", kUnknown, "cannot be looked at"}),
    row_name);

class GitBounded : public GitStates {};

TEST_F(GitBounded, IsUnknownBeyondItsBounds) {
  EXPECT_EQ(look("worktrees/wt", {.entries_max = 20, .time_max = kPatient.time_max}).work, kNone);
  EXPECT_EQ(look("worktrees/wt", {.entries_max = 3, .time_max = kPatient.time_max}).work, kUnknown);
  EXPECT_EQ(look("worktrees/wt", {.entries_max = 20, .time_max = {}}).work, kUnknown);
}

TEST_F(GitBounded, CountsUntrackedFiles) {
  git_script(tree_.at("worktrees/wt"), "for i in $(seq 100); do echo >src/$i.o; done");
  EXPECT_EQ(look("worktrees/wt").work, kNone);
  const GitState state = look("worktrees/wt", {.entries_max = 50, .time_max = kPatient.time_max});
  EXPECT_EQ(state.work, kUnknown);
  EXPECT_EQ(state.why, kOverBounds);
}

TEST_F(GitBounded, DoesNotEnterIgnoredDirectories) {
  git_script(tree_.at("worktrees/wt"),
             "mkdir target; for i in $(seq 100); do echo >target/$i; done");
  EXPECT_EQ(look("worktrees/wt", {.entries_max = 20, .time_max = kPatient.time_max}).work, kNone);
}

}  // namespace
}  // namespace ebbfs
