// SPDX-License-Identifier: Apache-2.0
//
// What a step may not do on a request's path: allocate, or wait for a lock.
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <thread>

#include "policy/classifier.h"
#include "tests/policy/counted_new.h"

namespace ebbfs {
namespace {

constexpr std::string_view kLongName = "a name that is too long to be kept inside of a string";

class ClassifierCost : public testing::Test {
 protected:
  void SetUp() override {
    if (!allocations_are_counted()) GTEST_SKIP() << "operator new belongs to a sanitizer";
  }

  static Policy policy() {
    Policy policy = default_policy();
    policy.classes[0].match = {"worktrees/*", "agents/{job}/worktrees/*", "tmp-*/a*b*/*"};
    return policy;
  }

  // Everything that a lookup asks.
  void ask(MatchState directory, std::string_view name) const {
    const Match match = classifier_.step(directory, name);
    static_cast<void>(classifier_.inside_unit(match.state));
    static_cast<void>(classifier_.job(match));
  }

  [[nodiscard]] long allocations_for(MatchState directory, std::string_view name) const {
    const long before = allocations_of_this_thread();
    ask(directory, name);
    return allocations_of_this_thread() - before;
  }

  const Classifier classifier_{std::make_shared<const Policy>(policy())};
  const MatchState agents_ = classifier_.walk("agents").state;
};

TEST_F(ClassifierCost, IsNoAllocationForADeadDirectory) {
  EXPECT_EQ(allocations_for(kDeadState, kLongName), 0);
  EXPECT_EQ(allocations_for(kDeadState, "index.lock"), 0);
}

TEST_F(ClassifierCost, IsNoAllocationForNamesNeverSeenBefore) {
  const MatchState directories[] = {classifier_.root(), classifier_.walk("worktrees").state,
                                    classifier_.walk("locks").state,
                                    classifier_.walk("tmp-1").state};
  for (const MatchState directory : directories) {
    EXPECT_EQ(allocations_for(directory, kLongName), 0);
    EXPECT_EQ(allocations_for(directory, "worktrees"), 0);
    EXPECT_EQ(allocations_for(directory, "index.lock"), 0);
  }
}

TEST_F(ClassifierCost, IsAnAllocationForANewJobOnly) {
  EXPECT_GT(allocations_for(agents_, kLongName), 0);
  EXPECT_EQ(allocations_for(agents_, kLongName), 0);
  EXPECT_EQ(allocations_for(classifier_.step(agents_, kLongName).state, "worktrees"), 0);
}

TEST_F(ClassifierCost, IsNoWaitForAThreadThatHoldsTheLock) {
  ask(agents_, "known");
  std::jthread holder([&] {
    stop_this_thread_in_next_allocation();
    ask(agents_, kLongName);
  });
  wait_for_stopped_thread();

  auto others = std::async(std::launch::async, [&] {
    ask(kDeadState, kLongName);
    ask(classifier_.root(), kLongName);
    ask(classifier_.walk("locks").state, "index.lock");
    ask(agents_, "known");
    return classifier_.job(classifier_.step(agents_, "known")) == "known";
  });
  const auto status = others.wait_for(std::chrono::seconds(20));
  let_stopped_thread_go();
  EXPECT_EQ(status, std::future_status::ready);
  EXPECT_TRUE(others.get());
}

}  // namespace
}  // namespace ebbfs
