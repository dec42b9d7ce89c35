// SPDX-License-Identifier: Apache-2.0
//
// Usage by scope, twice: as the daemon tells it, and as a fresh count of the tree gives it, for a
// volume with the policy below. Threading: none of its own.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "index/types.h"
#include "tests/support/mounted_volume.h"

namespace ebbfs::test {

// units/NAME are units of class tree, other/JOB/NAME of class work, each directory or file.
inline constexpr const char* kScopesPolicy = R"(
[[class]]
name = "tree"
kind = "tree"
match = ["units/*"]
ttl = "24h"
[[class]]
name = "work"
kind = "tree"
match = ["other/{job}/*"]
ttl = "24h"
)";

// Where a path belongs; all empty outside of units.
struct UnitPlace {
  std::string unit;  // path of its top
  std::string class_name;
  std::string job;
  bool top = false;  // the path is the top
  bool operator==(const UnitPlace&) const = default;
};
[[nodiscard]] UnitPlace place_of(std::string_view path);

// By name of scope, as `quota list` shows it. Scopes that hold nothing are left out, as are jobs
// that no path names (they come from cgroups).
using ByScope = std::map<std::string, Counted>;

struct Paying {
  uid_t uid = 0;
  gid_t gid = 0;
};
// Adds `usage` to each scope that it is in but the volume.
void charge(ByScope& scopes, const UnitPlace& place, const Paying& who, const Counted& usage);

// Every inode of the tree, counted once.
[[nodiscard]] ByScope count_tree(const std::string& root);

struct ScopeRow {
  Counted used;
  Counted hard{kUnlimited, kUnlimited};
};
// What the daemon says of each scope that holds something or is limited.
[[nodiscard]] std::map<std::string, ScopeRow> told_rows(const std::string& root);
[[nodiscard]] ByScope told(const std::string& root);

// One scope a line, those that differ only.
[[nodiscard]] std::string difference(const ByScope& told, const ByScope& counted);

}  // namespace ebbfs::test
