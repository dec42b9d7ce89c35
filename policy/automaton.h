// SPDX-License-Identifier: Apache-2.0
//
// All path globs of a policy as one deterministic automaton over names: a node is the set of places
// that a path may be at in all globs at once. It is built whole, before the first step, so nothing
// is made, and no lock taken, while stepping; what hostile names can reach is known and bounded.
//
// Which edge a name takes depends only on which of the node's patterns match it. A node keeps the
// literal ones in a sorted list and tests the others one by one. Building follows every combination
// of tests that pairwise can hold for one name; that is more than names can bring about, never
// less.
//
// Captures. One {job} per path is carried along. While a glob that captured it is in play, what
// others capture is dropped; should such a one match, there is no job rather than a wrong one. In a
// unit whose glob captured it the job stays.
//
// {git} globs are not in here (classifier.h). Threading: immutable.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/classifier.h"
#include "policy/limits.h"
#include "policy/pattern_sets.h"

namespace ebbfs {

class Automaton {
 public:
  static constexpr int kNodeBits = 12;
  static constexpr std::size_t kNodesMax = 1U << kNodeBits;
  static constexpr std::size_t kEdgesMax = 1U << 16;
  static constexpr std::uint32_t kDead = 0;  // nothing below can match

  // What becomes of the path's job.
  enum class Job : std::uint8_t { drop, keep, capture };

  struct Edge {
    std::uint32_t node = kDead;
    std::uint16_t tree_class = kNoClass;
    std::uint16_t lock_class = kNoClass;
    Job job = Job::drop;

    bool operator==(const Edge&) const = default;
  };

  // `policy`: globs compile. Fails, with a sentence, when the globs together are too complex.
  [[nodiscard]] static std::expected<Automaton, std::string> build(const Policy& policy);

  [[nodiscard]] std::uint32_t root() const { return root_; }
  [[nodiscard]] std::size_t size() const { return nodes_.size(); }
  // `node` < size(), and not kDead, for which there is nothing to find out.
  [[nodiscard]] const Edge& step(std::uint32_t node, std::string_view name) const;
  // The same node without the places in tree globs; the classes of the edge mean nothing.
  [[nodiscard]] const Edge& without_trees(std::uint32_t node) const { return nodes_[node].inside; }

 private:
  friend class AutomatonBuilder;

  struct Node {
    std::vector<std::pair<std::string, Edge>> literals;     // by size, then bytes
    std::vector<PatternTest> tests;                         // of patterns that lead elsewhere
    std::vector<std::pair<std::uint64_t, Edge>> by_passed;  // bit i: tests[i]; sorted, 0 first
    Edge inside;

    // The mask of the tests that `name` passes.
    [[nodiscard]] std::uint64_t passed(std::string_view name) const;
  };

  std::vector<Node> nodes_;
  std::uint32_t root_ = kDead;
};

}  // namespace ebbfs
