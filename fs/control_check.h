// SPDX-License-Identifier: Apache-2.0
//
// The body of `ebbctl check`. Conventions as in control_views.h. Values only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fs/control_json.h"
#include "index/types.h"

namespace ebbfs {

// What a scope holds more than its counters say; less where negative.
struct DifferenceView {
  std::string scope;  // as in QuotaView
  Usage usage;
  bool operator==(const DifferenceView&) const = default;
};

struct RecountView {
  std::uint64_t token = 0;
  bool running = false;
  bool repair = false;
  bool given_up = false;  // ended before its end: the rest says nothing
  std::int64_t percent = 0;
  std::int64_t files = 0;     // inodes looked at, those that were counted twice again
  std::int64_t expected = 0;  // about how many there are
  std::int64_t units = 0;     // counted, the files outside of units as one
  Duration took{};
  std::int64_t files_per_second = 0;
  bool exact = false;                       // ended, and nothing differs
  bool repaired = false;                    // what differs is right now
  std::vector<DifferenceView> differences;  // empty while it runs
  std::vector<std::string> unchecked;       // units that could not be looked at, and why
  bool operator==(const RecountView&) const = default;
};

}  // namespace ebbfs
