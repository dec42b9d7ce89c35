// SPDX-License-Identifier: Apache-2.0
#include "policy/hook.h"

#include <algorithm>

namespace ebbfs {
namespace {

// What stands between the braces at `at`, where it looks like a name; else nothing.
std::optional<std::string_view> braced(std::string_view word, std::size_t at) {
  const std::size_t end = word.find('}', at);
  if (word[at] != '{' || end == std::string_view::npos) return std::nullopt;
  const std::string_view name = word.substr(at + 1, end - at - 1);
  const bool is_name = !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || c == '_';
  });
  return is_name ? std::optional(name) : std::nullopt;
}

bool is_part(std::string_view name) {
  return std::ranges::find(kHookParts, name) != kHookParts.end();
}

const std::string& value_of(const HookParts& parts, std::string_view name) {
  if (name == "path") return parts.path;
  if (name == "repo") return parts.repo;
  return name == "job" ? parts.job : parts.class_name;
}

}  // namespace

std::optional<std::string> unknown_hook_part(std::string_view word) {
  for (std::size_t at = 0; at < word.size(); ++at) {
    const auto name = braced(word, at);
    if (name && !is_part(*name)) return "{" + std::string(*name) + "}";
  }
  return std::nullopt;
}

bool hook_names(const HookRule& rule, std::string_view part) {
  const std::string wanted = "{" + std::string(part) + "}";
  return std::ranges::any_of(rule.command,
                             [&](const std::string& word) { return word.contains(wanted); });
}

bool has_parts(const HookRule& rule, const HookParts& parts) {
  return std::ranges::none_of(kHookParts, [&](std::string_view part) {
    return value_of(parts, part).empty() && hook_names(rule, part);
  });
}

std::expected<std::vector<std::string>, std::string> hook_command(const HookRule& rule,
                                                                  const HookParts& parts) {
  std::vector<std::string> words;
  for (const std::string& word : rule.command) {
    std::string out;
    for (std::size_t at = 0; at < word.size(); ++at) {
      const auto name = braced(word, at);
      if (!name || !is_part(*name)) {
        out += word[at];
        continue;
      }
      out += value_of(parts, *name);
      at += name->size() + 1;
    }
    if (out.starts_with('-') && !word.starts_with('-')) {
      return std::unexpected("\"" + out + "\" would be an option");
    }
    words.push_back(std::move(out));
  }
  return words;
}

}  // namespace ebbfs
