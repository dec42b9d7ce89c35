// SPDX-License-Identifier: Apache-2.0
#include "policy/classifier.h"

#include <cstdlib>

#include "policy/automaton.h"
#include "policy/glob.h"
#include "policy/job_names.h"

namespace ebbfs {
namespace {

// A MatchState is a node of the automaton, and above it the number of the job captured so far.
constexpr std::uint32_t kNodeMask = (1U << Automaton::kNodeBits) - 1;
static_assert(Automaton::kNodeBits + JobNames::kNumberBits <= 32);

constexpr std::uint32_t bits(MatchState state) { return static_cast<std::uint32_t>(state); }
constexpr std::uint32_t node_of(MatchState state) { return bits(state) & kNodeMask; }
constexpr std::uint32_t job_of(MatchState state) { return bits(state) >> Automaton::kNodeBits; }

constexpr MatchState make_state(std::uint32_t node, std::uint32_t job) {
  return static_cast<MatchState>(job << Automaton::kNodeBits | node);
}
static_assert(make_state(Automaton::kDead, JobNames::kNone) == kDeadState);

// What compile_glob demands of every {git} pattern: one comparison tells most names apart.
constexpr std::string_view kGitLockSuffix = ".lock";

struct GitPattern {
  NamePattern name;
  std::uint16_t class_index;
};

std::vector<GitPattern> git_patterns(const Policy& policy) {
  std::vector<GitPattern> patterns;
  for (std::size_t i = 0; i < policy.classes.size(); ++i) {
    for (const std::string& text : policy.classes[i].match) {
      const auto glob = compile_glob(text, policy.classes[i].kind);
      if (!glob || !glob->in_git) continue;
      patterns.push_back({glob->components.front().pattern, static_cast<std::uint16_t>(i)});
    }
  }
  return patterns;
}

// parse_policy refuses what cannot be built, so failing here is a broken invariant; going on would
// classify nothing and so clean up nothing.
Automaton build_or_abort(const Policy& policy) {
  auto automaton = Automaton::build(policy);
  if (!automaton) std::abort();
  return std::move(*automaton);
}

}  // namespace

struct Classifier::Impl {
  explicit Impl(std::shared_ptr<const Policy> checked)
      : policy(std::move(checked)),
        automaton(build_or_abort(*policy)),
        git_locks(git_patterns(*policy)) {}

  [[nodiscard]] MatchState follow(const Automaton::Edge& edge, MatchState from,
                                  std::string_view name) {
    switch (edge.job) {
      case Automaton::Job::drop:
        return make_state(edge.node, JobNames::kNone);
      case Automaton::Job::keep:
        return make_state(edge.node, job_of(from));
      case Automaton::Job::capture:
        return make_state(edge.node, jobs.number(name));
    }
    return kDeadState;
  }

  [[nodiscard]] std::uint16_t git_lock_class(std::string_view name) const {
    for (const GitPattern& pattern : git_locks) {
      if (pattern.name.matches(name)) return pattern.class_index;
    }
    return kNoClass;
  }

  const std::shared_ptr<const Policy> policy;
  const Automaton automaton;
  const std::vector<GitPattern> git_locks;
  JobNames jobs;
};

Classifier::Classifier(std::shared_ptr<const Policy> policy)
    : impl_(std::make_unique<Impl>(std::move(policy))) {}
Classifier::~Classifier() = default;

const Policy& Classifier::policy() const { return *impl_->policy; }
std::shared_ptr<const Policy> Classifier::policy_ptr() const { return impl_->policy; }

MatchState Classifier::root() const { return make_state(impl_->automaton.root(), JobNames::kNone); }

Match Classifier::step(MatchState directory, std::string_view name) const {
  Match match{.state = directory};
  const std::uint32_t node = node_of(directory);
  if (node != Automaton::kDead) {
    if (node >= impl_->automaton.size()) std::abort();  // a state of another classifier
    const Automaton::Edge& edge = impl_->automaton.step(node, name);
    match.state = impl_->follow(edge, directory, name);
    match.tree_class = edge.tree_class;
    match.lock_class = edge.lock_class;
  }
  if (!impl_->git_locks.empty() && name.ends_with(kGitLockSuffix) && match.lock_class == kNoClass) {
    match.git_lock_class = impl_->git_lock_class(name);
  }
  return match;
}

MatchState Classifier::inside_unit(MatchState state) const {
  const std::uint32_t node = node_of(state);
  if (node == Automaton::kDead) return state;
  if (node >= impl_->automaton.size()) std::abort();
  return impl_->follow(impl_->automaton.without_trees(node), state, {});
}

std::string_view Classifier::job(MatchState state) const { return impl_->jobs.name(job_of(state)); }

std::string_view Classifier::job(const Match& match) const { return job(match.state); }

Match Classifier::walk(std::string_view path) const {
  Match match{.state = root()};
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    const std::string_view name = path.substr(0, slash);
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    if (name.empty()) continue;
    const MatchState from = match.tree_class == kNoClass ? match.state : inside_unit(match.state);
    match = step(from, name);
  }
  return match;
}

}  // namespace ebbfs
