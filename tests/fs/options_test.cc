// SPDX-License-Identifier: Apache-2.0
#include "fs/options.h"

#include <gtest/gtest.h>

#include <sstream>

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

}  // namespace
}  // namespace ebbfs
