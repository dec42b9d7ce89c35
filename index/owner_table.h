// SPDX-License-Identifier: Apache-2.0
//
// Under which owner each thing stands in the `owners` table, in memory: so that a change or removal
// knows which rows to erase without reading the old record on the path of a request. About 60
// bytes for each unit and lock. Threading: any thread; one short lock a call, no I/O under it.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

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
  // A tag, with its boot as a place in boots_: all of one boot share that.
  struct Tag {
    uid_t uid;
    pid_t process;
    std::uint32_t boot;
    std::uint64_t start_time;
  };

  mutable Mutex mu_;
  std::vector<BootId> boots_ GUARDED_BY(mu_);
  std::unordered_map<std::uint64_t, Tag> by_thing_ GUARDED_BY(mu_);  // by packed()
};

}  // namespace ebbfs
