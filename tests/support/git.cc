// SPDX-License-Identifier: Apache-2.0
#include "tests/support/git.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <filesystem>

namespace ebbfs {

std::string git(const std::string& where, const std::string& arguments) {
  const std::string command = "GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 git -C '" + where +
                              "' -c safe.directory='*' -c user.name=t -c user.email=t@example.org "
                              "-c init.defaultBranch=m " +
                              arguments + " 2>&1";
  std::FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) {
    ADD_FAILURE() << command;
    return {};
  }
  std::string output;
  std::array<char, 4096> buffer;
  while (const std::size_t length = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    output.append(buffer.data(), length);
  }
  EXPECT_EQ(::pclose(pipe), 0) << command << "\n" << output;
  return output;
}

void make_repository(const std::string& where) {
  std::filesystem::create_directories(where);
  git(where, "init -q");
  git(where, "commit -q --allow-empty -m first");
}

}  // namespace ebbfs
