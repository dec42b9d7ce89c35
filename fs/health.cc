// SPDX-License-Identifier: Apache-2.0
#include "fs/health.h"

#include <algorithm>
#include <utility>

namespace ebbfs {

bool Health::report(std::string_view cause, std::string sentence, Removal removal) {
  const MutexLock lock(mu_);
  const bool is_new =
      troubles_.insert_or_assign(std::string(cause), Trouble{std::move(sentence), removal}).second;
  settle();
  return is_new;
}

void Health::recovered(std::string_view cause) {
  const MutexLock lock(mu_);
  if (const auto known = troubles_.find(cause); known != troubles_.end()) troubles_.erase(known);
  settle();
}

void Health::settle() {
  paused_.store(
      std::ranges::any_of(
          troubles_, [](const auto& entry) { return entry.second.removal == Removal::paused; }),
      std::memory_order_relaxed);
}

std::string Health::why_paused() const {
  const MutexLock lock(mu_);
  for (const auto& [cause, trouble] : troubles_) {
    if (trouble.removal == Removal::paused) return trouble.sentence;
  }
  return {};
}

std::vector<std::string> Health::sentences() const {
  const MutexLock lock(mu_);
  std::vector<std::string> all;
  all.reserve(troubles_.size());
  for (const auto& [cause, trouble] : troubles_) all.push_back(trouble.sentence);
  return all;
}

}  // namespace ebbfs
