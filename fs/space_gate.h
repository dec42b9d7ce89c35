// SPDX-License-Identifier: Apache-2.0
//
// Whether there is room for new data: refuses what would go into the reserve (DESIGN 4.5), and
// notices that usage has passed the high mark. The marks follow what the backing filesystem says is
// free, whoever filled it.
//
// Requests take from an allowance, one atomic each; only when that is used up is the backing
// filesystem asked again. What others than this mount write is noticed then, or by the next
// refresh(). The reserve is no limit to the byte: what was admitted and has not landed yet is not
// seen by a look.
//
// Threading: any thread, but for on_pressure(), which comes before requests are served. Lock order:
// `mu_` is a leaf.
#pragma once

#include <sys/statvfs.h>

#include <atomic>
#include <cstdint>
#include <functional>

#include "index/mutex.h"
#include "index/result.h"
#include "index/types.h"
#include "index/usage.h"
#include "policy/space.h"

namespace ebbfs {

// What statvfs(2) says, as an ordinary user sees it, and the hard limits of `volume`.
[[nodiscard]] SpaceReading read_space(const struct statvfs& space, const Account& volume);

class SpaceGate {
 public:
  struct Look {
    SpaceReading reading;
    VolumeRule rule;
  };
  // What is free now, and the marks in force. Errors: those of statvfs(2).
  using Looker = std::function<Result<Look>()>;

  explicit SpaceGate(Looker looker) : looker_(std::move(looker)) {}
  SpaceGate(const SpaceGate&) = delete;
  SpaceGate& operator=(const SpaceGate&) = delete;

  // Called, holding `mu_`, when a look finds that usage is above `high`; must return at once.
  void on_pressure(std::function<void()> hook) { pressed_ = std::move(hook); }

  // Whether `bytes` (>= 0) more may be written, an inode more be made. When free space is not
  // known they may: the backing filesystem has the last word.
  [[nodiscard]] bool admit(std::int64_t bytes) EXCLUDES(mu_) {
    const std::int64_t taken = round_up(bytes);
    return bytes_left_.fetch_sub(taken, std::memory_order_relaxed) >= taken ||
           look_and_admit({{taken}, 0});
  }
  [[nodiscard]] bool admit_inode() EXCLUDES(mu_) {
    return inodes_left_.fetch_sub(1, std::memory_order_relaxed) >= 1 || look_and_admit({{0}, 1});
  }

  // Looks, and forgets what was allowed before.
  [[nodiscard]] Result<Look> refresh() EXCLUDES(mu_);
  // Looks and changes nothing.
  [[nodiscard]] Result<Look> look() const { return looker_(); }

  // So much was refused by the limit on the volume itself.
  void missed(const Usage& usage) EXCLUDES(mu_);
  // The largest request that was refused since this was last asked, at least one byte and inode.
  [[nodiscard]] Usage take_wanted() EXCLUDES(mu_);
  // How often something was refused.
  [[nodiscard]] std::uint64_t refusals() const { return refusals_.load(std::memory_order_relaxed); }

 private:
  // Blocks are taken whole.
  static constexpr std::int64_t kBlock = 4096;
  static constexpr std::int64_t round_up(std::int64_t bytes) {
    return (bytes + kBlock - 1) / kBlock * kBlock;
  }

  [[nodiscard]] bool look_and_admit(const Usage& wanted) EXCLUDES(mu_);
  void allow(const Look& look, const Usage& taken) REQUIRES(mu_);
  void want(const Usage& usage) REQUIRES(mu_);

  const Looker looker_;
  std::function<void()> pressed_;
  Mutex mu_;  // one look at a time
  Usage wanted_ GUARDED_BY(mu_);
  // Atomic: taken from by every request that grows something. Each is right by itself; a look
  // replaces both.
  alignas(64) std::atomic<std::int64_t> bytes_left_{0};
  alignas(64) std::atomic<std::int64_t> inodes_left_{0};
  std::atomic<std::uint64_t> refusals_{0};
};

}  // namespace ebbfs
