// SPDX-License-Identifier: Apache-2.0
//
// Where time comes from. Passed in by constructor so that tests can move it.
#pragma once

#include <ctime>

#include "index/types.h"

namespace ebbfs {

class Clock {
 public:
  virtual ~Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;

  // UTC; may step. Cheap enough for every request (vdso).
  [[nodiscard]] virtual WallTime wall_now() const = 0;
  // CLOCK_MONOTONIC.
  [[nodiscard]] virtual MonoTime mono_now() const = 0;
  // CLOCK_BOOTTIME, since boot: goes on while the machine sleeps.
  [[nodiscard]] virtual Duration boot_now() const = 0;

 protected:
  Clock() = default;
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] WallTime wall_now() const override { return std::chrono::system_clock::now(); }
  [[nodiscard]] MonoTime mono_now() const override { return std::chrono::steady_clock::now(); }
  [[nodiscard]] Duration boot_now() const override {
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
  }
};

}  // namespace ebbfs
