// SPDX-License-Identifier: Apache-2.0
#include "policy/automaton.h"

#include <algorithm>

namespace ebbfs {

std::uint64_t Automaton::Node::passed(std::string_view name) const {
  std::uint64_t mask = 0;
  for (std::size_t i = 0; i < tests.size(); ++i) {
    const auto matches = [&](const NamePattern& pattern) { return pattern.matches(name); };
    if (std::ranges::any_of(tests[i], matches)) mask |= std::uint64_t{1} << i;
  }
  return mask;
}

const Automaton::Edge& Automaton::step(std::uint32_t node, std::string_view name) const {
  const Node& at = nodes_[node];
  const auto literal = std::ranges::lower_bound(
      at.literals, name,
      [](std::string_view a, std::string_view b) {
        return a.size() != b.size() ? a.size() < b.size() : a < b;
      },
      [](const auto& entry) -> std::string_view { return entry.first; });
  if (literal != at.literals.end() && literal->first == name) return literal->second;

  const auto& plain = at.by_passed.front();
  const std::uint64_t mask = at.passed(name);
  if (mask == 0) return plain.second;
  const auto edge = std::ranges::lower_bound(at.by_passed, mask, {},
                                             [](const auto& entry) { return entry.first; });
  // Every name that a directory can hold has an edge; "..", or one too long, may have none.
  return edge != at.by_passed.end() && edge->first == mask ? edge->second : plain.second;
}

}  // namespace ebbfs
