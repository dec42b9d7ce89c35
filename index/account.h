// SPDX-License-Identifier: Apache-2.0
//
// The counters of one scope and the limits that bound them. Growth is by compare-and-swap against
// the hard limit, so that it is never passed, not even for an instant. Atomics throughout, of
// relaxed order: each counter is right by itself, and orders nothing else.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string>
#include <utility>

#include "index/types.h"

namespace ebbfs {

// The part of a change that grows.
[[nodiscard]] constexpr Usage growing(const Usage& delta) {
  return {{std::max<std::int64_t>(delta.bytes.n, 0)}, std::max<std::int64_t>(delta.inodes, 0)};
}

// One counter of a scope, with its limits.
class LimitedCount {
 public:
  LimitedCount() = default;
  LimitedCount(const LimitedCount&) = delete;
  LimitedCount& operator=(const LimitedCount&) = delete;
  ~LimitedCount() { delete soft_.load(std::memory_order_relaxed); }

  [[nodiscard]] std::int64_t held() const { return held_.load(std::memory_order_relaxed); }
  void set(std::int64_t hard, std::int64_t soft, Duration grace);
  // Adds `amount` (>= 0) where the limits allow it at `now`; false, and nothing changed, otherwise.
  [[nodiscard]] bool grow(std::int64_t amount, WallTime now);
  // Adds without asking, of either sign.
  void add(std::int64_t amount);
  // Since when the soft limit is passed; the epoch when it is not.
  [[nodiscard]] WallTime over_since() const;
  [[nodiscard]] std::int64_t hard() const { return hard_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::int64_t soft() const;
  [[nodiscard]] Duration grace() const;
  void set_over_since(WallTime since);

 private:
  static constexpr Duration kGrace = ScopeLimits{}.grace;
  // Few counters have a soft limit, and there are many: made when one is set first, and kept.
  struct Soft {
    std::atomic<std::int64_t> limit{kUnlimited};
    std::atomic<std::int64_t> grace{kGrace.count()};  // nanoseconds
    std::atomic<std::int64_t> over_since{0};          // WallTime; 0 while not above `limit`
  };
  [[nodiscard]] Soft* known_soft() const { return soft_.load(std::memory_order_acquire); }
  [[nodiscard]] Soft& soft_made();

  std::atomic<std::int64_t> held_{0};
  std::atomic<std::int64_t> hard_{kUnlimited};
  std::atomic<Soft*> soft_{nullptr};
};

// One scope's counters. Lives as long as the ledger (unit accounts: as their UnitAccounts).
class Account {
 public:
  [[nodiscard]] Usage usage() const { return {{bytes_.held()}, inodes_.held()}; }
  // Lowering one below the usage refuses growth, removes nothing.
  void set_limits(const ScopeLimits& limits);
  [[nodiscard]] ScopeLimits limits() const {
    return {bytes_.hard(), bytes_.soft(), inodes_.hard(), inodes_.soft(), bytes_.grace()};
  }
  void set_hard(std::int64_t bytes, std::int64_t inodes) {
    set_limits({.bytes = bytes, .inodes = inodes});
  }
  // Adds `delta`, growing parts only where the limits allow at `now`; false and unchanged
  // otherwise.
  [[nodiscard]] bool try_add(const Usage& delta, WallTime now = {});
  // Adds without asking: for giving back, loading, and moves already decided.
  void add(const Usage& delta);

  // How often growth was refused.
  [[nodiscard]] std::uint64_t refusals() const { return refusals_.load(std::memory_order_relaxed); }
  // Since when each soft limit is passed; the epoch when it is not. Restored after a restart.
  struct OverSoft {
    WallTime bytes{};
    WallTime inodes{};
    bool operator==(const OverSoft&) const = default;
  };
  [[nodiscard]] OverSoft over_soft() const { return {bytes_.over_since(), inodes_.over_since()}; }
  void restore_over_soft(const OverSoft& since);

 private:
  LimitedCount bytes_;
  LimitedCount inodes_;
  std::atomic<std::uint64_t> refusals_{0};
};

// Of a scope that many units are in, on cache lines of its own: threads that charge different ones
// do not slow each other. There are few of these, but many units, and as many jobs.
class alignas(64) SharedAccount : public Account {};
// With the name of its scope, such as "class:worktree".
using NamedAccount = std::pair<const std::string, SharedAccount>;

}  // namespace ebbfs
