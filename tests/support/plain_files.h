// SPDX-License-Identifier: Apache-2.0
//
// Files as tests use them: whole contents in and out, attributes, and the errno of a call as a
// value. What cannot be done fails the test. Threading: none of its own.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cerrno>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "fs/unique_fd.h"

namespace ebbfs::test {

// 0, or errno for the result of a system call that failed.
[[nodiscard]] inline int errno_of(std::int64_t result) { return result < 0 ? errno : 0; }
[[nodiscard]] inline int result_of(bool done) { return done ? 0 : errno; }

// close-on-exec.
[[nodiscard]] UniqueFd opened(const std::string& path, int flags, mode_t mode = 0644);
void put(const std::string& path, std::string_view content);
[[nodiscard]] std::string get(const std::string& path);
// Bytes that differ from place to place and between seeds.
[[nodiscard]] std::string pattern(std::size_t size, unsigned seed = 1);

// Of the name itself: a symbolic link is not followed.
[[nodiscard]] bool exists(const std::string& path);
[[nodiscard]] struct stat status_of(const std::string& path);
[[nodiscard]] mode_t mode_of(const std::string& path);  // the 12 bits of chmod
// Sorted, without "." and "..".
[[nodiscard]] std::vector<std::string> names_in(const std::string& path);

// Calls `visit` for everything below `directory` of the volume at `root`, with its path relative to
// that, but for .ebbfs. What goes meanwhile is passed over.
void for_each_below(const std::string& root, const std::string& directory,
                    const std::function<void(const std::string&, const struct stat&)>& visit);

struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups = {};  // supplementary
};
inline constexpr uid_t kAlice = 21001;
inline constexpr uid_t kBob = 21002;
[[nodiscard]] Identity alice();
[[nodiscard]] Identity bob();

// Runs `body` in a child process that has become `who` and waits; its result, 0 to 255.
[[nodiscard]] int as(const Identity& who, const std::function<int()>& body);

}  // namespace ebbfs::test
