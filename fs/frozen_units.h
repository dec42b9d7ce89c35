// SPDX-License-Identifier: Apache-2.0
//
// Units frozen together, in the order of fs/volume.h, and thawed at the end of the scope unless
// killed before. Threading: none of its own.
#pragma once

#include <functional>
#include <vector>

#include "fs/unit_table.h"

namespace ebbfs {

class FrozenUnits {
 public:
  // Freezes `unit`, which may be about to go, and `staying`, whose charges may change though no
  // request does it: those are marked in use first, so that their stored usage does not pass for
  // exact after a crash. Check for success: `if (!frozen)` some request did not leave within
  // `patience` (for each unit), or somebody else has one frozen; then nothing is.
  FrozenUnits(UnitTable& table, const UnitRef& unit, const std::vector<UnitRef>& staying,
              Duration patience);
  // Freezes `units` as they are, one at least. Waits `patience` for all together, also for others
  // who have one frozen, mostly for an instant. Checked in the same way.
  FrozenUnits(std::vector<UnitRef> units, Duration patience);
  FrozenUnits(const FrozenUnits&) = delete;
  FrozenUnits& operator=(const FrozenUnits&) = delete;
  ~FrozenUnits() { thaw(); }

  explicit operator bool() const { return !units_.empty(); }
  [[nodiscard]] bool has_all(const std::vector<UnitRef>& units) const;

  // `unit`, one of them, is gone for ever.
  void kill(const UnitRef& unit);
  void thaw();

 private:
  void freeze(std::vector<UnitRef> units, const std::function<bool(const UnitRef&)>& freeze_one);

  std::vector<UnitRef> units_;  // by id
};

}  // namespace ebbfs
