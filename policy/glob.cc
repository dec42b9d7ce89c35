// SPDX-License-Identifier: Apache-2.0
#include "policy/glob.h"

#include <algorithm>

#include "policy/classifier.h"

namespace ebbfs {
namespace {

constexpr std::size_t kGlobMax = 4096;  // PATH_MAX: nothing longer can be matched
constexpr std::string_view kGitSuffix = ".lock";

// Goes back to the last * at most, so the cost is at most pattern times name.
bool wildcards_match(std::string_view pattern, std::string_view name) {
  std::size_t p = 0;
  std::size_t n = 0;
  std::size_t star = std::string_view::npos;
  std::size_t star_name = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_name = n;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++star_name;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

std::optional<std::string> check_name(std::string_view text) {
  if (text.empty()) return "it has an empty component";
  if (text == "." || text == "..") return "it has a component \"" + std::string(text) + "\"";
  if (text.find("**") != std::string_view::npos) return "** does not stand alone between slashes";
  if (text.find("{job}") != std::string_view::npos) {
    return "{job} does not stand alone between slashes";
  }
  if (text.find("{git}") != std::string_view::npos) return "{git} is not its first component";
  // Nothing matches these today; refused so that nobody takes them for sets or alternatives.
  const std::size_t odd = text.find_first_of("{}[]\\");
  if (odd != std::string_view::npos) {
    return std::string("'") + text[odd] + "' has no meaning in it (only *, ?, **, {job}, {git})";
  }
  if (text.find('\0') != std::string_view::npos) return "it holds a NUL byte";
  const auto stars = static_cast<std::size_t>(std::ranges::count(text, '*'));
  if (text.size() - stars > kNameMax) return "a component is longer than a name can be (255)";
  return std::nullopt;
}

std::vector<std::string_view> split(std::string_view glob) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t slash = glob.find('/');
    parts.push_back(glob.substr(0, slash));
    if (slash == std::string_view::npos) return parts;
    glob.remove_prefix(slash + 1);
  }
}

std::expected<Glob, std::string> compile_git(const std::vector<std::string_view>& parts,
                                             ClassKind kind) {
  if (kind != ClassKind::lock) {
    return std::unexpected("{git} is for classes of kind \"lock\" only");
  }
  if (parts.size() != 3 || parts[1] != "**" || !parts[2].ends_with(kGitSuffix)) {
    return std::unexpected("{git} has one form only, {git}/**/NAME with NAME ending in .lock");
  }
  if (auto wrong = check_name(parts[2])) return std::unexpected(std::move(*wrong));
  Glob glob{.in_git = true, .components = {}};
  glob.components.push_back({GlobComponent::Kind::name, NamePattern(std::string(parts[2]))});
  return glob;
}

}  // namespace

NamePattern::NamePattern(std::string text) : text_(std::move(text)), kind_(Kind::general) {
  constexpr std::string_view kWild = "*?";
  const std::size_t wild = text_.find_first_of(kWild);
  const std::size_t last = text_.size() - 1;
  if (wild == std::string::npos) {
    kind_ = Kind::literal;
  } else if (text_ == "*") {
    kind_ = Kind::all;
  } else if (wild == last && text_[wild] == '*') {
    kind_ = Kind::prefix;
  } else if (text_[0] == '*' && text_.find_first_of(kWild, 1) == std::string::npos) {
    kind_ = Kind::suffix;
  }
}

bool NamePattern::matches(std::string_view name) const {
  const std::string_view text = text_;
  switch (kind_) {
    case Kind::literal:
      return name == text;
    case Kind::all:
      return true;
    case Kind::prefix:
      return name.starts_with(text.substr(0, text.size() - 1));
    case Kind::suffix:
      return name.ends_with(text.substr(1));
    case Kind::general:
      return wildcards_match(text, name);
  }
  return false;
}

std::expected<Glob, std::string> compile_glob(std::string_view glob, ClassKind kind) {
  using Kind = GlobComponent::Kind;
  if (glob.empty()) return std::unexpected("it is empty");
  if (glob.size() > kGlobMax) return std::unexpected("it is longer than a path can be (4096)");
  if (glob.starts_with('/')) {
    return std::unexpected("it starts with a slash (globs are relative to the volume root)");
  }
  if (glob.ends_with('/')) return std::unexpected("it ends with a slash");
  const std::vector<std::string_view> parts = split(glob);
  if (parts.front() == "{git}") return compile_git(parts, kind);
  if (parts.front() == ".ebbfs") {
    return std::unexpected(".ebbfs belongs to the filesystem itself");
  }

  Glob compiled;
  const auto last_kind = [&] {
    return compiled.components.empty() ? Kind::name : compiled.components.back().kind;
  };
  bool has_job = false;
  for (const std::string_view part : parts) {
    if (part == "**") {
      if (last_kind() != Kind::any_depth) {
        compiled.components.push_back({Kind::any_depth, NamePattern("*")});
      }
    } else if (part == "{job}") {
      if (has_job) return std::unexpected("it has more than one {job}");
      has_job = true;
      compiled.components.push_back({Kind::job, NamePattern("*")});
    } else {
      if (auto wrong = check_name(part)) return std::unexpected(std::move(*wrong));
      compiled.components.push_back({Kind::name, NamePattern(std::string(part))});
    }
  }
  if (last_kind() == Kind::any_depth) {
    compiled.components.push_back({Kind::name, NamePattern("*")});
  }
  return compiled;
}

std::optional<std::string> check_glob(std::string_view glob, ClassKind kind) {
  auto compiled = compile_glob(glob, kind);
  if (compiled) return std::nullopt;
  return std::move(compiled.error());
}

}  // namespace ebbfs
