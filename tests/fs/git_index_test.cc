// SPDX-License-Identifier: Apache-2.0
#include "fs/git_index.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/policy/seeded.h"
#include "tests/support/git.h"
#include "tests/support/temp_tree.h"

namespace ebbfs {
namespace {

std::string bytes_of(std::uint32_t number, int count = 4) {
  std::string bytes;
  for (int i = count - 1; i >= 0; --i) bytes += static_cast<char>(number >> (8 * i));
  return bytes;
}

// An index of version 2 or 3, as git writes it.
struct Written {
  std::uint32_t version = 2;
  std::uint32_t count = 0;
  std::string entries = {};
  std::string extensions = {};

  Written& add(const std::string& path, std::uint32_t flags = 0, std::uint32_t mode = 0100644) {
    std::string entry;
    for (std::uint32_t field = 1; field <= 10; ++field) {
      entry += bytes_of(field == 7 ? mode : field);
    }
    entry += std::string(20, '\x42') + bytes_of(flags, 2);
    if ((flags & 0x4000U) != 0) entry += bytes_of(flags >> 16U, 2);
    entry += path;
    entry += std::string(8 - entry.size() % 8, '\0');
    entries += entry;
    ++count;
    return *this;
  }
  Written& extend(const std::string& name, const std::string& content) {
    extensions += name + bytes_of(static_cast<std::uint32_t>(content.size())) + content;
    return *this;
  }
  [[nodiscard]] std::string text() const {
    return "DIRC" + bytes_of(version) + bytes_of(count) + entries + extensions +
           std::string(20, '\0');
  }
};

std::expected<GitIndex, std::string> parse(const std::string& text, std::size_t max = 1000) {
  return parse_git_index(std::as_bytes(std::span(text)), 20, max);
}
std::string error_of(const Written& index) {
  const auto parsed = parse(index.text());
  return parsed ? "" : parsed.error();
}

TEST(GitIndex, GivesWhatGitNotedOfAFile) {
  const auto index = parse(Written().add("a/b").text());
  ASSERT_TRUE(index) << index.error();
  ASSERT_EQ(index->entries.size(), 1U);
  const GitIndexEntry& entry = index->entries[0];
  EXPECT_EQ(entry.path, "a/b");
  EXPECT_EQ(entry.changed, (GitStamp{1, 2}));
  EXPECT_EQ(entry.modified, (GitStamp{3, 4}));
  EXPECT_EQ(entry.inode, 6U);
  EXPECT_EQ(entry.mode, 0100644U);
  EXPECT_EQ(entry.size, 10U);
  EXPECT_EQ(entry.object[0], 0x42);
  EXPECT_FALSE(entry.unwatched || entry.unmerged || entry.intent_to_add);
}

TEST(GitIndex, KnowsTheFlags) {
  Written written{.version = 3};
  written.add("assumed", 0x8000).add("intended", 0x20004000).add("merged", 0x1000);
  written.add("merged", 0x2000).add("sparse", 0x40004000);
  const auto index = parse(written.text());
  ASSERT_TRUE(index) << index.error();
  EXPECT_TRUE(index->entries[0].unwatched);
  EXPECT_TRUE(index->entries[1].intent_to_add);
  EXPECT_TRUE(index->entries[2].unmerged && index->entries[3].unmerged);
  EXPECT_TRUE(index->entries[4].unwatched);
}

TEST(GitIndex, TellsWhetherTheCacheTreeIsWhole) {
  using Tree = GitIndex::Tree;
  const auto tree = [](const std::string& content) {
    return parse(Written().add("a").extend("TREE", content).text())->tree;
  };
  EXPECT_EQ(parse(Written().add("a").text())->tree, Tree::unsaid);
  EXPECT_EQ(tree(std::string("\0001 0\n", 5) + std::string(20, 'x')), Tree::written);
  EXPECT_EQ(tree(std::string("\000-1 0\n", 6)), Tree::changed);
  EXPECT_EQ(tree(""), Tree::changed);
  EXPECT_EQ(tree("x"), Tree::changed);
  EXPECT_EQ(tree(std::string("\0009999999999999 0\n", 17)), Tree::changed);
  EXPECT_EQ(tree(std::string("a\0001 0\n", 6)), Tree::changed);
}

TEST(GitIndex, PassesOverExtensionsThatNeedNotBeUnderstood) {
  EXPECT_EQ(error_of(Written().add("a").extend("UNTR", "whatever").extend("Xyz1", "")), "");
}

TEST(GitIndex, RefusesWhatItDoesNotUnderstand) {
  EXPECT_EQ(error_of(Written{.version = 1}), "has an unknown version");
  EXPECT_EQ(error_of(Written{.version = 5}), "has an unknown version");
  EXPECT_EQ(error_of(Written().extend("link", "x")), "is split");
  EXPECT_EQ(error_of(Written().add("", 0)), "is split");
  EXPECT_EQ(error_of(Written().extend("sdir", "")), "is sparse");
  EXPECT_EQ(error_of(Written().add("a/", 0, 0040000)), "is sparse");
  EXPECT_EQ(error_of(Written().extend("fut1", "")), "has an unknown extension");
  EXPECT_EQ(error_of(Written().add("a", 0x20004000)), "is damaged");
  EXPECT_EQ(error_of(Written().add("b").add("a")), "is out of order");
  EXPECT_EQ(error_of(Written().add("a").add("a")), "is out of order");
  EXPECT_EQ(parse(Written().add("a").add("b").text(), 1).error(), "has too many entries");
  EXPECT_EQ(parse("").error(), "is not one");
}

TEST(GitIndex, RefusesPathsThatLeadElsewhere) {
  for (const char* path :
       {"/etc/passwd", "../x", "a/../b", "a/..", "./a", "a//b", "a/", ".git/x", "a/.git", "."}) {
    EXPECT_EQ(error_of(Written().add(path)), "has an impossible path") << path;
  }
  EXPECT_EQ(error_of(Written().add(std::string(5000, 'a'))), "has an impossible path");
}

// What git writes, in each version.
class GitIndexOfGit : public testing::TestWithParam<int> {
 protected:
  [[nodiscard]] std::string written() const {
    git_script(tree_.path(),
               "git init -q .; mkdir -p dir/deep/er; for i in $(seq 12); do\n"
               "echo $i >f$i; echo $i >dir/$i; echo $i >dir/deep/er/name$i; done\n"
               "git add .; git update-index --index-version " +
                   std::to_string(GetParam()) +
                   "; git commit -qm c; git update-index --skip-worktree dir/7");
    return tree_.read_file(".git/index");
  }
  TempTree tree_;
};
INSTANTIATE_TEST_SUITE_P(, GitIndexOfGit, testing::Values(2, 3, 4));

TEST_P(GitIndexOfGit, IsUnderstood) {
  const auto index = parse(written());
  ASSERT_TRUE(index) << index.error();
  std::string paths;
  for (const GitIndexEntry& entry : index->entries) {
    paths += entry.path + "\n";
    EXPECT_EQ(entry.unwatched, entry.path == "dir/7") << entry.path;
  }
  EXPECT_EQ(paths, git(tree_.path(), "ls-files"));
}

TEST_P(GitIndexOfGit, IsNotBelievedWhenCutOff) {
  const std::string whole = written();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    // A copy of its own, so that a step behind its end is seen.
    const std::string cut = whole.substr(0, size);
    // Between two extensions it looks whole, but then nothing says that all is committed.
    const auto index = parse(cut);
    ASSERT_FALSE(index && index->tree == GitIndex::Tree::written) << size;
  }
}

TEST_P(GitIndexOfGit, MayHaveAnyBytesChanged) {
  Seeded random;
  SCOPED_TRACE(random.message());
  const std::string whole = written();
  std::size_t refused = 0;
  constexpr std::size_t kRounds = 20'000;
  for (std::size_t round = 0; round < kRounds; ++round) {
    std::string changed = whole;
    for (std::size_t i = random.below(8); i < 8; ++i) {
      changed[random.below(changed.size())] = static_cast<char>(random.below(256));
    }
    if (random.one_in(4)) changed.resize(random.below(changed.size()));
    const auto index = parse(changed);
    if (!index) ++refused;
  }
  EXPECT_GT(refused, kRounds / 10);
}

TEST(GitIndex, MayBeAnyBytes) {
  Seeded random;
  SCOPED_TRACE(random.message());
  for (int round = 0; round < 20'000; ++round) {
    std::string text = "DIRC" + bytes_of(static_cast<std::uint32_t>(2 + random.below(3))) +
                       bytes_of(static_cast<std::uint32_t>(random.below(4)));
    for (std::size_t i = random.below(400); i > 0; --i) {
      text += static_cast<char>(random.one_in(2) ? 0 : random.below(256));
    }
    const auto index = parse(text);
    EXPECT_TRUE(index || !index.error().empty());
  }
}

}  // namespace
}  // namespace ebbfs
