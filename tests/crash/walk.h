// SPDX-License-Identifier: Apache-2.0
//
// Walks one operation through every gap between two changes on disk: the daemon dies there, is
// started again, and what is found must be as before the operation or as after it, with every
// counter right; and the same once more after another start.
// Threading: one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>

#include "tests/crash/kill_board.h"
#include "tests/support/mounted_volume.h"

namespace ebbfs::test {

struct Operation {
  std::string name;
  // Makes what the operation needs; all acknowledged.
  std::function<void(MountedVolume&)> prepare;
  // The operation: one request that changes something. Whether it was acknowledged.
  std::function<bool(MountedVolume&)> act;
  // When all has been done that follows from it, where that goes on after the answer.
  std::function<bool(MountedVolume&)> ended = {};
  // A lock that it makes or moves: who holds it may be forgotten when the daemon dies.
  std::string lock = {};
  // Also right after a crash in the middle: parts of what is seen are made equal before it is
  // compared.
  std::function<std::string(std::string)> forgive = {};
  std::string policy = {};  // empty: that of the tests

  friend std::ostream& operator<<(std::ostream& out, const Operation& operation) {
    return out << operation.name;
  }
};

// Units below units/, other/, jobs/{job}/work/ and deep/*/work/, locks below locks/ and *.lk in
// units; nothing expires by itself.
extern const char* const kCrashPolicy;

// How many gaps there were; failures are those of the test.
std::uint32_t walk(const Operation& operation);

}  // namespace ebbfs::test
