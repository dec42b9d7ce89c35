// SPDX-License-Identifier: Apache-2.0
//
// What limits cost a write that extends a file: finding the cell, reserving a block and settling
// it, with none, one or all of the six scopes limited.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <string_view>

#include "index/usage.h"

namespace ebbfs {
namespace {

constexpr std::int64_t kMuch = std::int64_t{1} << 50;

// All six scopes of one unit; the first `limited` of them have a limit that is far away.
struct Limited {
  explicit Limited(int limited) {
    ledger.set_limiter([limited](std::string_view scope) {
      constexpr std::string_view kNames[] = {"user:1000", "volume",    "unit:w/a",
                                             "class:w",   "group:100", "job:ci"};
      for (int i = 0; i < limited; ++i) {
        if (scope == kNames[i] || (i == 0 && scope.starts_with("user:"))) {
          return ScopeLimits{.bytes = kMuch};
        }
      }
      return ScopeLimits{};
    });
    unit = ledger.open_unit(UnitId{1}, "w", "ci");
    ledger.limit_unit(*unit, "w/a");
    ledger.apply_limits();
  }
  UsageLedger ledger;
  std::shared_ptr<UnitAccounts> unit;
};

Limited& with_limits(std::int64_t count) {
  static Limited none(0);
  static Limited one(1);
  static Limited all(6);
  return count == 0 ? none : count == 1 ? one : all;
}

// `users`: 1, every thread writes as the same one; 2, each as its own.
void charge(benchmark::State& state) {
  Limited& with = with_limits(state.range(0));
  const auto uid = static_cast<uid_t>(1000 + (state.range(1) == 1 ? 0 : state.thread_index()));
  const Usage block = {{kChargeBlock}, 0};
  for (auto _ : state) {
    Cell& cell = with.ledger.cell(*with.unit, uid, 100);
    benchmark::DoNotOptimize(with.ledger.reserve(cell, block));
    with.ledger.settle(cell, -block);
  }
}
BENCHMARK(charge)
    ->ArgNames({"limited", "users"})
    ->ArgsProduct({{0, 1, 6}, {1, 2}})
    ->Threads(1)
    ->Threads(2)
    ->UseRealTime();

// Writers of units, users, groups and jobs of their own meet in the volume and the class alone.
void charge_apart(benchmark::State& state) {
  static UsageLedger ledger;
  const std::string number = std::to_string(state.thread_index());
  const auto unit = ledger.open_unit(UnitId{1}, "w", "ci-" + number);
  Cell& cell = ledger.cell(*unit, static_cast<uid_t>(1000 + state.thread_index()),
                           static_cast<gid_t>(100 + state.thread_index()));
  const Usage block = {{kChargeBlock}, 0};
  for (auto _ : state) {
    benchmark::DoNotOptimize(ledger.reserve(cell, block));
    ledger.settle(cell, -block);
  }
}
BENCHMARK(charge_apart)->Threads(1)->Threads(2)->UseRealTime();

// The part of it that takes a lock when a unit has more users than it remembers.
void find_cell_of_two_users(benchmark::State& state) {
  static UsageLedger ledger;
  static const auto unit = ledger.open_unit(UnitId{1}, "w", "ci");
  uid_t uid = 1000;
  for (auto _ : state) {
    benchmark::DoNotOptimize(&ledger.cell(*unit, uid, 100));
    uid ^= 1U;
  }
}
BENCHMARK(find_cell_of_two_users)->Threads(1)->Threads(2)->UseRealTime();

}  // namespace
}  // namespace ebbfs

BENCHMARK_MAIN();
