// SPDX-License-Identifier: Apache-2.0
//
// One attempt at a job, as a process of its own: takes its locks, has git add a worktree, writes
// and works in it, looks whether everything that it holds is still there, and puts it all away.
// Unless it is killed: then it puts away nothing, as the workers of the incident. It kills itself,
// with the signal and at the moment that the plan says. Threading: one thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "tests/replay/plan.h"

namespace ebbfs::replay {

// Where jobs work.
struct Site {
  std::string volume;
  std::string scratch;  // outside of the volume: the repositories' guards, what git says
  int repositories = 0;
  double hour = 1;  // seconds that an hour of the plan takes
  // Of shared_number(): locks and worktrees of theirs that went while they lived.
  std::atomic<int>* live_removed = nullptr;
};

// An exit status.
enum class Ending : std::uint8_t {
  done = 0,
  lock_without_space = 10,  // ENOSPC
  lock_refused,             // for any other reason
  worktree_refused,         // git did not make it
  work_refused,             // no write in it
  robbed,                   // something of its own had gone
  not_put_away,
};

// A number that processes forked from here on share, in memory that is never given back.
[[nodiscard]] std::atomic<int>* shared_number();

// Makes the repositories and directories that jobs need. Throws std::runtime_error.
void prepare(const Site& site);

// `number`: which attempt at it, from 0. Does not return when the plan says that it is killed.
[[nodiscard]] Ending attempt(const Site& site, const Job& job, std::size_t number);

}  // namespace ebbfs::replay
