// SPDX-License-Identifier: Apache-2.0
//
// The small operations, in a loop of system calls. Each returns seconds of wall time for the whole
// loop and throws std::runtime_error when a call fails: a figure of failed calls says nothing.
// Threading: one thread; `in_processes` forks.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

namespace ebbfs::bench {

// Creates, writes `bytes` to and closes `count` files "f0"... in `directory`, which is made.
[[nodiscard]] double make_files(const std::string& directory, int count, std::size_t bytes);
[[nodiscard]] double read_files(const std::string& directory, int count, std::size_t bytes);
// Asks for the free space: a request that leaves next to nothing to do but the round trip itself.
[[nodiscard]] double statfs_calls(const std::string& directory, int count);
[[nodiscard]] double stat_files(const std::string& directory, int count);
[[nodiscard]] double remove_files(const std::string& directory, int count);
// Exclusive create, write a pid, close, unlink: `count` times.
[[nodiscard]] double lock_cycles(const std::string& directory, int count);
// Reads the names of `directory`; there must be `expected`.
[[nodiscard]] double list_names(const std::string& directory, int expected);
// Looks at everything below `directory`: names and attributes. There must be `expected` files.
[[nodiscard]] double walk(const std::string& directory, int expected);

// Runs `work(process)` in so many processes at the same time; seconds until the last is done.
[[nodiscard]] double in_processes(int processes, const std::function<void(int)>& work);

// Fills `directory` with `directories` of `files` empty files each.
void fill(const std::string& directory, int directories, int files);

}  // namespace ebbfs::bench
