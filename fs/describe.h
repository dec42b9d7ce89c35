// SPDX-License-Identifier: Apache-2.0
//
// Owners, rules and verdicts in words, for log, journal and ebbctl. Pure.
#pragma once

#include <string>
#include <vector>

#include "index/record.h"
#include "policy/decision.h"
#include "policy/limits.h"
#include "policy/reclaim.h"

namespace ebbfs {

// "uid=1000 pid=4242 comm=git job=ci-17"; what is not known is left out.
[[nodiscard]] std::string owner_text(const Owner& owner);
// "pid 4242 (git)", or "an unknown process".
[[nodiscard]] std::string process_text(const ProcessSeen& process);

// The rule behind a unit's removal: "idle 24h", "older than 7d", "for space, kept 1h",
// "requested".
[[nodiscard]] std::string unit_rule_text(const ClassRule& rule, Reason reason);
// The rule behind a lock's: "owner killed, grace 5s", "owner unknown, untouched 5m".
[[nodiscard]] std::string lock_rule_text(const ClassRule& rule, const OwnerVerdict& verdict,
                                         const OwnerState& owner);

// Of units that stay: "3 units pinned", "1 unit used within its keep".
[[nodiscard]] std::string kept_text(Reason reason, std::size_t units);

// About how much: "512 B", "1.2 GiB".
[[nodiscard]] std::string bytes_text(Bytes bytes);

// One thing that holds a unit or lock, in words for people.
struct Blocker {
  Reason reason = Reason::use_unknown;
  std::string text;
};

// What is to become of a unit or lock, with everything that holds it now.
struct Report {
  Verdict verdict;
  std::string rule;
  std::vector<Blocker> blockers;
};

}  // namespace ebbfs
