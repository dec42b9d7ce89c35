// SPDX-License-Identifier: Apache-2.0
//
// The body of `ebbctl quota`. Conventions as in control_views.h. Values only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fs/control_json.h"
#include "index/types.h"

namespace ebbfs {

// One counter against its limits: bytes or inodes.
struct LimitView {
  std::int64_t used = 0;
  std::optional<std::int64_t> soft;  // null: none
  std::optional<std::int64_t> hard;
  std::optional<WallTime> over_since;  // the soft limit is passed since then
  std::optional<WallTime> hard_at;     // and as hard from then on; null also when it never is
  bool operator==(const LimitView&) const = default;
};

struct QuotaView {
  std::string scope;  // "user:ci", "unit:worktrees/job-17", "volume", "job:*"
  LimitView bytes;
  LimitView inodes;
  std::optional<std::int64_t> percent;  // of the limit that is nearest; null without one
  std::optional<Duration> grace;        // of the soft limits; null: they never become hard
  std::string origin;                   // "none", "policy", "set"
  std::string rule;                     // the scope that policy or administrator named: "user:*"
  std::int64_t refusals = 0;            // requests refused since the daemon started
  bool operator==(const QuotaView&) const = default;
};

// Those that have a limit, the fullest first.
[[nodiscard]] std::vector<QuotaView> fullest(std::vector<QuotaView> quotas);

struct QuotasView {
  std::vector<QuotaView> quotas;
  bool dry_run = false;  // as it would be
  bool operator==(const QuotasView&) const = default;
};

}  // namespace ebbfs
