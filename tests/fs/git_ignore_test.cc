// SPDX-License-Identifier: Apache-2.0
#include "fs/git_ignore.h"

#include <gtest/gtest.h>

#include "tests/policy/seeded.h"
#include "tests/support/git.h"
#include "tests/support/temp_tree.h"

namespace ebbfs {
namespace {

struct Match {
  const char* name;
  const char* patterns;
  const char* path;  // a directory when it ends with a slash
  bool ignored;
};

class GitIgnorePattern : public testing::TestWithParam<Match> {
 protected:
  static bool ignores(std::string_view patterns, std::string_view path) {
    GitIgnore ignore;
    EXPECT_TRUE(ignore.push("", patterns));
    const bool directory = path.ends_with('/');
    if (directory) path.remove_suffix(1);
    return ignore.ignores(path, directory);
  }
};

TEST_P(GitIgnorePattern, SaysWhatGitSays) {
  EXPECT_EQ(ignores(GetParam().patterns, GetParam().path), GetParam().ignored);
  // Its own word.
  const TempTree tree;
  git_script(tree.path(), "git init -q --template= .");
  tree.write_file(".gitignore", GetParam().patterns);
  std::string path = GetParam().path;
  if (path.ends_with('/')) {
    tree.make_dir(path);
    path.pop_back();
  }
  tree.write_file("path", path);
  const std::string said = git(tree.path(), "check-ignore --no-index --stdin <'" +
                                                tree.at("path").string() + "' || test $? = 1");
  EXPECT_EQ(!said.empty(), GetParam().ignored) << said;
}

INSTANTIATE_TEST_SUITE_P(
    , GitIgnorePattern,
    testing::Values(
        Match{"name", "a", "a", true}, Match{"name_further_down", "a", "x/y/a", true},
        Match{"other_name", "a", "ab", false}, Match{"star", "*.o", "x/y.o", true},
        Match{"star_matches_nothing", "a*b", "ab", true},
        Match{"stars", "*a*b*c", "xxaxxbxxbxc", true},
        Match{"stars_not", "*a*b*c", "xxaxxbxxbxd", false}, Match{"one", "a?c", "abc", true},
        Match{"one_not_none", "a?c", "ac", false}, Match{"from_the_base", "/a", "a", true},
        Match{"from_the_base_only", "/a", "x/a", false}, Match{"path", "x/a", "x/a", true},
        Match{"path_from_the_base_only", "x/a", "y/x/a", false},
        Match{"star_ends_at_a_slash", "x/*z", "x/y/z", false}, Match{"directory", "a/", "a/", true},
        Match{"directory_only", "a/", "a", false},
        Match{"any_depth_first", "**/a/b", "x/y/a/b", true},
        Match{"any_depth_first_none", "**/a/b", "a/b", true},
        Match{"any_depth_last", "a/**", "a/b/c", true},
        Match{"any_depth_last_not_itself", "a/**", "a/", false},
        Match{"any_depth_between", "a/**/b", "a/x/y/b", true},
        Match{"any_depth_between_none", "a/**/b", "a/b", true},
        Match{"any_depth_twice", "**/a/**/b", "x/a/y/a/z/b", true},
        Match{"two_stars_in_a_name", "/a**b", "a/b", false},
        Match{"again", "*.o\n!keep.o", "keep.o", false},
        Match{"last_one_counts", "!keep.o\n*.o", "keep.o", true},
        Match{"comment", "#a", "#a", false}, Match{"escaped_comment", "\\#a", "#a", true},
        Match{"escaped_again", "\\!a", "!a", true}, Match{"escaped_star", "a\\*", "a*", true},
        Match{"escaped_star_only", "a\\*", "ab", false},
        Match{"blanks_at_the_end", "a  ", "a", true},
        Match{"carriage_return", "a\r\nb\r\n", "a", true},
        Match{"byte_order_mark",
              "\xef\xbb\xbf"
              "a",
              "a", true},
        Match{"empty_lines", "\n\n \n/\n", "a", false}, Match{"set", "[abc]x", "bx", true},
        Match{"set_not", "[!abc]x", "bx", false}, Match{"set_not_other", "[^abc]x", "dx", true},
        Match{"range", "[a-f]x", "ex", true}, Match{"range_not", "[a-f]x", "gx", false},
        Match{"bracket_in_a_set", "[]a]x", "]x", true},
        Match{"minus_in_a_set", "[a-]x", "-x", true},
        Match{"class_of_characters", "*.[[:digit:]]", "lib.7", true},
        Match{"class_of_characters_not", "*.[[:digit:]]", "lib.x", false},
        Match{"set_without_end", "[ab", "[ab", false},
        Match{"backslash_at_the_end", "a\\", "a\\", false}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(GitIgnore, DeeperFilesComeFirst) {
  GitIgnore ignore;
  ASSERT_TRUE(ignore.push("", "*.log"));
  ASSERT_TRUE(ignore.push("sub/", "!*.log\n/only"));
  EXPECT_FALSE(ignore.ignores("sub/x.log", false));
  EXPECT_TRUE(ignore.ignores("sub/only", false));
  EXPECT_FALSE(ignore.ignores("sub/deep/only", false));
  ignore.pop();
  EXPECT_TRUE(ignore.ignores("sub/x.log", false));
}

TEST(GitIgnore, RefusesMoreThanItsBound) {
  GitIgnore ignore;
  EXPECT_TRUE(ignore.push("", std::string(GitIgnore::kTextMax, 'a')));
  EXPECT_FALSE(ignore.push("", "b"));
  ignore.pop();
  EXPECT_TRUE(ignore.push("", "b"));
}

TEST(GitIgnore, MayBeAnyText) {
  Seeded random;
  SCOPED_TRACE(random.message());
  for (int round = 0; round < 20'000; ++round) {
    GitIgnore ignore;
    ASSERT_TRUE(ignore.push("", random.text("ab*?[]!^-\\/: #\r\n", 0, 40)));
    (void)ignore.ignores(random.text("ab]-", 1, 10), random.one_in(2));
    (void)ignore.ignores(random.text("ab]-", 1, 5) + "/" + random.text("ab]-", 1, 5), false);
  }
}

}  // namespace
}  // namespace ebbfs
