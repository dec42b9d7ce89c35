// SPDX-License-Identifier: Apache-2.0
#include "tests/support/git.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <filesystem>

namespace ebbfs {

namespace {

std::string output_of(const std::string& command) {
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

}  // namespace

std::string git(const std::string& where, const std::string& arguments) {
  return output_of("GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 git -C '" + where +
                   "' -c safe.directory='*' -c user.name=t -c user.email=t@example.org "
                   "-c init.defaultBranch=m -c maintenance.auto=false " +
                   arguments + " 2>&1");
}

void git_script(const std::string& where, const std::string& script) {
  output_of(
      "exec 2>&1; set -e; cd '" + where +
      "'; export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 "
      "GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@example.org "
      "GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@example.org GIT_EDITOR=true GIT_CONFIG_COUNT=3 "
      "GIT_CONFIG_KEY_0=init.defaultBranch GIT_CONFIG_VALUE_0=m "
      "GIT_CONFIG_KEY_1=protocol.file.allow GIT_CONFIG_VALUE_1=always "
      "GIT_CONFIG_KEY_2=maintenance.auto GIT_CONFIG_VALUE_2=false\n" +
      script + "\n");
}

void make_repository(const std::string& where) {
  std::filesystem::create_directories(where);
  git(where, "init -q");
  git(where, "commit -q --allow-empty -m first");
}

}  // namespace ebbfs
