// SPDX-License-Identifier: Apache-2.0
#include "policy/classifier.h"

#include <gtest/gtest.h>

#include <set>

namespace ebbfs {
namespace {

// Classes named a, b, c... in the order given.
Classifier classifier_of(
    const std::vector<std::pair<ClassKind, std::vector<std::string>>>& classes) {
  auto policy = std::make_shared<Policy>();
  for (const auto& [kind, globs] : classes) {
    const char name = static_cast<char>('a' + policy->classes.size());
    policy->classes.push_back({.name = std::string(1, name), .kind = kind, .match = globs});
  }
  return Classifier(std::move(policy));
}

constexpr ClassKind kTree = ClassKind::tree;
constexpr ClassKind kLock = ClassKind::lock;

class DefaultClassifier : public testing::Test {
 protected:
  static constexpr std::uint16_t kWorktree = 0;
  static constexpr std::uint16_t kLocks = 1;
  const Classifier classifier_{std::make_shared<const Policy>(default_policy())};
};

TEST_F(DefaultClassifier, FindsUnitsInWorktrees) {
  const Match match = classifier_.walk("worktrees/w1");
  EXPECT_EQ(match.tree_class, kWorktree);
  EXPECT_EQ(match.lock_class, kNoClass);
  EXPECT_EQ(match.git_lock_class, kNoClass);
}

TEST_F(DefaultClassifier, FindsNoUnitElsewhere) {
  for (const std::string_view path :
       {"", "worktrees", "worktrees/w1/src", "worktrees/w1/worktrees/w2", "x/worktrees/w1",
        "worktree/w1", "worktreess/w1", "locks/w1"}) {
    EXPECT_EQ(classifier_.walk(path).tree_class, kNoClass) << path;
  }
}

TEST_F(DefaultClassifier, FindsLocksAtAnyDepthOfLocks) {
  for (const std::string_view path : {"locks/a", "locks/a.lock", "locks/a/b/c"}) {
    const Match match = classifier_.walk(path);
    EXPECT_EQ(match.lock_class, kLocks) << path;
    EXPECT_EQ(match.git_lock_class, kNoClass) << path;
  }
  EXPECT_EQ(classifier_.walk("locks").lock_class, kNoClass);
  EXPECT_EQ(classifier_.walk("x/locks/a").lock_class, kNoClass);
}

TEST_F(DefaultClassifier, TakesAnyLockSuffixAnywhereForACandidateOfGit) {
  for (const std::string_view path :
       {"a.lock", ".lock", "src/.git/index.lock", "worktrees/w1/Cargo.lock", "worktrees/x.lock"}) {
    EXPECT_EQ(classifier_.walk(path).git_lock_class, kLocks) << path;
    EXPECT_EQ(classifier_.walk(path).lock_class, kNoClass) << path;
  }
  EXPECT_EQ(classifier_.step(kDeadState, "index.lock").git_lock_class, kLocks);
  EXPECT_EQ(classifier_.walk("src/.git/index.locks").git_lock_class, kNoClass);
  EXPECT_EQ(classifier_.walk("lock").git_lock_class, kNoClass);
}

TEST_F(DefaultClassifier, IsDeadWhereNothingCanMatch) {
  EXPECT_EQ(classifier_.step(classifier_.root(), "src").state, kDeadState);
  EXPECT_EQ(classifier_.step(kDeadState, "worktrees").state, kDeadState);
  EXPECT_EQ(classifier_.inside_unit(kDeadState), kDeadState);
}

TEST_F(DefaultClassifier, HasNoJobWithoutACapture) {
  EXPECT_EQ(classifier_.job(classifier_.walk("worktrees/w1")), "");
}

TEST(Classifier, OfNoClassesIsDeadAtTheRoot) {
  const Classifier classifier = classifier_of({});
  EXPECT_EQ(classifier.root(), kDeadState);
  EXPECT_EQ(classifier.walk("a/b.lock").git_lock_class, kNoClass);
}

TEST(Classifier, GivesBackThePolicyItWasMadeOf) {
  const auto policy = std::make_shared<const Policy>(default_policy());
  const Classifier classifier(policy);
  EXPECT_EQ(classifier.policy_ptr(), policy);
  EXPECT_EQ(&classifier.policy(), policy.get());
}

TEST(Classifier, KeepsLockGlobsInsideAUnit) {
  const Classifier classifier = classifier_of({{kTree, {"**"}}, {kLock, {"w/*/locks/*"}}});
  const Match unit = classifier.walk("w");
  EXPECT_EQ(unit.tree_class, 0);
  const MatchState inside = classifier.inside_unit(unit.state);
  const Match child = classifier.step(inside, "x");
  EXPECT_EQ(child.tree_class, kNoClass);
  EXPECT_EQ(classifier.walk("w/x/locks/l").lock_class, 1);
  EXPECT_EQ(classifier.walk("w/x/locks/l").tree_class, kNoClass);
}

TEST(Classifier, TellsAUnitThatIsALockToo) {
  const Classifier classifier = classifier_of({{kTree, {"a/*"}}, {kLock, {"a/*.lock"}}});
  const Match match = classifier.walk("a/x.lock");
  EXPECT_EQ(match.tree_class, 0);
  EXPECT_EQ(match.lock_class, 1);
}

TEST(Classifier, PrefersALockGlobToGit) {
  const Classifier classifier =
      classifier_of({{kLock, {"{git}/**/*.lock"}}, {kLock, {"**/*.lock"}}});
  const Match match = classifier.walk("r/.git/index.lock");
  EXPECT_EQ(match.lock_class, 1);
  EXPECT_EQ(match.git_lock_class, kNoClass);
}

TEST(Classifier, TellsGitClassesApartByName) {
  const Classifier classifier =
      classifier_of({{kLock, {"{git}/**/index.lock"}}, {kLock, {"{git}/**/H*.lock"}}});
  EXPECT_EQ(classifier.walk(".git/index.lock").git_lock_class, 0);
  EXPECT_EQ(classifier.walk(".git/HEAD.lock").git_lock_class, 1);
  EXPECT_EQ(classifier.walk(".git/config.lock").git_lock_class, kNoClass);
}

TEST(Classifier, GivesTheJobToTheUnitAndToAllBelow) {
  const Classifier classifier = classifier_of({{kTree, {"agents/{job}/worktrees/*"}}});
  EXPECT_EQ(classifier.job(classifier.walk("agents")), "");
  EXPECT_EQ(classifier.job(classifier.walk("agents/ci-1")), "ci-1");
  EXPECT_EQ(classifier.job(classifier.walk("agents/ci-1/worktrees")), "ci-1");
  const Match unit = classifier.walk("agents/ci-1/worktrees/w");
  EXPECT_EQ(unit.tree_class, 0);
  EXPECT_EQ(classifier.job(unit), "ci-1");
  EXPECT_EQ(classifier.job(classifier.inside_unit(unit.state)), "ci-1");
  EXPECT_EQ(classifier.job(classifier.walk("agents/ci-1/worktrees/w/src/main.c")), "ci-1");
}

TEST(Classifier, GivesLocksInAUnitTheJobOfTheUnit) {
  const Classifier classifier =
      classifier_of({{kTree, {"agents/{job}/w/*"}}, {kLock, {"**/*.lck", "**/locks/{job}"}}});
  const Match deep = classifier.walk("agents/ci-1/w/u/src/x.lck");
  EXPECT_EQ(deep.lock_class, 1);
  EXPECT_EQ(classifier.job(deep), "ci-1");
  EXPECT_EQ(classifier.job(classifier.walk("agents/ci-1/w/u/locks/ci-2")), "ci-1");
}

TEST(Classifier, GivesNoJobWhereTheGlobEndsWithoutAMatch) {
  const Classifier classifier = classifier_of({{kTree, {"agents/{job}/worktrees/*"}}});
  EXPECT_EQ(classifier.job(classifier.walk("agents/ci-1/other")), "");
  EXPECT_EQ(classifier.walk("agents/ci-1/other").state, kDeadState);
}

TEST(Classifier, GivesTheJobOfAGlobThatEndsInIt) {
  const Classifier classifier = classifier_of({{kTree, {"jobs/{job}"}}});
  const Match unit = classifier.walk("jobs/nightly");
  EXPECT_EQ(unit.tree_class, 0);
  EXPECT_EQ(classifier.job(unit), "nightly");
}

TEST(Classifier, GivesTheJobOfTheGlobThatMatchesNotOfOneThatMight) {
  const Classifier classifier =
      classifier_of({{kTree, {"a/{job}/w/*"}}, {kTree, {"a/archive/{job}/*"}}});
  EXPECT_EQ(classifier.job(classifier.walk("a/archive/ci-2/x")), "ci-2");
  EXPECT_EQ(classifier.job(classifier.walk("a/ci-1/w/x")), "ci-1");
}

TEST(Classifier, KeepsTheOutermostOfTwoCapturesAndNeverTheWrongOne) {
  const Classifier classifier = classifier_of({{kLock, {"{job}/*/*/l"}}, {kTree, {"*/{job}/x"}}});
  EXPECT_EQ(classifier.job(classifier.walk("one/two/y/l")), "one");
  const Match unit = classifier.walk("one/two/x");
  EXPECT_EQ(unit.tree_class, 1);
  EXPECT_EQ(classifier.job(unit), "");
}

TEST(Classifier, MakesStatesForCapturedNamesOnly) {
  const Classifier classifier =
      classifier_of({{kTree, {"worktrees/*", "agents/{job}/w/*"}},
                     {kLock, {"locks/**", "**/*.lck", "{git}/**/*.lock"}}});
  std::set<MatchState> states;
  const MatchState starts[] = {classifier.root(), classifier.walk("worktrees").state,
                               classifier.walk("locks").state, classifier.walk("agents/j/w").state,
                               classifier.walk("worktrees/u").state};
  for (int i = 0; i < 1'000'000; ++i) {
    const std::string name = "name-" + std::to_string(i) + (i % 3 == 0 ? ".lck" : "");
    for (const MatchState start : starts) states.insert(classifier.step(start, name).state);
  }
  EXPECT_LT(states.size(), 20U);
}

TEST(Classifier, SurvivesWhatNoDirectoryHolds) {
  const Classifier classifier = classifier_of({{kTree, {"?*/a", "*?/b", "..*/c", "*../d"}}});
  for (const std::string& name : {std::string("."), std::string(".."), std::string(5000, 'a')}) {
    EXPECT_EQ(classifier.step(classifier.root(), name).tree_class, kNoClass);
  }
}

TEST(Classifier, IgnoresSlashesThatSeparateNothing) {
  const Classifier classifier = classifier_of({{kTree, {"a/*"}}});
  EXPECT_EQ(classifier.walk("/a//b/").tree_class, 0);
}

}  // namespace
}  // namespace ebbfs
