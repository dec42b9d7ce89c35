// SPDX-License-Identifier: Apache-2.0
//
// The policy as values: classes with their limits, volume marks, quotas. Parsing checks everything
// that can be checked without a volume, so the rest of the code never meets a bad limit. Immutable
// once parsed; shared between threads as shared_ptr<const Policy>.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "index/types.h"

namespace ebbfs {

enum class ClassKind : std::uint8_t { tree, lock };
enum class OwnerMode : std::uint8_t { process, cgroup };
enum class Mode : std::uint8_t { enforce, observe };

// No duration: "none" in the file.
inline constexpr Duration kNoLimit = Duration::max();

// A lock class that names no ttl has this one: a lock whose owner cannot be seen must not stay for
// ever because a key was left out.
inline constexpr Duration kDefaultLockTtl = std::chrono::minutes(5);

// Nor must a tree class that names no keep give up, for space, what was used a moment ago.
inline constexpr Duration kDefaultKeep = std::chrono::hours(1);

struct ClassRule {
  std::string name;  // [A-Za-z0-9_.-]+, unique
  ClassKind kind = ClassKind::tree;
  std::vector<std::string> match{};  // globs, see classifier.h; at least one
  // tree
  Duration ttl = kNoLimit;      // > 0; for kind lock: how long untouched, owner unknown
  Duration keep{};              // >= 0, used this recently: never evicted
  Duration max_age = kNoLimit;  // > 0
  // lock
  OwnerMode owner = OwnerMode::process;
  Duration orphan_grace = std::chrono::seconds(5);  // >= 0

  bool operator==(const ClassRule&) const = default;
};

// A share of the volume or an absolute size; exactly one is set.
struct Threshold {
  std::optional<double> fraction{};  // 0..1
  std::optional<Bytes> bytes{};

  bool operator==(const Threshold&) const = default;
};

struct VolumeRule {
  Threshold high{.fraction = 0.85};
  Threshold low{.fraction = 0.75};  // below high
  Threshold reserve{.fraction = 0.01};
  Duration trash_retention = std::chrono::hours(1);
  Duration adopt_grace = std::chrono::minutes(10);
  std::uint64_t brake_units = 500;
  double brake_percent = 0.5;  // 0..1

  bool operator==(const VolumeRule&) const = default;
};

struct QuotaRule {
  std::string scope;  // "volume", "class:N", "unit:GLOB", "user:N", "group:N", "job:N"; N may be *
  std::optional<Bytes> bytes{};
  std::optional<Bytes> soft_bytes{};
  std::optional<std::int64_t> inodes{};
  std::optional<std::int64_t> soft_inodes{};
  Duration grace = std::chrono::days(7);

  bool operator==(const QuotaRule&) const = default;
};

// A command to be run when something has happened. Elements of `command` may hold {path}, {repo},
// {job} and {class}; the first is an absolute path without any.
struct HookRule {
  enum class On : std::uint8_t { reclaimed, expired, idle } on = On::expired;
  std::vector<std::string> command{};          // at least one
  std::string user{};                          // name or decimal uid that it runs as
  std::string class_name{};                    // only for this class; "": for any
  Duration after{};                            // > 0 for idle: unused this long
  Duration timeout = std::chrono::minutes(1);  // > 0
  std::uint64_t parallel = 1;                  // of this hook at once, 1..kHooksAtOnceMax

  bool operator==(const HookRule&) const = default;
};
inline constexpr std::uint64_t kHooksAtOnceMax = 16;
inline constexpr Duration kHookTimeoutMax = std::chrono::hours(24);
[[nodiscard]] std::string_view to_string(HookRule::On on);
// What may stand between braces in a command, in any order.
inline constexpr std::array<std::string_view, 4> kHookParts = {"path", "repo", "job", "class"};

struct Policy {
  Mode mode = Mode::enforce;
  VolumeRule volume;
  std::vector<ClassRule> classes;
  std::vector<QuotaRule> quotas;
  std::vector<HookRule> hooks;
  std::string source;  // file name, or "built-in default"

  [[nodiscard]] const ClassRule* find_class(std::string_view name) const;
  bool operator==(const Policy&) const = default;
};

// Where and why a policy file is refused: "policy.toml:12:7: ttl: expected a duration such as 24h,
// got \"soon\"". Line and column count from 1; 0 when the reason is not at one place.
struct PolicyError {
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  std::string what;

  [[nodiscard]] std::string message() const;
};

// The policy in force without a file (DESIGN 4.1).
[[nodiscard]] Policy default_policy();

// Parses TOML `text`; `file` is for messages only. Unknown keys, wrong types, bad or negative
// values, duplicate names, globs that do not compile, and two classes of the same kind that can
// match the same path are errors, and so are globs that together are too complex (automaton.h).
// Of several errors, the first in the file is told. Keys left out have the defaults above; a file
// without [[class]] has the default classes.
[[nodiscard]] std::expected<Policy, PolicyError> parse_policy(std::string_view text,
                                                              std::string_view file);

// The policy as TOML that parse_policy reads back to an equal policy (but for `source`).
[[nodiscard]] std::string to_toml(const Policy& policy);

// "90s", "24h", "7d", "1h30m", "none"; integers with a unit (d h m s ms us ns, falling), no spaces.
// Nothing when malformed or longer than 292 years.
[[nodiscard]] std::optional<Duration> parse_duration(std::string_view text);
// "4KiB", "8MiB", "1.5GiB", "10G" (binary as well), "4096", "4096B". Nothing when malformed,
// negative, or 8 EiB and more.
[[nodiscard]] std::optional<Bytes> parse_bytes(std::string_view text);
[[nodiscard]] std::string format_duration(Duration duration);        // exact: "1h30m", "none"
[[nodiscard]] std::string format_bytes_exact(Bytes bytes);           // exact: "20GiB", "4097"
[[nodiscard]] std::string format_threshold(const Threshold& value);  // exact: "85%", "10GiB"

}  // namespace ebbfs
