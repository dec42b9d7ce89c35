// SPDX-License-Identifier: Apache-2.0
//
// Restoring to another place, into what may have changed meanwhile, and within limits. The plain
// restore is in trash_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "tests/support/git.h"
#include "tests/support/volume_rig.h"

namespace ebbfs {
namespace {

namespace stdfs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

const std::string kSavedPolicy = std::string(kRigPolicy) + R"(
[[class]]
name = "saved"
kind = "tree"
match = ["saved/{job}/*"]
ttl = "none"
)";

class Restore : public testing::Test {
 protected:
  explicit Restore(const std::string& policy = kSavedPolicy) : rig_(policy) {}
  void mount() {
    rig_.mount();
    EXPECT_TRUE(rig_.make_dir("worktrees"));
    EXPECT_TRUE(rig_.make_dir("worktrees/a"));
    EXPECT_TRUE(rig_.write_file("worktrees/a/one", std::string(5000, 'x')));
    EXPECT_TRUE(rig_.change_owner("worktrees/a/one", 54321, 54321));
  }
  void SetUp() override { mount(); }
  TrashRecord expire(const std::string& path = "worktrees/a") {
    const auto expired = rig_.reaper().expire(rig_.unit(path), false);
    EXPECT_TRUE(expired.trash.has_value());
    return expired.trash.value_or(TrashRecord{});
  }
  // Why it was refused; what is there stays as it was.
  std::string refusal(TrashId id, const Trash::Wish& wish, int error) {
    const auto restored = rig_.trash().restore(id, wish);
    EXPECT_FALSE(restored.has_value());
    if (restored) return {};
    EXPECT_EQ(restored.error().error, Errno{error}) << restored.error().why;
    EXPECT_EQ(rig_.trash().held().units, 1U);
    EXPECT_TRUE(rig_.exact());
    return restored.error().why;
  }
  // Globs change with a mount.
  void mount_with(const std::string& policy) {
    rig_.unmount();
    rig_.policy_text = policy;
    rig_.mount();
  }
  void limit(const std::string& scope, const ScopeLimits& limits) {
    EXPECT_TRUE(rig_.parts().quotas->set(scope, limits, 0).has_value());
  }

