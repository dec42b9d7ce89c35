// SPDX-License-Identifier: Apache-2.0
#include "fs/frozen_units.h"

#include <algorithm>

namespace ebbfs {
namespace {

// Tries to freeze a unit that is marked in use. A flush can take the mark away just before.
constexpr int kTries = 3;

bool freeze_marked(UnitTable& table, const UnitRef& unit, Duration patience) {
  for (int i = 0; i < kTries; ++i) {
    // Its own last use, so that this is none.
    if (!table.use(unit, unit->last_used(), false)) return false;
    if (!unit->freeze(patience)) return false;
    if (unit->record().dirty) return true;
    unit->thaw();
  }
  return false;
}

}  // namespace

FrozenUnits::FrozenUnits(UnitTable& table, const UnitRef& unit, const std::vector<UnitRef>& staying,
                         Duration patience) {
  std::vector<UnitRef> all = staying;
  all.push_back(unit);
  std::ranges::sort(all, {}, [](const UnitRef& one) { return raw(one->id()); });
  const auto repeated = std::ranges::unique(all);
  all.erase(repeated.begin(), repeated.end());
  for (UnitRef& one : all) {
    const bool stays = std::ranges::find(staying, one) != staying.end();
    if (stays ? !freeze_marked(table, one, patience) : !one->freeze(patience)) {
      thaw();
      return;
    }
    units_.push_back(std::move(one));
  }
}

void FrozenUnits::kill(const UnitRef& unit) {
  unit->kill();
  std::erase(units_, unit);
}

void FrozenUnits::thaw() {
  for (const UnitRef& unit : units_) unit->thaw();
  units_.clear();
}

}  // namespace ebbfs
