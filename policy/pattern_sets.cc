// SPDX-License-Identifier: Apache-2.0
#include "policy/pattern_sets.h"

#include <algorithm>

namespace ebbfs {

std::vector<std::uint64_t> PatternSets::possible(const std::vector<PatternTest>& tests) {
  if (tests.size() > kTestsMax) return {};
  std::vector<std::uint64_t> masks{0};
  for (std::size_t i = 0; i < tests.size(); ++i) {
    std::uint64_t meets_i = 0;
    for (std::size_t j = 0; j < i; ++j) {
      if (meet(tests[i], tests[j])) meets_i |= std::uint64_t{1} << j;
    }
    const std::size_t without_i = masks.size();
    for (std::size_t m = 0; m < without_i; ++m) {
      if ((masks[m] & ~meets_i) == 0) masks.push_back(masks[m] | std::uint64_t{1} << i);
    }
    if (masks.size() > kSetsMax) return {};
  }
  std::ranges::sort(masks);
  return masks;
}

bool PatternSets::meet(const PatternTest& a, const PatternTest& b) {
  for (const NamePattern& first : a) {
    for (const NamePattern& second : b) {
      const auto [entry, is_new] = pairs_.try_emplace({first.text(), second.text()}, false);
      if (is_new) entry->second = common_name(first, second).has_value();
      if (entry->second) return true;
    }
  }
  return false;
}

}  // namespace ebbfs