  VolumeRig rig_;
};

TEST_F(Restore, PutsAUnitUnderAnotherName) {
  const UnitRecord before = rig_.unit("worktrees/a")->record();
  const TrashRecord record = expire();
  ASSERT_TRUE(rig_.make_dir("worktrees/a"));
  const auto restored = rig_.trash().restore(record.id, {.to = "worktrees/b"});
  ASSERT_TRUE(restored.has_value());
  EXPECT_EQ(restored->path, "worktrees/b");
  EXPECT_EQ(rig_.unit("worktrees/b")->record().owner, before.owner);
  EXPECT_EQ(rig_.unit("worktrees/b")->id(), before.id);
  EXPECT_NE(rig_.unit("worktrees/a"), nullptr);
  EXPECT_TRUE(rig_.exists("worktrees/b/one"));
  EXPECT_TRUE(rig_.exact());
  rig_.unmount();
  rig_.mount();
  EXPECT_EQ(rig_.unit("worktrees/b")->id(), before.id);
  EXPECT_TRUE(rig_.exact());
}

TEST_F(Restore, PutsAUnitIntoAnotherClassAndJob) {
  const TrashRecord record = expire();
  ASSERT_TRUE(rig_.make_dir("saved"));
  ASSERT_TRUE(rig_.make_dir("saved/ci-7"));
  ASSERT_TRUE(rig_.trash().restore(record.id, {.to = "saved/ci-7/a"}).has_value());
  const UnitRecord unit = rig_.unit("saved/ci-7/a")->record();
  EXPECT_EQ(unit.class_name, "saved");
  EXPECT_EQ(unit.owner.job, "ci-7");
  EXPECT_EQ(rig_.parts().ledger.class_usage("saved"), (Usage{{8192}, 2}));
  EXPECT_EQ(rig_.parts().ledger.class_usage("worktree"), Usage{});
  EXPECT_TRUE(rig_.exact());
}

TEST_F(Restore, RefusesANameThatIsTakenAndSaysTheCure) {
  const TrashRecord record = expire();
  ASSERT_TRUE(rig_.make_dir("worktrees/a"));
  const std::string why = refusal(record.id, {}, EEXIST);
  EXPECT_THAT(why, HasSubstr("worktrees/a is taken"));
  EXPECT_THAT(why, HasSubstr("--to worktrees/a-restored"));
}

TEST_F(Restore, RefusesAPlaceWhereNoUnitLives) {
  const TrashRecord record = expire();
  ASSERT_TRUE(rig_.make_dir("elsewhere"));
  EXPECT_THAT(refusal(record.id, {.to = "elsewhere/a"}, EINVAL), HasSubstr("worktrees/*"));
  EXPECT_THAT(refusal(record.id, {.to = "worktrees"}, EINVAL), HasSubstr("no place of a unit"));
  ASSERT_TRUE(rig_.make_dir("worktrees/b"));
  EXPECT_THAT(refusal(record.id, {.to = "worktrees/b/a"}, EINVAL), HasSubstr("no place of a unit"));
}

TEST_F(Restore, RefusesItsOwnPlaceWhereThePolicyHasAnotherUnitByNow) {
  ASSERT_TRUE(rig_.make_dir("saved"));
  ASSERT_TRUE(rig_.make_dir("saved/ci-7"));
  ASSERT_TRUE(rig_.make_dir("saved/ci-7/a"));
  const TrashRecord record = expire("saved/ci-7/a");
  std::string policy = kSavedPolicy;
  policy.replace(policy.find("saved/{job}/*"), 13, "saved/*");
  mount_with(policy);
  const std::string why = refusal(record.id, {}, EINVAL);
  EXPECT_THAT(why, HasSubstr("saved/ci-7/a is no place of a unit, but inside of saved/ci-7; name "
                             "another place with --to"));
  EXPECT_THAT(why, HasSubstr("saved/*"));
  EXPECT_TRUE(rig_.trash().restore(record.id, {.to = "saved/a"}).has_value());
  EXPECT_TRUE(rig_.exact());
}

TEST_F(Restore, RefusesAPlaceInsideOfAUnitOfNoClass) {
  const TrashRecord record = expire();
  ASSERT_TRUE(rig_.make_dir("worktrees/b"));
  std::string policy = kSavedPolicy;
  policy.replace(policy.find("\"worktree\""), 10, "\"tree\"");
  policy.replace(policy.find("worktrees/*"), 11, "worktrees/*/*");
  mount_with(policy);
  EXPECT_THAT(refusal(record.id, {.to = "worktrees/b/a"}, EINVAL),
              HasSubstr("inside of worktrees/b"));
}

TEST_F(Restore, TakesTheClassThatItsPlaceHasByNow) {
  const TrashRecord record = expire();
  std::string policy = kSavedPolicy;
  policy.replace(policy.find("\"worktree\""), 10, "\"tree\"");
  mount_with(policy);
  ASSERT_TRUE(rig_.trash().restore(record.id, {}).has_value());
  EXPECT_EQ(rig_.unit("worktrees/a")->record().class_name, "tree");
  EXPECT_TRUE(rig_.exact());
}

TEST_F(Restore, PutsAUnitOfNoClassBackWhereItWas) {
  const TrashRecord record = expire();
  std::string policy = kSavedPolicy;
  policy.replace(policy.find("\"worktree\""), 10, "\"tree\"");
  policy.replace(policy.find("worktrees/*"), 11, "trees/*");
  mount_with(policy);
  ASSERT_TRUE(rig_.trash().restore(record.id, {}).has_value());
  EXPECT_NE(rig_.unit("worktrees/a"), nullptr);
  EXPECT_TRUE(rig_.exact());
}

TEST_F(Restore, RefusesADirectoryThatIsGone) {
  const TrashRecord record = expire();
  ASSERT_TRUE(rig_.remove("worktrees"));
  EXPECT_THAT(refusal(record.id, {}, ENOENT), HasSubstr("no directory worktrees"));
}

TEST_F(Restore, AsksEveryScopeAndNamesTheOneThatIsFull) {
  const TrashRecord record = expire();
  constexpr const char* kScopes[] = {"user:54321",       "group:54321", "class:worktree",
                                     "unit:worktrees/a", "unit:*",      "user:*"};
  for (const std::string scope : kScopes) {
    limit(scope, {.bytes = 4096});
    const std::string why = refusal(record.id, {}, EDQUOT);
    EXPECT_THAT(why, HasSubstr("of 4.0 KiB are used, 4.0 KiB more")) << scope;
    EXPECT_THAT(why, HasSubstr(scope.substr(0, scope.find('*')))) << scope;
    ASSERT_TRUE(rig_.parts().quotas->clear(scope).value());
  }
  limit("user:54321", {.inodes = 0});
  EXPECT_THAT(refusal(record.id, {}, EDQUOT), HasSubstr("user:54321: 0 of 0 inodes are used, 1"));
  limit("user:54321", {.bytes = 8192});
  EXPECT_TRUE(rig_.trash().restore(record.id, {}).has_value());
  EXPECT_TRUE(rig_.exact());
}

TEST_F(Restore, IsLimitedByTheUnitOfItsNewPlace) {
  const TrashRecord record = expire();
  limit("unit:worktrees/b", {.bytes = 4096});
  EXPECT_THAT(refusal(record.id, {.to = "worktrees/b"}, EDQUOT), HasSubstr("unit:worktrees/b"));
  EXPECT_TRUE(rig_.trash().restore(record.id, {}).has_value());
}

TEST_F(Restore, ADryRunSaysTheSameAndChangesNothing) {
  const TrashRecord record = expire();
  ASSERT_TRUE(rig_.make_dir("worktrees/c"));
  const auto commits = rig_.faults.commits();
  const auto would = rig_.trash().restore(record.id, {.to = "worktrees/b", .dry_run = true});
  ASSERT_TRUE(would.has_value());
  EXPECT_EQ(would->path, "worktrees/b");
  EXPECT_EQ(would->usage, (Usage{{8192}, 2}));
  EXPECT_EQ(would->unit, nullptr);
  refusal(record.id, {.to = "worktrees/c", .dry_run = true}, EEXIST);
  EXPECT_EQ(rig_.faults.commits(), commits);
  EXPECT_EQ(rig_.trashed().size(), 1U);
  EXPECT_FALSE(rig_.exists("worktrees/b"));
}

TEST_F(Restore, FinishesARestoreElsewhereThatACrashInterrupted) {
  const UnitRecord before = rig_.unit("worktrees/a")->record();
  TrashRecord record = expire();
  record.unit.path = "worktrees/b";
  ASSERT_TRUE(rig_.parts().index->store_trash(record));
  rig_.crash();
  stdfs::rename(rig_.tree.at(".ebbfs/trash/" + std::to_string(raw(record.id))),
                rig_.tree.at("worktrees/b"));
  rig_.mount();
  ASSERT_NE(rig_.unit("worktrees/b"), nullptr);
  EXPECT_EQ(rig_.unit("worktrees/b")->id(), before.id);
  EXPECT_TRUE(rig_.exact());
}

TEST_F(Restore, IsPurgedLaterWhenARestoreFailedWhileItWasDue) {
  const TrashRecord record = expire();
  ASSERT_TRUE(rig_.make_dir("worktrees/a"));
  EXPECT_FALSE(rig_.trash().restore(record.id, {}).has_value());
  rig_.advance(std::chrono::minutes(10));
  rig_.reaper().run_once();
  rig_.trash().purge_queued();
  EXPECT_TRUE(rig_.trashed().empty());
}

TEST_F(Restore, RecordsALockInItAgainWithItsWholeTtl) {
  ASSERT_TRUE(rig_.make_dir("worktrees/a/sub"));
  const TrashRecord record = expire();
  // Taken while it lay in the trash: as old as what is restored a day later.
  rig_.tree.write_file(".ebbfs/trash/" + std::to_string(raw(record.id)) + "/build.lock", "");
  rig_.tree.write_file(".ebbfs/trash/" + std::to_string(raw(record.id)) + "/sub/none.lock", "");
  rig_.advance(std::chrono::minutes(7));
  const auto restored = rig_.reaper().restore(record.id, {});
  ASSERT_TRUE(restored.has_value());
  ASSERT_NE(rig_.lock("worktrees/a/build.lock"), nullptr);
  EXPECT_EQ(rig_.lock("worktrees/a/sub/none.lock"), nullptr) << "no class says that this is one";
  EXPECT_EQ(restored->locks_due, rig_.clock.wall_now() + std::chrono::minutes(5));
}

// A worktree of a repository on the volume.
class GitRestore : public Restore {
 protected:
  void SetUp() override {
    make_repository(rig_.tree.at("repo"));
    rig_.tree.make_dir("worktrees");
    rig_.tree.make_dir("deep/er");
    git(repo(), "worktree add -q " + rig_.tree.at("worktrees/a").string());
    rig_.mount();
  }
  std::string repo() const { return rig_.tree.at("repo"); }
  // What git says of the worktree at `path`; git writes its index, which is not a request, so call
  // this after exact().
  void works(const std::string& path) {
    EXPECT_THAT(git(repo(), "worktree list"), HasSubstr(path + " "));
    EXPECT_THAT(git(repo(), "worktree list"), Not(HasSubstr("prunable")));
    EXPECT_EQ(git(rig_.tree.at(path), "status --porcelain"), "");
    git(rig_.tree.at(path), "commit -q --allow-empty -m works");
  }
};

TEST_F(GitRestore, ElsewhereMovesWhatGitKnows) {
  const TrashRecord record = expire();
  const auto restored = rig_.trash().restore(record.id, {.to = "worktrees/b"});
  ASSERT_TRUE(restored.has_value());
  EXPECT_EQ(restored->git_admin_path, "repo/.git/worktrees/a");
  EXPECT_EQ(restored->git_admin_lost, "");
  EXPECT_EQ(rig_.trashed(), std::vector<std::string>{});
  EXPECT_TRUE(rig_.exact());
  works("worktrees/b");
}

TEST_F(GitRestore, RecordsLocksInTheEntryAgain) {
  const TrashRecord record = expire();
  rig_.tree.write_file(".ebbfs/trash/" + std::to_string(raw(record.id)) + ".git/index.lock", "");
  ASSERT_TRUE(rig_.reaper().restore(record.id, {}).has_value());
  const LockRef lock = rig_.lock("repo/.git/worktrees/a/index.lock");
  ASSERT_NE(lock, nullptr);
  rig_.advance(std::chrono::minutes(6));
  rig_.reaper().run_once();
  EXPECT_FALSE(rig_.exists("repo/.git/worktrees/a/index.lock"));
  EXPECT_TRUE(rig_.exists("repo/.git/worktrees/a/HEAD"));
}

TEST_F(GitRestore, BesideANewWorktreeOfTheSameNameGetsAnEntryOfItsOwn) {
  const TrashRecord record = expire();
  git(repo(), "worktree add -q -f " + rig_.tree.at("worktrees/a").string());
  rig_.crash();
  rig_.mount();
  const auto restored = rig_.trash().restore(record.id, {.to = "worktrees/b"});
  ASSERT_TRUE(restored.has_value());
  EXPECT_EQ(restored->git_admin_path, "repo/.git/worktrees/a1");
  EXPECT_TRUE(rig_.exact());
  works("worktrees/b");
  works("worktrees/a");
}

TEST_F(GitRestore, MakesWorktreesAnewWhereGitHasPrunedIt) {
  const TrashRecord record = expire();
  git(repo(), "worktree prune");
  ASSERT_FALSE(rig_.exists("repo/.git/worktrees"));
  rig_.crash();
  rig_.mount();
  const auto restored = rig_.trash().restore(record.id, {});
  ASSERT_TRUE(restored.has_value());
  EXPECT_EQ(restored->git_admin_lost, "");
  EXPECT_EQ(restored->appeared.size(), 3U);
  EXPECT_TRUE(rig_.exact());
  works("worktrees/a");
}

TEST_F(GitRestore, WithoutItsRepositoryComesBackAlone) {
  const TrashRecord record = expire();
  stdfs::remove_all(rig_.tree.at("repo"));
  rig_.crash();
  rig_.mount();
  const auto restored = rig_.trash().restore(record.id, {});
  ASSERT_TRUE(restored.has_value());
  EXPECT_EQ(restored->git_admin_path, "");
  EXPECT_EQ(restored->git_admin_lost, "its repository is gone");
  EXPECT_TRUE(rig_.trashed().empty());
  EXPECT_TRUE(rig_.exact());
}

TEST_F(GitRestore, DoesNotFitWhenTheEntryDoesNot) {
  const TrashRecord record = expire();
  const Usage held = rig_.parts().ledger.scope("user:0").usage();
  // Room for the unit, and not for the entry.
  limit("user:0", {.inodes = held.inodes + 2});
  refusal(record.id, {}, EDQUOT);
  limit("user:0", {});
  EXPECT_TRUE(rig_.trash().restore(record.id, {}).has_value());
  EXPECT_TRUE(rig_.exact());
  works("worktrees/a");
}

TEST_F(GitRestore, AFailedRestoreElsewhereLeavesGitsFilesAsTheyWere) {
  const TrashRecord record = expire();
  rig_.faults.fail_commits(1, EIO, 100);
  EXPECT_FALSE(rig_.trash().restore(record.id, {.to = "worktrees/b"}).has_value());
  rig_.faults.fail_commits(1, EIO, 0);
  ASSERT_TRUE(rig_.trash().restore(record.id, {}).has_value());
  EXPECT_TRUE(rig_.exact());
  works("worktrees/a");
}

TEST_F(GitRestore, PutsTheEntryBackThatACrashLeftInTheTrash) {
  const TrashRecord record = expire();
  rig_.crash();
  stdfs::rename(rig_.tree.at(".ebbfs/trash/" + std::to_string(raw(record.id))),
                rig_.tree.at("worktrees/a"));
  rig_.mount();
  EXPECT_TRUE(rig_.trashed().empty());
  works("worktrees/a");
}

class RelativeGitRestore : public GitRestore {
 protected:
  void SetUp() override {
    GitRestore::SetUp();
    // As git 2.48 writes them with worktree.useRelativePaths.
    rig_.tree.write_file("worktrees/a/.git", "gitdir: ../../repo/.git/worktrees/a\n");
    rig_.tree.write_file("repo/.git/worktrees/a/gitdir", "../../../../worktrees/a/.git\n");
  }
};

TEST_F(RelativeGitRestore, KeepsPathsRelative) {
  ASSERT_TRUE(rig_.make_dir("saved"));
  ASSERT_TRUE(rig_.make_dir("saved/ci-7"));
  const TrashRecord record = expire();
  ASSERT_EQ(record.git_admin_path, "repo/.git/worktrees/a");
  ASSERT_TRUE(rig_.trash().restore(record.id, {.to = "saved/ci-7/b"}).has_value());
  EXPECT_EQ(rig_.tree.read_file("saved/ci-7/b/.git"), "gitdir: ../../../repo/.git/worktrees/a\n");
  EXPECT_EQ(rig_.tree.read_file("repo/.git/worktrees/a/gitdir"), "../../../../saved/ci-7/b/.git\n");
  EXPECT_TRUE(rig_.exact());
}

}  // namespace
}  // namespace ebbfs
