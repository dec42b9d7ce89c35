// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <thread>

#include "policy/classifier.h"

namespace ebbfs {
namespace {

TEST(ClassifierThreads, AllSeeTheSameStatesAndJobs) {
  constexpr int kThreads = 4;
  constexpr int kJobs = 2000;
  auto policy = std::make_shared<Policy>(default_policy());
  policy->classes[0].match = {"agents/{job}/worktrees/*", "jobs/{job}"};
  const Classifier classifier(policy);

  std::vector<std::vector<MatchState>> states(kThreads);
  std::vector<int> wrong(kThreads);
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kJobs; ++i) {
          const std::string job = "ci-" + std::to_string(i);
          const Match unit = classifier.walk("agents/" + job + "/worktrees/w");
          const Match inside = classifier.step(classifier.inside_unit(unit.state), "index.lock");
          const Match other = classifier.walk("jobs/" + job);
          states[t].insert(states[t].end(), {unit.state, inside.state, other.state});
          if (unit.tree_class != 0 || classifier.job(unit) != job || inside.git_lock_class != 1 ||
              classifier.job(inside) != job || classifier.job(other) != job) {
            ++wrong[t];
          }
        }
      });
    }
  }
  for (std::size_t t = 0; t < kThreads; ++t) {
    EXPECT_EQ(wrong[t], 0) << t;
    EXPECT_EQ(states[t], states[0]) << t;
  }
}

}  // namespace
}  // namespace ebbfs
