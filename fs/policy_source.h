// SPDX-License-Identifier: Apache-2.0
//
// Where the policy comes from. Threading: any thread.
#pragma once

#include <expected>
#include <string>

#include "policy/limits.h"

namespace ebbfs {

// What `file` says, the built-in default for "". The error is one line for people.
[[nodiscard]] std::expected<Policy, std::string> load_policy(const std::string& file);

// Same classes with the same globs: what a reload may not change.
[[nodiscard]] bool same_shape(const Policy& a, const Policy& b);

}  // namespace ebbfs
