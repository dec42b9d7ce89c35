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

#include "tests/crash/ground.h"
#include "tests/crash/kill_board.h"
#include "tests/support/mounted_volume.h"

namespace ebbfs::test {

struct Operation {
  std::string name;
  // Makes what the operation needs; all acknowledged.
  Prepare prepare;
  // The operation: one request that changes something.
  Act act;
  // When all has been done that follows from it, where that goes on after the answer.
  std::function<bool(MountedVolume&)> ended = {};
  // A lock that it makes or moves: who holds it may be forgotten when the daemon dies.
  std::string lock = {};
  // Also right after a crash in the middle: parts of what is seen are made equal before it is
  // compared.
  std::function<std::string(std::string)> forgive = {};
  std::string policy = crash_policy();

  friend std::ostream& operator<<(std::ostream& out, const Operation& operation) {
    return out << operation.name;
  }
};

// The name of the case, for INSTANTIATE_TEST_SUITE_P.
[[nodiscard]] inline std::string operation_name(const testing::TestParamInfo<Operation>& info) {
  return info.param.name;
}

// How many gaps there were; failures are those of the test.
std::uint32_t walk(const Operation& operation);

}  // namespace ebbfs::test
