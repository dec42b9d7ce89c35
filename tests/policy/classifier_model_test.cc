// SPDX-License-Identifier: Apache-2.0
//
// Random policies and paths: what the classifier says against what the plain matcher says.
#include <gtest/gtest.h>

#include <algorithm>

#include "policy/classifier.h"
#include "tests/policy/naive_glob.h"
#include "tests/policy/seeded.h"

namespace ebbfs {
namespace {

struct Expected {
  std::uint16_t tree_class = kNoClass;
  std::uint16_t lock_class = kNoClass;
  // What the globs that decide on the job can capture; "" when one of them captures nothing.
  std::set<std::string> jobs;
};

std::string prefix(const Names& names, std::size_t count) {
  std::string path;
  for (std::size_t i = 0; i < count; ++i) path += (path.empty() ? "" : "/") + names[i];
  return path;
}

// The first class of `kind` that matches `path`; adds what globs of that kind capture.
std::uint16_t naive_class(const Policy& policy, ClassKind kind, const std::string& path,
                          std::set<std::string>& jobs) {
  std::uint16_t found = kNoClass;
  for (std::size_t i = 0; i < policy.classes.size(); ++i) {
    if (policy.classes[i].kind != kind) continue;
    for (const std::string& glob : policy.classes[i].match) {
      const std::set<std::string> captured = naive_matches(glob, path);
      if (captured.empty()) continue;
      jobs.insert(captured.begin(), captured.end());
      found = std::min(found, static_cast<std::uint16_t>(i));
    }
  }
  return found;
}

Expected naive_classify(const Policy& policy, const std::string& path) {
  const Names names = naive_split(path);
  Expected expected;
  std::set<std::string> tree_jobs;
  std::set<std::string> lock_jobs;
  for (std::size_t depth = 1; depth <= names.size() && tree_jobs.empty(); ++depth) {
    const std::uint16_t unit =
        naive_class(policy, ClassKind::tree, prefix(names, depth), tree_jobs);
    if (depth == names.size()) expected.tree_class = unit;
  }
  expected.lock_class = naive_class(policy, ClassKind::lock, path, lock_jobs);
  // A unit has its own; a lock inside has the unit's or, should that have none, its own.
  expected.jobs = tree_jobs;
  if (expected.tree_class == kNoClass) {
    expected.jobs.erase("");
    expected.jobs.insert(lock_jobs.begin(), lock_jobs.end());
  }
  return expected;
}

std::string some_match(Seeded& random, bool with_job) {
  const std::vector<std::string> parts{"**", "*", "*", "a", "b", "ab", "a*", "*b", "?", "?a*"};
  std::vector<std::string> glob(1 + random.below(4));
  for (std::string& part : glob) part = random.pick(parts);
  if (with_job) glob[random.below(glob.size())] = "{job}";
  return prefix(glob, glob.size());
}

Policy some_classes(Seeded& random) {
  Policy policy;
  for (std::size_t i = 1 + random.below(4); i > 0; --i) {
    ClassRule rule{.name = "c", .kind = random.one_in(2) ? ClassKind::tree : ClassKind::lock};
    for (std::size_t g = 1 + random.below(2); g > 0; --g) {
      rule.match.push_back(some_match(random, random.one_in(3)));
    }
    policy.classes.push_back(std::move(rule));
  }
  return policy;
}

std::string some_path(Seeded& random) {
  std::vector<std::string> names(1 + random.below(6));
  for (std::string& name : names) name = random.text("abc", 1, 3);
  return prefix(names, names.size());
}

std::string describe(const Policy& policy, const std::string& path) {
  return to_toml(policy) + "\npath: " + path;
}

TEST(ClassifierModel, FindsWhatThePlainMatcherFinds) {
  Seeded random;
  SCOPED_TRACE(random.message());
  for (int i = 0; i < 400; ++i) {
    const auto policy = std::make_shared<const Policy>(some_classes(random));
    const Classifier classifier(policy);
    for (int j = 0; j < 50; ++j) {
      const std::string path = some_path(random);
      const Expected expected = naive_classify(*policy, path);
      const Match match = classifier.walk(path);
      ASSERT_EQ(match.tree_class, expected.tree_class) << describe(*policy, path);
      ASSERT_EQ(match.lock_class, expected.lock_class) << describe(*policy, path);
    }
  }
}

TEST(ClassifierModel, NeverGivesAWrongJob) {
  Seeded random;
  SCOPED_TRACE(random.message());
  for (int i = 0; i < 400; ++i) {
    const auto policy = std::make_shared<const Policy>(some_classes(random));
    const Classifier classifier(policy);
    for (int j = 0; j < 50; ++j) {
      const std::string path = some_path(random);
      const Expected expected = naive_classify(*policy, path);
      const std::string job(classifier.job(classifier.walk(path)));
      if (expected.tree_class == kNoClass && expected.lock_class == kNoClass) continue;
      // What a glob without {job} matches may be labelled by one that is still in play.
      if (job.empty() || expected.jobs.contains("")) continue;
      ASSERT_TRUE(expected.jobs.contains(job)) << job << "\n" << describe(*policy, path);
    }
  }
}

TEST(ClassifierModel, GivesTheJobOfAnOnlyCaptureExactly) {
  Seeded random;
  SCOPED_TRACE(random.message());
  int matched = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::string glob = some_match(random, true);
    if (glob.find("**") < glob.find("{job}")) continue;  // several names could be the job
    auto policy = std::make_shared<Policy>();
    policy->classes = {{.name = "c", .kind = ClassKind::lock, .match = {glob}}};
    const Classifier classifier(policy);
    for (int j = 0; j < 20; ++j) {
      const std::string path = some_path(random);
      const std::set<std::string> jobs = naive_matches(glob, path);
      if (jobs.empty()) continue;
      ++matched;
      ASSERT_EQ(jobs.size(), 1U);
      ASSERT_EQ(classifier.job(classifier.walk(path)), *jobs.begin()) << glob << " " << path;
    }
  }
  EXPECT_GT(matched, 100);
}

}  // namespace
}  // namespace ebbfs
