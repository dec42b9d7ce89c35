// SPDX-License-Identifier: Apache-2.0
//
// The command line of a hook, from its rule and what has happened. Values that came from users
// become parts of words, never words: nothing is split, and no shell sees them. Pure.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/limits.h"

namespace ebbfs {

// What the names in kHookParts stand for; "" where there is none.
struct HookParts {
  std::string path;  // absolute, below the mount
  std::string repo;  // likewise
  std::string job;
  std::string class_name;
};

// The first thing in braces that looks like the name of a part and is none ("{pth}"); nothing when
// `word` is in order.
[[nodiscard]] std::optional<std::string> unknown_hook_part(std::string_view word);
// Whether the command asks for `part`, one of kHookParts.
[[nodiscard]] bool hook_names(const HookRule& rule, std::string_view part);

// Whether each part that the command asks for is there.
[[nodiscard]] bool has_parts(const HookRule& rule, const HookParts& parts);

// The words to execute. The error says why not, for people: a value would make an option of a word
// that is none.
[[nodiscard]] std::expected<std::vector<std::string>, std::string> hook_command(
    const HookRule& rule, const HookParts& parts);

}  // namespace ebbfs
