// SPDX-License-Identifier: Apache-2.0
//
// The body of `ebbctl explain`: why the volume is full. Conventions as in control_views.h. Values
// only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fs/control_json.h"
#include "index/types.h"

namespace ebbfs {

// How full the volume was some time ago.
struct UsageThenView {
  Duration ago{};                // as asked for; 0: now
  std::optional<WallTime> time;  // of the sample; null: history does not reach back so far
  Bytes bytes_used;              // of the backing filesystem
  std::int64_t inodes_used = 0;
  std::int64_t bytes_growth = 0;  // from then to now
  // At that rate, until new data is refused; null: not growing, or history is too short to say.
  std::optional<Duration> time_to_full;
  bool operator==(const UsageThenView&) const = default;
};

// What one user, job, class or unit holds, and how much more than at the beginning of the window.
struct HolderView {
  std::string name;
  std::optional<std::int64_t> units;  // of a user, job or class; null: it is a unit
  Usage usage;
  std::optional<std::int64_t> bytes_growth;  // null: not known
  // It was not among the largest then, so it grew by this much at least.
  bool growth_at_least = false;
  bool operator==(const HolderView&) const = default;
};

struct RemovedView {
  std::string class_name;
  std::string reason;  // to_string(RemovalReason)
  std::int64_t count = 0;
  Usage usage;
  bool operator==(const RemovedView&) const = default;
};

// Units that cannot go for now, all for the same reason.
struct HeldView {
  std::string reason;  // to_string(Reason), "outside", "git_work"
  std::string text;    // for people
  std::int64_t units = 0;
  Usage usage;
  std::string largest;  // path of one
  bool operator==(const HeldView&) const = default;
};

struct CleanupView {
  std::string state;              // to_string(HistorySample::Cleanup)
  std::string text;               // why, for people; "" when it runs
  std::optional<WallTime> since;  // it does not run; null when it does, or not known
  bool since_at_least = false;    // and maybe longer
  bool provisional = false;       // what is being counted still is not removed
  bool operator==(const CleanupView&) const = default;
};

// Something to do next.
struct ActionView {
  std::string why;
  std::vector<std::string> command;  // words of a command line
  bool operator==(const ActionView&) const = default;
};

struct ExplainView {
  std::string mount;
  std::string path;                  // units at or below it; "" for all
  bool only_own = false;             // only what is the caller's
  WallTime time{};                   // now
  Duration since{};                  // the window asked for
  std::optional<WallTime> from;      // where it begins in fact; null: there is no history at all
  std::vector<std::string> verdict;  // two sentences
  Bytes bytes_total;
  Bytes bytes_free;  // for new data
  std::int64_t inodes_total = 0;
  Bytes charged;                     // what is counted; the rest is none of ours
  std::vector<UsageThenView> usage;  // now first
  std::vector<HolderView> users;     // each the largest first
  std::vector<HolderView> jobs;
  std::vector<HolderView> classes;
  std::vector<HolderView> units;
  std::vector<RemovedView> removed;  // in the window, the most bytes first
  std::vector<HeldView> held;        // the most bytes first
  Usage evictable;                   // what may go when space is needed
  std::int64_t evictable_units = 0;
  Usage trash;
  CleanupView cleanup;
  std::vector<ActionView> actions;
  bool operator==(const ExplainView&) const = default;
};

}  // namespace ebbfs
