// SPDX-License-Identifier: Apache-2.0
//
// One class glob, taken apart into components (the language is in classifier.h), and the pattern of
// a single name. Immutable values; all functions may be called from any thread.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/limits.h"

namespace ebbfs {

// Longest name that a filesystem stores (NAME_MAX), bytes.
inline constexpr std::size_t kNameMax = 255;

// The part of a glob between two slashes, without ** and captures: literal bytes, * and ?.
class NamePattern {
 public:
  explicit NamePattern(std::string text);

  [[nodiscard]] bool matches(std::string_view name) const;
  [[nodiscard]] bool is_literal() const { return kind_ == Kind::literal; }
  [[nodiscard]] bool matches_all() const { return kind_ == Kind::all; }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  enum class Kind : std::uint8_t { literal, all, prefix, suffix, general };

  std::string text_;
  Kind kind_;
};

struct GlobComponent {
  enum class Kind : std::uint8_t {
    name,       // one name that `pattern` matches
    any_depth,  // **: any number of names, also none; never the last component
    job,        // {job}: one name, captured
  } kind;
  NamePattern pattern;  // "*" unless kind is name
};

struct Glob {
  bool in_git = false;  // {git}/**/PATTERN; components holds PATTERN alone
  // At least one. A trailing ** has become ** and *, as it needs at least one name.
  std::vector<GlobComponent> components;
};

// Fails with what is wrong, worded to follow "expected a glob, but ".
[[nodiscard]] std::expected<Glob, std::string> compile_glob(std::string_view glob, ClassKind kind);

// A name, the shortest there is, that both match.
[[nodiscard]] std::optional<std::string> common_name(const NamePattern& a, const NamePattern& b);

}  // namespace ebbfs
