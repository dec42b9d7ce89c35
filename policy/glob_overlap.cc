// SPDX-License-Identifier: Apache-2.0
//
// What two globs both match: a walk, shortest first, over the pairs of places that the two can be
// in at once; for names byte by byte, for paths name by name.
#include <algorithm>
#include <cstdint>

#include "policy/classifier.h"
#include "policy/glob.h"

namespace ebbfs {
namespace {

// Visits states 0..count-1, those reached with fewer labels first, and remembers how.
template <typename Label>
class Search {
 public:
  Search(std::size_t count, std::size_t start) : visited_(count) {
    steps_.push_back({.state = start, .from = 0, .label = {}});
    now_.push_back(0);
  }

  // The next state not visited before. What is reached from here on is reached from it.
  [[nodiscard]] std::optional<std::size_t> next() {
    while (true) {
      if (cursor_ == now_.size()) {
        if (later_.empty()) return std::nullopt;
        now_ = std::move(later_);
        later_.clear();
        cursor_ = 0;
      }
      at_ = now_[cursor_++];
      const std::size_t state = steps_[at_].state;
      if (visited_[state]) continue;
      visited_[state] = true;
      return state;
    }
  }
  void reach(std::size_t state, Label label) { later_.push_back(add(state, std::move(label))); }
  void reach_free(std::size_t state) { now_.push_back(add(state, std::nullopt)); }

  // The labels on the way to the state that next() returned last.
  [[nodiscard]] std::vector<Label> way() const {
    std::vector<Label> labels;
    for (std::size_t step = at_; step != 0; step = steps_[step].from) {
      if (steps_[step].label) labels.push_back(*steps_[step].label);
    }
    std::ranges::reverse(labels);
    return labels;
  }

 private:
  struct Step {
    std::size_t state;
    std::size_t from;
    std::optional<Label> label;
  };

  std::size_t add(std::size_t state, std::optional<Label> label) {
    steps_.push_back({state, at_, std::move(label)});
    return steps_.size() - 1;
  }

  std::vector<bool> visited_;
  std::vector<Step> steps_;
  std::vector<std::size_t> now_;    // steps with as many labels as the current one
  std::vector<std::size_t> later_;  // steps with one more
  std::size_t cursor_ = 0;
  std::size_t at_ = 0;
};

// What has been spelt so far, as far as it matters: "", "." and ".." are no names.
enum class Spelt : std::uint8_t { nothing, dot, dot_dot, other };
constexpr std::size_t kSpelts = 4;

Spelt spell(Spelt so_far, char c) {
  if (c != '.') return Spelt::other;
  if (so_far == Spelt::nothing) return Spelt::dot;
  return so_far == Spelt::dot ? Spelt::dot_dot : Spelt::other;
}

// The byte that both pattern bytes allow; NUL, which no name holds, when there is none.
char common_byte(char a, char b) {
  const auto wild = [](char c) { return c == '*' || c == '?'; };
  if (wild(a) && wild(b)) return 'x';
  if (wild(a)) return b;
  return wild(b) || a == b ? a : '\0';
}

using Kind = GlobComponent::Kind;

std::optional<std::string> common_path(const std::vector<GlobComponent>& a,
                                       const std::vector<GlobComponent>& b) {
  const auto index = [&](std::size_t i, std::size_t j) { return i * (b.size() + 1) + j; };
  Search<std::string> search(index(a.size(), b.size()) + 1, 0);
  while (const auto state = search.next()) {
    const std::size_t i = *state / (b.size() + 1);
    const std::size_t j = *state % (b.size() + 1);
    if (i == a.size() && j == b.size()) {
      std::string path;
      for (const std::string& name : search.way()) path += (path.empty() ? "" : "/") + name;
      return path;
    }
    if (i < a.size() && a[i].kind == Kind::any_depth) search.reach_free(index(i + 1, j));
    if (j < b.size() && b[j].kind == Kind::any_depth) search.reach_free(index(i, j + 1));
    if (i == a.size() || j == b.size()) continue;
    auto name = common_name(a[i].pattern, b[j].pattern);
    if (!name) continue;
    search.reach(index(i + (a[i].kind == Kind::any_depth ? 0 : 1),
                       j + (b[j].kind == Kind::any_depth ? 0 : 1)),
                 std::move(*name));
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> common_name(const NamePattern& first, const NamePattern& second) {
  if (first.is_literal() && second.is_literal() && first.text() != second.text()) return {};
  const std::string_view a = first.text();
  const std::string_view b = second.text();
  const auto index = [&](std::size_t i, std::size_t j, Spelt spelt) {
    return (i * (b.size() + 1) + j) * kSpelts + static_cast<std::size_t>(spelt);
  };
  Search<char> search(index(a.size(), b.size(), Spelt::other) + 1, 0);
  while (const auto state = search.next()) {
    const auto spelt = static_cast<Spelt>(*state % kSpelts);
    const std::size_t i = *state / kSpelts / (b.size() + 1);
    const std::size_t j = *state / kSpelts % (b.size() + 1);
    if (i == a.size() && j == b.size() && spelt == Spelt::other) {
      const std::vector<char> name = search.way();
      if (name.size() > kNameMax) return std::nullopt;
      return std::string(name.begin(), name.end());
    }
    const bool star_a = i < a.size() && a[i] == '*';
    const bool star_b = j < b.size() && b[j] == '*';
    if (star_a) search.reach_free(index(i + 1, j, spelt));
    if (star_b) search.reach_free(index(i, j + 1, spelt));
    if (i == a.size() || j == b.size()) continue;
    const char c = common_byte(a[i], b[j]);
    if (c == '\0') continue;
    search.reach(index(i + (star_a ? 0 : 1), j + (star_b ? 0 : 1), spell(spelt, c)), c);
  }
  return std::nullopt;
}

// A {git} glob counts only where no other lock glob matches, so it meets none but its like.
std::optional<std::string> overlap(std::string_view glob, std::string_view other) {
  const auto a = compile_glob(glob, ClassKind::lock);
  const auto b = compile_glob(other, ClassKind::lock);
  if (!a || !b || a->in_git != b->in_git) return std::nullopt;
  auto path = common_path(a->components, b->components);
  if (path && a->in_git) path->insert(0, ".git/");
  return path;
}

}  // namespace ebbfs
