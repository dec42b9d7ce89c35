// SPDX-License-Identifier: Apache-2.0
//
// The real git, for tests of what it leaves behind. Independent of the user's configuration.
#pragma once

#include <string>

namespace ebbfs {

// Runs `git ARGUMENTS` in the directory `where`; its output. A failure fails the test.
std::string git(const std::string& where, const std::string& arguments);

// Runs a shell script in the directory `where`, in which git is as independent. It ends at the
// first failure, which fails the test.
void git_script(const std::string& where, const std::string& script);

// A repository with one commit at `where`.
void make_repository(const std::string& where);

}  // namespace ebbfs
