// SPDX-License-Identifier: Apache-2.0
//
// What is wrong with the volume just now: a sentence for each cause, shown by `ebbctl status`, and
// whether removal has to wait until it is over. Threading: all from any thread; a leaf lock.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "index/mutex.h"

namespace ebbfs {

class Health {
 public:
  Health() = default;
  Health(const Health&) = delete;
  Health& operator=(const Health&) = delete;

  enum class Removal : std::uint8_t { goes_on, paused };
  // Replaces what was said of `cause` before. Returns whether it is new.
  bool report(std::string_view cause, std::string sentence, Removal removal) EXCLUDES(mu_);
  void recovered(std::string_view cause) EXCLUDES(mu_);

  [[nodiscard]] bool removal_paused() const { return paused_.load(std::memory_order_relaxed); }
  // One that pauses removal; empty when none does.
  [[nodiscard]] std::string why_paused() const EXCLUDES(mu_);
  [[nodiscard]] std::vector<std::string> sentences() const EXCLUDES(mu_);

 private:
  struct Trouble {
    std::string sentence;
    Removal removal;
  };
  void settle() REQUIRES(mu_);

  mutable Mutex mu_;
  std::map<std::string, Trouble, std::less<>> troubles_ GUARDED_BY(mu_);
  std::atomic<bool> paused_{false};  // of `troubles_`; asked for each removal
};

}  // namespace ebbfs
