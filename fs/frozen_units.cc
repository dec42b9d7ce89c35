// SPDX-License-Identifier: Apache-2.0
#include "fs/frozen_units.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

namespace ebbfs {
namespace {

// Tries to freeze a unit that is marked in use. A flush can take the mark away just before.
constexpr int kTries = 3;
constexpr Duration kFreezeAgain = std::chrono::milliseconds(1);

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

bool freeze_until(Unit& unit, MonoTime until) {
  while (!unit.freeze(
      std::max(Duration(until - std::chrono::steady_clock::now()), Duration::zero()))) {
    if (unit.gone() || std::chrono::steady_clock::now() >= until) return false;
    std::this_thread::sleep_for(kFreezeAgain);
  }
  return true;
}

std::uint64_t unit_number(const UnitRef& unit) { return raw(unit->id()); }

}  // namespace

FrozenUnits::FrozenUnits(UnitTable& table, const UnitRef& unit, const std::vector<UnitRef>& staying,
                         Duration patience) {
  std::vector<UnitRef> all = staying;
  all.push_back(unit);
  freeze(std::move(all), [&](const UnitRef& one) {
    const bool stays = std::ranges::find(staying, one) != staying.end();
    return stays ? freeze_marked(table, one, patience) : one->freeze(patience);
  });
}

FrozenUnits::FrozenUnits(std::vector<UnitRef> units, Duration patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  freeze(std::move(units), [until](const UnitRef& one) { return freeze_until(*one, until); });
}

// The root unit first, then by rising id, so that no two can hold each other up.
void FrozenUnits::freeze(std::vector<UnitRef> units,
                         const std::function<bool(const UnitRef&)>& freeze_one) {
  std::ranges::sort(units, {}, unit_number);
  const auto repeated = std::ranges::unique(units);
  units.erase(repeated.begin(), repeated.end());
  for (UnitRef& unit : units) {
    if (!freeze_one(unit)) return thaw();
    units_.push_back(std::move(unit));
  }
}

bool FrozenUnits::has_all(const std::vector<UnitRef>& units) const {
  return std::ranges::all_of(units, [&](const UnitRef& unit) {
    return std::ranges::binary_search(units_, unit_number(unit), {}, unit_number);
  });
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
