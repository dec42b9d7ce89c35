// SPDX-License-Identifier: Apache-2.0
#include "index/owner_table.h"

#include <algorithm>

namespace ebbfs {

void OwnerTable::set(Thing thing, const std::optional<OwnerTag>& owner) {
  const MutexLock lock(mu_);
  if (!owner) {
    by_thing_.erase(packed(thing));
    return;
  }
  const auto boot = std::ranges::find(boots_, owner->boot);
  const auto place = static_cast<std::uint32_t>(boot - boots_.begin());
  if (boot == boots_.end()) boots_.push_back(owner->boot);
  by_thing_.insert_or_assign(packed(thing), Tag{.uid = owner->uid,
                                                .process = owner->process.tgid,
                                                .boot = place,
                                                .start_time = owner->process.start_time});
}

std::optional<OwnerTag> OwnerTable::find(Thing thing) const {
  const MutexLock lock(mu_);
  const auto known = by_thing_.find(packed(thing));
  if (known == by_thing_.end()) return std::nullopt;
  const Tag& tag = known->second;
  return OwnerTag{tag.uid, {tag.process, tag.start_time}, boots_[tag.boot]};
}

}  // namespace ebbfs
