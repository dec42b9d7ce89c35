// SPDX-License-Identifier: Apache-2.0
//
// The real git, for tests of what it leaves behind. Independent of the user's configuration.
#pragma once

#include <string>

namespace ebbfs {

// Runs `git ARGUMENTS` in the directory `where`; its output. A failure fails the test.
std::string git(const std::string& where, const std::string& arguments);

// A repository with one commit at `where`.
void make_repository(const std::string& where);

}  // namespace ebbfs
