// SPDX-License-Identifier: Apache-2.0
//
// A clock that stands still until a test moves it. The wall clock can be stepped on its own, as
// administrators and NTP do. Any thread may read; one thread moves it.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "fs/clock.h"
#include "index/mutex.h"

namespace ebbfs {

class FakeClock final : public Clock {
 public:
  // An arbitrary but fixed start: 2026-01-01 00:00:00 UTC, an hour after boot.
  static constexpr WallTime kWallStart{std::chrono::seconds(1'767'225'600)};
  static constexpr MonoTime kMonoStart{std::chrono::hours(1)};

  [[nodiscard]] WallTime wall_now() const override EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    return wall_;
  }
  [[nodiscard]] MonoTime mono_now() const override EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    return mono_;
  }

  [[nodiscard]] Duration boot_now() const override EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    return mono_.time_since_epoch() + slept_;
  }

  // The machine sleeps for `by`: the monotonic clock does not notice.
  void sleep(Duration by) EXCLUDES(mu_) {
    {
      const MutexLock lock(mu_);
      wall_ += by;
      slept_ += by;
    }
    for (const auto& call : on_move_) call();
  }

  // Time passes: both clocks move on by `by` (>= 0).
  void advance(Duration by) EXCLUDES(mu_) {
    {
      const MutexLock lock(mu_);
      wall_ += by;
      mono_ += by;
    }
    for (const auto& call : on_move_) call();
  }

  // The wall clock is set, back or forth; no time passes.
  void step_wall(Duration by) EXCLUDES(mu_) {
    {
      const MutexLock lock(mu_);
      wall_ += by;
    }
    for (const auto& call : on_move_) call();
  }

  // Called after each move, on the moving thread. To be set up before other threads start.
  void on_move(std::function<void()> call) { on_move_.push_back(std::move(call)); }

 private:
  mutable Mutex mu_;
  WallTime wall_ GUARDED_BY(mu_) = kWallStart;
  MonoTime mono_ GUARDED_BY(mu_) = kMonoStart;
  Duration slept_ GUARDED_BY(mu_){};
  std::vector<std::function<void()>> on_move_;
};

}  // namespace ebbfs
