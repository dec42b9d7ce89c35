// SPDX-License-Identifier: Apache-2.0
#include "policy/glob.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "policy/classifier.h"
#include "tests/policy/naive_glob.h"
#include "tests/policy/seeded.h"

namespace ebbfs {
namespace {

TEST(CheckGlob, AcceptsTheLanguage) {
  constexpr std::string_view kGlobs[] = {
      "worktrees/*", "locks/**",     "**",       "**/*.lock",  "**/a/**/b",
      "a/**/**",     "agents/{job}", "{job}/*",  "**/{job}/x", "a?c*d/..e/.f",
      "a b/c,d",     "\xc3\xa9/*",   "x/.ebbfs", "...",        "*",
      "?",
  };
  for (const std::string_view glob : kGlobs) {
    EXPECT_EQ(check_glob(glob, ClassKind::tree), std::nullopt) << glob;
    EXPECT_EQ(check_glob(glob, ClassKind::lock), std::nullopt) << glob;
  }
}

TEST(CheckGlob, SaysWhatIsWrong) {
  struct Case {
    std::string glob;
    std::string_view want;
  };
  const Case cases[] = {
      {"", "it is empty"},
      {"/a", "it starts with a slash (globs are relative to the volume root)"},
      {"a/", "it ends with a slash"},
      {"a//b", "it has an empty component"},
      {"a/./b", "it has a component \".\""},
      {"..", "it has a component \"..\""},
      {"a/b**", "** does not stand alone between slashes"},
      {"***", "** does not stand alone between slashes"},
      {"a/ci-{job}", "{job} does not stand alone between slashes"},
      {"{job}/{job}", "it has more than one {job}"},
      {"a/{git}/b", "{git} is not its first component"},
      {"a/[0-9]", "'[' has no meaning in it (only *, ?, **, {job}, {git})"},
      {"{a,b}", "'{' has no meaning in it (only *, ?, **, {job}, {git})"},
      {"a\\*", "'\\' has no meaning in it (only *, ?, **, {job}, {git})"},
      {std::string("a\0b", 3), "it holds a NUL byte"},
      {".ebbfs/trash", ".ebbfs belongs to the filesystem itself"},
      {std::string(256, 'a'), "a component is longer than a name can be (255)"},
      {std::string(4097, '/'), "it is longer than a path can be (4096)"},
  };
  for (const Case& c : cases) EXPECT_EQ(check_glob(c.glob, ClassKind::lock), c.want) << c.glob;
}

TEST(CheckGlob, TakesNamesAsLongAsTheyGet) {
  EXPECT_EQ(check_glob(std::string(255, 'a') + "*", ClassKind::tree), std::nullopt);
}

TEST(CheckGlob, KnowsOneFormOfGitGlob) {
  constexpr std::string_view kForm =
      "{git} has one form only, {git}/**/NAME with NAME ending in .lock";
  EXPECT_EQ(check_glob("{git}/**/*.lock", ClassKind::lock), std::nullopt);
  EXPECT_EQ(check_glob("{git}/**/index.lock", ClassKind::lock), std::nullopt);
  EXPECT_EQ(check_glob("{git}/**/*.lock", ClassKind::tree),
            "{git} is for classes of kind \"lock\" only");
  for (const std::string_view glob : {"{git}", "{git}/*.lock", "{git}/**", "{git}/**/a/*.lock",
                                      "{git}/**/*.pid", "{git}/refs/*.lock"}) {
    EXPECT_EQ(check_glob(glob, ClassKind::lock), kForm) << glob;
  }
}

TEST(NamePattern, MatchesLikeTheNaiveOne) {
  Seeded random;
  SCOPED_TRACE(random.message());
  for (int i = 0; i < 20'000; ++i) {
    const std::string text = random.text("ab.*?", 1, 6);
    const std::string name = random.text("ab.", 1, 6);
    ASSERT_EQ(NamePattern(text).matches(name), naive_name(text, name)) << text << " " << name;
  }
}

TEST(NamePattern, TakesNoLongerThanPatternTimesName) {
  std::string text;
  for (int i = 0; i < 60; ++i) text += "*a";
  EXPECT_FALSE(NamePattern(text + "b").matches(std::string(kNameMax, 'a')));
}

// Every name of up to `most` bytes of `alphabet` that a directory can hold.
std::vector<std::string> all_names(std::string_view alphabet, std::size_t most) {
  std::vector<std::string> names{""};
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i].size() == most) continue;
    for (const char c : alphabet) names.push_back(names[i] + c);
  }
  std::erase_if(names, [](const std::string& n) { return n.empty() || n == "." || n == ".."; });
  return names;
}

