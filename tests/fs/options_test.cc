// SPDX-License-Identifier: Apache-2.0
#include "fs/options.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <sstream>
#include <string>
#include <vector>

#include "fs/policy_source.h"

namespace ebbfs {
namespace {

TEST(Options, HelpFitsATerminal) {
  const char* const words[] = {"ebbfs", "--help"};
  const auto parsed = parse_options(2, words);
  const auto* help = std::get_if<OptionsExit>(&parsed);
  ASSERT_NE(help, nullptr);
  EXPECT_EQ(help->exit_code, 0);
  EXPECT_NE(help->text.find("--policy"), std::string::npos);
  std::istringstream lines(help->text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80U) << line;
}

Options parsed(const char* list) {
  const char* const words[] = {"ebbfs", "-o", list, "/mnt/ebs"};
  return std::get<Options>(parse_options(4, words));
}

TEST(Options, AboutAccessTimesAreForTheBackingAndThoseThatLibfuseKnowsForTheMountToo) {
  const Options plain = parsed("nosuid,defaults");
  EXPECT_EQ(plain.access_times.files, AccessTimes::Of::as_below);
  EXPECT_FALSE(plain.access_times.nodiratime);
  EXPECT_EQ(plain.mount_options, std::vector<std::string>{"nosuid"});
  const Options never = parsed("noatime,nodiratime");
  EXPECT_EQ(never.access_times.files, AccessTimes::Of::noatime);
  EXPECT_TRUE(never.access_times.nodiratime);
  EXPECT_EQ(never.mount_options, (std::vector<std::string>{"noatime", "nodiratime"}));
  EXPECT_EQ(parsed("relatime").access_times.files, AccessTimes::Of::relatime);
  EXPECT_EQ(parsed("noatime,strictatime").access_times.files, AccessTimes::Of::strictatime);
  EXPECT_TRUE(parsed("relatime,strictatime").mount_options.empty());
}

std::string refusal(std::initializer_list<const char*> words) {
  const std::vector<const char*> all(words);
  const auto result = parse_options(static_cast<int>(all.size()), all.data());
  const auto* exit = std::get_if<OptionsExit>(&result);
  if (exit == nullptr || exit->exit_code != 2) return "taken";
  return exit->text;
}

TEST(Options, NameTheirProgramAndWhatIsExpectedInPlaceOfWhatIsWrong) {
  EXPECT_TRUE(refusal({"ebbfs"}).starts_with("ebbfs: ")) << refusal({"ebbfs"});
  EXPECT_EQ(refusal({"ebbfs", "--log-level", "loud", "/mnt/ebs"}),
            "ebbfs: log-level: expected debug, info, warn or error, got \"loud\"\n");
  EXPECT_EQ(refusal({"ebbfs", "--log-level", "warn", "/mnt/ebs"}), "taken");
}

// As from an empty variable: the built-in policy would be another one than was meant.
TEST(Options, DoNotTakeAnEmptyNameForNoPolicy) {
  EXPECT_TRUE(refusal({"ebbfs", "--policy", "", "/mnt/ebs"}).contains("expected a file"));
  EXPECT_TRUE(refusal({"ebbfs", "-o", "policy=", "/mnt/ebs"}).contains("expected a file"));
}

TEST(PolicyFile, ThatIsADirectoryIsNoEmptyOne) {
  EXPECT_FALSE(load_policy("/tmp").has_value());
  EXPECT_TRUE(load_policy("/tmp").error().contains("/tmp: cannot be read")) << "it was read";
  EXPECT_TRUE(load_policy("/dev/null").has_value());
}

}  // namespace
}  // namespace ebbfs
