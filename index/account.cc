// SPDX-License-Identifier: Apache-2.0
#include "index/account.h"

#include <memory>

namespace ebbfs {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

}  // namespace

LimitedCount::Soft& LimitedCount::soft_made() {
  if (Soft* known = known_soft(); known != nullptr) return *known;
  auto made = std::make_unique<Soft>();
  Soft* other = nullptr;
  if (!soft_.compare_exchange_strong(other, made.get(), std::memory_order_acq_rel)) return *other;
  return *made.release();
}

std::int64_t LimitedCount::soft() const {
  const Soft* soft = known_soft();
  return soft == nullptr ? kUnlimited : soft->limit.load(kRelaxed);
}

Duration LimitedCount::grace() const {
  const Soft* soft = known_soft();
  return soft == nullptr ? kGrace : Duration(soft->grace.load(kRelaxed));
}

WallTime LimitedCount::over_since() const {
  const Soft* soft = known_soft();
  return soft == nullptr ? WallTime{} : WallTime(Duration(soft->over_since.load(kRelaxed)));
}

void LimitedCount::set_over_since(WallTime since) {
  if (since == WallTime{} && known_soft() == nullptr) return;
  soft_made().over_since.store(since.time_since_epoch().count(), kRelaxed);
}

void LimitedCount::set(std::int64_t hard, std::int64_t soft, Duration grace) {
  hard_.store(hard, kRelaxed);
  if (soft == kUnlimited && grace == kGrace && known_soft() == nullptr) return;
  Soft& made = soft_made();
  made.limit.store(soft, kRelaxed);
  made.grace.store(grace.count(), kRelaxed);
  if (held() <= soft) made.over_since.store(0, kRelaxed);
}

bool LimitedCount::grow(std::int64_t amount, WallTime now) {
  if (amount == 0) return true;
  const std::int64_t at = now.time_since_epoch().count();
  Soft* const bound = known_soft();
  std::int64_t held = held_.load(kRelaxed);
  bool above = false;
  bool crosses = false;
  do {
    // Compared this way round, nothing overflows: sparse files may be of nearly 2^63 bytes.
    const std::int64_t present = std::max<std::int64_t>(held, 0);
    if (amount > hard_.load(kRelaxed) - present) return false;
    if (bound == nullptr) continue;
    const std::int64_t soft = bound->limit.load(kRelaxed);
    above = amount > soft - present;
    crosses = above && present <= soft;
    if (above) {
      const std::int64_t grace = bound->grace.load(kRelaxed);
      const std::int64_t since = bound->over_since.load(kRelaxed);
      if (grace == 0 || (!crosses && since != 0 && at - since >= grace)) return false;
    }
  } while (!held_.compare_exchange_weak(held, held + amount, kRelaxed));
  // Asked when there was no soft limit yet, so without the time: the next one starts the clock.
  if (bound == nullptr || at == 0) return true;
  if (crosses) {
    bound->over_since.store(at, kRelaxed);
  } else if (above) {
    // Above before there was a limit, or by charges that nobody was asked for.
    std::int64_t never = 0;
    (void)bound->over_since.compare_exchange_strong(never, at, kRelaxed);
  }
  return true;
}

void LimitedCount::add(std::int64_t amount) {
  if (amount == 0) return;
  const std::int64_t held = held_.fetch_add(amount, kRelaxed) + amount;
  if (amount > 0) return;
  Soft* const bound = known_soft();
  if (bound != nullptr && bound->over_since.load(kRelaxed) != 0 &&
      held <= bound->limit.load(kRelaxed)) {
    bound->over_since.store(0, kRelaxed);
  }
}

void Account::set_limits(const ScopeLimits& limits) {
  bytes_.set(limits.bytes, limits.soft_bytes, limits.grace);
  inodes_.set(limits.inodes, limits.soft_inodes, limits.grace);
}

void Account::restore_over_soft(const OverSoft& since) {
  bytes_.set_over_since(since.bytes);
  inodes_.set_over_since(since.inodes);
}

bool Account::try_add(const Usage& delta, WallTime now) {
  const Usage growth = growing(delta);
  const bool bytes_fit = bytes_.grow(growth.bytes.n, now);
  if (!bytes_fit || !inodes_.grow(growth.inodes, now)) {
    if (bytes_fit) bytes_.add(-growth.bytes.n);
    refusals_.fetch_add(1, kRelaxed);
    return false;
  }
  add(delta - growth);
  return true;
}

void Account::add(const Usage& delta) {
  bytes_.add(delta.bytes.n);
  inodes_.add(delta.inodes);
}

}  // namespace ebbfs