TEST(CommonName, IsFoundWheneverThereIsOne) {
  Seeded random;
  SCOPED_TRACE(random.message());
  const std::vector<std::string> names = all_names("a.x", 6);
  for (int i = 0; i < 2000; ++i) {
    const std::string a = random.text("aa..*?", 1, 4);
    const std::string b = random.text("aa..*?", 1, 4);
    const auto common = common_name(NamePattern(a), NamePattern(b));
    const auto shortest = std::ranges::find_if(
        names, [&](const std::string& n) { return naive_name(a, n) && naive_name(b, n); });
    ASSERT_EQ(common.has_value(), shortest != names.end()) << a << " " << b;
    if (!common) continue;
    ASSERT_TRUE(naive_name(a, *common) && naive_name(b, *common))
        << a << " " << b << " " << *common;
    ASSERT_EQ(common->size(), shortest->size()) << a << " " << b << " " << *common;
  }
}

TEST(CommonName, IsNoLongerThanNamesAre) {
  const std::string half(128, 'a');
  EXPECT_EQ(common_name(NamePattern(half + "*"), NamePattern("*" + std::string(128, 'b'))),
            std::nullopt);
  EXPECT_NE(common_name(NamePattern(half + "*"), NamePattern("*" + std::string(127, 'b'))),
            std::nullopt);
}

TEST(Overlap, SaysWhichPathBothMatch) {
  struct Case {
    std::string_view a;
    std::string_view b;
    std::optional<std::string> want;
  };
  const Case cases[] = {
      {"a/*", "b/*", std::nullopt},
      {"a/*", "a/b/*", std::nullopt},
      {"a/*", "a/b", "a/b"},
      {"a/*", "*/b", "a/b"},
      {"a/**", "a", std::nullopt},
      {"a/**", "a/x/y", "a/x/y"},
      {"**/a", "a", "a"},
      {"**/a", "b/**", "b/a"},
      {"**/a", "**/b", std::nullopt},
      {"a/{job}/x", "a/b/*", "a/b/x"},
      {"*.c", "x.*", "x.c"},
      {"?", ".*", std::nullopt},
      {"{git}/**/*.lock", "**/*.lock", std::nullopt},
      {"{git}/**/a*.lock", "{git}/**/*b.lock", ".git/ab.lock"},
      {"{git}/**/a.lock", "{git}/**/b.lock", std::nullopt},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(overlap(c.a, c.b), c.want) << c.a << " " << c.b;
    EXPECT_EQ(overlap(c.b, c.a), c.want) << c.b << " " << c.a;
  }
}

std::string some_glob(Seeded& random) {
  const std::vector<std::string> parts{"**", "**", "*", "a", "b", "ab", "a*", "*b", "?", "{job}"};
  std::string glob;
  bool has_job = false;
  for (std::size_t i = 1 + random.below(3); i > 0; --i) {
    std::string part = random.pick(parts);
    if (part == "{job}" && std::exchange(has_job, true)) part = "*";
    glob += (glob.empty() ? "" : "/") + part;
  }
  return glob;
}

TEST(Overlap, IsFoundWheneverThereIsOne) {
  Seeded random;
  SCOPED_TRACE(random.message());
  const Names names{"a", "b", "ab", "x"};  // one for each two parts that can meet
  std::vector<std::string> paths;
  for (const std::string& name : names) paths.push_back(name);
  for (std::size_t i = 0; i < paths.size() && naive_split(paths[i]).size() < 5; ++i) {
    for (const std::string& name : names) paths.push_back(paths[i] + "/" + name);
  }
  for (int i = 0; i < 300; ++i) {
    const std::string a = some_glob(random);
    const std::string b = some_glob(random);
    const auto path = overlap(a, b);
    const bool expected = std::ranges::any_of(paths, [&](const std::string& p) {
      return !naive_matches(a, p).empty() && !naive_matches(b, p).empty();
    });
    ASSERT_EQ(path.has_value(), expected) << a << " " << b;
    if (!path) continue;
    ASSERT_FALSE(naive_matches(a, *path).empty()) << a << " " << b << " " << *path;
    ASSERT_FALSE(naive_matches(b, *path).empty()) << a << " " << b << " " << *path;
  }
}

}  // namespace
}  // namespace ebbfs
