// SPDX-License-Identifier: Apache-2.0
#include "index/owner_table.h"

namespace ebbfs {

void OwnerTable::set(Thing thing, const std::optional<OwnerTag>& owner) {
  const MutexLock lock(mu_);
  if (owner) {
    by_thing_.insert_or_assign(packed(thing), *owner);
  } else {
    by_thing_.erase(packed(thing));
  }
}

std::optional<OwnerTag> OwnerTable::find(Thing thing) const {
  const MutexLock lock(mu_);
  const auto known = by_thing_.find(packed(thing));
  if (known == by_thing_.end()) return std::nullopt;
  return known->second;
}

}  // namespace ebbfs
