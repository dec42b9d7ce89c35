// SPDX-License-Identifier: Apache-2.0
//
// Workers for the torture test: each in a process of its own, works until it is killed, and looks
// all the time whether what it was promised holds. What it finds wrong it writes to standard error
// and counts on the board. Threading: one thread each; the board is shared memory.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

namespace ebbfs::test {

inline constexpr int kWriters = 4;
// Of the policy of the test.
inline constexpr auto kTortureKeep = std::chrono::milliseconds(500);
inline constexpr std::int64_t kTortureLimit = 2 << 20;  // of unit:worktrees/limited

struct TortureBoard {
  // Of one writer, whichever process that is at the time.
  struct Writer {
    std::atomic<int> units;  // that it has finished
    std::atomic<std::int64_t> bytes;
    // Of the unit worktrees/w<writer>-<n> and the lock locks/w<writer>-<n>, set before they are
    // made. No two processes have the same n.
    std::atomic<int> n;
  };
  std::array<Writer, kWriters> writers;
  std::atomic<int> lock_cycles;
  std::atomic<int> full;           // times that somebody met ENOSPC
  std::atomic<int> met_limit;      // times that somebody met EDQUOT
  std::atomic<int> locks_at_full;  // made and removed while there was no space
  std::atomic<int> wrong;

  // In memory that processes forked from here on share. Never given back.
  [[nodiscard]] static TortureBoard& make();
};

[[nodiscard]] std::string torture_name(int writer, int n);

// None of them returns. `root`: the mount.
// Makes a unit with a lock, fills it, looks at both, leaves it idle, begins another.
[[noreturn]] void write_for_ever(const std::string& root, TortureBoard& board, int writer,
                                 unsigned seed);
// Makes and removes locks.
[[noreturn]] void lock_for_ever(const std::string& root, TortureBoard& board);
// Takes all the space there is for a unit that it has open, looks, removes it, begins again.
[[noreturn]] void hog_for_ever(const std::string& root, TortureBoard& board);
// Fills worktrees/limited up to its quota, empties it, begins again.
[[noreturn]] void reach_limit_for_ever(const std::string& root, TortureBoard& board);

}  // namespace ebbfs::test
