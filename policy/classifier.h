// SPDX-License-Identifier: Apache-2.0
//
// Class globs compiled once. A directory carries a MatchState; stepping it by a child's name gives
// the child's state and what the child is, so that classifying costs no path and no allocation.
// Globs are relative to the volume root:
//   *        any run of bytes within one name            locks/*.lock
//   ?        one byte within a name
//   **       any number of whole names, also none        locks/**
//   {job}    captures one whole name as the job          agents/{job}/worktrees/*
//   {git}/   any git directory at any depth; only in lock classes and only as {git}/**/NAME with a
//            NAME ending in .lock: "{git}/**/*.lock" are git's own lock files (is_git_lock). Counts
//            only where no other lock glob matches.
// A trailing ** needs at least one name. No leading slash, no "." or "..", no empty component, none
// of []{}\ as these mean something elsewhere, at most one {job}.
//
// The job is what the glob that matched captured. Where several globs in play capture different
// names of one path, the outermost is remembered; should another of them match, there is no job.
// All in a unit that has a job have the same.
//
// Threading: everything from any thread. All states are made when the classifier is (automaton.h);
// step() takes a lock and allocates only to remember the name of a job that is new, up to 2^20 of
// them; later ones get no job. So step names that exist, or are about to, where a {job} may be.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/limits.h"

namespace ebbfs {

// Where a directory stands in all globs. kDeadState: nothing below it can match any more, but for
// {git} globs, which can anywhere. Other states may be as dead and carry a job.
enum class MatchState : std::uint32_t {};
inline constexpr MatchState kDeadState{0};

inline constexpr std::uint16_t kNoClass = 0xFFFF;

// What a name is, below a directory in some state.
struct Match {
  MatchState state = kDeadState;        // for the child's own children, should it be a directory
  std::uint16_t tree_class = kNoClass;  // index into Policy::classes; the child is a unit
  std::uint16_t lock_class = kNoClass;  // the child is a lock
  std::uint16_t git_lock_class = kNoClass;  // the child is a lock if is_git_lock says so
};

class Classifier {
 public:
  // `policy` was checked by parse_policy, so its globs compile.
  explicit Classifier(std::shared_ptr<const Policy> policy);
  ~Classifier();
  Classifier(const Classifier&) = delete;
  Classifier& operator=(const Classifier&) = delete;

  [[nodiscard]] const Policy& policy() const;
  [[nodiscard]] std::shared_ptr<const Policy> policy_ptr() const;
  // The state of the volume root.
  [[nodiscard]] MatchState root() const;
  // `directory`: from this classifier, never from one of an earlier policy. `name`: one component,
  // 1..255 bytes, any byte but '/' and NUL.
  [[nodiscard]] Match step(MatchState directory, std::string_view name) const;
  // The same state once inside a unit: tree globs no longer apply (units do not nest), lock globs
  // do.
  [[nodiscard]] MatchState inside_unit(MatchState state) const;
  // The {job} captured on the way to `state`, empty when none. Valid as long as the classifier.
  [[nodiscard]] std::string_view job(MatchState state) const;
  // The job captured by the last step itself (a glob may end in {job}).
  [[nodiscard]] std::string_view job(const Match& match) const;
  // Steps through a whole relative path ("" is the root), entering units on the way; for records
  // loaded from the index.
  [[nodiscard]] Match walk(std::string_view path) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Nothing when `glob` is well formed, else what is wrong with it.
[[nodiscard]] std::optional<std::string> check_glob(std::string_view glob, ClassKind kind);
// A path that both match, when there is one.
[[nodiscard]] std::optional<std::string> overlap(std::string_view glob, std::string_view other);

// Whether `below` (the components from a git directory down to the file, file last, not empty) is
// one of git's own lock files: *.lock among git's own top-level names, refs, logs, objects, info,
// worktrees, modules, reftable... Never a package manager's Cargo.lock, yarn.lock and the like.
// The caller has checked that the directory is a git directory (HEAD, objects and refs exist).
[[nodiscard]] bool is_git_lock(std::span<const std::string_view> below);

}  // namespace ebbfs
