// SPDX-License-Identifier: Apache-2.0
//
// Which of several tests of a name can pass at once. Two at a time are looked at exactly, so more
// sets are found than names can bring about, never fewer. For one thread: it remembers pairs.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "policy/glob.h"

namespace ebbfs {

// Passes when any of the patterns matches.
using PatternTest = std::vector<NamePattern>;

class PatternSets {
 public:
  static constexpr std::size_t kTestsMax = 64;  // bits of a mask
  static constexpr std::size_t kSetsMax = 1U << 16;

  // Masks (bit i: tests[i] passes) in rising order, 0 first; empty when a limit is passed.
  [[nodiscard]] std::vector<std::uint64_t> possible(const std::vector<PatternTest>& tests);

 private:
  [[nodiscard]] bool meet(const PatternTest& a, const PatternTest& b);

  std::map<std::pair<std::string, std::string>, bool> pairs_;
};

}  // namespace ebbfs
