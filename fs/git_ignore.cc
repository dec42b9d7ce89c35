// SPDX-License-Identifier: Apache-2.0
#include "fs/git_ignore.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <ranges>
#include <span>

#include "fs/tree.h"

namespace ebbfs {
namespace {

constexpr std::size_t kNone = std::string_view::npos;

bool in_class(std::string_view name, char c) {
  const bool lower = c >= 'a' && c <= 'z';
  const bool upper = c >= 'A' && c <= 'Z';
  const bool digit = c >= '0' && c <= '9';
  const bool graph = c > ' ' && c < '\x7f';
  if (name == "alpha") return lower || upper;
  if (name == "digit") return digit;
  if (name == "alnum") return lower || upper || digit;
  if (name == "lower") return lower;
  if (name == "upper") return upper;
  if (name == "xdigit") return digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  if (name == "punct") return graph && !lower && !upper && !digit;
  if (name == "graph") return graph;
  if (name == "print") return graph || c == ' ';
  if (name == "space") return c == ' ' || (c >= '\t' && c <= '\r');
  if (name == "blank") return c == ' ' || c == '\t';
  return false;
}

// What stands at the beginning of a pattern for one character.
struct One {
  bool matches = false;
  std::size_t length = 0;  // of the pattern; kNone when it is malformed and matches nothing
};

One match_bracket(std::string_view glob, char c) {
  std::size_t at = 1;
  const bool negated = at < glob.size() && (glob[at] == '!' || glob[at] == '^');
  if (negated) ++at;
  bool found = false;
  for (const std::size_t first = at; at < glob.size() && (glob[at] != ']' || at == first);) {
    if (glob.substr(at).starts_with("[:")) {
      const std::size_t end = glob.find(":]", at + 2);
      if (end == kNone) return {false, kNone};
      found |= in_class(glob.substr(at + 2, end - at - 2), c);
      at = end + 2;
      continue;
    }
    if (glob[at] == '\\') ++at;
    if (at >= glob.size()) return {false, kNone};
    auto low = static_cast<std::uint8_t>(glob[at++]);
    std::uint8_t high = low;
    if (at + 1 < glob.size() && glob[at] == '-' && glob[at + 1] != ']') {
      ++at;
      if (glob[at] == '\\') ++at;
      if (at >= glob.size()) return {false, kNone};
      high = static_cast<std::uint8_t>(glob[at++]);
    }
    const auto byte = static_cast<std::uint8_t>(c);
    found |= low <= byte && byte <= high;
  }
  if (at >= glob.size()) return {false, kNone};
  return {found != negated, at + 1};
}

One match_one(std::string_view glob, char c) {
  switch (glob[0]) {
    case '?':
      return {true, 1};
    case '[':
      return match_bracket(glob, c);
    case '\\':
      return glob.size() > 1 ? One{glob[1] == c, 2} : One{false, kNone};
    default:
      return {glob[0] == c, 1};
  }
}

// "**" between slashes: any number of directories.
bool is_any_depth(std::string_view part) {
  return part.size() >= 2 && part.find_first_not_of('*') == kNone;
}

using PatternParts = std::span<const std::string>;

// Goes back to the last "**" only: an earlier one can take no more than that one could.
bool matches_path(PatternParts parts, std::span<const std::string_view> names) {
  std::size_t part = 0;
  std::size_t name = 0;
  std::optional<std::size_t> depth_part;
  std::size_t depth_name = 0;
  while (name < names.size()) {
    if (part < parts.size() && is_any_depth(parts[part])) {
      depth_part = ++part;
      depth_name = name;
      if (part == parts.size()) return true;  // everything inside, so at least one name
      continue;
    }
    if (part < parts.size() && matches_name(parts[part], names[name])) {
      ++part;
      ++name;
      continue;
    }
    if (!depth_part) return false;
    part = *depth_part;
    name = ++depth_name;
  }
  return part == parts.size();
}

// One line without its end; trailing blanks go unless a backslash keeps them.
std::string_view without_trailing_blanks(std::string_view line) {
  while (line.ends_with(' ')) {
    std::size_t backslashes = 0;
    while (backslashes + 1 < line.size() && line[line.size() - 2 - backslashes] == '\\') {
      ++backslashes;
    }
    if (backslashes % 2 != 0) break;
    line.remove_suffix(1);
  }
  return line;
}

}  // namespace

bool matches_name(std::string_view glob, std::string_view name) {
  std::size_t at = 0;
  std::size_t star = kNone;  // behind the last one
  std::size_t star_at = 0;
  while (at < name.size()) {
    // `glob` is cut from the front; `star` remembers a suffix of it by its size.
    if (!glob.empty() && glob[0] == '*') {
      glob.remove_prefix(1);
      star = glob.size();
      star_at = at;
      continue;
    }
    const One one = glob.empty() ? One{} : match_one(glob, name[at]);
    if (one.length == kNone) return false;
    if (one.matches) {
      glob.remove_prefix(one.length);
      ++at;
      continue;
    }
    if (star == kNone) return false;
    const char* const end = glob.data() + glob.size();
    glob = std::string_view(end - star, star);
    at = ++star_at;
  }
  return glob.find_first_not_of('*') == kNone;
}

bool GitIgnore::push(std::string_view base, std::string_view text) {
  if (text.size() > kTextMax - text_size_) return false;
  Level level{.base = std::string(base), .text_size = text.size(), .patterns = {}};
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  for (const auto piece : std::views::split(text, '\n')) {
    std::string_view line(piece);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with('#')) continue;
    Pattern pattern;
    pattern.again = line.starts_with('!');
    if (pattern.again) line.remove_prefix(1);
    line = without_trailing_blanks(line);
    pattern.directories_only = line.ends_with('/');
    if (pattern.directories_only) line.remove_suffix(1);
    if (line.empty()) continue;
    pattern.name_only = line.find('/') == kNone;
    for (const std::string_view part : components_of(line)) pattern.parts.emplace_back(part);
    if (!pattern.parts.empty()) level.patterns.push_back(std::move(pattern));
  }
  text_size_ += level.text_size;
  levels_.push_back(std::move(level));
  return true;
}

void GitIgnore::pop() {
  text_size_ -= levels_.back().text_size;
  levels_.pop_back();
}

bool GitIgnore::matches(const Pattern& pattern, std::string_view path) {
  if (!pattern.name_only) return matches_path(pattern.parts, components_of(path));
  return matches_name(pattern.parts[0], path.substr(path.rfind('/') + 1));
}

bool GitIgnore::ignores(std::string_view path, bool is_directory) const {
  for (const Level& level : std::views::reverse(levels_)) {
    for (const Pattern& pattern : std::views::reverse(level.patterns)) {
      if (pattern.directories_only && !is_directory) continue;
      if (matches(pattern, path.substr(level.base.size()))) return !pattern.again;
    }
  }
  return false;
}

}  // namespace ebbfs
