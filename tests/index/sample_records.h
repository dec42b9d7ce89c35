// SPDX-License-Identifier: Apache-2.0
//
// Records to test with: random ones in every field, and small ones that say only what a test is
// about. Threading: none of its own.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "index/history_sample.h"
#include "index/record.h"

namespace ebbfs {

// The same records for the same seed.
class RecordMaker {
 public:
  explicit RecordMaker(std::uint64_t seed) : random_(seed) {}

  [[nodiscard]] UnitRecord unit();
  [[nodiscard]] LockRecord lock();
  [[nodiscard]] TrashRecord trash();
  [[nodiscard]] EventRecord event();
  [[nodiscard]] QuotaRecord quota();
  [[nodiscard]] HistorySample sample();

 private:
  std::uint64_t number();  // small, large and extreme ones
  std::int64_t signed_number() { return static_cast<std::int64_t>(number()); }
  std::string text();
  bool coin() { return number() % 2 == 0; }
  FileHandle handle();
  WallTime time() { return WallTime{Duration{signed_number()}}; }
  Usage usage() { return {{signed_number()}, signed_number()}; }
  ProcessSeen process();
  Owner owner();

  std::mt19937_64 random_;
};

// A time so many ticks after the epoch, to be told from others.
[[nodiscard]] constexpr WallTime at(std::int64_t count) { return WallTime{Duration{count}}; }

// Owned by process (`pid`, 100) of user `uid` in the boot whose id is all ones.
[[nodiscard]] UnitRecord sample_unit(UnitId id, pid_t pid = 42, uid_t uid = 1000);
[[nodiscard]] LockRecord sample_lock(LockId id, pid_t pid = 42, uid_t uid = 1000);
// Of sample_unit(`unit`), to be purged at `purge_after`.
[[nodiscard]] TrashRecord sample_trash(TrashId id, UnitId unit, WallTime purge_after);
[[nodiscard]] BootId sample_boot();

}  // namespace ebbfs
