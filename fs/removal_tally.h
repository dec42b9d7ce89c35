// SPDX-License-Identifier: Apache-2.0
//
// How much was removed, by class and reason, counted from the journal: nothing that removes has to
// know of it. Events that have left the journal before they were looked at are missing. Threading:
// the caller's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "index/history_sample.h"
#include "index/unit_index.h"

namespace ebbfs {

// The reason behind an event that tells of a removal; nothing for any other.
[[nodiscard]] std::optional<RemovalReason> removal_of(EventRecord::Kind kind);

class RemovalTally {
 public:
  // Counts what comes after `event`.
  explicit RemovalTally(std::uint64_t event = 0) : event_(event) {}

  void add(const EventRecord& event);
  void add(const SampledRemovals& counted);
  // Adds what the journal has got since. Errors: those of the index; what was read is counted.
  [[nodiscard]] Status catch_up(UnitIndex& index);
  // What was counted since `clear`, by class, then reason.
  [[nodiscard]] std::vector<SampledRemovals> removals() const;
  void clear() { counted_.clear(); }
  // The newest that is counted.
  [[nodiscard]] std::uint64_t event() const { return event_; }

 private:
  struct Counted {
    std::uint64_t count = 0;
    Usage usage;
  };
  std::uint64_t event_;
  std::map<std::tuple<std::string, RemovalReason>, Counted> counted_;
};

}  // namespace ebbfs
