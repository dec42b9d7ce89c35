// SPDX-License-Identifier: Apache-2.0
//
// Under which owner each thing stands in the `owners` table, in memory: so that a change or removal
// knows which rows to erase without reading the old record on the path of a request. About 70
// bytes for each unit and lock. Threading: any thread; one short lock a call, no I/O under it.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>

#include "index/mutex.h"
#include "index/record.h"
#include "index/types.h"

namespace ebbfs {

class OwnerTable {
 public:
  // Replaces the owner of `thing`; none removes it.
  void set(Thing thing, const std::optional<OwnerTag>& owner) EXCLUDES(mu_);
  [[nodiscard]] std::optional<OwnerTag> find(Thing thing) const EXCLUDES(mu_);

 private:
  mutable Mutex mu_;
  std::unordered_map<std::uint64_t, OwnerTag> by_thing_ GUARDED_BY(mu_);  // by packed()
};

}  // namespace ebbfs
